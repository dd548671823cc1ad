import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.evidence import Assurance, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.policy.signers import Counted, NotCounted, match
from tests.support import oms
from tests.support.bundle_changes import (
    Change,
    checkpoint_altered,
    entries,
    entry,
    payload_altered,
    payload_type_altered,
    promise_removed,
    proof,
    second_signature,
    single_certificate_in_0_2,
    token_removed,
    token_twice,
    tokens,
    zeros_left_out,
)
from tests.support.keyless_cases import (
    FOREIGN,
    INSTANCE,
    PAYLOAD,
    accepted,
    minted,
    refused,
    sigstore_accepts,
    trusting,
)
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore, b64, fingerprint

VERSIONS = pytest.mark.parametrize("version", [1, 2])
FIRST = TestSigstore(name="first", others=0)


# --- what is accepted -----------------------------------------------------------------------------------------------------------


@VERSIONS
def test_a_keyless_signature_is_recorded_with_who_when_and_what_vouched(version: int) -> None:
    evidence = accepted(minted(version=version, signed_at=NOW + 5))
    assert (evidence.kind, evidence.issuer, evidence.subject) == (SignerKind.KEYLESS, ISSUER, IDENTITY)
    assert (evidence.signed_at, evidence.assurance) == (NOW + 5, Assurance.SOURCE_DIGESTS)
    keys = [INSTANCE.fulcio.key, INSTANCE.ct_key, INSTANCE.log_key] + ([INSTANCE.tsa_key] if version == 2 else [])
    assert evidence.vouched_by == tuple(sorted(fingerprint(key.public_key()) for key in keys))
    assert set(evidence.vouched_by) <= INSTANCE.fingerprints()
    stamping = {fingerprint(key.public_key()) for key in (INSTANCE.tsa.key, INSTANCE.tsa.root_key, INSTANCE.tsa_key)}
    assert set(evidence.authorities) == INSTANCE.fingerprints() - (stamping if version == 1 else set())


def test_a_promised_time_beside_a_timestamp_is_the_log_s() -> None:
    evidence = accepted(minted(version=1, timestamped=True))
    assert (evidence.signed_at, len(evidence.vouched_by)) == (NOW, 3)


def test_an_e_mail_address_is_a_subject() -> None:
    assert accepted(minted(identity="dev@acme.example")).subject == "dev@acme.example"


def test_claims_are_recorded_by_fulcio_s_names() -> None:
    claims = {"sourceRepositoryURI": "https://github.com/acme/models", "githubWorkflowTrigger": "push", "buildTrigger": "push"}
    assert accepted(minted(claims=claims)).claims == tuple(sorted(claims.items()))


@pytest.mark.parametrize("left_out", ["ski", "issuer_v2", "issuer"])
def test_extensions_that_do_not_matter_may_be_absent(left_out: str) -> None:
    assert accepted(minted(omit=[left_out])).issuer == ISSUER


@VERSIONS
def test_the_first_entry_of_a_log_verifies_as_cosign_writes_it_without_its_zeros(version: int) -> None:
    """Protobuf's JSON leaves zeros and empty lists out; sigstore-python wants them written (seen with cosign at a real Rekor)."""
    document, signers = FIRST.sample(PAYLOAD, version), (trusting(FIRST.trusted_root(), keys=FIRST.fingerprints()),)
    zeros_left_out(document)
    assert not sigstore_accepts(document, FIRST.root_document())
    assert accepted(document, signers=signers).subject == IDENTITY
    again = FIRST.sample(PAYLOAD, version)
    assert accepted(again, signers=signers).subject == IDENTITY


@VERSIONS
def test_zeros_that_are_none_are_not_made_up(version: int) -> None:
    later = minted(version=version)
    zeros_left_out(later)
    refused(later)
    for name in ("rootHash", "treeSize", "checkpoint"):
        document = FIRST.sample(PAYLOAD, version)
        del document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"][name]
        refused(document, signers=(trusting(FIRST.trusted_root(), keys=FIRST.fingerprints()),))
    values: tuple[Any, ...] = (None, [], "", {"logIndex": None})
    for value in values:
        document = FIRST.sample(PAYLOAD, version)
        document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"] = value
        refused(document, signers=(trusting(FIRST.trusted_root(), keys=FIRST.fingerprints()),))


def test_old_media_types_verify_with_a_certificate_pool() -> None:
    document = minted()
    document["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
    material = document["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    assert accepted(document).subject == IDENTITY


def test_a_p_384_key_that_signs_with_sha_256_verifies() -> None:
    assert accepted(minted(curve=ec.SECP384R1())).subject == IDENTITY


@VERSIONS
def test_nothing_is_carried_from_one_bundle_to_the_next(version: int) -> None:
    first, second = minted(version=version), minted(version=version, identity="dev@acme.example")
    assert [accepted(item).subject for item in (first, second, first)] == [IDENTITY, "dev@acme.example", IDENTITY]


# --- identities: recorded here, judged by policy ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({}, True),
        ({"subject": "https://github.com/acme/models/.github/workflows/other.yml@refs/heads/main"}, False),
        ({"issuer": "https://accounts.example"}, False),
        ({"claims": (("sourceRepositoryURI", "https://github.com/acme/models"),)}, True),
        ({"claims": (("sourceRepositoryURI", "https://github.com/acme/other"),)}, False),
        ({"claims": (("runnerEnvironment", "github-hosted"),)}, False),
    ],
)
def test_a_wrong_identity_or_issuer_does_not_count(fields: dict[str, Any], counts: bool) -> None:  # noqa: FBT001 - a table
    evidence = accepted(minted(claims={"sourceRepositoryURI": "https://github.com/acme/models"}))
    verdict = match(evidence, trusting(INSTANCE.trusted_root(), **fields), "hf://acme/guard", NOW)
    assert isinstance(verdict, Counted if counts else NotCounted), verdict


# --- negative cases, facts/signing.md section 6.6 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "change"),
    [
        (1, entry("integratedTime", str(NOW + 1))),
        (1, entry("logIndex", "1235")),
        (1, promise_removed),
        (2, token_removed),
        (2, token_twice),
        *[
            (version, change)
            for version in (1, 2)
            for change in (
                proof("rootHash", b64(b"\x00" * 32)),
                proof("hashes", []),
                proof("checkpoint", None),
                entry("inclusionProof", None),
                checkpoint_altered,
                entry("kindVersion", {"kind": "intoto", "version": "0.0.2"}),
                entry("kindVersion", {"kind": "hashedrekord", "version": "0.0.1"}),
                entry("canonicalizedBody", b64(b"{}")),
                entries(0),
                entries(2),
                payload_altered,
                payload_type_altered,
                second_signature,
                single_certificate_in_0_2,
            )
        ],
    ],
)
def test_a_bundle_that_was_changed_is_invalid(version: int, change: Change) -> None:
    document = minted(version=version)
    change(document)
    refused(document)


@VERSIONS
@pytest.mark.parametrize(
    "options",
    [
        {"omit": ["sct"]},
        {"scts": 2},
        {"omit": ["aki"]},
        {"omit": ["usage"]},
        {"omit": ["purpose"]},
        {"omit": ["san"]},
        {"omit": ["issuer", "issuer_v2"]},
        {"critical": ["usage"]},
        {"critical": ["san", "usage", "purpose"]},
        {"entry_signature": b"another signature over the same payload"},
        {"kind": "intoto"},
        {"payload_type": "text/plain"},
        {"curve": ec.SECP384R1(), "signature_hash": hashes.SHA384()},
        {"names": [x509.RFC822Name("a@acme.example"), x509.RFC822Name("b@acme.example")]},
        {"names": [x509.DNSName("acme.example")]},
    ],
    ids=",".join,
)
def test_a_bundle_that_was_minted_wrong_is_invalid(version: int, options: dict[str, Any]) -> None:
    refused(minted(version=version, **options))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stamp_message": b"another message"}, "verified time"),
        ({"stamps": 2}, "2 timestamps"),
    ],
)
def test_a_wrong_timestamp_is_invalid(options: dict[str, Any], says: str) -> None:
    refused(minted(version=2, **options), says=says)


@VERSIONS
@pytest.mark.parametrize(
    ("options", "change", "says"),
    [
        ({}, entry("logId", {"keyId": b64(b"\x00" * 32)}), "transparency log"),
        ({"sct_by": FOREIGN}, None, "CT log"),
        ({"stamper": FOREIGN}, None, "timestamp authority"),
    ],
)
def test_who_is_vouched_for_by_somebody_whom_no_root_lists_is_not_trusted_and_not_called_forged(
    version: int, options: dict[str, Any], change: Change | None, says: str
) -> None:
    """H3: a log that leaves a trust root must not turn every signature in it into a broken one, and that into revocations."""
    document = minted(version=2 if "stamper" in options else version, **options)
    if change is not None:
        change(document)
    refused(document, Reason.SIGNER_NOT_TRUSTED, says=says)


@pytest.mark.parametrize(("count", "reason"), [(32, Reason.SIGNATURE_INVALID), (33, Reason.LIMIT_EXCEEDED)])
def test_thirty_three_timestamps_are_over_the_limit_and_fewer_are_too_many(count: int, reason: Reason) -> None:
    document = minted(version=2)
    tokens(count)(document)
    refused(document, reason, "timestamps")


def test_a_second_timestamp_that_nobody_can_verify_does_not_hide() -> None:
    document = minted(version=2)
    tokens = document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    tokens.append({"signedTimestamp": b64(FOREIGN.token(b"x", NOW))})
    assert sigstore_accepts(document)
    refused(document, says="2 timestamps")


@pytest.mark.parametrize("token", [b"", b"junk", b"\x30\x03\x02\x01\x00"])
def test_a_timestamp_that_is_none_is_invalid(token: bytes) -> None:
    document = minted(version=2)
    document["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}
    refused(document)


@VERSIONS
def test_a_leaf_that_expired_one_hour_before_the_entry_is_expired(version: int) -> None:
    refused(minted(version=version, leaf_start=NOW - 3600 - 600), Reason.SIGNER_EXPIRED, "was not valid when it signed")


@VERSIONS
def test_a_bundle_of_a_foreign_instance_has_no_root(version: int) -> None:
    refused(FOREIGN.document(PAYLOAD, version=version), Reason.SIGNER_NOT_TRUSTED, "no trusted root")


def test_without_a_signer_only_the_public_good_root_is_asked() -> None:
    refused(minted(), Reason.SIGNER_NOT_TRUSTED, "no trusted root", signers=())


# --- what passes in sigstore-python and not here ---------------------------------------------------------------------------------


def test_the_outer_log_index_and_time_of_version_2_are_bound_by_nothing_and_recorded_nowhere() -> None:
    document = minted(version=2)
    before = accepted(document)
    entry("logIndex", "99")(document)
    entry("integratedTime", "1")(document)
    assert sigstore_accepts(document)
    assert accepted(document) == before


def test_a_duplicate_key_is_refused() -> None:
    text = json.dumps(minted()).replace('"mediaType"', '"mediaType": "x", "mediaType"', 1)
    refused(text.encode(), says="duplicate key")


def test_an_unknown_predicate_type_is_refused() -> None:
    payload = json.dumps({**oms.statement(), "predicateType": "https://slsa.dev/provenance/v1"}).encode()
    document = minted(payload=payload)
    assert sigstore_accepts(document)
    refused(document, says="predicate type")


def test_another_payload_type_that_was_really_signed_is_refused() -> None:
    document = minted(payload_type="text/plain")
    assert sigstore_accepts(document)
    refused(document, says="payload type")


@pytest.mark.parametrize("certificate", [b"", b"junk", base64.b64decode("MAMCAQA=")])
def test_a_certificate_that_is_none_is_invalid(certificate: bytes) -> None:
    document = minted()
    document["verificationMaterial"]["certificate"]["rawBytes"] = b64(certificate)
    refused(document)
