"""Orders and reports as JSON, between the key holder and the worker.

Both sides are of one version of the image, so a document is read only if it is byte for byte what writing it again gives: no
unknown, missing or duplicate key, no second spelling. What the values mean is checked where they are used: a report by
``verification.attest.seal``, before anything is signed.
"""

from typing import Generic, TypeVar

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidReferenceError, LimitExceededError, MalformedError, quote
from modeltrust.domain.evidence import Assurance, FormatReport, LineageClaim, SignatureFacts
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reference import parse_identity_key
from modeltrust.domain.signer import (
    CertificateTime,
    CertificateTrust,
    KeylessIdentity,
    KeylessTrust,
    KeyTrust,
    Purpose,
    TrustedSigner,
)
from modeltrust.domain.work import Order, RemoteBundle, Report, SourceAccess, SourceType

T = TypeVar("T")
D = TypeVar("D", bound=msgspec.Struct)
_NONCE_CHARACTERS = 32


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Unknown keys are refused."""


class _Known(_Wire, Generic[T], frozen=True, tag_field="fact", tag="known"):
    value: T


class _Absent(_Wire, frozen=True, tag_field="fact", tag="absent"):
    pass


class _Unavailable(_Wire, frozen=True, tag_field="fact", tag="unavailable"):
    why: str


class _KeylessIdentity(_Wire, frozen=True):
    name: str
    issuer: str
    subject: str
    subject_pattern: str | None
    claims: tuple[tuple[str, str], ...]


class _Keyless(_Wire, frozen=True, tag_field="kind", tag="keyless"):
    identities: tuple[_KeylessIdentity, ...]
    trusted_root: bytes | None
    root_fingerprints: tuple[str, ...]


class _Key(_Wire, frozen=True, tag_field="kind", tag="publicKey"):
    pem: bytes
    fingerprint: str


class _Certificate(_Wire, frozen=True, tag_field="kind", tag="certificate"):
    roots: bytes
    root_fingerprints: tuple[str, ...]
    san_type: str
    san_value: str
    time: CertificateTime


class _Signer(_Wire, frozen=True):
    name: str
    labels: tuple[tuple[str, str], ...]
    purposes: tuple[Purpose, ...]
    trust: _Keyless | _Key | _Certificate
    scope: tuple[str, ...]
    not_before: int | None
    not_after: int | None


class _Source(_Wire, frozen=True):
    type: SourceType
    endpoints: tuple[str, ...]
    username: str
    password: str
    signature_paths: tuple[str, ...]
    signature_repositories: tuple[str, ...]
    ca: bytes
    allow_private: bool
    max_bytes: int
    max_files: int

    def __repr__(self) -> str:
        return "_Source(…)"  # it holds credentials


class _RemoteBundle(_Wire, frozen=True):
    reference: str
    access: _Source


class _Order(_Wire, frozen=True):
    identity: str
    nonce: str
    signers: tuple[_Signer, ...]
    bundles: tuple[bytes, ...]
    read_bytes: bool
    now: int
    source: _Source | None
    remote_bundles: tuple[_RemoteBundle, ...]


class _Report(_Wire, frozen=True):
    identity: str
    nonce: str
    content: _Known[str] | _Absent | _Unavailable
    assurance: Assurance
    files: int
    bytes: int
    weights: tuple[str, ...]
    signatures: _Known[SignatureFacts] | _Absent | _Unavailable
    formats: _Known[FormatReport] | _Absent | _Unavailable
    lineage: _Known[tuple[LineageClaim, ...]] | _Absent | _Unavailable


def encode_order(order: Order) -> bytes:
    """An order as JSON bytes."""
    return msgspec.json.encode(_write_order(order))


def decode_order(data: bytes) -> Order:
    """Read an order.

    Raises:
        MalformedError: not what ``encode_order`` writes.
        LimitExceededError: larger than any order.
    """
    document = _decode(data, _Order, limits.ORDER_BYTES)
    count = len(document.bundles) + len(document.remote_bundles)
    if count > limits.BUNDLES_PER_MODEL:
        raise LimitExceededError(f"got {count} bundles, expected at most {limits.BUNDLES_PER_MODEL}")
    try:
        order = Order(
            identity=parse_identity_key(document.identity),
            nonce=_nonce(document.nonce),
            signers=tuple(_read_signer(signer) for signer in document.signers),
            bundles=document.bundles,
            read_bytes=document.read_bytes,
            now=document.now,
            source=None if document.source is None else _read_source(document.source),
            remote_bundles=tuple(RemoteBundle(b.reference, _read_source(b.access)) for b in document.remote_bundles),
        )
    except InvalidReferenceError as error:
        raise MalformedError(f"got an order that makes no sense: {error}") from error
    return _same(order, data, encode_order(order))


def encode_report(report: Report) -> bytes:
    """A report as JSON bytes.

    Raises:
        LimitExceededError: nobody would read it.
    """
    data = msgspec.json.encode(_write_report(report))
    if len(data) > limits.REPORT_BYTES:
        raise LimitExceededError(f"got a report of {len(data)} bytes, expected at most {limits.REPORT_BYTES}")
    return data


def decode_report(data: bytes) -> Report:
    """Read a report; whether it answers an order is ``verification.attest``'s question.

    Raises:
        MalformedError: not what ``encode_report`` writes.
        LimitExceededError: larger than any report.
    """
    document = _decode(data, _Report, limits.REPORT_BYTES)
    content = _fact(document.content)
    try:
        report = Report(
            identity=parse_identity_key(document.identity),
            nonce=_nonce(document.nonce),
            content=Known(ContentDigest.parse(content.value)) if isinstance(content, Known) else content,
            assurance=document.assurance,
            files=document.files,
            bytes=document.bytes,
            weights=document.weights,
            signatures=_fact(document.signatures),
            formats=_fact(document.formats),
            lineage=_fact(document.lineage),
        )
    except InvalidReferenceError as error:
        raise MalformedError(f"got a report that makes no sense: {error}") from error
    return _same(report, data, encode_report(report))


def _decode(data: bytes, shape: type[D], max_bytes: int) -> D:
    if len(data) > max_bytes:
        raise LimitExceededError(f"got a document of {len(data)} bytes, expected at most {max_bytes}")
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(f"got a document of another shape: {quote(error)}") from error


def _same(value: T, data: bytes, again: bytes) -> T:
    if again != data:
        raise MalformedError("got a document in another spelling than ours")
    return value


def _nonce(text: str) -> str:
    if len(text) != _NONCE_CHARACTERS or set(text) - set("0123456789abcdef"):
        raise MalformedError(f"got nonce {quote(text)}, expected {_NONCE_CHARACTERS} hexadecimal digits")
    return text


def _fact(wire: _Known[T] | _Absent | _Unavailable) -> Fact[T]:
    if isinstance(wire, _Known):
        return Known(wire.value)
    return Absent() if isinstance(wire, _Absent) else Unavailable(wire.why)


def _wire(fact: Fact[T]) -> _Known[T] | _Absent | _Unavailable:
    match fact:
        case Known(value):
            return _Known(value)
        case Absent():
            return _Absent()
        case Unavailable(why):
            return _Unavailable(why)


def _write_report(report: Report) -> _Report:
    content = report.content
    return _Report(
        identity=report.identity.key,
        nonce=report.nonce,
        content=_wire(Known(str(content.value)) if isinstance(content, Known) else content),
        assurance=report.assurance,
        files=report.files,
        bytes=report.bytes,
        weights=report.weights,
        signatures=_wire(report.signatures),
        formats=_wire(report.formats),
        lineage=_wire(report.lineage),
    )


def _write_order(order: Order) -> _Order:
    return _Order(
        identity=order.identity.key,
        nonce=order.nonce,
        signers=tuple(_write_signer(signer) for signer in order.signers),
        bundles=order.bundles,
        read_bytes=order.read_bytes,
        now=order.now,
        source=None if order.source is None else _write_source(order.source),
        remote_bundles=tuple(_RemoteBundle(bundle.reference, _write_source(bundle.access)) for bundle in order.remote_bundles),
    )


def _write_source(source: SourceAccess) -> _Source:
    return _Source(**{name: getattr(source, name) for name in _SOURCE_FIELDS})


def _read_source(wire: _Source) -> SourceAccess:
    """Bounded: the worker trusts whoever orders, and reads no more of it than any ModelSource may say."""
    lists = (wire.endpoints, wire.signature_paths, wire.signature_repositories)
    texts = (wire.username, wire.password, *(text for texts in lists for text in texts))
    if not wire.endpoints or any(len(texts) > limits.SOURCE_ENTRIES for texts in lists):
        raise MalformedError(f"got a source with lists out of bounds, expected 1 to {limits.SOURCE_ENTRIES} endpoints")
    if len(wire.ca) > limits.ROOTS_CHARACTERS or any(len(text) > limits.SECRET_BYTES for text in texts):
        raise LimitExceededError("got a source with a text longer than any ModelSource holds")
    if not 0 < wire.max_bytes <= limits.MODEL_BYTES or not 0 < wire.max_files <= limits.FILES:
        raise MalformedError("got a source with bounds that no model may reach")
    return SourceAccess(**{name: getattr(wire, name) for name in _SOURCE_FIELDS})


_SOURCE_FIELDS = _Source.__struct_fields__


def _write_signer(signer: TrustedSigner) -> _Signer:
    return _Signer(
        name=signer.name,
        labels=signer.labels,
        purposes=tuple(sorted(signer.purposes)),
        trust=_write_trust(signer.trust),
        scope=tuple(glob.pattern for glob in signer.scope),
        not_before=signer.not_before,
        not_after=signer.not_after,
    )


def _write_trust(trust: KeylessTrust | KeyTrust | CertificateTrust) -> _Keyless | _Key | _Certificate:
    match trust:
        case KeyTrust(pem, fingerprint):
            return _Key(pem, fingerprint)
        case CertificateTrust(roots, fingerprints, san_type, san_value, time):
            return _Certificate(roots, tuple(sorted(fingerprints)), san_type, san_value, time)
        case KeylessTrust(identities, root, fingerprints):
            return _Keyless(tuple(_write_identity(identity) for identity in identities), root, tuple(sorted(fingerprints)))


def _write_identity(identity: KeylessIdentity) -> _KeylessIdentity:
    pattern = None if identity.subject_pattern is None else identity.subject_pattern.pattern
    return _KeylessIdentity(identity.name, identity.issuer, identity.subject, pattern, identity.claims)


def _read_signer(wire: _Signer) -> TrustedSigner:
    if not wire.purposes or not wire.scope:
        raise MalformedError(f"got signer {quote(wire.name)} without a purpose or scope: empty is refusal")
    return TrustedSigner(
        name=wire.name,
        labels=wire.labels,
        purposes=frozenset(wire.purposes),
        trust=_read_trust(wire.trust),
        scope=tuple(Glob(pattern) for pattern in wire.scope),
        not_before=wire.not_before,
        not_after=wire.not_after,
    )


def _read_trust(wire: _Keyless | _Key | _Certificate) -> KeylessTrust | KeyTrust | CertificateTrust:
    if isinstance(wire, _Key):
        return KeyTrust(wire.pem, wire.fingerprint)
    if isinstance(wire, _Certificate):
        return CertificateTrust(wire.roots, frozenset(wire.root_fingerprints), wire.san_type, wire.san_value, wire.time)
    if not wire.identities:
        raise MalformedError("got a keyless signer without identities: empty is refusal")
    identities = tuple(_read_identity(identity) for identity in wire.identities)
    return KeylessTrust(identities, wire.trusted_root, frozenset(wire.root_fingerprints))


def _read_identity(wire: _KeylessIdentity) -> KeylessIdentity:
    if (wire.subject == "") == (wire.subject_pattern is None):
        raise MalformedError(f"got keyless identity {quote(wire.name)}, expected exactly one of subject and pattern")
    pattern = None if wire.subject_pattern is None else Glob(wire.subject_pattern)
    return KeylessIdentity(wire.name, wire.issuer, wire.subject, pattern, wire.claims)
