"""Orders and reports of evaluations as JSON, between the key holder and the runner.

Read as strictly as ``api.wire`` says. What the numbers mean, and that a report answers its order, is checked where they are used
(``evaluation.binding``, then ``evaluation.judge``).
"""

from typing import Any, TypeVar, get_type_hints

import msgspec

from modeltrust.api import wire
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, MalformedError, quote
from modeltrust.domain.evaluation import EvaluationOrder, EvaluationReport
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.reference import parse_identity_key

T = TypeVar("T")
Ordered = TypeVar("Ordered", EvaluationOrder, MonitorOrder)


def _wire(shape: type) -> Any:
    """The same fields, with the identity as its key: it is a union of two classes, which JSON does not tell apart."""
    fields = [(name, str if name == "identity" else kind) for name, kind in get_type_hints(shape).items()]
    return msgspec.defstruct("Document", fields, frozen=True, forbid_unknown_fields=True)


_WIRES: dict[type, Any] = {shape: _wire(shape) for shape in (EvaluationOrder, EvaluationReport, MonitorOrder, MonitorReport)}


def encode_evaluation_order(order: EvaluationOrder) -> bytes:
    """An order as JSON bytes; it holds the token of the endpoint."""
    return _encode(order)


def decode_evaluation_order(data: bytes) -> EvaluationOrder:
    """Read an order.

    Raises:
        MalformedError: not what ``encode_evaluation_order`` writes.
        LimitExceededError: larger than any order.
    """
    return _in_time(_decode(data, EvaluationOrder, limits.EVALUATION_ORDER_BYTES), limits.EVALUATION_SECONDS)


def encode_evaluation_report(report: EvaluationReport) -> bytes:
    """A report as JSON bytes.

    Raises:
        LimitExceededError: nobody would read it.
    """
    return wire.bounded_report(_encode(report), max_bytes=limits.EVALUATION_REPORT_BYTES)


def decode_evaluation_report(data: bytes) -> EvaluationReport:
    """Read a report.

    Raises:
        MalformedError: not what ``encode_evaluation_report`` writes.
        LimitExceededError: larger than any report.
    """
    return _decode(data, EvaluationReport, limits.EVALUATION_REPORT_BYTES)


def encode_monitor_order(order: MonitorOrder) -> bytes:
    """An order of one round as JSON bytes; it holds the token of the server."""
    return _encode(order)


def decode_monitor_order(data: bytes) -> MonitorOrder:
    """Read an order of one round, or of a recording, which takes longer; see ``decode_evaluation_order`` for what is raised."""
    order = _decode(data, MonitorOrder, limits.EVALUATION_ORDER_BYTES)
    return _in_time(order, limits.MONITOR_SECONDS if order.fingerprint else limits.EVALUATION_SECONDS)


def encode_monitor_report(report: MonitorReport) -> bytes:
    """A report of one round as JSON bytes; see ``encode_evaluation_report`` for what is raised."""
    return wire.bounded_report(_encode(report), max_bytes=limits.MONITOR_REPORT_BYTES)


def decode_monitor_report(data: bytes) -> MonitorReport:
    """Read a report of one round; see ``decode_evaluation_report`` for what is raised."""
    return _decode(data, MonitorReport, limits.MONITOR_REPORT_BYTES)


def _in_time(order: Ordered, most: int) -> Ordered:
    if not 0 < order.deadline_seconds <= most:
        raise MalformedError(f"got a deadline of {order.deadline_seconds} s, expected at most {most}")
    return order


def _decode(data: bytes, shape: type[T], max_bytes: int) -> T:
    fields = _fields(wire.read(data, _WIRES[shape], max_bytes=max_bytes))
    wire.nonce(fields["nonce"])
    try:
        value = shape(**{**fields, "identity": parse_identity_key(fields["identity"])})
    except InvalidReferenceError as error:
        raise MalformedError(f"got a document about no model: {quote(error)}") from error
    return wire.same(value, data, _encode(value))


def _encode(value: Any) -> bytes:
    document = _WIRES[type(value)]
    fields = {name: getattr(value, name) for name in document.__struct_fields__}
    return msgspec.json.encode(document(**{**fields, "identity": value.identity.key}))


def _fields(document: Any) -> dict[str, Any]:
    return {name: getattr(document, name) for name in document.__struct_fields__}
