"""Random choices that an auditor can repeat in any language: a counter stream of HMAC-SHA256 under a key from HKDF."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
_WORD_BYTES = 8
_WORDS = 1 << (8 * _WORD_BYTES)


def hkdf(secret: bytes, *, salt: bytes, purpose: str) -> bytes:
    """32 bytes, as RFC 5869 with SHA-256 and one block of output."""
    pseudo = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(pseudo, purpose.encode() + b"\x01", hashlib.sha256)


class Draw:
    """A stream of choices that follows from a key alone."""

    __slots__ = ("_count", "_key")

    def __init__(self, key: bytes) -> None:
        """Start the stream of a key."""
        self._key, self._count = key, 0

    def below(self, bound: int) -> int:
        """A uniform integer in [0, bound); words that would favour small ones are skipped.

        Raises:
            ValueError: bound is not positive.
        """
        if bound < 1:
            raise ValueError(f"got bound {bound}, expected at least 1")
        while True:
            self._count += 1
            word = int.from_bytes(hmac.digest(self._key, self._count.to_bytes(8, "big"), hashlib.sha256)[:_WORD_BYTES], "big")
            if word < _WORDS - _WORDS % bound:
                return word % bound

    def choice(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[self.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """Distinct places of the sequence, in random order; all of them at most."""
        left = list(options)
        for place in range(min(count, len(left))):
            other = place + self.below(len(left) - place)
            left[place], left[other] = left[other], left[place]
        return left[:count]
