"""What a model is, by all its files: from a listing, and from bytes where the listing states too few digests."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, content_digest, is_residue
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.source import RangeReader
from modeltrust.verification.ranges import Comparison, Range

_NOT_COUNTED = "0" * 64  # stands for residue without a digest, which never enters; its path is still checked for twins


def content_of(listing: SourceListing) -> ContentDigest:
    """The content digest of a listing.

    Raises:
        MalformedError: an entry that counts is no ordinary file, a path is not canonical, or nothing counts.
        UnavailableError: the listing states no sha256 for a file that counts.
        LimitExceededError: too many files.
    """
    return content_digest((entry.path, _digest(entry)) for entry in listing.files)


def complete(
    listing: SourceListing, reader: RangeReader, *, read_bytes: bool, given: Mapping[str, set[Range]] | None = None
) -> SourceListing:
    """The listing with the digests that reading adds.

    Small files of a git repository are read and compared with their blob id, since their sha256 is stated nowhere (facts/signing.md
    section 7.1). With ``read_bytes`` every file is read and hashed, and must be what the source states.

    Args:
        listing: as the source gave it.
        reader: of the same source at the same revision.
        read_bytes: whether every byte must be read.
        given: what was read of the files before, by path; it must be part of what is hashed.

    Raises:
        MalformedError: bytes differ from the digest that the source states for them, or from those read before.
        LimitExceededError: more bytes than anybody may order.
        NotFoundError, UnavailableError: the source does not answer.
    """
    if listing.bytes_read:
        return listing
    chosen = [entry for entry in listing.files if _is_read(entry, read_bytes=read_bytes)]
    bound = limits.MODEL_BYTES if read_bytes else limits.EXAMINED_BYTES
    if sum(entry.size for entry in chosen) > bound:
        raise LimitExceededError(f"got more than {bound} bytes to hash")
    before = given or {}
    for entry in listing.files:
        _check_whole(entry, before.get(entry.path, set()))
    hashed = {e.path: dataclasses.replace(e, sha256=_hash(e, reader, before.get(e.path, set()))) for e in chosen}
    files = tuple(hashed.get(entry.path, entry) for entry in listing.files)
    return dataclasses.replace(listing, files=files, bytes_read=read_bytes)


def _digest(entry: FileEntry) -> str:
    if is_residue(entry.path):
        return entry.sha256 or _NOT_COUNTED
    if entry.kind is not FileKind.FILE:
        raise MalformedError(f"got {quote(entry.path)}, which is a {entry.kind.value}, expected ordinary files only")
    if entry.sha256 is None:
        raise UnavailableError(f"the source states no sha256 of {quote(entry.path)}")
    return entry.sha256


def _check_whole(entry: FileEntry, given: set[Range]) -> None:
    """A file that was read in one piece is what the source states, whether or not it is hashed again."""
    stated = entry.sha256
    if stated is not None and any(r.start == 0 and r.length >= entry.size and r.sha256.hex() != stated for r in given):
        raise MalformedError(f"got bytes of {quote(entry.path)} with another sha256 than the source states")


def _is_read(entry: FileEntry, *, read_bytes: bool) -> bool:
    if entry.kind is not FileKind.FILE or is_residue(entry.path):
        return False
    return read_bytes or (entry.sha256 is None and entry.git_sha1 is not None and entry.size <= limits.GIT_FILE_BYTES)


def _hash(entry: FileEntry, reader: RangeReader, given: set[Range]) -> str:
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % entry.size, usedforsecurity=False)
    comparison = Comparison(given)
    by_blob = entry.git_sha1 is not None and entry.sha256 is None
    for data in _chunks(entry, reader):
        sha256.update(data)
        comparison.update(data)
        if by_blob:  # a second hash would halve the rate of what needs none
            blob.update(data)
    if not comparison.equal():
        raise MalformedError(f"got other bytes of {quote(entry.path)} than when it was inspected")
    if entry.sha256 not in {None, sha256.hexdigest()}:
        raise MalformedError(f"got bytes of {quote(entry.path)} with another sha256 than the source states")
    if by_blob and entry.git_sha1 != blob.hexdigest():
        raise MalformedError(f"got bytes of {quote(entry.path)} with another git blob id than the source states")
    return sha256.hexdigest()


def _chunks(entry: FileEntry, reader: RangeReader) -> Iterator[bytes]:
    """The whole file, and proof that it ends where the listing says."""
    starts = range(0, entry.size, limits.READ_BYTES)
    if len(starts) > 1:
        with ThreadPoolExecutor(1) as ahead:  # the next piece is read while this one is hashed; hashlib lets threads run
            yield from _pieces(entry, starts, lambda start: ahead.submit(_read, entry, reader, start).result)
    else:
        yield from (_read(entry, reader, start) for start in starts)
    if entry.sha256 is None and entry.git_sha1 is None and reader.read(entry.path, entry.size, 1):
        raise MalformedError(f"got more bytes of {quote(entry.path)} than the {entry.size} listed")


def _pieces(entry: FileEntry, starts: range, begin: Callable[[int], Callable[[], bytes]]) -> Iterator[bytes]:
    following = begin(0)
    for start in starts:
        data = following()
        if start + limits.READ_BYTES < entry.size:
            following = begin(start + limits.READ_BYTES)
        yield data


def _read(entry: FileEntry, reader: RangeReader, start: int) -> bytes:
    length = min(limits.READ_BYTES, entry.size - start)
    data = reader.read(entry.path, start, length)
    if len(data) != length:
        raise UnavailableError(f"got {len(data)} bytes of {quote(entry.path)} from {start}, expected {length}")
    return data
