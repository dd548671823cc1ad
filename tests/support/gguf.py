"""A writer of small GGUF files, right and wrong ones."""

import struct
from collections.abc import Sequence

_TYPES: dict[type, tuple[int, str]] = {bool: (7, "<B"), int: (4, "<I"), float: (6, "<f")}
Value = bool | int | float | str | list[str] | list[int]


def gguf_bytes(
    metadata: Sequence[tuple[str, Value]] = (),
    tensors: Sequence[tuple[str, tuple[int, ...], int, int]] = (),
    *,
    data: bytes = b"",
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """A GGUF file.

    Args:
        metadata: keys and values.
        tensors: (name, dimensions, type, offset).
        data: what stands behind the header and its padding.
        version: of the format.
        alignment: of the data.
    """
    text = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    text += b"".join(string(key) + value(item) for key, item in metadata)
    for name, dimensions, kind, offset in tensors:
        text += string(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions) + struct.pack("<IQ", kind, offset)
    return text + bytes(-len(text) % alignment) + data


def string(text: str) -> bytes:
    """A string with its length."""
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(item: Value) -> bytes:
    """A value with its type."""
    if isinstance(item, str):
        return struct.pack("<I", 8) + string(item)
    if isinstance(item, list):
        inner = 8 if item and isinstance(item[0], str) else 4
        body = b"".join(string(entry) if isinstance(entry, str) else struct.pack("<I", entry) for entry in item)
        return struct.pack("<IIQ", 9, inner, len(item)) + body
    kind, form = _TYPES[type(item)]
    return struct.pack("<I", kind) + struct.pack(form, item)
