"""Reading parsed JSON: every key named, nothing unknown, nothing of another type."""

from collections.abc import Set as AbstractSet
from typing import Any

from modeltrust.domain.errors import MalformedError, quote


def fields(value: Any, name: str, *, required: AbstractSet[str], optional: AbstractSet[str] = frozenset()) -> dict[str, Any]:
    """An object with all of the required keys and none beyond the optional ones.

    Args:
        value: parsed JSON.
        name: what it should be, for the message.
        required: keys that must be there.
        optional: keys that may be.

    Raises:
        MalformedError: anything else.
    """
    if not isinstance(value, dict):
        raise MalformedError(f"got {type(value).__name__}, expected {name} as an object")
    missing = sorted(required - value.keys())
    unknown = sorted(value.keys() - required - optional)
    if missing or unknown:
        raise MalformedError(f"got {'no' if missing else 'unknown'} {quote((missing or unknown)[0])} in {name}")
    return value


def text(value: Any, name: str) -> str:
    """A string.

    Raises:
        MalformedError: anything else.
    """
    if not isinstance(value, str):
        raise MalformedError(f"got {name} of type {type(value).__name__}, expected a string")
    return value
