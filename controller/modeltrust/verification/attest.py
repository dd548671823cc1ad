"""The key holder's half: checks small reports and signs what they say. Parses nothing foreign (attack C5)."""

import hmac
from collections.abc import Sequence
from typing import Any, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.api.attestations import attestation
from modeltrust.attestation import envelope, predicate
from modeltrust.domain import dsse, limits
from modeltrust.domain.errors import (
    InvalidInputError,
    InvalidReferenceError,
    MalformedError,
    UnavailableError,
    UntrustedError,
    quote,
)
from modeltrust.domain.evidence import Assurance, EvaluationVerdict, Statement
from modeltrust.domain.facts import Known, Unavailable
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import Order, Report

Key: TypeAlias = ec.EllipticCurvePrivateKey


def seal(  # noqa: PLR0913 - everything that a statement says and the report does not know
    report: Report,
    *,
    order: Order,
    evaluations: tuple[EvaluationVerdict, ...],
    audience: str,
    serial: int,
    now: int,
    key: ec.EllipticCurvePrivateKey,
    inputs: str = "",
) -> bytes:
    """Sign what a report says, once it is seen to answer the order.

    Args:
        report: from a worker, believed in nothing but its facts.
        order: what was asked.
        evaluations: at most one per suite and suite hash, the latest.
        audience: UID of the namespace kube-system, or a fleet id.
        serial: higher than that of every earlier statement about this identity (attack H3).
        now: unix seconds.
        key: of the attestor, on P-256.
        inputs: what it was verified with, see ``Statement``.

    Returns:
        The envelope as JSON bytes.

    Raises:
        MalformedError: the report does not answer the order, contradicts itself or is out of bounds.
        UnavailableError: the report knows nothing; a statement of it would replace what an earlier one knew (promises.md 2).
    """
    _check_answer(report, order)
    _check_assurance(report)
    _check_times(report, evaluations, now)
    _check_weights(report)
    statement = Statement(
        identity=report.identity,
        content=report.content,
        assurance=report.assurance,
        signatures=report.signatures,
        formats=report.formats,
        lineage=report.lineage,
        evaluations=evaluations,
        weights=report.weights,
        audience=audience,
        serial=serial,
        issued_at=now,
        expires_at=now + limits.STATEMENT_SECONDS,
        inputs=inputs,
    )
    return sign(statement, key)


def sign(letter: Statement, key: Key) -> bytes:
    """The envelope around a letter whose facts were sealed before, for its renewal.

    Raises:
        MalformedError: the letter cannot be said; with LimitExceededError where it is too large.
    """
    return envelope.sign(predicate.encode(letter), key)


def read_own(data: bytes, *, keys: Sequence[Key], identity: Identity, audience: str) -> Statement | None:
    """The letter that we signed, or None where it is another's, about another model, for another cluster, or no statement at all.

    Args:
        data: an envelope from anywhere; a statement that somebody else signed is no knowledge of ours (attack H4).
        keys: ours, whose public halves are tried.
        identity: of the model that is asked about.
        audience: ours.
    """
    try:
        found = dsse.parse_envelope(data, max_bytes=limits.STATEMENT_BYTES)
        key = next((key for key in keys if envelope.fingerprint(key.public_key()) == found.key_id), None)
        if key is None:
            return None
        envelope.verify(found, key.public_key())
        letter = predicate.decode(found.payload)
    except (MalformedError, UntrustedError, InvalidReferenceError):
        return None
    return letter if (letter.identity, letter.audience) == (identity, audience) else None


def nonce(key: Key, *parts: str) -> str:
    """32 hex that only the key holder can foretell, and foretells alike after a restart (F65).

    Args:
        key: of the attestor; its private number keys an HMAC and never leaves it.
        parts: what the nonce is about.
    """
    secret = key.private_numbers().private_value.to_bytes(_P256_BYTES, "big")
    message = b"modeltrust/nonce/v1\0" + b"\0".join(part.encode() for part in parts)
    return hmac.digest(secret, message, "sha256").hex()[:_NONCE_CHARACTERS]


_P256_BYTES = 32
_NONCE_CHARACTERS = 32


def load_attestor_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """An attestor's private key.

    Raises:
        InvalidInputError: not an unencrypted PEM of an EC key on P-256. Says nothing about the bytes.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInputError("got no usable private key, expected an unencrypted PEM of an EC key on P-256") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInputError("got a private key of another kind, expected an EC key on P-256")
    return key


def attestation_object(identity: Identity, statement: bytes) -> dict[str, Any]:
    """A ModelAttestation that carries a statement as evidence.

    Args:
        identity: of what.
        statement: the envelope, as ``seal`` gives it.
    """
    return _object(identity, "statement", statement)


def approval_object(identity: Identity, approval: bytes) -> dict[str, Any]:
    """A ModelAttestation that carries an approval as evidence.

    Args:
        identity: of what.
        approval: the signed bundle, JSON bytes.
    """
    return _object(identity, "approval", approval)


def _object(identity: Identity, kind: str, document: bytes) -> dict[str, Any]:
    value = attestation(identity, kind)
    value["spec"]["evidence"] = [{"name": kind, "bundle": {"inline": document.decode("utf-8")}}]
    return value


def _check_answer(report: Report, order: Order) -> None:
    if report.identity != order.identity:
        raise MalformedError(f"got a report about {quote(report.identity)}, expected {quote(order.identity)}")
    if report.nonce != order.nonce:
        raise MalformedError(f"got a report with nonce {quote(report.nonce)}, expected the order's")
    if not 0 <= report.files <= limits.FILES or not 0 <= report.bytes <= limits.MODEL_BYTES:
        raise MalformedError(
            f"got a report of {report.files} files and {report.bytes} bytes, expected no more than a model may have"
        )
    facts = (report.content, report.signatures, report.formats)
    if all(isinstance(fact, Unavailable) for fact in facts):
        why = report.content.why if isinstance(report.content, Unavailable) else ""
        raise UnavailableError(f"nothing can be said about {quote(report.identity)}: {why}")


def _check_assurance(report: Report) -> None:
    if not isinstance(report.signatures, Known):
        return
    for evidence in report.signatures.value.valid:
        if not Assurance.SIGNATURE_ONLY <= evidence.assurance <= report.assurance:
            raise MalformedError(f"got a signature with {evidence.assurance.label}, expected at most {report.assurance.label}")


def _check_times(report: Report, evaluations: tuple[EvaluationVerdict, ...], now: int) -> None:
    """Nothing was signed or run in the future: a claimed time decides validity and age."""
    times = [verdict.finished_at for verdict in evaluations]
    if isinstance(report.signatures, Known):
        times += [evidence.signed_at for evidence in report.signatures.value.valid if evidence.signed_at is not None]
    if any(time > now + limits.CLOCK_SKEW_SECONDS for time in times):
        raise MalformedError("got a signature or an evaluation from the future")


def _check_weights(report: Report) -> None:
    """A model with weights of known content names them, or a re-packed copy could not be revoked (attack H9)."""
    if len(report.weights) > report.files:
        raise MalformedError(f"got {len(report.weights)} weight files of {report.files} files")
    if report.weights or not isinstance(report.content, Known) or not isinstance(report.formats, Known):
        return
    if any(weights.files for weights in report.formats.value.formats):
        raise MalformedError("got weights without their digests, expected the sha256 of each weight file")
