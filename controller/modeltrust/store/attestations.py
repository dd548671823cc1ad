"""The envelopes in one ModelAttestation: the operator's own statement, and statements supplied as evidence."""

from collections.abc import Iterator, Mapping
from typing import Any

from modeltrust.attestation.attestors import peek_identity
from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, ModelTrustError
from modeltrust.store.sink import Object
from modeltrust.store.statements import Found


def found_in(value: Object) -> tuple[Found, ...]:
    """Every statement in the object, under the identity that its signed part names; ``spec.model`` decides nothing (M4).

    Evidence may be another kind of document (an OMS bundle, an approval), which is the worker's to read: skipped.

    Raises:
        MalformedError: the object is malformed, or ``status.statement`` is no statement.
    """
    return (*_own(value), *_supplied(value))


def _own(value: Object) -> Iterator[Found]:
    statement = _map(value, "status").get("statement")
    if statement is not None:
        yield _found(statement)


def _supplied(value: Object) -> Iterator[Found]:
    evidence = _map(value, "spec").get("evidence") or ()
    if not isinstance(evidence, list | tuple):
        raise MalformedError("spec.evidence: expected a list")
    for entry in evidence[: limits.STATEMENTS_PER_IDENTITY]:
        inline = _map(entry, "bundle").get("inline") if isinstance(entry, Mapping) else None
        try:
            if inline is not None:
                yield _found(inline)
        except ModelTrustError:
            continue


def _found(text: Any) -> Found:
    if not isinstance(text, str):
        raise MalformedError("got a statement that is no string, expected the JSON text of an envelope")
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError("got a statement with a lone surrogate") from error
    return Found(peek_identity(data), data)


def _map(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    if inner is None:
        return {}
    if not isinstance(inner, Mapping):
        raise MalformedError(f"{name}: expected a map")
    return inner
