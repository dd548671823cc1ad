"""Orders and reports of evaluations as JSON, between the key holder and the runner.

Read as strictly as ``api.work``: a document is only what writing it again gives, byte for byte. What the numbers mean, and that
a report answers its order, is checked where they are used (``evaluation.binding``, then ``evaluation.judge``).
"""

from typing import Any, TypeVar, get_type_hints

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, LimitExceededError, MalformedError, quote
from modeltrust.domain.evaluation import EvaluationOrder, EvaluationReport
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.reference import parse_identity_key

T = TypeVar("T")


def _wire(shape: type) -> Any:
    """The same fields, with the identity as its key: it is a union of two classes, which JSON does not tell apart."""
    fields = [(name, str if name == "identity" else kind) for name, kind in get_type_hints(shape).items()]
    return msgspec.defstruct("Document", fields, frozen=True, forbid_unknown_fields=True)


_WIRES: dict[type, Any] = {shape: _wire(shape) for shape in (EvaluationOrder, EvaluationReport, MonitorOrder, MonitorReport)}
_NONCE_CHARACTERS = 32
_HEX = frozenset("0123456789abcdef")


def encode_evaluation_order(order: EvaluationOrder) -> bytes:
    """An order as JSON bytes; it holds the token of the endpoint."""
    return _encode(order)


def decode_evaluation_order(data: bytes) -> EvaluationOrder:
    """Read an order.

    Raises:
        MalformedError: not what ``encode_evaluation_order`` writes.
        LimitExceededError: larger than any order.
    """
    order = _decode(data, EvaluationOrder, limits.EVALUATION_ORDER_BYTES)
    _check_nonce(order.nonce)
    if not 0 < order.deadline_seconds <= limits.EVALUATION_SECONDS:
        raise MalformedError(f"got a deadline of {order.deadline_seconds} s, expected at most {limits.EVALUATION_SECONDS}")
    return order


def encode_evaluation_report(report: EvaluationReport) -> bytes:
    """A report as JSON bytes.

    Raises:
        LimitExceededError: nobody would read it.
    """
    data = _encode(report)
    if len(data) > limits.EVALUATION_REPORT_BYTES:
        raise LimitExceededError(f"got a report of {len(data)} bytes, expected at most {limits.EVALUATION_REPORT_BYTES}")
    return data


def decode_evaluation_report(data: bytes) -> EvaluationReport:
    """Read a report.

    Raises:
        MalformedError: not what ``encode_evaluation_report`` writes.
        LimitExceededError: larger than any report.
    """
    report = _decode(data, EvaluationReport, limits.EVALUATION_REPORT_BYTES)
    _check_nonce(report.nonce)
    return report


def encode_monitor_order(order: MonitorOrder) -> bytes:
    """An order of one round as JSON bytes; it holds the token of the server."""
    return _encode(order)


def decode_monitor_order(data: bytes) -> MonitorOrder:
    """Read an order of one round.

    Raises:
        MalformedError: not what ``encode_monitor_order`` writes.
        LimitExceededError: larger than any order.
    """
    order = _decode(data, MonitorOrder, limits.EVALUATION_ORDER_BYTES)
    _check_nonce(order.nonce)
    if not 0 < order.deadline_seconds <= limits.MONITOR_SECONDS:
        raise MalformedError(f"got a deadline of {order.deadline_seconds} s, expected at most {limits.MONITOR_SECONDS}")
    return order


def encode_monitor_report(report: MonitorReport) -> bytes:
    """A report of one round as JSON bytes.

    Raises:
        LimitExceededError: nobody would read it.
    """
    data = _encode(report)
    if len(data) > limits.MONITOR_REPORT_BYTES:
        raise LimitExceededError(f"got a report of {len(data)} bytes, expected at most {limits.MONITOR_REPORT_BYTES}")
    return data


def decode_monitor_report(data: bytes) -> MonitorReport:
    """Read a report of one round.

    Raises:
        MalformedError: not what ``encode_monitor_report`` writes.
        LimitExceededError: larger than any report.
    """
    report = _decode(data, MonitorReport, limits.MONITOR_REPORT_BYTES)
    _check_nonce(report.nonce)
    return report


def _decode(data: bytes, shape: type[T], max_bytes: int) -> T:
    if len(data) > max_bytes:
        raise LimitExceededError(f"got a document of {len(data)} bytes, expected at most {max_bytes}")
    try:
        fields = _fields(msgspec.json.decode(data, type=_WIRES[shape]))
        value = shape(**{**fields, "identity": parse_identity_key(fields["identity"])})
    except (msgspec.DecodeError, UnicodeError, RecursionError, InvalidReferenceError) as error:
        raise MalformedError(f"got a document of another shape: {quote(error)}") from error
    if _encode(value) != data:
        raise MalformedError("got a document in another spelling than ours")
    return value


def _encode(value: Any) -> bytes:
    wire = _WIRES[type(value)]
    fields = {name: getattr(value, name) for name in wire.__struct_fields__}
    return msgspec.json.encode(wire(**{**fields, "identity": value.identity.key}))


def _fields(wire: Any) -> dict[str, Any]:
    return {name: getattr(wire, name) for name in wire.__struct_fields__}


def _check_nonce(text: str) -> None:
    if len(text) != _NONCE_CHARACTERS or not set(text) <= _HEX:
        raise MalformedError(f"got nonce {quote(text)}, expected {_NONCE_CHARACTERS} hexadecimal digits")
