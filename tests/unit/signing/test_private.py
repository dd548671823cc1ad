"""Bundles of a private Sigstore of real services, verified or refused for ever, offline.

Made by tests/assets/signing/private/generate.py. tests/slow/test_private_sigstore.py makes new ones; what stands here is seen by
everybody, without building any service.
"""

import json
from typing import Any

import pytest

from modeltrust.api.compile import compile_signer
from modeltrust.domain.evidence import RejectedSignature, SignatureEvidence, SignatureForm
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, ModelReference, Revision, RevisionState
from modeltrust.domain.signer import TrustedSigner
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.signing.trust_root import parse_trust_root
from modeltrust.signing.verify import verify
from tests.assets.signing.private.generate import ASSETS, COSIGN, MANIFEST, MODEL, SIGNED
from tests.support import oms
from tests.support.bundle_shape import ENTRY, shape
from tests.support.sigstore_ca import TestSigstore

MODELS, MESSAGES = sorted(SIGNED), sorted(COSIGN)
ROOT = (ASSETS / "trusted_root.json").read_bytes()
PEOPLE: dict[str, dict[str, str]] = json.loads((ASSETS / "people.json").read_bytes())
PARTS = ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
SCOPE = "oci://registry.acme.example/models/guard"
IMAGE = Identity(
    ModelReference("oci", "registry.acme.example/models/guard"),
    Revision(RevisionState.DIGEST, f"sha256:{oms.sha256(MANIFEST)}"),
)


def bundle(name: str) -> bytes:
    return (ASSETS / f"{name}.json").read_bytes()


def signer(name: str, root: bytes = ROOT, **identity: Any) -> TrustedSigner:
    keyless = {"identities": [{"name": "x", **PEOPLE[name], **identity}], "trustRoot": {"inline": root.decode()}}
    spec = {"purposes": ["Author"], "keyless": keyless, "scope": {"models": ["oci://registry.acme.example/**"]}}
    return compile_signer(
        {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "TrustedSigner", "metadata": {"name": "acme"}, "spec": spec}
    )


def judged(name: str, trusted: TrustedSigner, data: bytes | None = None) -> SignatureEvidence | RejectedSignature:
    listing = oms.read(MODEL)
    if name in COSIGN:
        listing = type(listing)(IMAGE.reference, IMAGE.pin, listing.files)  # type: ignore[arg-type] # a revision, as made above
    return verify(data or bundle(name), listing, signers=(trusted,), now=0, content=None, identity=IMAGE)


def accepted(name: str) -> SignatureEvidence:
    found = judged(name, signer(name))
    assert isinstance(found, SignatureEvidence), found
    return found


@pytest.mark.parametrize("name", [*MODELS, *MESSAGES])
def test_what_real_services_vouched_for_counts_for_whom_it_names(name: str) -> None:
    found = accepted(name)
    assert found.form is (SignatureForm.COSIGN if name in COSIGN else SignatureForm.OMS)
    assert {"subject": found.subject, "issuer": found.issuer} == PEOPLE[name]
    assert found.signed_at is not None
    assert isinstance(match(found, signer(name), SCOPE, found.signed_at), Counted)
    wrongs: tuple[dict[str, Any], ...] = ({"subject": "eve@acme.example"}, {"issuer": "https://127.0.0.1:1/people"})
    for wrong in wrongs:
        assert isinstance(match(found, signer(name, **wrong), SCOPE, found.signed_at), NotCounted)


def test_the_first_entry_of_a_log_came_from_cosign_without_its_index() -> None:
    (entry,) = json.loads(bundle("cosign-first"))["verificationMaterial"]["tlogEntries"]
    assert "logIndex" not in entry
    assert entry["inclusionProof"].keys() == {"rootHash", "treeSize", "checkpoint"}


def test_the_log_is_named_by_origin_and_key_and_vouches_by_its_key() -> None:
    (log,) = parse_trust_root(ROOT).logs
    (entry,) = json.loads(bundle("email"))["verificationMaterial"]["tlogEntries"]
    assert json.loads(ROOT)["tlogs"][0]["logId"] == entry["logId"]
    assert bytes.fromhex(log.fingerprint) in log.key_ids
    assert len(log.key_ids) == 2
    assert log.fingerprint in accepted("email").vouched_by


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", [*MODELS, *MESSAGES])
def test_one_part_of_the_root_of_another_instance_is_enough_to_refuse(name: str, part: str) -> None:
    root = json.loads(ROOT) | {part: TestSigstore().root_document()[part]}
    found = judged(name, signer(name, json.dumps(root).encode()))
    assert isinstance(found, RejectedSignature)
    assert found.reason is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("name", [*MODELS, *MESSAGES])
def test_without_its_timestamp_or_with_that_of_another_it_is_refused(name: str) -> None:
    others = [other for other in (*MODELS, *MESSAGES) if other != name]
    for stamps in (None, {}, *(json.loads(bundle(other))["verificationMaterial"]["timestampVerificationData"] for other in others)):
        document = json.loads(bundle(name))
        document["verificationMaterial"]["timestampVerificationData"] = stamps
        if stamps is None:
            del document["verificationMaterial"]["timestampVerificationData"]
        assert isinstance(judged(name, signer(name), json.dumps(document).encode()), RejectedSignature)


def test_what_the_minter_writes_differs_from_what_real_services_write_only_where_nobody_looks() -> None:
    """If this fails after a change of the minter, tests of the verifier may prove something about bundles that do not exist."""
    minted, real = shape(TestSigstore().document(oms.payload(), version=2)), shape(json.loads(bundle("email")))
    assert minted - real == {"dsseEnvelope.signatures[].keyid"}
    assert real - minted == {
        f"{ENTRY}.integratedTime",  # "0", which no promise covers
        "certificate: 1.3.6.1.4.1.57264.1.24",  # the token's subject
        "timestamp: accuracy",
        "timestamp: tsa",
        "timestamp: signed signing_time",
    }
