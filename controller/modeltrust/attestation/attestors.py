"""Whose statements count, about what: the mounted trust file, and the one check that every statement passes.

    [{keyId, pem, audience, models, maximumAssurance, notAfter, minimumIssuedAt}]

Rotation is two keys listed; a compromise is a key removed and models verified again (design/api.md, ModelAttestation).
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.attestation import envelope as envelopes
from modeltrust.attestation import predicate
from modeltrust.domain import dsse, limits
from modeltrust.domain.errors import InvalidInputError, InvalidReferenceError, MalformedError, UntrustedError, quote
from modeltrust.domain.evidence import Assurance, Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity

_REQUIRED = frozenset({"keyId", "pem", "audience", "models", "maximumAssurance"})
_OPTIONAL = frozenset({"notAfter", "minimumIssuedAt"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})")


@dataclass(frozen=True, slots=True)
class Attestor:
    """One key whose statements count.

    Attributes:
        key_id: 64 hex, sha256 of the key's DER SubjectPublicKeyInfo.
        key: on P-256.
        audience: what its statements must be addressed to: the UID of the namespace kube-system, or a fleet id.
        models: globs over canonical references, never empty.
        maximum_assurance: it can claim no more.
        not_after: after this time, in unix seconds, none of its statements counts; None is unbounded.
        minimum_issued_at: statements issued earlier do not count (attack H3); None is unbounded.
    """

    key_id: str
    key: ec.EllipticCurvePublicKey
    audience: str
    models: tuple[Glob, ...]
    maximum_assurance: Assurance
    not_after: int | None = None
    minimum_issued_at: int | None = None

    def check(self, statement: Statement, now: int) -> None:
        """Refuse a statement that this attestor may not make.

        Raises:
            UntrustedError: with what is wrong.
        """
        if statement.audience != self.audience:
            raise _untrusted(f"the statement is for audience {quote(statement.audience)}, expected {quote(self.audience)}")
        name = statement.identity.reference.text
        if not any(glob.matches(name) for glob in self.models):
            raise _untrusted(f"its attestor may not speak about {quote(name)}")
        if _claimed(statement) > self.maximum_assurance:
            raise _untrusted(f"got assurance {_claimed(statement).label}, expected at most {self.maximum_assurance.label}")
        if self.not_after is not None and now > self.not_after:
            raise _untrusted("the time of its attestor is over")
        if self.minimum_issued_at is not None and statement.issued_at < self.minimum_issued_at:
            raise _untrusted("the statement was issued before its attestor's minimumIssuedAt")


@dataclass(frozen=True, slots=True)
class Attestors:
    """The compiled trust file.

    Attributes:
        by_key: every attestor by its key id, never empty.
    """

    by_key: Mapping[str, Attestor] = field(repr=False)
    _ends: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ends = (attestor.not_after for attestor in self.by_key.values() if attestor.not_after is not None)
        object.__setattr__(self, "_ends", tuple(sorted(ends)))

    def verify(self, envelope: bytes, *, now: int, expected: Identity | None = None) -> Statement:
        """The letter in an envelope, if somebody we trust signed it about what they may speak of.

        Whether it is expired is not asked here: a policy may grant a grace period.

        Args:
            envelope: JSON bytes, from anywhere.
            now: unix seconds.
            expected: the identity it was looked up by; None accepts any, for building an index from signed identities (M4).

        Raises:
            UntrustedError: anything else, always with the reason StatementInvalid.
        """
        try:
            return self._verify(envelope, now, expected)
        except (MalformedError, InvalidReferenceError) as error:
            raise _untrusted(f"the statement cannot be read: {error}") from error

    def ended(self, now: int) -> int:
        """How many attestors' time is over; while it stays the same, an answer of ``verify`` that was kept still stands."""
        return bisect_left(self._ends, now)

    def _verify(self, data: bytes, now: int, expected: Identity | None = None) -> Statement:
        envelope = dsse.parse_envelope(data, max_bytes=limits.STATEMENT_BYTES)
        attestor = self.by_key.get(envelope.key_id)
        if attestor is None:
            raise _untrusted(f"the statement is signed by key {quote(envelope.key_id)}, which is no trusted attestor's")
        envelopes.verify(envelope, attestor.key)
        statement = predicate.decode(envelope.payload)
        _check_life(statement, now)
        attestor.check(statement, now)
        if expected is not None and statement.identity != expected:
            raise _untrusted(f"the statement is about {quote(statement.identity)}, expected {quote(expected)}")
        return statement


def parse_attestors(document: Any) -> Attestors:
    """Compile the trust file.

    Args:
        document: the parsed file (or several, their lists joined): a list of objects; times are RFC 3339 strings.

    Raises:
        InvalidInputError: anything that is not exactly the format; an empty list is no trust at all, so it is refused too.
    """
    entries = _list(document, "the attestor file", limits.ATTESTORS)
    by_key: dict[str, Attestor] = {}
    for number, entry in enumerate(entries):
        try:
            attestor = _attestor(entry)
        except (MalformedError, InvalidInputError) as error:
            raise InvalidInputError(f"attestor {number}: {error}") from error
        if by_key.setdefault(attestor.key_id, attestor) is not attestor:
            raise InvalidInputError(f"attestor {number}: got key {attestor.key_id} twice, expected each key once")
    return Attestors(MappingProxyType(by_key))


class _Peeked(msgspec.Struct, gc=False):
    payload: bytes  # base64 in JSON


_PEEKER = msgspec.json.Decoder(_Peeked)


def peek_identity(envelope: bytes) -> str:
    """The identity key that an envelope names, unverified: a key for an index and nothing else (M4).

    Read loosely, since a start reads 100,000 of them and ``Attestors.verify`` reads each strictly before it counts; whoever looks
    up compares the key with the identity that was verified.

    Raises:
        MalformedError: not the envelope of a statement.
    """
    if len(envelope) > limits.STATEMENT_BYTES:
        raise MalformedError(f"got an envelope of {len(envelope)} bytes, expected at most {limits.STATEMENT_BYTES}")
    try:
        payload = _PEEKER.decode(envelope).payload
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(f"got no envelope of a statement: {quote(error)}") from error
    return predicate.peek_subject(payload)


def _claimed(statement: Statement) -> Assurance:
    """The highest assurance that a statement claims anywhere."""
    if not isinstance(statement.signatures, Known):
        return statement.assurance
    return max(
        statement.assurance, *(evidence.assurance for evidence in statement.signatures.value.valid), Assurance.SIGNATURE_ONLY
    )


def _check_life(statement: Statement, now: int) -> None:
    if statement.issued_at > now + limits.CLOCK_SKEW_SECONDS:
        raise _untrusted("the statement is issued in the future")
    life = statement.expires_at - statement.issued_at
    if not 0 < life <= limits.STATEMENT_SECONDS:
        raise _untrusted(f"got a statement with a life of {life} seconds, expected 1 to {limits.STATEMENT_SECONDS}")


def _untrusted(message: str) -> UntrustedError:
    return UntrustedError(message, reason=Reason.STATEMENT_INVALID)


# --- the trust file ----------------------------------------------------------------------------------------------------------


def _attestor(entry: Any) -> Attestor:
    if not isinstance(entry, dict):
        raise InvalidInputError(f"got {quote(type(entry).__name__)}, expected an object")
    wrong = sorted(map(str, _REQUIRED - entry.keys())) or sorted(map(str, entry.keys() - _REQUIRED - _OPTIONAL))
    if wrong:
        raise InvalidInputError(f"got {'unknown' if wrong[0] in map(str, entry) else 'no'} {quote(wrong[0])}")
    key = _key(_string(entry, "pem"), _string(entry, "keyId"))
    return Attestor(
        key_id=entry["keyId"],
        key=key,
        audience=_audience(_string(entry, "audience")),
        models=tuple(_glob(glob) for glob in _list(entry["models"], "models", limits.ATTESTOR_SCOPES)),
        maximum_assurance=_assurance(_string(entry, "maximumAssurance")),
        not_after=_time(entry, "notAfter"),
        minimum_issued_at=_time(entry, "minimumIssuedAt"),
    )


def _key(pem: str, key_id: str) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(pem.encode("utf-8"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError("got pem that is no public key, expected a PEM SubjectPublicKeyInfo on P-256") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInputError("got pem of another kind, expected an EC key on P-256")
    if envelopes.fingerprint(key) != key_id:
        raise InvalidInputError(f"got keyId {quote(key_id)}, expected {envelopes.fingerprint(key)}, which is the key in pem")
    return key


def _audience(text: str) -> str:
    if not 0 < len(text) <= limits.AUDIENCE_CHARACTERS:
        raise InvalidInputError(f"got audience of {len(text)} characters, expected 1 to {limits.AUDIENCE_CHARACTERS}")
    return text


def _assurance(label: str) -> Assurance:
    try:
        assurance = Assurance.parse(label)
    except KeyError:
        assurance = Assurance.VERIFIED_AT_LOAD
    if assurance is Assurance.VERIFIED_AT_LOAD:  # proved in the Pod, never stated in advance
        raise InvalidInputError(f"got maximumAssurance {quote(label)}, expected SignatureOnly, SourceDigests or BytesHashed")
    return assurance


def _glob(value: Any) -> Glob:
    if not isinstance(value, str):
        raise InvalidInputError(f"got {quote(value)} in models, expected a pattern")
    return Glob(value)


def _time(entry: dict[str, Any], name: str) -> int | None:
    if name not in entry:
        return None
    text = _string(entry, name)
    if not _RFC3339.fullmatch(text):
        raise InvalidInputError(f"got {name} {quote(text)}, expected RFC 3339 with whole seconds, as in 2027-01-15T00:00:00Z")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"got {name} {quote(text)}, expected a time that exists") from error
    return int((moment - _EPOCH).total_seconds())


def _string(entry: dict[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise InvalidInputError(f"got {name} of type {type(value).__name__}, expected a (quoted) string")
    return value


def _list(value: Any, name: str, bound: int) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= bound:
        got = len(value) if isinstance(value, list) else type(value).__name__
        raise InvalidInputError(f"got {got} as {name}, expected a list of 1 to {bound}")
    return value
