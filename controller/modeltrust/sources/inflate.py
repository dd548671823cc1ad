"""Decompression of a layer, bounded: what comes out of how much, in pieces that fit into memory.

The media type says how a layer is packed, and its first bytes must say the same: containerd goes by the type for some and by the
bytes for others, CRI-O by the bytes. gzip of several members is one stream (RFC 1952), as it is for Go, pigz and Python; bytes
that are no member are an error for Go and ignored by pigz, so they are refused.
"""

import sys
import zlib
from collections.abc import Iterator
from enum import StrEnum

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_WINDOW = 31  # zlib: a gzip header and trailer, checked
_MAGICS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = b"\x2a\x4d\x18"  # zstd: bytes 1 to 3 of a frame that is skipped
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 27}  # 128 MiB, as the zstd program unless told otherwise
_PIECE_BYTES = 1024 * 1024


class Compression(StrEnum):
    """How a layer is packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class Budget:
    """Unpacked bytes that may still come, over all layers of a model.

    Attributes:
        left: bytes.
    """

    def __init__(self, most: int) -> None:
        self.left = most
        self._most = most

    def take(self, count: int) -> None:
        """Use some of it.

        Raises:
            LimitExceededError: there is not as much left.
        """
        self.left -= count
        if self.left < 0:
            raise LimitExceededError(f"got layers that unpack to more than {self._most} bytes")


def unpacked(pieces: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """The tar in a layer.

    Args:
        pieces: the blob, from its start.
        compression: as its media type says.

    Raises:
        MalformedError: packed in another way, damaged, cut short, or with bytes behind its end.
        LimitExceededError: it unpacks to far more than it is.
    """
    first = next(pieces, b"")
    _check_magic(first, compression)
    if compression is Compression.NONE:
        return _joined(first, pieces)
    if compression is Compression.GZIP:
        return _gunzipped(_joined(first, pieces))
    return _unzstd(_joined(first, pieces))


def _joined(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from pieces


def packing(first: bytes) -> str:
    """By what a blob that begins so is packed, as who goes by its bytes sees it; ``none`` where by nothing.

    Args:
        first: its first bytes, six or more where it has as many.
    """
    return next((name for magic, name in _MAGICS.items() if first.startswith(magic)), Compression.NONE.value)


def _check_magic(first: bytes, compression: Compression) -> None:
    found = packing(first)
    if first[1:4] == _SKIPPABLE and first[0] & 0xF0 == 0x50:  # noqa: PLR2004 - RFC 8878, section 3.1.2
        found = "zstd's list of contents"  # zstd:chunked: some nodes unpack by that list, others do not
    if found != compression.value:
        raise MalformedError(f"got a layer whose bytes are packed as {found}, expected {compression.value} as its media type says")


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    inflater, members, read, written = zlib.decompressobj(_GZIP_WINDOW), 1, 0, 0
    for piece in _slices(pieces):
        left, read = piece, read + len(piece)
        while left:
            if inflater.eof:
                inflater, members = zlib.decompressobj(_GZIP_WINDOW), members + 1
                _check_frames(members)
            out = _inflated(inflater, left)
            left = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            written += len(out)
            _check_ratio(read - len(left), written)
            if out:
                yield out
    while not inflater.eof and (out := _inflated(inflater, b"")):
        written += len(out)
        _check_ratio(read, written)
        yield out
    if not inflater.eof:
        raise MalformedError("got a layer whose gzip is cut short")


def _unzstd(pieces: Iterator[bytes]) -> Iterator[bytes]:
    frame: zstd.ZstdDecompressor | None = None
    left, frames, read, written = b"", 0, 0, 0
    for piece in _slices(pieces):
        left, read = left + piece, read + len(piece)
        while left:
            if frame is None:
                if len(left) < len(_ZSTD):
                    break
                frame, frames = _frame(left), frames + 1
                _check_frames(frames)
            for out in _frame_pieces(frame, left):
                written += len(out)
                _check_ratio(read, written)
                yield out
            left, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None or left:
        raise MalformedError("got a layer whose zstd is cut short, or has bytes behind its end")


def _frame(data: bytes) -> zstd.ZstdDecompressor:
    if not data.startswith(_ZSTD):
        # a frame to be skipped may hold zstd:chunked's list of files, by which some nodes go
        raise MalformedError("got bytes between the frames of a zstd layer, or behind them, expected none")
    return zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)


def _frame_pieces(frame: zstd.ZstdDecompressor, data: bytes) -> Iterator[bytes]:
    try:
        while True:
            out = frame.decompress(data, _PIECE_BYTES)
            data = b""
            if out:
                yield out
            if frame.eof or frame.needs_input:
                return
    except zstd.ZstdError as error:
        raise MalformedError(f"got a layer that is no zstd: {error}") from error


def _check_frames(count: int) -> None:
    if count > limits.PACKED_FRAMES:
        raise LimitExceededError(f"got a layer of more than {limits.PACKED_FRAMES} members or frames")


def _slices(pieces: Iterator[bytes]) -> Iterator[bytes]:
    # zlib copies what it has not used yet, once for each piece that comes out
    for piece in pieces:
        for start in range(0, len(piece), limits.HASH_CHUNK_BYTES):
            yield piece[start : start + limits.HASH_CHUNK_BYTES]


def _inflated(inflater: "zlib._Decompress", data: bytes) -> bytes:
    try:
        return inflater.decompress(data, _PIECE_BYTES)
    except zlib.error as error:
        raise MalformedError(f"got a layer that is no gzip, or has bytes behind its end: {error}") from error


def _check_ratio(read: int, written: int) -> None:
    if written > limits.OCI_INFLATED_BYTES + limits.OCI_INFLATION * read:
        raise LimitExceededError(f"got a layer that unpacks to more than {limits.OCI_INFLATION} times its size")
