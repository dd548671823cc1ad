"""The strict safetensors validator (facts/formats.md section 3): size, header, tail — never the tensors.

"Loads in safetensors" is not "is only safetensors": the reference reader accepts 19 of the malformed or polyglot shapes that this
one refuses. Rules H1 to H8; H9 (plausibility) is in ``plausibility``.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import MalformedError, quote
from modeltrust.formats import polyglots
from modeltrust.formats.characters import CONTROL, INVISIBLE
from modeltrust.formats.rules import Problem

Read = Callable[[int, int], bytes]

_LENGTH_BYTES = 8
_SMALLEST_HEADER = 2
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("C64", "F64", "I64", "U64"), 64),
}
_ENTRY_KEYS = {"dtype", "shape", "data_offsets"}
_OFFSETS = 2
_INTEGER_DIGITS = 16
_METADATA_FORMATS = {"pt", "tf", "flax", "np", "mlx"}
_LARGEST_EXTENT_BITS = 2**63  # the reference multiplies in 64 bits and refuses an overflow
_BAD_NAME = re.compile(f"{CONTROL.pattern}|{INVISIBLE.pattern}")
_ODD_NAME = re.compile(r"\.\.|\A/")
_METADATA_CODE = re.compile(r"_target_|__class__|py/object|\b[A-Za-z_]\w{0,99}\.[A-Za-z_]\w{0,99}\(")
_METADATA_LINK = re.compile(r"https?://|\A[a-z_]\w*(\.[A-Za-z_]\w*){2,}\Z")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a header.

    Attributes:
        dtype: as in the format.
        shape: dimensions.
        begin: first byte, counted from the end of the header.
        end: one behind the last byte.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """What a valid file says of itself.

    Attributes:
        tensors: by name.
        metadata: strings.
        data_bytes: size of the tensors together.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    data_bytes: int


@dataclass(frozen=True, slots=True)
class Checked:
    """The answer of the validator.

    Attributes:
        header: None where an error was found.
        problems: errors and warnings.
    """

    header: SafetensorsHeader | None
    problems: tuple[Problem, ...]


class _RefusedError(Exception):
    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(f"safetensors.{rule}", message)


def check_safetensors(read: Read, size: int) -> Checked:
    """Judge one file by its size, header, first 512 bytes and last 65,557 bytes.

    Args:
        read: bytes ``[start, start + length)`` of the file, fewer only at its end; its errors pass through.
        size: of the file in bytes, from the listing.

    Returns:
        The header where nothing is wrong, and the problems; warnings do not take the header away.
    """
    try:
        header, warnings = _check(read, size)
    except _RefusedError as error:
        return Checked(None, (error.problem,))
    return Checked(header, tuple(warnings))


def _check(read: Read, size: int) -> tuple[SafetensorsHeader, list[Problem]]:
    text = _header_text(read, size)
    warnings = _check_frame(text)
    document = _parse(text)
    metadata = document.pop("__metadata__", {})
    warnings += _check_metadata(metadata)
    if not document:
        raise _RefusedError("empty", "the header names no tensor")
    if len(document) > limits.SAFETENSORS_TENSORS:
        raise _RefusedError("too-many-tensors", f"got {len(document)} tensors, expected at most {limits.SAFETENSORS_TENSORS}")
    warnings += _check_names(document)
    tensors = {name: _tensor(name, entry) for name, entry in document.items()}
    data_bytes = _check_layout(tensors)
    expected = _LENGTH_BYTES + len(text) + data_bytes
    if expected != size:
        raise _RefusedError("layout", f"the data ends at byte {expected}, the file at {size}")
    warnings += _check_polyglots(read, size)
    return SafetensorsHeader(tensors, metadata, data_bytes), warnings


# --- H1 size and length ---


def _header_text(read: Read, size: int) -> bytes:
    if size < _LENGTH_BYTES:
        raise _RefusedError("size", f"got a file of {size} bytes, expected at least {_LENGTH_BYTES}")
    prefix = _exactly(read, 0, _LENGTH_BYTES)
    _check_front(prefix)
    length = int.from_bytes(prefix, "little")
    if length < _SMALLEST_HEADER or length > limits.SAFETENSORS_HEADER_BYTES:
        raise _RefusedError("size", f"got a header of {length} bytes, expected 2 to {limits.SAFETENSORS_HEADER_BYTES}")
    if _LENGTH_BYTES + length > size:
        raise _RefusedError("size", f"got a header of {length} bytes in a file of {size}")
    return _exactly(read, _LENGTH_BYTES, length)


def _exactly(read: Read, start: int, length: int) -> bytes:
    data = read(start, length)
    if len(data) != length:
        raise _RefusedError("size", f"the source returned {len(data)} bytes at {start}, expected {length}")
    return data


def _check_front(prefix: bytes) -> None:
    # Two-byte signatures leave the length below the cap: 23,117 is "MZ". Both are odd, so no aligned writer makes them (H8).
    # 0x80 0x02 … 0x05 (pickle) are ordinary lengths and not refused: pickle fails on the zero byte that follows.
    for magic, name in ((b"PK\x03\x04", "a zip archive"), (b"MZ", "a Windows program"), (b"\x1f\x8b", "gzip")):
        if prefix.startswith(magic):
            raise _RefusedError("front", f"the first bytes are also the signature of {name}")


# --- H2 frame, H3 JSON ---


def _check_frame(text: bytes) -> list[Problem]:
    body = text.rstrip(b" ")
    if text[:1] != b"{" or body[-1:] != b"}":
        raise _RefusedError("frame", f'the header is {quote(text[:1])} … {quote(body[-1:])}, expected "{{" … "}}" and spaces')
    warnings = []
    padding = len(text) - len(body)
    if padding > limits.SAFETENSORS_PADDING_BYTES:
        warnings.append(Problem("safetensors.padding", f"the header is padded with {padding} spaces, writers use at most 7"))
    if len(text) > limits.SAFETENSORS_HEADER_WARNING_BYTES:
        warnings.append(Problem("safetensors.large-header", f"the header has {len(text)} bytes"))
    return warnings


def _parse(text: bytes) -> dict[str, Any]:
    try:
        document = strict_json.loads(text, max_bytes=limits.SAFETENSORS_HEADER_BYTES, parse_int=_integer)
    except MalformedError as error:
        raise _RefusedError("json", f"the header is not strict JSON: {error}") from error
    if not isinstance(document, dict):
        raise _RefusedError("json", f"the header is {type(document).__name__}, expected an object")
    return document


def _integer(digits: str) -> int:
    # "-0" becomes 0 in Python, and the Rust reader refuses it.
    if digits[0] == "-" or len(digits) > _INTEGER_DIGITS:
        raise ValueError(f"integer {digits[:20]}")
    return int(digits)


# --- H4 metadata ---


def _check_metadata(metadata: object) -> list[Problem]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _RefusedError("metadata", "__metadata__ is not a map of strings")
    total = sum(len(key) + len(value) for key, value in metadata.items())
    if total > limits.SAFETENSORS_METADATA_BYTES:
        raise _RefusedError(
            "metadata", f"__metadata__ has {total} characters, at most {limits.SAFETENSORS_METADATA_BYTES} are read"
        )
    stated = metadata.get("format", "pt")
    if stated not in _METADATA_FORMATS:
        raise _RefusedError("metadata-format", f"got format {quote(stated)}, expected one of pt, tf, flax, np, mlx")
    for key, value in metadata.items():
        if _METADATA_CODE.search(key) or _METADATA_CODE.search(value):
            raise _RefusedError("metadata-code", f"__metadata__ entry {quote(key)} names something to call")
    return [
        Problem("safetensors.metadata-link", f"__metadata__ entry {quote(key)} holds a URL or an import path")
        for key, value in metadata.items()
        if _METADATA_LINK.search(value)
    ][: limits.FINDINGS_PER_FILE]


# --- H5 entries ---


def _tensor(name: str, entry: object) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
        raise _RefusedError("entry", f"tensor {quote(name)} has not exactly the keys dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise _RefusedError("dtype", f"tensor {quote(name)} has dtype {quote(dtype)}")
    if not _are_integers(shape) or not _are_integers(offsets) or len(offsets) != _OFFSETS:
        raise _RefusedError("entry", f"tensor {quote(name)} has a shape or offsets that are not lists of integers")
    begin, end = offsets
    _check_extent(name, bits, shape, end - begin)
    return Tensor(dtype, tuple(shape), begin, end)


def _are_integers(values: object) -> bool:
    # type() and not isinstance(): true and false are integers in Python and errors in Rust.
    return isinstance(values, list) and all(type(value) is int and value < limits.SAFETENSORS_INTEGER for value in values)


def _check_extent(name: str, bits: int, shape: list[int], extent: int) -> None:
    elements = 1
    for dimension in shape:
        elements *= dimension
        # Checked at every step, as the reference does: [2**32, 2**32, 0] overflows there although the product is 0.
        if elements * bits >= _LARGEST_EXTENT_BITS:
            raise _RefusedError("extent", f"tensor {quote(name)} is larger than can be addressed")
    if elements * bits % 8:
        raise _RefusedError("extent", f"tensor {quote(name)} has {elements} elements of {bits} bits: no whole bytes")
    if elements * bits // 8 != extent:
        raise _RefusedError("extent", f"tensor {quote(name)} needs {elements * bits // 8} bytes and is given {extent}")


# --- H6 layout ---


def _check_layout(tensors: Mapping[str, Tensor]) -> int:
    position = 0
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != position:
            raise _RefusedError("layout", f"a tensor begins at byte {tensor.begin} of the data, expected {position}")
        position = tensor.end
    return position


# --- H7 names ---


def _check_names(document: Mapping[str, Any]) -> list[Problem]:
    for name in document:
        if not name or _BAD_NAME.search(name):
            raise _RefusedError("name", f"got the tensor name {quote(name)}: empty, or with a character that cannot be seen")
    return list(_odd_names(document))[: limits.FINDINGS_PER_FILE]


def _odd_names(document: Mapping[str, Any]) -> Iterator[Problem]:
    composed: set[str] = set()
    for name in document:
        form = name if name.isascii() else unicodedata.normalize("NFC", name)
        if form in composed:
            yield Problem("safetensors.odd-name", f"tensor {quote(name)} equals another name in normalisation form C")
        composed.add(form)
        if _ODD_NAME.search(name):
            yield Problem("safetensors.odd-name", f"tensor name {quote(name)} looks like a path")


# --- H8 polyglots ---


def _check_polyglots(read: Read, size: int) -> list[Problem]:
    if polyglots.is_tar(_exactly(read, 0, min(size, limits.HEAD_BYTES))):
        raise _RefusedError("tar", "the first 512 bytes have a valid tar checksum: tar opens this file")
    start = max(0, size - limits.SAFETENSORS_TAIL_BYTES)
    tail = _exactly(read, start, size - start)
    found = polyglots.zip_end(tail, start, lambda position, length: _exactly(read, position, length))
    if found is polyglots.ZipEnd.ARCHIVE:
        raise _RefusedError("zip", "a zip archive ends in the last bytes: zip readers open this file")
    if found is polyglots.ZipEnd.SIGNATURE:
        return [Problem("safetensors.zip-signature", "the signature of a zip's end stands near the end, without a directory")]
    return []
