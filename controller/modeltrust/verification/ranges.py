"""What was read in part must be what is hashed as a whole.

A source that serves one header to the inspection and other bytes to the hash would get a clean report about bytes that nobody
inspected ("verified reference is not the used reference", design/threat-model.md, classes seen elsewhere). So the inspection's
reads are remembered, by digest, and compared while the file is hashed.
"""

import hashlib
from dataclasses import dataclass, field

from modeltrust.domain.source import RangeReader


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes that somebody was given.

    Attributes:
        start: of the file's bytes.
        length: how many were asked for; the end of the file may come first.
        sha256: over what was returned.
    """

    start: int
    length: int
    sha256: bytes


@dataclass(slots=True)
class Remembering:
    """A reader that remembers what it gave; implements ``RangeReader``.

    Attributes:
        reader: does the reading.
        ranges: what was given, by path, each range once.
    """

    reader: RangeReader
    ranges: dict[str, set[Range]] = field(default_factory=dict)

    def read(self, path: str, start: int, length: int) -> bytes:
        """As the reader answers."""
        data = self.reader.read(path, start, length)
        self.ranges.setdefault(path, set()).add(Range(start, length, hashlib.sha256(data).digest()))
        return data


class Comparison:
    """Compares one file, streamed from its start, with the ranges that were given of it."""

    def __init__(self, ranges: set[Range]) -> None:
        self._pending = [(wanted, hashlib.sha256()) for wanted in ranges]
        self._at = 0
        self._same = True

    def update(self, data: bytes) -> None:
        """The next bytes of the file."""
        end = self._at + len(data)
        unfinished = []
        for wanted, hasher in self._pending:
            stop = wanted.start + wanted.length
            if wanted.start < end and stop > self._at:
                hasher.update(data[max(0, wanted.start - self._at) : stop - self._at])
            if stop > end:
                unfinished.append((wanted, hasher))
            else:
                self._same = self._same and hasher.digest() == wanted.sha256
        self._pending, self._at = unfinished, end

    def equal(self) -> bool:
        """Whether every range was given as it is in the file that streamed by: no other, no more and no fewer bytes."""
        return self._same and all(hasher.digest() == wanted.sha256 for wanted, hasher in self._pending)
