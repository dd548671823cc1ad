"""How documents between our own processes are read: bounded, and only if they are byte for byte what writing them again gives.

Both sides are of one version of the image, so there is no unknown, missing or duplicate key, and no second spelling.
"""

from typing import Any, TypeVar

import msgspec

from modeltrust.domain.errors import LimitExceededError, MalformedError, quote

T = TypeVar("T")
_NONCE_CHARACTERS = 32
_HEX = frozenset("0123456789abcdef")


def read(data: bytes, shape: Any, *, max_bytes: int) -> Any:
    """A document of this shape.

    Raises:
        MalformedError: not of this shape.
        LimitExceededError: larger than any.
    """
    if len(data) > max_bytes:
        raise LimitExceededError(f"got a document of {len(data)} bytes, expected at most {max_bytes}")
    try:
        return msgspec.json.decode(data, type=shape)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(f"got a document of another shape: {quote(error)}") from error


def same(value: T, data: bytes, again: bytes) -> T:
    """The value that was read, if writing it again gives what was read.

    Raises:
        MalformedError: it does not.
    """
    if again != data:
        raise MalformedError("got a document in another spelling than ours")
    return value


def bounded_report(data: bytes, *, max_bytes: int) -> bytes:
    """A report that was written, if anybody would read it.

    Raises:
        LimitExceededError: nobody would.
    """
    if len(data) > max_bytes:
        raise LimitExceededError(f"got a report of {len(data)} bytes, expected at most {max_bytes}")
    return data


def nonce(text: str) -> str:
    """A nonce as it must be.

    Raises:
        MalformedError: it is not.
    """
    if len(text) != _NONCE_CHARACTERS or not set(text) <= _HEX:
        raise MalformedError(f"got nonce {quote(text)}, expected {_NONCE_CHARACTERS} hexadecimal digits")
    return text
