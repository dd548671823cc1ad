"""A strict walk over the header of a GGUF file: metadata and tensor map, never tensors (facts/formats.md section 7.1).

Layout: ggml's gguf.md. Every count and length is compared with the bytes that are there before it is believed.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats.rules import Problem

Read = Callable[[int, int], bytes]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_CHUNK_BYTES = 1024 * 1024
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_DIMENSIONS = 4
_NAME_BYTES = 65_535
_DEFAULT_ALIGNMENT = 32
_LARGEST_ALIGNMENT = 65_536
# ggml type: (elements in a block, bytes of a block), from ggml's own table of types.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84), 11:
    (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98),
    19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1,
    8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
_KEPT_ARRAYS = frozenset({"tokenizer.ggml.tokens"})


@dataclass(frozen=True, slots=True)
class CheckedGguf:
    """The answer.

    Attributes:
        metadata: keys and values; arrays other than the vocabulary are left out.
        problems: errors; where the header cannot be read further, one.
    """

    metadata: Mapping[str, Any]
    problems: tuple[Problem, ...]


class _RefusedError(Exception):
    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(f"gguf.{rule}", message)


class _Cursor:
    """Reads forward through the header, in chunks, never beyond the file or the bound."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._size = size
        self._buffer = b""
        self._start = 0  # position of the buffer in the file
        self.position = 0

    @property
    def remaining(self) -> int:
        return self._size - self.position

    def take(self, length: int) -> bytes:
        if length > self.remaining:
            raise _RefusedError("header", f"the header needs {length} bytes at {self.position}, {self.remaining} are left")
        if self.position + length > limits.GGUF_HEADER_BYTES:
            raise _RefusedError("too-large", f"the header has more than {limits.GGUF_HEADER_BYTES} bytes")
        begin = self.position - self._start
        if begin + length > len(self._buffer):
            self._fill(length)
            begin = 0
        self.position += length
        return self._buffer[begin : begin + length]

    def _fill(self, length: int) -> None:
        wanted = min(max(length, _CHUNK_BYTES), self.remaining)
        self._buffer, self._start = self._read(self.position, wanted), self.position
        if len(self._buffer) != wanted:
            raise _RefusedError("header", f"the source returned {len(self._buffer)} bytes, expected {wanted}")

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, most: int = limits.GGUF_HEADER_BYTES) -> str:
        length = self.number("<Q")
        if length > most:
            raise _RefusedError("header", f"got a string of {length} bytes, expected at most {most}")
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise _RefusedError("header", "a string is not UTF-8") from error

    def count(self, least_bytes: int, most: int | None = None) -> int:
        """A number of entries that each need at least so many bytes: no more than the file can hold."""
        number: int = self.number("<Q")
        if number * least_bytes > self.remaining:
            raise _RefusedError("header", f"got {number} entries, the {self.remaining} bytes left cannot hold them")
        if most is not None and number > most:
            raise _RefusedError("too-large", f"got {number} entries, expected at most {most}")
        return number


def check_gguf(read: Read, size: int) -> CheckedGguf:
    """Judge one GGUF file by its header.

    Args:
        read: bytes ``[start, start + length)`` of the file, fewer only at its end; its errors pass through.
        size: of the file in bytes.
    """
    metadata: dict[str, Any] = {}
    try:
        _check(_Cursor(read, size), size, metadata)
    except _RefusedError as error:
        return CheckedGguf(metadata, (error.problem,))
    return CheckedGguf(metadata, tuple(_check_tokens(metadata)))


def _check(cursor: _Cursor, size: int, metadata: dict[str, Any]) -> None:
    if cursor.take(min(size, len(_MAGIC))) != _MAGIC:
        raise _RefusedError("header", "the file does not begin with GGUF")
    version = cursor.number("<I")
    if version not in _VERSIONS:
        raise _RefusedError("header", f"got GGUF version {version}, expected 2 or 3")
    tensors = cursor.count(0, limits.GGUF_ENTRIES)
    keys = cursor.count(12, limits.GGUF_ENTRIES)
    for _ in range(keys):
        key = cursor.text(_NAME_BYTES)
        if key in metadata:
            raise _RefusedError("duplicate", f"got the key {quote(key)} twice")
        metadata[key] = _value(cursor, cursor.number("<I"), keep=key in _KEPT_ARRAYS)
    alignment = _alignment(metadata)
    extents = sorted(_tensors(cursor, tensors, alignment))
    _check_extents(extents, -(-cursor.position // alignment) * alignment, size)


def _value(cursor: _Cursor, kind: int, *, keep: bool, depth: int = 0) -> Any:
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind == _STRING:
        return cursor.text()
    if kind != _ARRAY or depth >= limits.GGUF_ARRAY_DEPTH:
        raise _RefusedError("header", f"got the value type {kind} at depth {depth}")
    inner = cursor.number("<I")
    if inner in _SCALARS:
        cursor.take(cursor.count(struct.calcsize(_SCALARS[inner])) * struct.calcsize(_SCALARS[inner]))
        return None
    items = [_value(cursor, inner, keep=keep, depth=depth + 1) for _ in range(cursor.count(8, limits.GGUF_STRINGS))]
    return items if keep else None


def _alignment(metadata: Mapping[str, Any]) -> int:
    alignment = metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
    if type(alignment) is not int or not 1 <= alignment <= _LARGEST_ALIGNMENT or alignment & (alignment - 1):
        raise _RefusedError("alignment", f"got alignment {quote(alignment)}, expected a power of two")
    return alignment


def _tensors(cursor: _Cursor, count: int, alignment: int) -> Iterator[tuple[int, int]]:
    names: set[str] = set()
    for _ in range(count):
        name = cursor.text(_NAME_BYTES)
        if name in names:
            raise _RefusedError("duplicate", f"got the tensor {quote(name)} twice")
        names.add(name)
        length = _tensor_bytes(cursor, name)
        offset = cursor.number("<Q")
        if offset % alignment:
            raise _RefusedError("alignment", f"tensor {quote(name)} begins at {offset}, expected a multiple of {alignment}")
        yield offset, offset + length


def _tensor_bytes(cursor: _Cursor, name: str) -> int:
    dimensions = cursor.number("<I")
    if dimensions > _DIMENSIONS:
        raise _RefusedError("header", f"tensor {quote(name)} has {dimensions} dimensions, expected at most {_DIMENSIONS}")
    elements, row = 1, 1
    for index in range(dimensions):
        dimension = cursor.number("<Q")
        row = dimension if index == 0 else row
        elements *= dimension
    kind = cursor.number("<I")
    if kind not in _BLOCKS:
        raise _RefusedError("header", f"tensor {quote(name)} has the unknown type {kind}")
    block, block_bytes = _BLOCKS[kind]
    if row % block:
        raise _RefusedError("extent", f"tensor {quote(name)} has rows of {row} elements, expected a multiple of {block}")
    return elements // block * block_bytes


def _check_extents(extents: list[tuple[int, int]], data: int, size: int) -> None:
    position = 0
    for begin, end in extents:
        if begin < position:
            raise _RefusedError("extent", f"two tensors overlap at byte {begin} of the data")
        if data + end > size:
            raise _RefusedError("extent", f"a tensor ends at byte {data + end}, the file at {size}")
        position = end


def _check_tokens(metadata: Mapping[str, Any]) -> Iterator[Problem]:
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return
    seen: set[str] = set()
    for token in tokens:
        if not isinstance(token, str) or token in seen:
            yield Problem("gguf.tokens", f"the vocabulary has the token {quote(token)} twice, or it is no string")
            return
        seen.add(token)


def templates_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Chat templates in the metadata: name (``default`` for the unnamed one) and source, which may be of any type."""
    prefix = "tokenizer.chat_template"
    found = {"default": metadata[prefix]} if prefix in metadata else {}
    return found | {key[len(prefix) + 1 :]: value for key, value in metadata.items() if key.startswith(f"{prefix}.")}
