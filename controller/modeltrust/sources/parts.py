"""Reading a part of one file over HTTP, and the signatures among a model's files."""

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeAlias

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError, quote
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.source import RangeReader
from modeltrust.sources.http import Response

SIGNATURE_NAME = "model.sig"  # the OMS convention (facts: model-signing's default)
OK, PARTIAL = 200, 206

Fetch: TypeAlias = Callable[[Mapping[str, str], int], Response]
"""(headers, max_bytes) → the answer for the file; cut at max_bytes."""


def clipped(start: int, length: int, size: int) -> int:
    """How many bytes of a range lie inside a file.

    Raises:
        MalformedError: a negative range.
    """
    if start < 0 or length < 0:
        raise MalformedError(f"got start {start} and length {length}, expected none below 0")
    return max(0, min(length, size - start))


def read_part(fetch: Fetch, what: str, *, start: int, length: int, size: int) -> bytes:
    """Exactly the bytes ``[start, start + length)``, which must lie inside the file.

    A server that ignores Range is read from the start and cut off, within a bound.

    Args:
        fetch: asks for the file.
        what: for messages.
        start: of the range.
        length: at least 1.
        size: of the file, as listed; the answer must agree.

    Raises:
        UnavailableError: another status, another range, another size or other than so many bytes.
        LimitExceededError: the server ignores Range, and the part lies too far inside.
    """
    end = start + length
    response = fetch({"range": f"bytes={start}-{end - 1}"}, max(length, min(end, limits.UNRANGED_BYTES)))
    if response.status == OK:
        if end > limits.UNRANGED_BYTES and start > 0:
            raise LimitExceededError(f"got {what} from its start, since the server knows no ranges; it is too long for that")
        if response.headers.get("content-length") != str(size):
            raise UnavailableError(f"got {what} with another size than listed, expected {size} bytes")
        body = response.body[start:end]
    else:
        if response.status != PARTIAL:
            raise UnavailableError(f"got status {response.status} for {what}, expected {PARTIAL}")
        if response.headers.get("content-range", "").lower() != f"bytes {start}-{end - 1}/{size}":
            raise UnavailableError(f"got another range of {what} than was asked for, or another size than listed")
        if response.headers.get("content-length", str(length)) != str(length):
            raise UnavailableError(f"got another number of bytes of {what} than its range has")
        body = response.body
    if len(body) != length:
        raise UnavailableError(f"got {len(body)} bytes of {what}, expected {length}")
    return body


def signature_files(listing: SourceListing, reader: RangeReader, paths: tuple[str, ...]) -> tuple[bytes, ...]:
    """The signature documents among a model's files: those named, then ``model.sig``.

    Args:
        listing: of the model.
        reader: of the same model.
        paths: where else signatures are; one that is not there vouches for nothing.

    Raises:
        UnavailableError: one is listed and cannot be read, or is not what its digest says.
        MalformedError: one is no ordinary file.
        LimitExceededError: too many or too large.
    """
    entries = {entry.path: entry for entry in listing.files}
    named = (entries[path] for path in dict.fromkeys((*paths, SIGNATURE_NAME)) if path in entries)
    wanted = [entry for entry in named if entry.kind is not FileKind.ARCHIVE]  # packed files are no document
    if len(wanted) > limits.BUNDLES_PER_MODEL:
        raise LimitExceededError(f"got {len(wanted)} signatures, expected at most {limits.BUNDLES_PER_MODEL}")
    return tuple(_document(entry, reader) for entry in wanted)


def _document(entry: FileEntry, reader: RangeReader) -> bytes:
    if entry.kind is not FileKind.FILE:
        raise MalformedError(f"got signature {quote(entry.path)}, which is a {entry.kind.value}, expected an ordinary file")
    if entry.size > limits.BUNDLE_BYTES:
        raise LimitExceededError(
            f"got signature bundle of {entry.size} bytes, {quote(entry.path)}, expected at most {limits.BUNDLE_BYTES}"
        )
    data = reader.read(entry.path, 0, entry.size)
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    if entry.sha256 not in {None, hashlib.sha256(data).hexdigest()} or entry.git_sha1 not in {None, blob}:
        raise UnavailableError(f"got other bytes of signature {quote(entry.path)} than the source states")
    return data
