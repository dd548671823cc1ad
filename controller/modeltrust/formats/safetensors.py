"""The strict safetensors validator (facts/formats.md section 3): size, header, tail — never the tensors.

"Loads in safetensors" is not "is only safetensors": the reference reader accepts 19 of the malformed or polyglot shapes that this
one refuses. Rules H1, H2, H4, H6 and H8 are here; H3, H5 and H7 in ``headers``; H9 in ``plausibility``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats import polyglots
from modeltrust.formats.headers import RefusedError, Tensor, check_names, parse_header
from modeltrust.formats.rules import Problem

Read = Callable[[int, int], bytes]

_LENGTH_BYTES = 8
_SMALLEST_HEADER = 2
_PICKLE_MARK = 0x80
_PICKLE_PROTOCOLS = range(2, 6)
_METADATA_FORMATS = {"pt", "tf", "flax", "np", "mlx"}
_METADATA_CODE = re.compile(r"_target_|__class__|py/object|\b[A-Za-z_]\w{0,99}\.[A-Za-z_]\w{0,99}\(")
_METADATA_LINK = re.compile(r"https?://|\A[a-z_]\w*(\.[A-Za-z_]\w*){2,}\Z")


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
    except RefusedError as error:
        return Checked(None, (error.problem,))
    return Checked(header, tuple(warnings))


def _check(read: Read, size: int) -> tuple[SafetensorsHeader, list[Problem]]:
    text = _header_text(read, size)
    warnings = _check_frame(text)
    if len(text) & 0xFF == _PICKLE_MARK and (len(text) >> 8) & 0xFF in _PICKLE_PROTOCOLS:
        warnings.append(Problem("safetensors.pickle-prefix", f"the header length {len(text)} begins like a pickle"))
    tensors, metadata = parse_header(text)
    warnings += _check_metadata(metadata)
    if not tensors:
        raise RefusedError("empty", "the header names no tensor")
    if len(tensors) > limits.SAFETENSORS_TENSORS:
        raise RefusedError("too-many-tensors", f"got {len(tensors)} tensors, expected at most {limits.SAFETENSORS_TENSORS}")
    warnings += check_names(tensors)
    data_bytes = _check_layout(tensors)
    expected = _LENGTH_BYTES + len(text) + data_bytes
    if expected != size:
        raise RefusedError("layout", f"the data ends at byte {expected}, the file at {size}")
    warnings += _check_polyglots(read, size)
    return SafetensorsHeader(tensors, metadata, data_bytes), warnings


# --- H1 size and length ---


def _header_text(read: Read, size: int) -> bytes:
    if size < _LENGTH_BYTES:
        raise RefusedError("size", f"got a file of {size} bytes, expected at least {_LENGTH_BYTES}")
    prefix = _exactly(read, 0, _LENGTH_BYTES)
    _check_front(prefix)
    length = int.from_bytes(prefix, "little")
    if length < _SMALLEST_HEADER or length > limits.SAFETENSORS_HEADER_BYTES:
        raise RefusedError("size", f"got a header of {length} bytes, expected 2 to {limits.SAFETENSORS_HEADER_BYTES}")
    if _LENGTH_BYTES + length > size:
        raise RefusedError("size", f"got a header of {length} bytes in a file of {size}")
    return _exactly(read, _LENGTH_BYTES, length)


def _exactly(read: Read, start: int, length: int) -> bytes:
    data = read(start, length)
    if len(data) != length:
        raise RefusedError("size", f"the source returned {len(data)} bytes at {start}, expected {length}")
    return data


def _check_front(prefix: bytes) -> None:
    # Two-byte signatures leave the length below the cap: 23,117 is "MZ". Both are odd, so no aligned writer makes them (H8).
    # 0x80 0x02 … 0x05 (pickle) are ordinary lengths and not refused: pickle fails on the zero byte that follows.
    for magic, name in ((b"PK\x03\x04", "a zip archive"), (b"MZ", "a Windows program"), (b"\x1f\x8b", "gzip")):
        if prefix.startswith(magic):
            raise RefusedError("front", f"the first bytes are also the signature of {name}")


# --- H2 frame ---


def _check_frame(text: bytes) -> list[Problem]:
    body = text.rstrip(b" ")
    if text[:1] != b"{" or body[-1:] != b"}":
        raise RefusedError("frame", f'the header is {quote(text[:1])} … {quote(body[-1:])}, expected "{{" … "}}" and spaces')
    warnings = []
    padding = len(text) - len(body)
    if padding > limits.SAFETENSORS_PADDING_BYTES:
        warnings.append(Problem("safetensors.padding", f"the header is padded with {padding} spaces, writers use at most 7"))
    if len(text) > limits.SAFETENSORS_HEADER_WARNING_BYTES:
        warnings.append(Problem("safetensors.large-header", f"the header has {len(text)} bytes"))
    return warnings


# --- H4 metadata ---


def _check_metadata(metadata: Mapping[str, str]) -> list[Problem]:
    total = sum(len(key) + len(value) for key, value in metadata.items())
    if total > limits.SAFETENSORS_METADATA_BYTES:
        raise RefusedError("metadata", f"__metadata__ has {total} characters, at most {limits.SAFETENSORS_METADATA_BYTES} are read")
    warnings = []
    if total > limits.SAFETENSORS_METADATA_WARNING_BYTES:
        warnings.append(Problem("safetensors.large-metadata", f"__metadata__ has {total} characters"))
    return warnings + _check_metadata_words(metadata)


def _check_metadata_words(metadata: Mapping[str, str]) -> list[Problem]:
    stated = metadata.get("format", "pt")
    if stated not in _METADATA_FORMATS:
        raise RefusedError("metadata-format", f"got format {quote(stated)}, expected one of pt, tf, flax, np, mlx")
    for key, value in metadata.items():
        if _METADATA_CODE.search(key) or _METADATA_CODE.search(value):
            raise RefusedError("metadata-code", f"__metadata__ entry {quote(key)} names something to call")
    return [
        Problem("safetensors.metadata-link", f"__metadata__ entry {quote(key)} holds a URL or an import path")
        for key, value in metadata.items()
        if _METADATA_LINK.search(value)
    ][: limits.FINDINGS_PER_FILE]


# --- H6 layout ---


def _check_layout(tensors: Mapping[str, Tensor]) -> int:
    position = 0
    for begin, end in sorted([(tensor.begin, tensor.end) for tensor in tensors.values()]):
        if begin != position:
            raise RefusedError("layout", f"a tensor begins at byte {begin} of the data, expected {position}")
        position = end
    return position


# --- H8 polyglots ---


def _check_polyglots(read: Read, size: int) -> list[Problem]:
    if polyglots.is_tar(_exactly(read, 0, min(size, limits.HEAD_BYTES))):
        raise RefusedError("tar", "the first 512 bytes have a valid tar checksum: tar opens this file")
    start = max(0, size - limits.SAFETENSORS_TAIL_BYTES)
    tail = _exactly(read, start, size - start)
    found = polyglots.zip_end(tail, start, lambda position, length: _exactly(read, position, length))
    if found is polyglots.ZipEnd.ARCHIVE:
        raise RefusedError("zip", "a zip archive ends in the last bytes: zip readers open this file")
    if found is polyglots.ZipEnd.SIGNATURE:
        return [Problem("safetensors.zip-signature", "the signature of a zip's end stands near the end, without a directory")]
    return []
