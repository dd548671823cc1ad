"""What a source says is there: every file of one model at one revision."""

from dataclasses import dataclass
from enum import StrEnum

from modeltrust.domain.reference import ModelReference, Revision


class FileKind(StrEnum):
    """What an entry of a listing is; everything but FILE is refused by formats."""

    FILE = "file"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    SUBMODULE = "submodule"
    ARCHIVE = "archive"  # an OCI layer that packs files: its members cannot be seen
    SPECIAL = "special"  # device, socket, pipe


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file.

    Attributes:
        path: as the source states it, "/" separated; not yet checked.
        size: in bytes.
        sha256: 64 hex where the source states or we computed it, else None.
        git_sha1: 40 hex of the git blob where the source is a git repository, else None.
        kind: what it is.
    """

    path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None
    kind: FileKind = FileKind.FILE


@dataclass(frozen=True, slots=True)
class SourceListing:
    """All files of one model; complete, never partial. A source that cannot list completely raises instead.

    Attributes:
        reference: what was listed; None for a folder that nobody named.
        revision: at which revision.
        files: every file, residue included.
        bytes_read: whether every digest was computed by us from the bytes (assurance BytesHashed), not stated by the source.
    """

    reference: ModelReference | None
    revision: Revision
    files: tuple[FileEntry, ...]
    bytes_read: bool = False
