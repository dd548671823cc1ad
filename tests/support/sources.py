"""A source in memory, with the behaviour of a real one, and sources that misbehave."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from modeltrust.domain.errors import NotFoundError
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision

Raise = Callable[[], None]


def nothing() -> None:
    """Raise nothing."""


def raising(error: Exception) -> Raise:
    """A call that raises."""

    def call() -> None:
        raise error

    return call


def git_blob(data: bytes) -> str:
    """40 hex: git's id of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def entry(path: str, data: bytes, *, sha256: bool = True, git_sha1: bool = False) -> FileEntry:
    """As a source lists these bytes."""
    digest = hashlib.sha256(data).hexdigest() if sha256 else None
    return FileEntry(path, len(data), digest, git_blob(data) if git_sha1 else None)


@dataclass
class MemorySource:
    """One model in memory; implements ``domain.source.Source``.

    Attributes:
        files: bytes by path.
        entries: what is listed, when that is not simply the files with their sha256.
        reference: as listed; None for a folder.
        revision: as listed.
        bytes_read: as listed.
        bundles: signature documents.
        on_list, on_read, on_signatures: called first; may raise.
        reads: every (path, start, length) asked for.
    """

    files: dict[str, bytes]
    entries: tuple[FileEntry, ...] | None = None
    reference: ModelReference | None = None
    revision: Revision = NO_REVISION
    bytes_read: bool = False
    bundles: tuple[bytes, ...] = ()
    on_list: Raise = nothing
    on_read: Raise = nothing
    on_signatures: Raise = nothing
    reads: list[tuple[str, int, int]] = field(default_factory=list)

    def list(self) -> SourceListing:
        """Every file."""
        self.on_list()
        entries = tuple(entry(path, data) for path, data in self.files.items()) if self.entries is None else self.entries
        return SourceListing(self.reference, self.revision, entries, bytes_read=self.bytes_read)

    def read(self, path: str, start: int, length: int) -> bytes:
        """Part of a file."""
        self.on_read()
        self.reads.append((path, start, length))
        if path not in self.files:
            raise NotFoundError(f"no file {path}")
        return self.files[path][start : start + length]

    def signatures(self) -> tuple[bytes, ...]:
        """The documents."""
        self.on_signatures()
        return self.bundles
