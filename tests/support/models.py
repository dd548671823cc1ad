"""Builders of models: the small real one that everything signs, serves and tampers with, and models in memory."""

from collections.abc import Mapping
from pathlib import Path

from modeltrust.cli.sample_model import sample_files, write_model
from modeltrust.domain.errors import NotFoundError
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reference import NO_REVISION, ModelReference

__all__ = ["MemoryModel", "sample_files", "write_files", "write_model"]


class MemoryModel:
    """A model held in memory: lists and reads as a source does, and counts what is read.

    Attributes:
        files: path to bytes; bytes may be left out of a size larger than they are through ``sizes``.
        kinds: paths that are no plain files.
        reads: (path, start, length) of every read.
    """

    def __init__(
        self, files: Mapping[str, bytes], kinds: Mapping[str, FileKind] | None = None, reference: ModelReference | None = None
    ) -> None:
        self.files = dict(files)
        self.kinds = dict(kinds or {})
        self.reference = reference
        self.reads: list[tuple[str, int, int]] = []

    def list(self) -> SourceListing:
        """Every file, and every entry that is none."""
        entries = [FileEntry(path, len(data), kind=self.kinds.get(path, FileKind.FILE)) for path, data in self.files.items()]
        entries += [FileEntry(path, 0, kind=kind) for path, kind in self.kinds.items() if path not in self.files]
        return SourceListing(self.reference, NO_REVISION, tuple(entries))

    def read(self, path: str, start: int, length: int) -> bytes:
        """Part of a file."""
        self.reads.append((path, start, length))
        if path not in self.files:
            raise NotFoundError(f"no file {path}")
        return self.files[path][start : start + length]


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a model held in memory into a folder."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
