import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, content_digest
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeyTrust, TrustedSigner
from modeltrust.signing import keys
from modeltrust.signing.verify import verify
from tests.support import oms

KEY, OTHER = oms.new_key(), oms.new_key()
SIGNERS = (oms.key_signer(KEY),)
CONTENT = content_digest((path, oms.sha256(data)) for path, data in oms.FILES.items())
NOW = 1_760_000_000


def judged(
    data: bytes,
    listing: SourceListing | None = None,
    *,
    signers: tuple[TrustedSigner, ...] = SIGNERS,
    content: ContentDigest | None = CONTENT,
) -> SignatureEvidence | RejectedSignature:
    return verify(data, oms.listing() if listing is None else listing, signers=signers, now=NOW, content=content)


def accepted(data: bytes, listing: SourceListing | None = None, **options: Any) -> SignatureEvidence:
    result = judged(data, listing, **options)
    assert isinstance(result, SignatureEvidence), result
    return result


def refused(data: bytes, reason: Reason, says: str, listing: SourceListing | None = None, **options: Any) -> None:
    result = judged(data, listing, **options)
    assert isinstance(result, RejectedSignature), result
    assert (result.reason, says in result.message) == (reason, True), result.message


def signed(**options: Any) -> bytes:
    return oms.key_bundle(oms.payload(**options), KEY)


# --- what is accepted -----------------------------------------------------------------------------------------------------------


def test_a_key_signature_over_these_files_is_a_fact_without_a_name() -> None:
    assert accepted(signed()) == SignatureEvidence(
        SignatureForm.OMS, SignerKind.PUBLIC_KEY, oms.fingerprint(KEY), assurance=Assurance.SOURCE_DIGESTS
    )


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_each_curve_verifies(curve: ec.EllipticCurve) -> None:
    key = oms.new_key(curve)
    assert accepted(oms.key_bundle(oms.payload(), key), signers=(oms.key_signer(key),)).fingerprint == oms.fingerprint(key)


def test_every_trusted_key_is_tried() -> None:
    signers = (oms.key_signer(OTHER, "b"), *SIGNERS, oms.key_signer(oms.new_key(), "c"))
    assert accepted(signed(), signers=signers).fingerprint == oms.fingerprint(KEY)


@pytest.mark.parametrize("hint", ["", "0" * 64, oms.fingerprint(OTHER)], ids=["none", "zeros", "another key's"])
def test_the_hint_is_no_check(hint: str) -> None:
    bundle = oms.key_bundle(oms.payload(), KEY, hint=hint)
    assert accepted(bundle, signers=(*SIGNERS, oms.key_signer(OTHER))).fingerprint == oms.fingerprint(KEY)


def test_bytes_that_we_hashed_are_worth_more_than_digests_that_a_source_states() -> None:
    assert accepted(signed(), oms.listing(bytes_read=True)).assurance is Assurance.BYTES_HASHED


def test_unknown_digests_are_worth_a_signature_only() -> None:
    assert accepted(signed(), oms.listing(known=False), content=None).assurance is Assurance.SIGNATURE_ONLY


@pytest.mark.parametrize("hash_type", ["blake2b", "blake3"])
def test_algorithms_that_need_the_bytes_are_worth_a_signature_only(hash_type: str) -> None:
    digest = "0" * (128 if hash_type == "blake2b" else 64)
    listed = [{"name": path, "algorithm": hash_type, "digest": digest} for path in sorted(oms.FILES)]
    payload = json.dumps(oms.statement(listed, hash_type=hash_type)).encode()
    evidence = accepted(oms.key_bundle(payload, KEY), oms.listing(bytes_read=True))
    assert evidence.assurance is Assurance.SIGNATURE_ONLY


def test_unsigned_files_are_recorded_for_policy() -> None:
    evidence = accepted(signed(), oms.listing({**oms.FILES, "README.md": b"", "evil.py": b""}), content=None)
    assert evidence.unsigned_paths == ("README.md", "evil.py")


# --- keys -----------------------------------------------------------------------------------------------------------------------


def test_an_unknown_key_cannot_be_checked() -> None:
    refused(oms.key_bundle(oms.payload(), OTHER), Reason.SIGNER_NOT_TRUSTED, "fits none of the 1 keys")
    refused(oms.key_bundle(oms.payload(), OTHER, hint=""), Reason.SIGNER_NOT_TRUSTED, "names no key")


def test_no_signer_trusts_nothing() -> None:
    refused(signed(), Reason.SIGNER_NOT_TRUSTED, "0 keys", signers=())


@pytest.mark.parametrize("hint", [oms.fingerprint(KEY), None], ids=["with its hint", "without"])
def test_a_signature_in_the_name_of_a_trusted_key_is_forged(hint: str | None) -> None:
    value = json.loads(oms.key_bundle(oms.payload(), KEY, hint=hint))
    value["dsseEnvelope"] = oms.envelope(oms.payload(), OTHER)
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "is not one of the key")


def test_the_key_inside_a_bundle_vouches_for_nothing() -> None:
    value = json.loads(oms.key_bundle(oms.payload(), OTHER))
    raw = base64.b64encode(oms.public_pem(OTHER)).decode()
    value["verificationMaterial"]["publicKey"] = {"rawBytes": raw, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    refused(json.dumps(value).encode(), Reason.SIGNER_NOT_TRUSTED, "names no key")


def test_a_signer_whose_key_cannot_be_read_does_not_break_the_others() -> None:
    broken = oms.signer(KeyTrust(b"nonsense", "0" * 64), "broken")
    assert accepted(signed(), signers=(broken, *SIGNERS)).fingerprint == oms.fingerprint(KEY)
    refused(signed(), Reason.SIGNER_NOT_TRUSTED, "0 keys", signers=(broken,))


def test_more_keys_than_the_limit_are_refused() -> None:
    signers = tuple(oms.signer(KeyTrust(b"%d" % number, "0" * 64)) for number in range(limits.KEYS_TRIED + 1))
    refused(signed(), Reason.LIMIT_EXCEEDED, "keys", signers=signers)


def test_an_altered_payload_is_refused() -> None:
    value = json.loads(signed())
    value["dsseEnvelope"]["payload"] = base64.b64encode(oms.payload({"config.json": b"evil"})).decode()
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "is not one of the key")


def test_an_altered_payload_type_is_refused() -> None:
    value = json.loads(signed())
    value["dsseEnvelope"]["payloadType"] = "text/plain"
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "payload type")


def test_another_payload_type_is_refused_although_it_was_really_signed() -> None:
    refused(oms.key_bundle(oms.payload(), KEY, payload_type="text/plain"), Reason.SIGNATURE_INVALID, "payload type")


def test_a_second_signature_in_the_envelope_is_refused() -> None:
    value = json.loads(signed())
    value["dsseEnvelope"]["signatures"] *= 2
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "2 signatures")


# --- statements -----------------------------------------------------------------------------------------------------------------


def test_a_legacy_statement_is_refused_as_legacy() -> None:
    refused(oms.key_bundle(oms.legacy_payload(), KEY), Reason.SIGNATURE_INVALID, "legacy")


def test_a_legacy_statement_signed_over_the_old_encoding_is_refused_as_legacy_too() -> None:
    refused(oms.key_bundle(oms.legacy_payload(), OTHER), Reason.SIGNATURE_INVALID, "legacy")


def test_the_old_encoding_over_a_statement_of_today_is_refused_as_legacy() -> None:
    payload = oms.payload()
    value = json.loads(oms.key_bundle(payload, KEY))
    old = f"DSSEV1 {len(oms.IN_TOTO)} {oms.IN_TOTO} {len(payload)} {payload!r}".encode()
    signature = KEY.sign(old, ec.ECDSA(oms.HASHES["secp256r1"]))
    value["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(signature).decode()}]
    refused(json.dumps(value).encode(), Reason.SIGNATURE_INVALID, "legacy signature: got the DSSEV1 encoding")


@pytest.mark.parametrize(
    "predicate", ["https://slsa.dev/provenance/v1", "https://model_signing/signature/v1.1", "https://modeltrust.dev/statement/v1"]
)
def test_another_predicate_is_refused_although_it_was_really_signed(predicate: str) -> None:
    payload = json.dumps({**oms.statement(), "predicateType": predicate}).encode()
    refused(oms.key_bundle(payload, KEY), Reason.SIGNATURE_INVALID, "predicate type")


def test_a_signed_statement_that_breaks_a_rule_is_refused() -> None:
    payload = json.dumps(oms.statement([])).encode()
    refused(oms.key_bundle(payload, KEY), Reason.SIGNATURE_INVALID, "no resources")


# --- comparison -----------------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_named() -> None:
    refused(
        signed(),
        Reason.SIGNATURE_INVALID,
        'differ from what was signed: "config.json"',
        oms.listing({**oms.FILES, "config.json": b"x"}),
    )


def test_missing_files_are_named_up_to_three() -> None:
    files = {f"f{number}": b"x" for number in range(5)}
    bundle = oms.key_bundle(oms.payload(files), KEY)
    says = '4 files are signed and missing: "f1", "f2", "f3" and 1 more'
    refused(bundle, Reason.SIGNATURE_INVALID, says, oms.listing({"f0": b"x"}), content=None)


def test_a_renamed_file_is_refused_although_the_root_digest_is_equal() -> None:
    renamed = {"configuration_evil.py" if path == "config.json" else path: data for path, data in oms.FILES.items()}
    refused(signed(), Reason.SIGNATURE_INVALID, "missing", oms.listing(renamed))


def test_a_signature_that_covers_residue_alone_covers_nothing() -> None:
    bundle = oms.key_bundle(oms.payload({".gitattributes": b""}), KEY)
    refused(bundle, Reason.SIGNATURE_INVALID, "covers no file", oms.listing({".gitattributes": b""}), content=None)


def test_more_unsigned_files_than_can_be_recorded_are_refused() -> None:
    extra = {f"extra/{number}.md": b"" for number in range(limits.UNSIGNED_PATHS + 1)}
    refused(signed(), Reason.UNSIGNED_FILES, "not signed", oms.listing({**oms.FILES, **extra}), content=None)


def test_another_content_digest_than_the_caller_computed_is_refused() -> None:
    refused(signed(), Reason.SIGNATURE_INVALID, "expected content", content=ContentDigest("0" * 64))


def test_no_state_is_carried_from_one_model_to_the_next() -> None:
    first = signed(ignore_paths=["junk"])
    assert accepted(first, oms.listing({**oms.FILES, "junk/a": b""}), content=None).unsigned_paths == ("junk/a",)
    assert accepted(signed(), oms.listing({**oms.FILES, "junk/evil.py": b""}), content=None).unsigned_paths == ("junk/evil.py",)


# --- anything else is a refusal -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\x00" * 40, b"-----BEGIN", b'{"mediaType": 1}'])
def test_what_is_no_bundle_is_invalid(data: bytes) -> None:
    refused(data, Reason.SIGNATURE_INVALID, "")


def test_a_bundle_beyond_the_limit_is_named_so() -> None:
    refused(b" " * (limits.BUNDLE_BYTES + 1), Reason.LIMIT_EXCEEDED, "bytes")


@pytest.mark.parametrize("error", [ValueError, AttributeError, KeyError, IndexError, TypeError, RuntimeError])
def test_an_unexpected_exception_is_a_refusal_that_names_its_class(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bool:
        raise error("secret")

    monkeypatch.setattr(keys, "signed_by", fails)
    result = judged(signed())
    assert result == RejectedSignature(Reason.SIGNATURE_INVALID, f"cannot be verified: {error.__name__}")


@pytest.mark.parametrize(("error", "escapes"), [(MemoryError, MemoryError), (PermissionError, UnavailableError)])
def test_what_this_machine_lacks_makes_no_signature_bad(
    error: type[Exception], escapes: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document beside it that eats memory would otherwise turn a good signature into a forged one, and that into a revocation."""

    def fails(*_: object) -> bool:
        raise error

    monkeypatch.setattr(keys, "signed_by", fails)
    with pytest.raises(escapes):
        judged(signed())


SIGNED = signed()  # once: the length of an ECDSA signature varies, and hypothesis wants the same bounds in every example


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 255))
def test_no_changed_byte_of_a_bundle_verifies_as_another_statement(position: int, byte: int) -> None:
    changed = bytearray(SIGNED)
    changed[position] = byte
    result = judged(bytes(changed))
    if isinstance(result, SignatureEvidence):
        before, after = json.loads(SIGNED), json.loads(bytes(changed))
        assert before["dsseEnvelope"]["payload"] == after["dsseEnvelope"]["payload"]
