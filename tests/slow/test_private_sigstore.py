"""Keyless signatures of a private Sigstore of real services: Fulcio, a CT log, Rekor v2, a timestamp authority, each a process."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain.errors import InvalidInputError, UnavailableError
from modeltrust.domain.evidence import PUBLIC_GOOD, Assurance, RejectedSignature, SignatureEvidence, SignerKind
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import TrustedSigner
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.signing import verify as verifying
from modeltrust.signing.tuf_root import FreshRoot, Repository
from modeltrust.signing.verify import verify
from tests.assets.signing.private.generate import ASSETS
from tests.support import oms, reference_library
from tests.support.bundle_shape import shape
from tests.support.oidc_issuer import new_key
from tests.support.private_signing import ANN, BOB, EVERYBODY, PIPELINE, ROBOT, Person, Signing, changed
from tests.support.tuf_repository import TufRepository, serving

pytestmark = pytest.mark.slow

MODEL = "hf://acme/guard-7b"
ENTRY = ("verificationMaterial", "tlogEntries", 0)
STAMP = ("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0, "signedTimestamp")
PARTS = ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return oms.write(tmp_path / "model")


@pytest.fixture(scope="module")
def bundle(private: Signing, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Signed by ANN over the usual files."""
    return private.sign(oms.write(tmp_path_factory.mktemp("signed") / "model"))


def now() -> int:
    return int(time.time())


def judged(data: bytes, *signers: TrustedSigner, files: dict[str, bytes] | None = None) -> SignatureEvidence | RejectedSignature:
    return verify(data, oms.listing(files), signers=signers, now=now(), content=None)


def accepted(data: bytes, *signers: TrustedSigner) -> SignatureEvidence:
    found = judged(data, *signers)
    assert isinstance(found, SignatureEvidence), found
    return found


def refused(data: bytes, *signers: TrustedSigner, reason: Reason = Reason.SIGNATURE_INVALID, **options: Any) -> str:
    found = judged(data, *signers, **options)
    assert isinstance(found, RejectedSignature), found
    assert found.reason is reason, found.message
    return found.message


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.subject)
def test_what_real_services_vouch_for_verifies_offline_and_counts_for_whom_it_names(
    private: Signing, model: Path, person: Person
) -> None:
    began, signer = now(), private.signer(person)
    found = accepted(private.sign(model, person), signer)
    assert (found.kind, found.subject, found.issuer) == (SignerKind.KEYLESS, person.subject, private.issuers.url(person.issuer))
    assert found.assurance is Assurance.SOURCE_DIGESTS
    assert found.signed_at is not None
    assert began - 1 <= found.signed_at <= now() + 1
    assert match(found, signer, MODEL, now()) == Counted("acme", signer.purposes)


def test_claims_are_recorded_as_the_real_fulcio_writes_them(private: Signing, model: Path) -> None:
    claims = {"sourceRepositoryIdentifier": "4711", "githubWorkflowRepository": "acme/models", "runnerEnvironment": "self-hosted"}
    found = accepted(private.sign(model, PIPELINE), private.signer(PIPELINE))
    assert dict(found.claims).items() >= claims.items()
    assert isinstance(match(found, private.signer(PIPELINE, claims=claims), MODEL, now()), Counted)
    for wrong in ({"sourceRepositoryIdentifier": "4712"}, {"deploymentEnvironment": "production"}):
        assert isinstance(match(found, private.signer(PIPELINE, claims={**claims, **wrong}), MODEL, now()), NotCounted)


def test_the_reference_library_accepts_it_too(private: Signing, bundle: bytes, model: Path, tmp_path: Path) -> None:
    for subject, expected in ((ANN.subject, True), (BOB.subject, False)):
        config = private.instance.trust_config(private.issuers.plain)
        theirs = reference_library.keyless(tmp_path / "scratch", config, identity=subject, issuer=private.issuers.url("people"))
        assert reference_library.accepts(theirs, model, bundle, tmp_path / "scratch") is expected


def test_what_is_kept_of_the_services_for_unit_tests_is_what_they_write_today(bundle: bytes) -> None:
    kept = json.loads((ASSETS / "email.json").read_bytes())
    assert shape(json.loads(bundle)) == shape(kept)


@pytest.mark.parametrize("count", [2, 5])
def test_entries_deeper_in_the_log_verify_with_their_proofs(private: Signing, model: Path, count: int) -> None:
    bundles = [private.sign(model) for _ in range(count)]
    sizes = [int(json.loads(data)["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["treeSize"]) for data in bundles]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] > 1
    for data in bundles:
        accepted(data, private.signer())


@pytest.mark.parametrize(
    ("person", "identity"),
    [
        (BOB, {}),
        (ROBOT, {}),
        (ANN, {"issuer": "https://127.0.0.1:1/people"}),
        (PIPELINE, {"subject": ANN.subject}),
        (ANN, {"subject": "ann@acme.example.evil.example"}),
    ],
    ids=["another person", "another kind", "another issuer", "the same name at another issuer", "a longer name"],
)
def test_a_wrong_identity_or_issuer_is_another_signer(
    private: Signing, bundle: bytes, person: Person, identity: dict[str, Any]
) -> None:
    signer = private.signer(person, **identity)
    answer = match(accepted(bundle, signer), signer, MODEL, now())
    assert isinstance(answer, NotCounted)
    assert answer.reason is Reason.SIGNER_NOT_TRUSTED


def test_a_real_fulcio_refuses_a_token_that_its_issuer_did_not_sign(private: Signing, foreign: Signing, model: Path) -> None:
    claims: dict[str, Any] = {"email": ANN.subject, "email_verified": True}
    for token in (
        private.issuers.token("people", "ann", key=new_key(), **claims),
        private.issuers.token("people", "ann", **{**claims, "email_verified": False}),
        private.issuers.token("people", "ann", **claims, exp=now() - 60),
        private.issuers.token("strangers", "ann", **claims),
        foreign.token(ANN),
    ):
        with pytest.raises(UnavailableError):
            private.sign_with(token, model)


def test_a_root_of_another_instance_knows_nobody(private: Signing, foreign: Signing, bundle: bytes) -> None:
    theirs = private.signer(root=foreign.instance.trusted_root())
    refused(bundle, theirs, reason=Reason.SIGNER_NOT_TRUSTED)
    refused(bundle, private.signer(root=b""), reason=Reason.SIGNER_NOT_TRUSTED)  # the public good instance alone
    evidence = accepted(bundle, theirs, private.signer())
    assert isinstance(match(evidence, theirs, MODEL, now()), NotCounted)


@pytest.mark.parametrize("part", PARTS)
def test_one_part_of_the_root_from_another_instance_is_enough_to_refuse(
    private: Signing, foreign: Signing, bundle: bytes, part: str
) -> None:
    root = private.instance.root_document() | {part: foreign.instance.root_document()[part]}
    refused(bundle, private.signer(root=json.dumps(root).encode()), reason=Reason.SIGNER_NOT_TRUSTED)


@pytest.mark.parametrize("part", PARTS)
def test_a_root_without_one_part_is_refused_or_vouches_for_nothing(private: Signing, bundle: bytes, part: str) -> None:
    root = json.dumps(private.instance.root_document() | {part: []}).encode()
    if part in {"tlogs", "certificateAuthorities"}:
        with pytest.raises(InvalidInputError):
            private.signer(root=root)
    else:
        refused(bundle, private.signer(root=root), reason=Reason.SIGNER_NOT_TRUSTED)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_root_that_ended_before_the_signature_does_not_vouch(private: Signing, bundle: bytes, part: str) -> None:
    root = private.instance.root_document()
    for entry in root[part]:
        window = entry["publicKey"]["validFor"] if part in {"tlogs", "ctlogs"} else entry["validFor"]
        window |= {"start": "2020-01-01T00:00:00Z", "end": "2020-06-01T00:00:00Z"}
    found = judged(bundle, private.signer(root=json.dumps(root).encode()))
    assert isinstance(found, RejectedSignature)
    assert found.reason in {Reason.SIGNER_EXPIRED, Reason.SIGNATURE_INVALID}


def test_the_log_is_found_by_its_own_id_and_not_by_the_hash_of_its_key(private: Signing, bundle: bytes) -> None:
    """Rekor v2 names itself by a signed note's hash over origin and key; a root that states another id does not list it."""
    root = private.instance.root_document()
    root["tlogs"][0]["logId"]["keyId"] = base64.b64encode(b"\x00" * 32).decode()
    refused(bundle, private.signer(root=json.dumps(root).encode()), reason=Reason.SIGNER_NOT_TRUSTED)


def test_without_its_timestamp_nothing_says_when_it_was_signed(private: Signing, bundle: bytes) -> None:
    stamps = ("verificationMaterial", "timestampVerificationData")
    assert "nothing says when" in refused(changed(bundle, (stamps, None)), private.signer())
    assert "nothing says when" in refused(changed(bundle, (stamps, {"rfc3161Timestamps": []})), private.signer())
    # Rekor v2 writes no time that it vouches for: one that somebody adds says nothing.
    refused(changed(bundle, (stamps, None), ((*ENTRY, "integratedTime"), str(now()))), private.signer())


def test_parts_of_other_bundles_do_not_fit(private: Signing, foreign: Signing, bundle: bytes, model: Path) -> None:
    again, stranger = json.loads(private.sign(model)), json.loads(foreign.sign(model))
    for path in (ENTRY, STAMP, ("verificationMaterial", "certificate"), ("dsseEnvelope", "signatures", 0)):
        for other in (again, stranger):
            value: Any = other
            for step in path:
                value = value[step]
            found = judged(changed(bundle, (path, value)), private.signer())
            assert isinstance(found, RejectedSignature), path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*ENTRY, "kindVersion"), {"kind": "dsse", "version": "0.0.2"}),
        ((*ENTRY, "logId", "keyId"), base64.b64encode(b"\x01" * 32).decode()),
        ((*ENTRY, "inclusionProof"), None),
        ((*ENTRY, "inclusionProof", "rootHash"), base64.b64encode(b"\x01" * 32).decode()),
        ((*ENTRY, "inclusionProof", "treeSize"), "1000000"),
        ((*ENTRY, "inclusionProof", "checkpoint"), None),
        ((*ENTRY, "canonicalizedBody"), base64.b64encode(b"{}").decode()),
        (("dsseEnvelope", "payload"), base64.b64encode(oms.payload({"config.json": b"evil"})).decode()),
        (("dsseEnvelope", "payloadType"), "application/json"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_real_bundle_that_was_changed_is_refused(
    private: Signing, bundle: bytes, path: tuple[str | int, ...], value: Any
) -> None:
    expected = Reason.SIGNER_NOT_TRUSTED if "logId" in path else Reason.SIGNATURE_INVALID  # a log that the root does not list
    refused(changed(bundle, (path, value)), private.signer(), reason=expected)


@pytest.mark.parametrize(
    "files",
    [
        {**oms.FILES, "model.safetensors": b"weightz"},
        {name: data for name, data in oms.FILES.items() if name != "config.json"},
        {
            **{name: data for name, data in oms.FILES.items() if name != "config.json"},
            "configuration.json": oms.FILES["config.json"],
        },
    ],
    ids=["a byte", "a file less", "a file renamed"],
)
def test_a_model_that_was_changed_after_it_was_signed_is_refused(private: Signing, bundle: bytes, files: dict[str, bytes]) -> None:
    refused(bundle, private.signer(), files=files)


def test_a_file_added_after_it_was_signed_is_named(private: Signing, bundle: bytes) -> None:
    found = judged(bundle, private.signer(), files={**oms.FILES, "modeling.py": b"import os"})
    assert isinstance(found, SignatureEvidence)
    assert found.unsigned_paths == ("modeling.py",)


def test_a_root_that_came_through_tuf_vouches_until_its_metadata_end(private: Signing, bundle: bytes, tmp_path: Path) -> None:
    with serving(TufRepository(private.instance.trusted_root())) as repository:
        fresh = FreshRoot(tmp_path, Repository(repository.address, repository.root))
        assert fresh.update(now())
    signer = private.signer(root=b"")
    root = fresh.current(now())
    assert isinstance(root, bytes)
    found = verifying.Verifier(root)(bundle, oms.listing(), signers=(signer,), now=now(), content=None)
    assert isinstance(found, SignatureEvidence), found
    assert found.vouched_by == (PUBLIC_GOOD,)
    assert isinstance(match(found, signer, MODEL, now()), Counted)
    ended = fresh.current(now() + 8 * 24 * 3600)
    assert isinstance(ended, Unavailable)
    with pytest.raises(UnavailableError):
        verifying.Verifier(ended)(bundle, oms.listing(), signers=(signer,), now=now(), content=None)


def test_a_root_of_another_instance_through_tuf_knows_nobody(
    private: Signing, foreign: Signing, bundle: bytes, tmp_path: Path
) -> None:
    with serving(TufRepository(foreign.instance.trusted_root())) as repository:
        fresh = FreshRoot(tmp_path, Repository(repository.address, repository.root))
        assert fresh.update(now())
    root = fresh.current(now())
    assert isinstance(root, bytes)
    found = verifying.Verifier(root)(bundle, oms.listing(), signers=(private.signer(root=b""),), now=now(), content=None)
    assert isinstance(found, RejectedSignature)
    assert found.reason is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("part", PARTS)
def test_a_key_taken_out_of_the_root_stops_what_it_vouched_for(
    private: Signing, foreign: Signing, bundle: bytes, part: str
) -> None:
    """Live, from the facts alone: no bundle is verified again (H5)."""
    evidence, root = accepted(bundle, private.signer()), private.instance.root_document()
    assert isinstance(match(evidence, private.signer(), MODEL, now()), Counted)
    root[part] = foreign.instance.root_document()[part]
    answer = match(evidence, private.signer(root=json.dumps(root).encode()), MODEL, now())
    assert isinstance(answer, NotCounted)
    assert answer.reason is Reason.SIGNER_NOT_TRUSTED
