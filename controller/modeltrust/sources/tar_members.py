"""The entries of one tar, in order, from a stream: paths in one form only, and no byte that readers take differently."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.sources import tar_header, tar_pax
from modeltrust.sources.streams import Stream
from modeltrust.sources.tar_header import BLOCK, Header

_ZEROS = bytes(BLOCK)
_OCTAL_SIZES = 1 << 33  # sizes from here on do not fit a header's octal digits


class MemberKind(StrEnum):
    """What an entry is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    SPECIAL = "special"


_KINDS = {
    tar_header.FILE: MemberKind.FILE,
    tar_header.HARDLINK: MemberKind.HARDLINK,
    tar_header.SYMLINK: MemberKind.SYMLINK,
    tar_header.FOLDER: MemberKind.FOLDER,
    tar_header.CHARACTER: MemberKind.SPECIAL,
    tar_header.BLOCK_DEVICE: MemberKind.SPECIAL,
    tar_header.FIFO: MemberKind.SPECIAL,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One entry.

    Attributes:
        path: "/" separated, without empty, "." and ".." parts; empty for the root itself.
        kind: what it is.
        size: of its bytes; 0 for all but files.
        start: of its bytes in the tar.
        link: path of a hard link's target, in the same form; of a symbolic link what is written in it; else empty.
    """

    path: str
    kind: MemberKind
    size: int
    start: int
    link: str


@dataclass(frozen=True, slots=True)
class _Extension:
    path: str | None = None
    link: str | None = None
    size: int | None = None


def members(stream: Stream) -> Iterator[Member]:
    """Every entry; its bytes may be read from the stream before the next one is asked for, and all or none of them.

    Raises:
        MalformedError: not a tar that every reader reads alike.
        LimitExceededError: an extended header or path is too long.
    """
    while (header := _next(stream)) is not None:
        header, extension = _extended(stream, header)
        member = _member(header, extension, stream.at)
        yield member
        if stream.at == member.start:
            stream.skip(member.size)
        stream.skip(-member.size % BLOCK)


def _next(stream: Stream) -> Header | None:
    block = stream.read(BLOCK)
    if block and len(block) < BLOCK:
        raise MalformedError(f"got {len(block)} bytes at the end of a tar, expected blocks of {BLOCK}")
    if not block:
        return None
    if block != _ZEROS:
        return tar_header.parse(block)
    while rest := stream.read(limits.HASH_CHUNK_BYTES):
        if rest.strip(b"\0"):
            # an archive behind the end of the archive: some readers go on there
            raise MalformedError("got bytes behind the end of a tar, expected zeros only")
    return None


def _extended(stream: Stream, header: Header) -> tuple[Header, _Extension]:
    """The header of an entry, and what the extended headers before it say."""
    extension = _Extension()
    while header.type in {tar_header.PAX, tar_header.LONG_NAME, tar_header.LONG_LINK}:
        tar_pax.check_size(header.size)
        data = stream.exactly(header.size)
        stream.skip(-header.size % BLOCK)
        extension = _with(extension, header.type, data)
        following = _next(stream)
        if following is None:
            raise MalformedError("got a tar that ends behind an extended header")
        header = following
    return header, extension


def _with(extension: _Extension, kind: bytes, data: bytes) -> _Extension:
    if kind == tar_header.PAX:
        if extension != _Extension():
            raise MalformedError("got two extended headers for one entry of a tar")
        records = tar_pax.parse(data)
        return _Extension(records.get("path"), records.get("linkpath"), tar_pax.size_of(records))
    attribute = "path" if kind == tar_header.LONG_NAME else "link"
    if extension.size is not None or getattr(extension, attribute) is not None:
        raise MalformedError("got two extended headers for one entry of a tar")
    if not data.endswith(b"\0"):
        raise MalformedError("got a long name in a tar that does not end in NUL")
    value = tar_header.decoded(tar_header.text(data, "long name"), "long name")
    if not value:
        raise MalformedError("got an empty long name in a tar")
    return replace(extension, path=value) if kind == tar_header.LONG_NAME else replace(extension, link=value)


def _member(header: Header, extension: _Extension, start: int) -> Member:
    kind = _KINDS[header.type]
    size = _size(header, extension)
    name = tar_header.decoded(header.name, "name") if extension.path is None else extension.path
    link = tar_header.decoded(header.link, "link name") if extension.link is None else extension.link
    if kind is MemberKind.SPECIAL and header.type == tar_header.CHARACTER and header.device == (0, 0):
        raise MalformedError(f"got device {quote(name)} with number 0/0, which hides a file of a lower layer on an overlay mount")
    if kind is MemberKind.HARDLINK:
        link = _path(link, folder=False)
    elif kind is MemberKind.SYMLINK and not link:
        raise MalformedError(f"got symbolic link {quote(name)} to nowhere")
    return Member(_path(name, folder=kind is MemberKind.FOLDER), kind, size, start, link if "link" in kind.value else "")


def _size(header: Header, extension: _Extension) -> int:
    if extension.size is None or extension.size == header.size:
        return header.size
    # A reader that knows no extended headers would find headers of the attacker's in the file (CVE-2025-62518); a file too large
    # for a header has no other way.
    if header.type not in tar_header.WITH_BYTES or extension.size < _OCTAL_SIZES:
        raise MalformedError(f"got size {header.size} in a tar header and {extension.size} in its extension, expected one size")
    return extension.size


def _path(name: str, *, folder: bool) -> str:
    """The one form of a path; what some readers would repair, each in its own way, is refused."""
    path = name.removesuffix("/") if folder else name
    if folder and path in {".", ""} and name:
        return ""
    path = path.removeprefix("./")
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in path:
        raise MalformedError(f'got path {quote(name)} in a tar, expected a relative path without empty, "." and ".." parts')
    if len(parts) > limits.TAR_PATH_PARTS or len(path) > limits.PATH_CHARACTERS:
        raise LimitExceededError(f"got path {quote(name)} in a tar, expected at most {limits.PATH_CHARACTERS} characters")
    if any(len(part.encode()) > limits.TAR_NAME_BYTES for part in parts):
        raise MalformedError(f"got path {quote(name)} in a tar, a part of which no filesystem takes")
    return path
