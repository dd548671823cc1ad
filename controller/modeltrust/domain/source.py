"""What other packages see of a source."""

from typing import Protocol

from modeltrust.domain.listing import SourceListing


class RangeReader(Protocol):
    """Reads parts of the files of one model at one fixed revision."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """Exactly the bytes ``[start, start + length)`` of a file, fewer only at its end.

        Raises:
            NotFoundError: no such file.
            UnavailableError: the source does not answer, or answers something else than was asked for.
        """
        ...


class Source(RangeReader, Protocol):
    """One model at one fixed revision: list it, read parts of it, find its signatures."""

    def list(self) -> SourceListing:
        """Every file.

        Raises:
            NotFoundError: no such model.
            UnavailableError: the source does not answer completely.
            MalformedError: the source's answer makes no sense.
        """
        ...

    def signatures(self) -> tuple[bytes, ...]:
        """The signature bundles at the source, bounded in number and size, oldest convention last; empty if there is none.

        Raises:
            UnavailableError: the source does not answer.
        """
        ...
