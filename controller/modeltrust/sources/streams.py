"""Bytes that come in pieces, read in lengths that somebody asks for."""

from collections.abc import Iterator

from modeltrust.domain.errors import MalformedError


class Stream:
    """Reads pieces from their start to their end, once.

    Attributes:
        at: how many bytes have been read.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.at = 0
        self._pieces = pieces
        self._left = memoryview(b"")

    def some(self, most: int) -> memoryview:
        """At least one byte and at most so many, without a copy; none at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return self._left
            self._left = memoryview(piece)
        found, self._left = self._left[:most], self._left[most:]
        self.at += len(found)
        return found

    def read(self, length: int) -> bytes:
        """So many bytes, fewer only at the end."""
        found = bytearray()
        while len(found) < length and (part := self.some(length - len(found))):
            found += part
        return bytes(found)

    def exactly(self, length: int) -> bytes:
        """So many bytes.

        Raises:
            MalformedError: the end comes before.
        """
        found = self.read(length)
        if len(found) != length:
            raise _ended()
        return found

    def parts(self, length: int) -> Iterator[memoryview]:
        """So many bytes, in pieces.

        Raises:
            MalformedError: the end comes before.
        """
        while length:
            part = self.some(length)
            if not part:
                raise _ended()
            length -= len(part)
            yield part

    def skip(self, length: int) -> None:
        """Read so many bytes and keep none.

        Raises:
            MalformedError: the end comes before.
        """
        for _ in self.parts(length):
            pass


def _ended() -> MalformedError:
    return MalformedError("got an archive that ends inside of an entry")
