import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.dsse import Envelope
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.evidence import SignerKind
from modeltrust.signing.bundle import MEDIA_TYPES, Bundle, LogEntry, parse_bundle

Change = Callable[[dict[str, Any]], None]
DER = base64.b64encode(b"not a certificate; nobody looks here").decode()
ENVELOPE = {
    "payload": base64.b64encode(b"{}").decode(),
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [{"sig": base64.b64encode(b"s").decode(), "keyid": ""}],
}
ENTRY = {
    "logIndex": "1",
    "logId": {"keyId": base64.b64encode(b"log").decode()},
    "kindVersion": {"kind": "dsse", "version": "0.0.1"},
    "integratedTime": "1760000000",
    "inclusionPromise": {"signedEntryTimestamp": "eA=="},
    "inclusionProof": {"logIndex": "1", "hashes": ["eA=="]},
    "canonicalizedBody": "eA==",
}
MATERIALS: dict[str, dict[str, Any]] = {
    "key": {"publicKey": {"hint": "00ff"}, "tlogEntries": []},
    "certificate": {"x509CertificateChain": {"certificates": [{"rawBytes": DER}]}, "tlogEntries": []},
    "keyless": {"certificate": {"rawBytes": DER}, "tlogEntries": [ENTRY]},
}


def document(material: str = "key") -> dict[str, Any]:
    value = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": MATERIALS[material],
        "dsseEnvelope": ENVELOPE,
    }
    copy: dict[str, Any] = json.loads(json.dumps(value))
    return copy


def parse(value: Any) -> Bundle:
    return parse_bundle(json.dumps(value).encode())


def test_a_key_bundle_names_its_key() -> None:
    bundle = parse(document())
    assert (bundle.kind, bundle.hint, bundle.certificates, bundle.log_entry) == (SignerKind.PUBLIC_KEY, "00ff", (), None)
    assert isinstance(bundle.content, Envelope)
    assert (bundle.content.payload, bundle.content.signature) == (b"{}", b"s")


def test_a_certificate_bundle_holds_its_chain() -> None:
    bundle = parse(document("certificate"))
    assert (bundle.kind, len(bundle.certificates)) == (SignerKind.CERTIFICATE, 1)


def test_a_keyless_bundle_holds_one_certificate_and_one_entry() -> None:
    bundle = parse(document("keyless"))
    assert (bundle.kind, len(bundle.certificates)) == (SignerKind.KEYLESS, 1)
    assert bundle.log_entry == LogEntry(b"log", "dsse", "0.0.1", 1_760_000_000)


def test_the_raw_bytes_are_kept_for_sigstore() -> None:
    data = json.dumps(document("keyless")).encode()
    assert parse_bundle(data).raw is data


def test_zeros_that_a_log_s_first_entry_leaves_out_are_written_for_sigstore_and_nothing_else_changes() -> None:
    whole = document("keyless")
    entry = whole["verificationMaterial"]["tlogEntries"][0]
    entry |= {"logIndex": "0", "inclusionProof": {"logIndex": "0", "hashes": []}}
    first = json.loads(json.dumps(whole))
    del first["verificationMaterial"]["tlogEntries"][0]["logIndex"]
    first["verificationMaterial"]["tlogEntries"][0]["inclusionProof"] = {}
    assert json.loads(parse(first).raw) == whole
    data = json.dumps(whole).encode()
    assert parse_bundle(data).raw is data


@pytest.mark.parametrize("kind", ["key", "certificate"])
def test_the_raw_bytes_of_other_kinds_are_what_they_were(kind: str) -> None:
    data = json.dumps(document(kind)).encode()
    assert parse_bundle(data).raw is data


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_old_media_types_carry_a_keyless_certificate_in_a_pool(version: str) -> None:
    value = document("keyless")
    value["mediaType"] = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    value["verificationMaterial"] = {**MATERIALS["certificate"], "tlogEntries": [ENTRY]}
    assert parse(value).kind is SignerKind.KEYLESS


def test_the_alternative_spelling_of_0_3_is_the_same() -> None:
    value = document("keyless")
    value["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3"
    assert value["mediaType"] in MEDIA_TYPES
    assert parse(value).kind is SignerKind.KEYLESS


def test_releases_before_1_1_wrote_the_key_itself_and_it_is_not_read() -> None:
    value = document()
    value["verificationMaterial"]["publicKey"] = {"rawBytes": DER, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    assert parse(value).hint == ""


def test_an_integrated_time_without_promise_is_no_time() -> None:
    value = document("keyless")
    del value["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    entry = parse(value).log_entry
    assert entry is not None
    assert entry.integrated_time is None


def test_absent_and_null_lists_are_empty() -> None:
    value = document()
    value["verificationMaterial"] = {"publicKey": {}, "tlogEntries": None, "timestampVerificationData": None}
    assert parse(value).kind is SignerKind.PUBLIC_KEY


def material(name: str, item: Any) -> Change:
    def change(value: dict[str, Any]) -> None:
        value["verificationMaterial"][name] = item

    return change


def top(name: str, item: Any) -> Change:
    def change(value: dict[str, Any]) -> None:
        value[name] = item

    return change


def entry(name: str, item: Any) -> Change:
    def change(value: dict[str, Any]) -> None:
        value["verificationMaterial"]["tlogEntries"][0][name] = item

    return change


def tokens(*values: Any) -> Change:
    return material("timestampVerificationData", {"rfc3161Timestamps": [{"signedTimestamp": item} for item in values]})


@pytest.mark.parametrize(
    ("kind", "change", "says"),
    [
        ("key", top("mediaType", "application/vnd.dev.sigstore.bundle.v0.4+json"), "media type"),
        ("key", top("mediaType", 3), "media type"),
        ("key", top("mediaType", ["application/vnd.dev.sigstore.bundle.v0.3+json"]), "media type"),
        ("key", top("messageSignature", {}), "messageSignature"),
        ("key", top("extra", 1), "extra"),
        ("key", top("dsseEnvelope", {**ENVELOPE, "signatures": ENVELOPE["signatures"] * 2}), "exactly one"),  # type: ignore[operator] # a list
        ("key", top("dsseEnvelope", {**ENVELOPE, "signatures": []}), "exactly one"),
        ("key", top("dsseEnvelope", {**ENVELOPE, "payload": "e30"}), "base64"),
        ("key", top("dsseEnvelope", {**ENVELOPE, "payload": "e3 0="}), "base64"),
        ("key", top("dsseEnvelope", {**ENVELOPE, "payloadType": None}), "payloadType"),
        ("key", top("verificationMaterial", []), "verificationMaterial"),
        ("key", top("verificationMaterial", {"tlogEntries": []}), "0 kinds"),
        ("key", material("certificate", {"rawBytes": DER}), "2 kinds"),
        ("key", material("x509CertificateChain", {"certificates": [{"rawBytes": DER}]}), "2 kinds"),
        ("key", material("extra", 1), "extra"),
        ("key", material("publicKey", {"hint": 7}), "hint"),
        ("key", material("publicKey", "x"), "publicKey"),
        ("key", material("publicKey", {"hint": "x", "pem": "y"}), "pem"),
        ("key", material("tlogEntries", [ENTRY]), "log entries"),
        ("key", material("tlogEntries", {}), "list"),
        ("certificate", material("tlogEntries", [ENTRY]), "log entries"),
        ("certificate", material("x509CertificateChain", {"certificates": []}), "empty"),
        ("certificate", material("x509CertificateChain", {"certificates": "x"}), "list"),
        ("certificate", material("x509CertificateChain", {"certificates": [{"rawBytes": "?"}]}), "base64"),
        ("certificate", material("x509CertificateChain", {"certificates": [{}]}), "rawBytes"),
        ("keyless", material("tlogEntries", []), "0 log entries"),
        ("keyless", material("tlogEntries", [ENTRY, ENTRY]), "2 log entries"),
        ("keyless", top("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.2"), "single certificate"),
        ("keyless", entry("integratedTime", "-1"), "integratedTime"),
        ("keyless", entry("integratedTime", "0"), "integratedTime"),
        ("keyless", entry("integratedTime", 0), "integratedTime"),
        ("keyless", entry("integratedTime", True), "integratedTime"),
        ("keyless", entry("integratedTime", "1" * 40), "integratedTime"),
        ("keyless", entry("integratedTime", str((1 << 40) + 1)), "integratedTime"),
        ("keyless", entry("integratedTime", "\u0661"), "integratedTime"),
        ("keyless", entry("integratedTime", None), "integratedTime"),
        ("keyless", entry("logId", {}), "keyId"),
        ("keyless", entry("logId", {"keyId": "?"}), "base64"),
        ("keyless", entry("kindVersion", {"kind": "dsse"}), "version"),
        ("keyless", entry("kindVersion", {"kind": 1, "version": "0.0.1"}), "kind"),
        ("keyless", entry("extra", 1), "extra"),
        ("keyless", tokens("eA==", "eA=="), "twice"),
        ("keyless", tokens("eA"), "base64"),
        ("keyless", tokens(5), "signedTimestamp"),
        ("keyless", material("timestampVerificationData", {"other": []}), "other"),
        ("keyless", material("timestampVerificationData", []), "timestampVerificationData"),
    ],
)
def test_anything_else_is_refused(kind: str, change: Change, says: str) -> None:
    value = document(kind)
    change(value)
    with pytest.raises(MalformedError, match=says):
        parse(value)


def test_duplicate_keys_are_refused_although_sigstore_reads_them() -> None:
    text = json.dumps(document("keyless")).replace('"mediaType"', '"mediaType": "x", "mediaType"', 1)
    with pytest.raises(MalformedError, match="duplicate key mediaType"):
        parse_bundle(text.encode())


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"null", b"[]", b'"x"', b"{", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b'{"a": NaN}']
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_bundle(data)


def test_more_than_the_size_limit_is_refused_unread() -> None:
    with pytest.raises(LimitExceededError, match="bytes"):
        parse_bundle(b" " * (limits.BUNDLE_BYTES + 1))


def test_more_certificates_than_the_limit_are_refused() -> None:
    value = document("certificate")
    certificates = [{"rawBytes": DER}] * (limits.CERTIFICATES_IN_CHAIN + 1)
    material("x509CertificateChain", {"certificates": certificates})(value)
    with pytest.raises(LimitExceededError, match="certificates"):
        parse(value)


def test_thirty_three_timestamps_are_refused() -> None:
    value = document("keyless")
    tokens(*[base64.b64encode(bytes([number])).decode() for number in range(33)])(value)
    with pytest.raises(LimitExceededError, match="33 timestamps"):
        parse(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*document(), *MATERIALS["keyless"], *ENTRY]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(MATERIALS)), st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope"]), JSON)
def test_nothing_but_our_errors_comes_out(kind: str, where: str, what: Any) -> None:
    value = document(kind)
    value[where] = what
    with contextlib.suppress(MalformedError):
        assert isinstance(parse(value), Bundle)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_are_refused_or_read(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_bundle(data)
