import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import simple_signing
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import MalformedError, UntrustedError
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.globs import Glob
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import NO_REVISION, Identity, ModelReference, Revision, RevisionState
from modeltrust.domain.signer import KeylessIdentity, KeylessTrust, Purpose, TrustedSigner
from modeltrust.policy.signers import Counted, match
from modeltrust.signing import cosign as reading
from modeltrust.signing.verify import verify
from tests.support import cosign, oms
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore

Change = Callable[[dict[str, Any]], None]
KEY = oms.new_key()
INSTANCE = TestSigstore()
TRUST = KeylessTrust((KeylessIdentity("x", ISSUER, IDENTITY),), INSTANCE.trusted_root(), INSTANCE.fingerprints())
SIGNERS = (oms.key_signer(KEY), oms.signer(TRUST, "keyless"))
DIGEST = bytes.fromhex(cosign.DIGEST)
FORMS = {
    "statement by a key": lambda digest: oms.key_bundle(cosign.payload(digest), KEY),
    "message by a key": lambda digest: json.dumps(cosign.message_document(KEY, digest)).encode(),
    "simple signing by a key": lambda digest: cosign.layer(KEY, cosign.simple(digest)),
    "keyless statement, Rekor 1": lambda digest: INSTANCE.bundle(cosign.payload(digest)),
    "keyless statement, Rekor 2": lambda digest: INSTANCE.bundle(cosign.payload(digest), version=2),
    "keyless message, Rekor 1": lambda digest: json.dumps(INSTANCE.message_document(bytes.fromhex(digest))).encode(),
    "keyless message, Rekor 2": lambda digest: json.dumps(INSTANCE.message_document(bytes.fromhex(digest), version=2)).encode(),
}
EACH = pytest.mark.parametrize("form", FORMS)


def judged(
    data: bytes,
    *,
    identity: Identity | None = cosign.IDENTITY,
    listing: SourceListing | None = None,
    signers: tuple[TrustedSigner, ...] = SIGNERS,
) -> SignatureEvidence | RejectedSignature:
    return verify(data, listing or cosign.listing(), signers=signers, now=NOW, content=None, identity=identity)


def accepted(data: bytes, **options: Any) -> SignatureEvidence:
    result = judged(data, **options)
    assert isinstance(result, SignatureEvidence), result
    return result


def refused(data: bytes, says: str, reason: Reason = Reason.SIGNATURE_INVALID, **options: Any) -> None:
    result = judged(data, **options)
    assert isinstance(result, RejectedSignature), result
    assert (result.reason, says in result.message) == (reason, True), result.message


# --- what counts -----------------------------------------------------------------------------------------------------------------


@EACH
def test_a_signature_over_the_manifest_covers_every_layer(form: str) -> None:
    evidence = accepted(FORMS[form](cosign.DIGEST))
    assert (evidence.form, evidence.assurance, evidence.unsigned_paths) == (SignatureForm.COSIGN, Assurance.SOURCE_DIGESTS, ())
    assert evidence.kind is (SignerKind.KEYLESS if "keyless" in form else SignerKind.PUBLIC_KEY)
    assert (evidence.subject, evidence.issuer) == ((IDENTITY, ISSUER) if "keyless" in form else ("", ""))


@EACH
def test_layers_that_were_read_are_worth_more(form: str) -> None:
    assert accepted(FORMS[form](cosign.DIGEST), listing=cosign.listing(bytes_read=True)).assurance is Assurance.BYTES_HASHED


@EACH
def test_it_counts_for_every_purpose_of_its_signer(form: str) -> None:
    evidence = accepted(FORMS[form](cosign.DIGEST))
    scope = (Glob("oci://registry.acme.example/**"),)
    signers = [replace(signer, purposes=frozenset(Purpose), scope=scope) for signer in SIGNERS if signer.kind is evidence.kind]
    assert match(evidence, signers[0], cosign.IDENTITY.key, NOW) == Counted(signers[0].name, frozenset(Purpose))


def test_what_cosign_logs_about_a_key_is_no_refusal_and_proves_no_time() -> None:
    document = oms.key_document(cosign.payload(), KEY)
    document["verificationMaterial"]["tlogEntries"] = [{"logIndex": "1"}]
    assert accepted(json.dumps(document).encode()).signed_at is None


def test_a_log_entry_beside_a_key_stays_a_refusal_for_everything_else() -> None:
    document = oms.key_document(oms.payload(), KEY)
    document["verificationMaterial"]["tlogEntries"] = [{"logIndex": "1"}]
    refused(json.dumps(document).encode(), "log entries with a public key")


# --- for which model -------------------------------------------------------------------------------------------------------------


@EACH
def test_a_signature_over_another_manifest_is_refused(form: str) -> None:
    """F43, F47, F50: a bundle from another artifact, or over the index or the sibling for another architecture."""
    refused(FORMS[form](cosign.OTHER), f"is over manifest sha256:{cosign.OTHER}")


@EACH
@pytest.mark.parametrize(
    "identity",
    [
        None,
        cosign.ELSEWHERE,
        Identity(ModelReference("hf", "acme/guard"), Revision(RevisionState.COMMIT, cosign.DIGEST[:40])),
        Identity(ModelReference("s3", "bucket/guard"), ContentDigest(cosign.DIGEST)),
        Identity(cosign.MODEL, ContentDigest(cosign.DIGEST)),
    ],
    ids=["nobody knows which", "hub, by content", "hub, by commit", "bucket", "registry, by content"],
)
def test_it_never_counts_for_a_model_that_is_not_named_by_its_manifest(form: str, identity: Identity | None) -> None:
    refused(FORMS[form](cosign.DIGEST), "is over", identity=identity)


@EACH
@pytest.mark.parametrize(
    "listing",
    [
        oms.listing(bytes_read=True),
        SourceListing(cosign.MODEL, NO_REVISION, oms.listing().files),
        SourceListing(cosign.MODEL, Revision(RevisionState.DIGEST, f"sha256:{cosign.OTHER}"), oms.listing().files),
        SourceListing(ModelReference("oci", "registry.acme.example/other"), cosign.REVISION, oms.listing().files),
    ],
    ids=["a folder", "a tag", "another digest", "another repository"],
)
def test_files_that_were_not_listed_from_the_manifest_are_compared_with_nothing(form: str, listing: SourceListing) -> None:
    refused(FORMS[form](cosign.DIGEST), "not listed from that manifest", listing=listing)


# --- by whom ---------------------------------------------------------------------------------------------------------------------


@EACH
def test_nobody_else_s_signature_counts(form: str) -> None:
    stranger, instance = oms.key_signer(oms.new_key()), TestSigstore(name="foreign")
    trust = KeylessTrust(TRUST.identities, instance.trusted_root(), instance.fingerprints())
    refused(FORMS[form](cosign.DIGEST), "", Reason.SIGNER_NOT_TRUSTED, signers=(stranger, oms.signer(trust)))


def test_a_message_that_a_longer_key_signed_is_not_its_own() -> None:
    key = oms.new_key(ec.SECP384R1())
    document = json.dumps(cosign.message_document(key)).encode()
    refused(document, "is not one of the key", signers=(oms.key_signer(key),))


@pytest.mark.parametrize("version", [1, 2])
def test_a_log_entry_about_other_bytes_is_refused(version: int) -> None:
    """F47."""
    document = INSTANCE.message_document(DIGEST, version=version, entry_digest=bytes.fromhex(cosign.OTHER))
    refused(json.dumps(document).encode(), "inconsistent")


@pytest.mark.parametrize("version", [1, 2])
def test_a_keyless_message_whose_digest_was_exchanged_is_refused(version: int) -> None:
    document = INSTANCE.message_document(bytes.fromhex(cosign.OTHER), version=version)
    document["messageSignature"]["messageDigest"]["digest"] = base64.b64encode(DIGEST).decode()
    refused(json.dumps(document).encode(), "does not verify")


def test_a_key_s_message_whose_digest_was_exchanged_is_refused() -> None:
    document = cosign.message_document(KEY, cosign.OTHER)
    document["messageSignature"]["messageDigest"]["digest"] = base64.b64encode(DIGEST).decode()
    refused(json.dumps(document).encode(), "is not one of the key")


def test_an_envelope_s_signature_is_no_message_s() -> None:
    """Whoever signed the statement about one manifest signed no manifest whose digest is that of the statement."""
    document = oms.key_document(cosign.payload(), KEY)
    message = cosign.message_document(KEY)
    message["messageSignature"]["signature"] = document["dsseEnvelope"]["signatures"][0]["sig"]
    refused(json.dumps(message).encode(), "is not one of the key")


def test_keyless_signatures_in_a_tag_are_refused_with_what_to_do() -> None:
    refused(cosign.layer(KEY, cosign.simple(), **{simple_signing.CERTIFICATE: "PEM"}), "sign again with cosign 3")


# --- malformed (F44, F45) --------------------------------------------------------------------------------------------------------


def put(path: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        parent, last = find(document, path)
        parent[last] = value

    return change


def drop(path: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        parent, last = find(document, path)
        del parent[last]

    return change


def find(document: Any, path: str) -> tuple[Any, str]:
    *parents, last = path.split(".")
    for part in parents:
        document = document[int(part) if part.isdigit() else part]
    return document, last


STATEMENT_CHANGES: dict[str, Change] = {
    "no subject": put("subject", []),
    "two subjects": put("subject", [{"digest": {"sha256": cosign.DIGEST}}] * 2),
    "subject is text": put("subject", cosign.DIGEST),
    "no digest": drop("subject.0.digest"),
    "two algorithms": put("subject.0.digest.sha512", "00"),
    "another algorithm": put("subject.0.digest", {"sha512": cosign.DIGEST}),
    "upper case": put("subject.0.digest.sha256", cosign.DIGEST.upper()),
    "prefixed": put("subject.0.digest.sha256", f"sha256:{cosign.DIGEST}"),
    "a number": put("subject.0.digest.sha256", 1),
    "an old statement type": put("_type", "https://in-toto.io/Statement/v0.1"),
    "another field": put("more", 1),
}
PREDICATES = ["https://slsa.dev/provenance/v1", "https://sigstore.dev/cosign/sign/v2", "https://cosign.sigstore.dev/attestation/v1"]
SIMPLE_CHANGES: dict[str, Change] = {
    "another type": put("critical.type", "atomic container signature"),
    "no digest": put("critical.image", {}),
    "another algorithm": put("critical.image.docker-manifest-digest", f"sha512:{cosign.DIGEST}"),
    "bare": put("critical.image.docker-manifest-digest", cosign.DIGEST),
    "a list": put("critical.image.docker-manifest-digest", [f"sha256:{cosign.DIGEST}"]),
    "another critical field": put("critical.more", 1),
    "nothing critical": drop("critical"),
}


@pytest.mark.parametrize("name", STATEMENT_CHANGES)
def test_a_signed_statement_that_is_not_exactly_cosign_s_is_refused(name: str) -> None:
    document = cosign.statement()
    STATEMENT_CHANGES[name](document)
    refused(oms.key_bundle(json.dumps(document).encode(), KEY), "")


@pytest.mark.parametrize("predicate", PREDICATES)
def test_another_predicate_about_the_manifest_is_no_signature_of_it(predicate: str) -> None:
    """F43: what ``cosign attest`` writes says something about a model; it does not vouch for it."""
    document = cosign.statement() | {"predicateType": predicate}
    refused(oms.key_bundle(json.dumps(document).encode(), KEY), "")


@pytest.mark.parametrize("name", SIMPLE_CHANGES)
def test_a_simple_signing_payload_that_is_not_exactly_one_is_refused(name: str) -> None:
    document = cosign.simple()
    SIMPLE_CHANGES[name](document)
    refused(cosign.layer(KEY, document), "")


def test_duplicate_keys_are_refused_in_each_form() -> None:
    """F45."""
    twice = b'{"critical": {}, ' + json.dumps(cosign.simple()).encode()[1:]
    refused(cosign.layer(KEY, twice), "duplicate key")
    refused(oms.key_bundle(b'{"predicate": {}, ' + cosign.payload()[1:], KEY), "duplicate key")


@pytest.mark.parametrize(
    "change",
    [
        drop("messageSignature.messageDigest"),
        put("messageSignature.messageDigest.algorithm", "SHA2_512"),
        put("messageSignature.messageDigest.digest", "AAAA"),
        put("messageSignature.messageDigest.digest", "not base64"),
        put("messageSignature.signature", None),
        put("messageSignature", None),
        put("dsseEnvelope", oms.envelope(cosign.payload(), KEY)),
    ],
    ids=["no digest", "another algorithm", "too short", "not base64", "no signature", "nothing signed", "two things signed"],
)
def test_a_bundle_that_does_not_hold_exactly_one_signed_thing_is_refused(change: Change) -> None:
    document = cosign.message_document(KEY)
    change(document)
    refused(json.dumps(document).encode(), "")


@pytest.mark.parametrize(
    "document",
    [
        {"payload": "e30=", "annotations": {}},
        {"payload": "e30=", "annotations": {simple_signing.SIGNATURE: "not base64"}},
        {"payload": "not base64", "annotations": {simple_signing.SIGNATURE: "eA=="}},
        {"payload": "e30=", "annotations": {simple_signing.SIGNATURE: "eA==", "more": "x"}},
        {"payload": "e30=", "annotations": {simple_signing.SIGNATURE: "eA=="}, "more": 1},
    ],
    ids=["no signature", "signature", "payload", "another annotation", "another field"],
)
def test_a_layer_document_that_no_source_makes_is_refused(document: dict[str, Any]) -> None:
    data = json.dumps({"mediaType": simple_signing.MEDIA_TYPE} | document, separators=(",", ":")).encode()
    assert simple_signing.is_document(data)
    with pytest.raises(MalformedError):
        reading.parse_document(data)


@settings(max_examples=60)
@given(st.binary(max_size=80))
def test_any_bytes_as_a_layer_are_refused_and_never_crash(data: bytes) -> None:
    assert isinstance(judged(cosign.layer(KEY, data)), RejectedSignature)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_document_raise_nothing_but_our_errors(data: bytes) -> None:
    try:
        reading.parse_document(data)
    except (MalformedError, UntrustedError):
        return
    pytest.fail("random bytes were read as a signature")
