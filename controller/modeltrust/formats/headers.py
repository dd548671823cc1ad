"""The JSON header of a safetensors file: strict (H3), its entries (H5), its names (H7); facts/formats.md section 3.

Two ways that must agree: what writers write is read by one regular expression per entry, because a header may have 25 MB; anything
else is read as strict JSON, up to a smaller bound.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import MalformedError, quote
from modeltrust.formats.characters import CONTROL, INVISIBLE
from modeltrust.formats.rules import Problem

METADATA = "__metadata__"

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
_LARGEST_EXTENT_BITS = 2**63  # the reference multiplies in 64 bits and refuses an overflow
_BAD_NAME = re.compile(f"{CONTROL.pattern}|{INVISIBLE.pattern}")
_ODD_NAME = re.compile(r"\.\.|\A/")

_INTEGER = r"(?:0|[1-9][0-9]{0,15})"
_DTYPE_FIELD = r'"dtype":"([A-Z0-9_]{1,16})"'
# 64 dimensions: a shape of millions is no writer's and costs seconds to match.
_SHAPE_FIELD = rf'"shape":\[((?:{_INTEGER}(?:,{_INTEGER}){{0,63}})?)\]'
_OFFSETS_FIELD = rf'"data_offsets":\[({_INTEGER}),({_INTEGER})\]'
_NAME = r'"([^"\\\x00-\x1f]*)":'
# As the reference library writes it, and as writers with sorted keys do (MLX).
_ENTRY = re.compile(rf"{_NAME}\{{{_DTYPE_FIELD},{_SHAPE_FIELD},{_OFFSETS_FIELD}\}}([,}}])")
_SORTED_ENTRY = re.compile(rf"{_NAME}\{{{_OFFSETS_FIELD},{_DTYPE_FIELD},{_SHAPE_FIELD}\}}([,}}])")
_METADATA_START = f'{{"{METADATA}":{{'


class Tensor(NamedTuple):
    """One entry of a header; a tuple, since there may be hundreds of thousands.

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


class RefusedError(Exception):
    """The file is no safetensors file for us; carries the one problem that says why."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(f"safetensors.{rule}", message)


def parse_header(text: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a header.

    Args:
        text: from ``{`` to ``}`` and padding.

    Returns:
        Tensors by name, and the metadata.

    Raises:
        RefusedError: it is not strict JSON, or an entry is wrong.
    """
    try:
        decoded = text.decode("utf-8").rstrip(" ")
    except UnicodeDecodeError as error:
        raise RefusedError("json", f"the header is not UTF-8 at byte {error.start}") from error
    usual = _parse_usual(decoded)
    if usual is not None:
        return usual
    if len(text) > limits.SAFETENSORS_UNUSUAL_HEADER_BYTES:
        raise RefusedError("unusual-header", f"got a header of {len(text)} bytes in a form that no writer uses")
    return _parse_any(text)


# --- as writers write it ---


def _parse_usual(text: str) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """None where anything is not exactly as writers write it: the other way then says what is wrong."""
    start = _usual_metadata(text)
    if start is None:
        return None
    metadata, position = start
    pattern = _SORTED_ENTRY if _SORTED_ENTRY.match(text, position) else _ENTRY
    order = (4, 5, 2, 3) if pattern is _SORTED_ENTRY else (2, 3, 4, 5)
    tensors: dict[str, Tensor] = {}
    extents: dict[tuple[str, str], tuple[tuple[int, ...], int]] = {}
    count = 0
    while match := pattern.match(text, position):
        name, last = match[1], match[6]
        dtype, shape, begin, end = match.group(*order)
        tensors[name] = _usual_tensor(name, dtype, shape, int(begin), int(end), extents)
        count += 1
        position = match.end()
        if last == "}":
            break
    complete = position == len(text) and count == len(tensors) and METADATA not in tensors
    return (tensors, metadata) if complete and count else None


def _usual_metadata(text: str) -> tuple[dict[str, str], int] | None:
    if not text.startswith(_METADATA_START):
        return {}, 1
    end = text.find("},", 0, limits.SAFETENSORS_METADATA_BYTES)
    # The first "}," may stand inside a string: then this is no JSON, and the other way decides.
    try:
        metadata = strict_json.loads(text[len(_METADATA_START) - 1 : end + 1].encode(), max_bytes=limits.SAFETENSORS_HEADER_BYTES)
    except MalformedError:
        return None
    return (_checked_metadata(metadata), end + 2) if end > 0 else None


def _usual_tensor(
    name: str, dtype: str, shape: str, begin: int, end: int, extents: dict[tuple[str, str], tuple[tuple[int, ...], int]]
) -> Tensor:
    known = extents.get((dtype, shape))
    if known is None:
        dimensions = [int(number) for number in shape.split(",")] if shape else []
        _check_integers(name, dimensions)
        known = extents[dtype, shape] = tuple(dimensions), _extent(name, dtype, dimensions)
    _check_extent(name, known[1], begin, end)
    return Tensor(dtype, known[0], begin, end)


# --- as any JSON ---


def _parse_any(text: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        document = strict_json.loads(text, max_bytes=limits.SAFETENSORS_HEADER_BYTES, parse_int=_integer)
    except MalformedError as error:
        raise RefusedError("json", f"the header is not strict JSON: {error}") from error
    metadata = _checked_metadata(document.pop(METADATA, {}))
    return {name: _any_tensor(name, entry) for name, entry in document.items()}, metadata


def _integer(digits: str) -> int:
    # "-0" becomes 0 in Python, and the Rust reader refuses it.
    if digits[0] == "-" or len(digits) > _INTEGER_DIGITS:
        raise ValueError(f"integer {digits[:20]}")
    return int(digits)


def _checked_metadata(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise RefusedError("metadata", "__metadata__ is not a map of strings")
    return metadata


def _any_tensor(name: str, entry: object) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != _ENTRY_KEYS:
        raise RefusedError("entry", f"tensor {quote(name)} has not exactly the keys dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    _check_integers(name, shape)
    _check_integers(name, offsets)
    if len(offsets) != _OFFSETS:
        raise RefusedError("entry", f"tensor {quote(name)} has {len(offsets)} offsets")
    _check_extent(name, _extent(name, dtype, shape), *offsets)
    return Tensor(dtype, tuple(shape), *offsets)


# --- H5 ---


def _check_integers(name: str, values: Any) -> None:
    # type() and not isinstance(): true and false are integers in Python and errors in Rust.
    if not isinstance(values, list) or not all(type(value) is int and value < limits.SAFETENSORS_INTEGER for value in values):
        raise RefusedError("entry", f"tensor {quote(name)} has a shape or offsets that are not lists of integers below 2^53")


def _extent(name: str, dtype: object, shape: Iterable[int]) -> int:
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None:
        raise RefusedError("dtype", f"tensor {quote(name)} has dtype {quote(dtype)}")
    elements = 1
    for dimension in shape:
        elements *= dimension
        # Checked at every step, as the reference does: [2**32, 2**32, 0] overflows there although the product is 0.
        if elements * bits >= _LARGEST_EXTENT_BITS:
            raise RefusedError("extent", f"tensor {quote(name)} is larger than can be addressed")
    if elements * bits % 8:
        raise RefusedError("extent", f"tensor {quote(name)} has {elements} elements of {bits} bits: no whole bytes")
    return elements * bits // 8


def _check_extent(name: str, extent: int, begin: int, end: int) -> None:
    if begin >= limits.SAFETENSORS_INTEGER or end >= limits.SAFETENSORS_INTEGER:
        raise RefusedError("entry", f"tensor {quote(name)} has offsets beyond 2^53")
    if end - begin != extent:
        raise RefusedError("extent", f"tensor {quote(name)} needs {extent} bytes and is given {end - begin}")


# --- H7 ---


def check_names(names: Iterable[str]) -> list[Problem]:
    """Judge the names of tensors.

    Returns:
        Warnings on odd names, bounded.

    Raises:
        RefusedError: a name is empty or has a character that cannot be seen.
    """
    warnings = []
    for problem in _odd_names(names):
        warnings.append(problem)
        if len(warnings) >= limits.FINDINGS_PER_FILE:
            break
    return warnings


def _odd_names(names: Iterable[str]) -> Iterator[Problem]:
    composed: set[str] = set()
    for name in names:
        if not name or _BAD_NAME.search(name):
            raise RefusedError("name", f"got the tensor name {quote(name)}: empty, or with a character that cannot be seen")
        if ".." in name or name[0] == "/":
            yield Problem("safetensors.odd-name", f"tensor name {quote(name)} looks like a path")
        if name.isascii():
            continue
        form = unicodedata.normalize("NFC", name)
        if form in composed:
            yield Problem("safetensors.odd-name", f"tensor {quote(name)} equals another name in normalisation form C")
        composed.add(form)
