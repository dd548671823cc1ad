"""Orders and reports as JSON, between the key holder and the worker, read as strictly as ``api.wire`` says.

What the values mean is checked where they are used: a report by
``verification.attest.seal``, before anything is signed.
"""

from typing import Generic, TypeVar

import msgspec

from modeltrust.api import wire
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


PATIENT = "u=7"  # of the header Priority (RFC 9218, the least urgent); beside the order, which older workers read strictly


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
    document: _Order = wire.read(data, _Order, max_bytes=limits.ORDER_BYTES)
    count = len(document.bundles) + len(document.remote_bundles)
    if count > limits.BUNDLES_PER_MODEL:
        raise LimitExceededError(f"got {count} bundles, expected at most {limits.BUNDLES_PER_MODEL}")
    try:
        order = Order(
            identity=parse_identity_key(document.identity),
            nonce=wire.nonce(document.nonce),
            signers=tuple(_read_signer(signer) for signer in document.signers),
            bundles=document.bundles,
            read_bytes=document.read_bytes,
            now=document.now,
            source=None if document.source is None else _read_source(document.source),
            remote_bundles=tuple(RemoteBundle(b.reference, _read_source(b.access)) for b in document.remote_bundles),
        )
    except InvalidReferenceError as error:
        raise MalformedError(f"got an order that makes no sense: {error}") from error
    return wire.same(order, data, encode_order(order))


def encode_report(report: Report) -> bytes:
    """A report as JSON bytes.

    Raises:
        LimitExceededError: nobody would read it.
    """
    return wire.bounded_report(msgspec.json.encode(_write_report(report)), max_bytes=limits.REPORT_BYTES)


def decode_report(data: bytes) -> Report:
    """Read a report; whether it answers an order is ``verification.attest``'s question.

    Raises:
        MalformedError: not what ``encode_report`` writes.
        LimitExceededError: larger than any report.
    """
    document: _Report = wire.read(data, _Report, max_bytes=limits.REPORT_BYTES)
    content = _fact(document.content)
    try:
        report = Report(
            identity=parse_identity_key(document.identity),
            nonce=wire.nonce(document.nonce),
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
    return wire.same(report, data, encode_report(report))


def _fact(found: _Known[T] | _Absent | _Unavailable) -> Fact[T]:
    if isinstance(found, _Known):
        return Known(found.value)
    return Absent() if isinstance(found, _Absent) else Unavailable(found.why)


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


def _read_source(found: _Source) -> SourceAccess:
    """Bounded: the worker trusts whoever orders, and reads no more of it than any ModelSource may say."""
    lists = (found.endpoints, found.signature_paths, found.signature_repositories)
    texts = (found.username, found.password, *(text for texts in lists for text in texts))
    if not found.endpoints or any(len(texts) > limits.SOURCE_ENTRIES for texts in lists):
        raise MalformedError(f"got a source with lists out of bounds, expected 1 to {limits.SOURCE_ENTRIES} endpoints")
    if len(found.ca) > limits.ROOTS_CHARACTERS or any(len(text) > limits.SECRET_BYTES for text in texts):
        raise LimitExceededError("got a source with a text longer than any ModelSource holds")
    if not 0 < found.max_bytes <= limits.MODEL_BYTES or not 0 < found.max_files <= limits.FILES:
        raise MalformedError("got a source with bounds that no model may reach")
    return SourceAccess(**{name: getattr(found, name) for name in _SOURCE_FIELDS})


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


def _read_signer(found: _Signer) -> TrustedSigner:
    if not found.purposes or not found.scope:
        raise MalformedError(f"got signer {quote(found.name)} without a purpose or scope: empty is refusal")
    return TrustedSigner(
        name=found.name,
        labels=found.labels,
        purposes=frozenset(found.purposes),
        trust=_read_trust(found.trust),
        scope=tuple(Glob(pattern) for pattern in found.scope),
        not_before=found.not_before,
        not_after=found.not_after,
    )


def _read_trust(found: _Keyless | _Key | _Certificate) -> KeylessTrust | KeyTrust | CertificateTrust:
    if isinstance(found, _Key):
        return KeyTrust(found.pem, found.fingerprint)
    if isinstance(found, _Certificate):
        return CertificateTrust(found.roots, frozenset(found.root_fingerprints), found.san_type, found.san_value, found.time)
    if not found.identities:
        raise MalformedError("got a keyless signer without identities: empty is refusal")
    identities = tuple(_read_identity(identity) for identity in found.identities)
    return KeylessTrust(identities, found.trusted_root, frozenset(found.root_fingerprints))


def _read_identity(found: _KeylessIdentity) -> KeylessIdentity:
    if (found.subject == "") == (found.subject_pattern is None):
        raise MalformedError(f"got keyless identity {quote(found.name)}, expected exactly one of subject and pattern")
    pattern = None if found.subject_pattern is None else Glob(found.subject_pattern)
    return KeylessIdentity(found.name, found.issuer, found.subject, pattern, found.claims)
