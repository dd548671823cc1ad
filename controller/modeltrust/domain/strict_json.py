"""JSON that two parsers cannot read differently.

Refused: duplicate keys (also those equal only after unescaping), NaN, Infinity and numbers that become infinite, invalid UTF-8,
a byte order mark, lone surrogates, more than the given bytes or levels. Why: sigstore-python accepts duplicate keys, and
``json.loads(bytes)`` guesses UTF-16.
"""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote

_LARGEST = 1.7976931348623157e308  # the largest double


def loads(
    data: bytes,
    *,
    max_bytes: int,
    max_depth: int = limits.JSON_DEPTH,
    parse_int: Callable[[str], int] | None = None,
) -> Any:
    """Parse one JSON document.

    Args:
        data: the document, UTF-8.
        max_bytes: size bound in bytes.
        max_depth: bound on nested arrays and objects.
        parse_int: reads integer literals; raises ValueError to refuse one.

    Raises:
        LimitExceededError: the document is too large or too deep.
        MalformedError: the document is not strict JSON.
    """
    if len(data) > max_bytes:
        raise LimitExceededError(f"got a JSON document of {len(data)} bytes, expected at most {max_bytes}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"not UTF-8 at byte {error.start}") from error
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=parse_int)
    except RecursionError as error:
        raise LimitExceededError(f"JSON is nested deeper than {max_depth} levels") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:
        raise MalformedError(f"not strict JSON: {quote(error)}") from error
    _check_depth(value, max_depth)
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(value)
    return value


def dumps(value: Any) -> bytes:
    """Canonical JSON bytes: UTF-8, no spaces, no escapes beyond what JSON requires, keys as given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key {key}")
            seen.add(key)
    return result


def _finite(literal: str) -> float:
    value = float(literal)
    if not -_LARGEST <= value <= _LARGEST:
        raise ValueError(f"{literal} is beyond double precision")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _check_depth(value: Any, max_depth: int) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(max_depth):
        if not level:
            return
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, (dict, list))
        ]
    if level:
        raise LimitExceededError(f"JSON is nested deeper than {max_depth} levels")


def _check_surrogates(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            try:
                item.encode("utf-8")
            except UnicodeEncodeError as error:
                raise MalformedError("JSON string holds a lone surrogate") from error
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
