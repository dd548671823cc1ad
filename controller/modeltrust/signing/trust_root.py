"""A Sigstore trusted_root.json, read strictly, with its validity windows and narrowed to what one bundle names.

Why ours: sigstore-python ignores where the windows of CAs, CT logs and transparency logs end, and tries every key of the root
when a bundle names one that it does not know (facts/signing.md section 5.3). Handed a root of exactly the entries that a bundle
names, it can verify with nothing else, and the windows of just those entries are compared here.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from modeltrust.domain import dsse, limits, strict_json
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.signing.fields import fields, text

MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
_ROOT = {"mediaType", "tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"}


@dataclass(frozen=True, slots=True)
class Window:
    """When an entry is trusted.

    Attributes:
        start: first second.
        end: the moment from which it is not; None is open.
    """

    start: datetime
    end: datetime | None

    def covers(self, seconds: int) -> bool:
        """Whether a signing time in unix seconds lies within."""
        moment = datetime.fromtimestamp(seconds, UTC)
        return self.start <= moment and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log or CT log.

    Attributes:
        source: the entry as written.
        key_ids: by which a bundle may name it: the stated logId and the hash of its key.
        fingerprint: 64 hex, sha256 of its DER key.
        window: when it is trusted.
    """

    source: dict[str, Any] = field(repr=False)
    key_ids: frozenset[bytes]
    fingerprint: str
    window: Window


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority or timestamp authority.

    Attributes:
        source: the entry as written.
        certificates: leaf to root.
        window: when it is trusted.
        issued_by: in a root that was narrowed to a leaf: the certificate whose key signed it, and what the root states above.
    """

    source: dict[str, Any] = field(repr=False)
    certificates: tuple[x509.Certificate, ...]
    window: Window
    issued_by: tuple[x509.Certificate, ...] = ()

    def above(self, leaf: x509.Certificate) -> tuple[x509.Certificate, ...]:
        """The certificate whose key signed the leaf, and what the root states above it; empty where none did."""
        for index, certificate in enumerate(self.certificates):
            if _issued(certificate, leaf):
                return self.certificates[index:]
        return ()


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """One Sigstore instance.

    Attributes:
        logs: transparency logs.
        ct_logs: certificate transparency logs.
        authorities: Fulcio.
        timestamp_authorities: RFC 3161; may be empty.
    """

    logs: tuple[Log, ...]
    ct_logs: tuple[Log, ...]
    authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[Authority, ...]

    def issuing(self, leaf: x509.Certificate) -> "TrustRoot":
        """With the CAs alone whose key signed the leaf; finding out costs a millisecond each, so it is done once."""
        found = (replace(item, issued_by=item.above(leaf)) for item in self.authorities)
        return replace(self, authorities=tuple(item for item in found if item.issued_by))

    def at(self, seconds: int) -> "TrustRoot":
        """Only the entries that are trusted at a signing time."""
        return TrustRoot(
            tuple(log for log in self.logs if log.window.covers(seconds)),
            tuple(log for log in self.ct_logs if log.window.covers(seconds)),
            tuple(item for item in self.authorities if item.window.covers(seconds)),
            tuple(item for item in self.timestamp_authorities if item.window.covers(seconds)),
        )

    def narrowed(self) -> bytes:
        """trusted_root.json again, of these entries alone."""
        parts: dict[str, tuple[Log | Authority, ...]] = {
            "tlogs": self.logs,
            "ctlogs": self.ct_logs,
            "certificateAuthorities": self.authorities,
            "timestampAuthorities": self.timestamp_authorities,
        }
        document = {name: [entry.source for entry in entries] for name, entries in parts.items()}
        return strict_json.dumps({"mediaType": MEDIA_TYPE, **document})


@lru_cache(maxsize=limits.TRUST_ROOTS_TRIED)
def parse_trust_root(data: bytes) -> TrustRoot:
    """Read a trusted_root.json; the same bytes are the same root, so they are read once. Nobody changes what is returned.

    Raises:
        MalformedError: not strict JSON, another media type, unknown fields, or an entry without key, certificate or start.
        LimitExceededError: too large, or too many entries.
    """
    document = fields(
        strict_json.loads(data, max_bytes=limits.TRUSTED_ROOT_BYTES),
        "a trusted root",
        required={"mediaType"},
        optional=_ROOT,
    )
    if document["mediaType"] != MEDIA_TYPE:
        raise MalformedError(f"got media type {quote(document['mediaType'])}, expected {MEDIA_TYPE}")
    return TrustRoot(
        logs=tuple(_log(entry) for entry in _entries(document, "tlogs")),
        ct_logs=tuple(_log(entry) for entry in _entries(document, "ctlogs")),
        authorities=tuple(_authority(entry) for entry in _entries(document, "certificateAuthorities")),
        timestamp_authorities=tuple(_authority(entry) for entry in _entries(document, "timestampAuthorities")),
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """64 hex: sha256 of the DER SubjectPublicKeyInfo of a certificate's key."""
    key = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def covering(entries: Iterable[Log | Authority], seconds: int) -> bool:
    """Whether any of the entries is trusted at a signing time."""
    return any(entry.window.covers(seconds) for entry in entries)


def _entries(document: dict[str, Any], name: str) -> list[Any]:
    found = document.get(name, [])
    if not isinstance(found, list):
        raise MalformedError(f"got {name} of type {type(found).__name__}, expected a list")
    if len(found) > limits.TRUSTED_ROOT_ENTRIES:
        raise LimitExceededError(f"got {len(found)} {name}, expected at most {limits.TRUSTED_ROOT_ENTRIES}")
    return found


def _log(value: Any) -> Log:
    entry = fields(
        value,
        "a log",
        required={"publicKey", "logId"},
        optional={"baseUrl", "hashAlgorithm", "checkpointKeyId", "operator"},
    )
    key = fields(entry["publicKey"], "publicKey", required={"rawBytes", "keyDetails", "validFor"})
    der = dsse.decode_base64(key["rawBytes"], "rawBytes")
    stated = dsse.decode_base64(fields(entry["logId"], "logId", required={"keyId"})["keyId"], "keyId")
    digest = hashlib.sha256(der).digest()
    return Log(entry, frozenset({stated, digest}), digest.hex(), _window(key["validFor"]))


def _authority(value: Any) -> Authority:
    entry = fields(value, "an authority", required={"certChain", "validFor"}, optional={"subject", "uri", "operator"})
    chain = fields(entry["certChain"], "certChain", required={"certificates"})["certificates"]
    if not isinstance(chain, list) or not 0 < len(chain) <= limits.CERTIFICATES_IN_CHAIN:
        raise MalformedError(f"got a certChain that is no list of 1 to {limits.CERTIFICATES_IN_CHAIN} certificates")
    return Authority(entry, tuple(_certificate(item) for item in chain), _window(entry["validFor"]))


def _certificate(value: Any) -> x509.Certificate:
    der = dsse.decode_base64(fields(value, "a certificate", required={"rawBytes"})["rawBytes"], "rawBytes")
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise MalformedError("got bytes that are no certificate in a trusted root") from error


def _window(value: Any) -> Window:
    stated = fields(value, "validFor", required={"start"}, optional={"end"})
    end = stated.get("end")
    return Window(_moment(stated["start"]), None if end is None else _moment(end))


def _moment(value: Any) -> datetime:
    written = text(value, "a time")
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise MalformedError(f"got time {quote(written)}, expected RFC 3339") from error
    if moment.tzinfo is None:
        raise MalformedError(f"got time {quote(written)} without a zone, expected RFC 3339")
    return moment


def _issued(issuer: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
