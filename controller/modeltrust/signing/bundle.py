"""The Sigstore bundle, parsed strictly: bytes in, what it claims out. Nothing in the result is verified yet.

A bundle holds a DSSE envelope, or (cosign) a signature over bytes that it names by their digest. Stricter than the libraries
(facts/signing.md section 2.1): duplicate keys, unknown keys and media types, several kinds of verification material, several
signatures and non-canonical base64 are refused before any library sees the bytes.
"""

from dataclasses import dataclass, field
from typing import Any

from modeltrust.domain import dsse, limits, strict_json
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.evidence import SignerKind
from modeltrust.signing import cosign
from modeltrust.signing.content import Content, Message
from modeltrust.signing.fields import fields, text

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_SINGLE_CERTIFICATE = frozenset({MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3"})
_CERTIFICATE_POOL = frozenset(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2))
MEDIA_TYPES = _SINGLE_CERTIFICATE | _CERTIFICATE_POOL

_MATERIALS = ("publicKey", "certificate", "x509CertificateChain")
_LOG_FIELDS = frozenset(
    {"logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof", "canonicalizedBody"}
)
_PROOF_ZEROS: tuple[tuple[str, Any], ...] = (("logIndex", "0"), ("hashes", ()))
_MAX_TIME = 1 << 40  # seconds; far beyond the year 9999, so that no conversion overflows


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What a transparency log entry claims.

    Attributes:
        log_id: of the log that it names.
        kind: ``dsse`` or ``hashedrekord``.
        version: of the kind: ``0.0.1`` (Rekor v1) or ``0.0.2`` (Rekor v2).
        integrated_time: unix seconds where an inclusion promise covers them, else None: without one anybody may write them.
    """

    log_id: bytes
    kind: str
    version: str
    integrated_time: int | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A parsed bundle.

    Attributes:
        raw: for sigstore: the bytes as given, with the zeros of a log's first entry written out where they were left out.
        media_type: one of the allow-list.
        kind: by which method it says it was signed.
        content: the DSSE envelope with exactly one signature, or a signature over a digest.
        hint: publicKey only: which key, as the signer named it; empty if it did not.
        certificates: DER, leaf first; exactly one for keyless.
        timestamps: DER RFC 3161 responses.
        log_entry: keyless only.
    """

    raw: bytes = field(repr=False)
    media_type: str
    kind: SignerKind
    content: Content
    hint: str = ""
    certificates: tuple[bytes, ...] = ()
    timestamps: tuple[bytes, ...] = ()
    log_entry: LogEntry | None = None


def parse_bundle(data: bytes) -> Bundle:
    """Read a bundle.

    Args:
        data: JSON, UTF-8.

    Raises:
        LimitExceededError: too large, or too many certificates or timestamps.
        MalformedError: anything else that is not exactly one bundle with exactly one signature of exactly one kind.
    """
    document = fields(
        strict_json.loads(data, max_bytes=limits.BUNDLE_BYTES),
        "a bundle",
        required={"mediaType", "verificationMaterial"},
        optional={"dsseEnvelope", "messageSignature"},
    )
    media_type = document["mediaType"]
    if not isinstance(media_type, str) or media_type not in MEDIA_TYPES:
        raise MalformedError(f"got media type {quote(media_type)}, expected {MEDIA_TYPE}")
    content = _content(document)
    material = _material(document["verificationMaterial"])
    entries = _list(material, "tlogEntries")
    timestamps = _timestamps(material)
    if "publicKey" in material:
        if entries and not cosign.is_cosign(content):  # cosign logs its key signatures, too; the key alone decides
            _no_log_entries(entries, "a public key")
        return Bundle(data, media_type, SignerKind.PUBLIC_KEY, content, hint=_hint(material["publicKey"]))
    if "x509CertificateChain" in material and not (entries and media_type in _CERTIFICATE_POOL):
        _no_log_entries(entries, "an X.509 chain")
        chain = _chain(material["x509CertificateChain"])
        return Bundle(data, media_type, SignerKind.CERTIFICATE, content, certificates=chain, timestamps=timestamps)
    if len(entries) != 1:
        raise MalformedError(f"got {len(entries)} log entries, expected exactly one with a keyless certificate")
    log_entry = _log_entry(entries[0])
    return Bundle(
        strict_json.dumps(document) if _zeros_written_out(entries[0]) else data,
        media_type,
        SignerKind.KEYLESS,
        content,
        certificates=(_keyless_certificate(material, media_type),),
        timestamps=timestamps,
        log_entry=log_entry,
    )


def _content(document: dict[str, Any]) -> Content:
    envelope, message = document.get("dsseEnvelope"), document.get("messageSignature")
    if (envelope is None) == (message is None):
        raise MalformedError("got a bundle with both or none of dsseEnvelope and messageSignature, expected one of them")
    if envelope is not None:
        return dsse.envelope_from(envelope)
    signed = fields(message, "messageSignature", required={"messageDigest", "signature"})
    digest = fields(signed["messageDigest"], "messageDigest", required={"algorithm", "digest"})
    if digest["algorithm"] != "SHA2_256":
        raise MalformedError(f"got message digest algorithm {quote(digest['algorithm'])}, expected SHA2_256")
    return Message(dsse.decode_base64(digest["digest"], "digest"), dsse.decode_base64(signed["signature"], "signature"))


def _material(value: Any) -> dict[str, Any]:
    material = fields(
        value, "verificationMaterial", required=set(), optional={*_MATERIALS, "tlogEntries", "timestampVerificationData"}
    )
    material = {key: item for key, item in material.items() if item is not None}
    found = [name for name in _MATERIALS if name in material]
    if len(found) != 1:
        raise MalformedError(f"got {len(found)} kinds of verification material, expected exactly one of {', '.join(_MATERIALS)}")
    return material


def _hint(value: Any) -> str:
    # rawBytes and keyDetails: releases before 1.1 wrote the key itself. A key inside a bundle vouches for nothing and is not read.
    key = fields(value, "publicKey", required=set(), optional={"hint", "rawBytes", "keyDetails", "validFor"})
    hint = key.get("hint")
    return "" if hint is None else text(hint, "hint")


def _keyless_certificate(material: dict[str, Any], media_type: str) -> bytes:
    if "certificate" in material:
        if media_type not in _SINGLE_CERTIFICATE:
            raise MalformedError(f"got a single certificate in {quote(media_type)}, expected x509CertificateChain")
        return _certificate(material["certificate"])
    chain = _chain(material["x509CertificateChain"])
    return chain[0]


def _chain(value: Any) -> tuple[bytes, ...]:
    chain = _list(fields(value, "x509CertificateChain", required={"certificates"}), "certificates")
    if not chain:
        raise MalformedError("got an empty certificate chain, expected at least the leaf")
    if len(chain) > limits.CERTIFICATES_IN_CHAIN:
        raise LimitExceededError(f"got {len(chain)} certificates in a chain, expected at most {limits.CERTIFICATES_IN_CHAIN}")
    return tuple(_certificate(item) for item in chain)


def _certificate(value: Any) -> bytes:
    return dsse.decode_base64(fields(value, "a certificate", required={"rawBytes"})["rawBytes"], "rawBytes")


def _timestamps(material: dict[str, Any]) -> tuple[bytes, ...]:
    data = fields(
        material.get("timestampVerificationData", {}),
        "timestampVerificationData",
        required=set(),
        optional={"rfc3161Timestamps"},
    )
    stamps = _list(data, "rfc3161Timestamps")
    if len(stamps) > limits.TIMESTAMPS_PER_BUNDLE:
        raise LimitExceededError(f"got {len(stamps)} timestamps, expected at most {limits.TIMESTAMPS_PER_BUNDLE}")
    tokens = tuple(
        dsse.decode_base64(fields(item, "a timestamp", required={"signedTimestamp"})["signedTimestamp"], "signedTimestamp")
        for item in stamps
    )
    if len(set(tokens)) != len(tokens):
        raise MalformedError("got the same timestamp twice")
    return tokens


def _log_entry(value: Any) -> LogEntry:
    entry = fields(value, "a log entry", required={"logId", "kindVersion"}, optional=set(_LOG_FIELDS))
    kind = fields(entry["kindVersion"], "kindVersion", required={"kind", "version"})
    log_id = fields(entry["logId"], "logId", required={"keyId"})["keyId"]
    promised = entry.get("inclusionPromise") is not None
    return LogEntry(
        log_id=dsse.decode_base64(log_id, "keyId"),
        kind=text(kind["kind"], "kind"),
        version=text(kind["version"], "version"),
        integrated_time=_seconds(entry.get("integratedTime")) if promised else None,
    )


def _zeros_written_out(entry: dict[str, Any]) -> bool:
    """Whether a log entry lacked what it now states: protobuf's JSON leaves out zeros and empty lists, and Go's writers do.

    So the first entry of a log comes from cosign without index and hashes, and sigstore-python refuses it. Nothing is made up: an
    absent field *is* its zero there, and the proof is verified with it.
    """
    proof = entry.get("inclusionProof")
    places = [(entry, "logIndex", "0"), *((proof, *zero) for zero in _PROOF_ZEROS if isinstance(proof, dict))]
    absent = [(holder, name, zero) for holder, name, zero in places if name not in holder]
    for holder, name, zero in absent:
        holder[name] = zero
    return bool(absent)


def _seconds(value: Any) -> int:
    # protobuf JSON writes 64-bit integers as strings; both forms are legal
    digits = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(digits, str) or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(_MAX_TIME)):
        raise MalformedError(f"got integratedTime {quote(value)}, expected seconds")
    seconds = int(digits)
    if not 0 < seconds < _MAX_TIME:
        raise MalformedError(f"got integratedTime {quote(value)}, expected seconds")
    return seconds


def _no_log_entries(entries: list[Any], what: str) -> None:
    if entries:
        raise MalformedError(f"got {len(entries)} log entries with {what}, expected none: they would not be checked")


def _list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise MalformedError(f"got {name} of type {type(found).__name__}, expected a list")
    return found
