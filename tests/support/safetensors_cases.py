"""The 65 header cases of facts/formats.md section 3.1, built byte by byte, and mutants of valid headers for fuzzing."""

import io
import json
import random
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

TWO = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "b": {"dtype": "U8", "shape": [4], "data_offsets": [8, 12]}}
DATA = bytes(range(12))


@dataclass(frozen=True, slots=True)
class HeaderCase:
    """One file.

    Attributes:
        name: what is special.
        build: its bytes.
        verdict: ``admit``, ``warn`` or ``refuse``.
        reference: whether safetensors 0.8.0 accepts it.
        rule: the rule that speaks, empty for ``admit``.
    """

    name: str
    build: Callable[[], bytes]
    verdict: str
    reference: bool
    rule: str


def pack(header: object, data: bytes = DATA, *, length: int | None = None) -> bytes:
    """A file: a header given as an object, text or bytes, its length (or a false one) before it, data behind it."""
    if isinstance(header, bytes):
        text = header
    else:
        text = (header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def one(name: str = "a", **fields: Any) -> dict[str, Any]:
    """A header with one U8 tensor of 12 bytes, with fields exchanged; a field of None is left out."""
    entry = {"dtype": "U8", "shape": [12], "data_offsets": [0, 12], **fields}
    return {name: {key: value for key, value in entry.items() if value is not None}}


def of_length(length: int) -> bytes:
    """A valid file whose header has exactly this length."""
    head, tail = b'{"__metadata__":{"p":"', b'"},' + json.dumps(TWO).encode()[1:]
    return pack(head + b"x" * (length - len(head) - len(tail)) + tail)


def small_zip() -> bytes:
    """A zip archive with one harmless member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("note.txt", "nothing here")
    return buffer.getvalue()


def tar_shaped(prefix: bytes = b"") -> bytes:
    """A file whose first 512 bytes are a tar header and whose header is JSON."""
    start = json.dumps({**TWO, "__metadata__": {"p": ""}}, separators=(",", ":"))[:-3].encode()
    text = bytearray(start + b"." * (600 - len(start)) + b'"}}')
    size = struct.pack("<Q", len(text))
    first = (size + bytes(text))[:512]
    checksum = sum(first[:148]) + 8 * 32 + sum(first[156:])
    text[140:148] = prefix or b"%07o " % checksum
    return size + bytes(text) + DATA


def _u8(data: bytes) -> bytes:
    return pack({"a": {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}}, data)


def _admitted() -> Iterator[HeaderCase]:
    def case(name: str, build: Callable[[], bytes], rule: str = "") -> HeaderCase:
        return HeaderCase(name, build, "warn" if rule else "admit", reference=True, rule=rule and f"safetensors.{rule}")

    zero = {"dtype": "F32", "shape": [0, 4], "data_offsets": [0, 0]}
    twins = dict(zip((unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")), TWO.values(), strict=True))
    yield case("plain file", lambda: pack(TWO))
    yield case("zero-size tensor", lambda: pack({"z": zero, **TWO}))
    yield case("F4 with whole bytes", lambda: pack(one(dtype="F4", shape=[24])))
    yield case("entries not in offset order", lambda: pack(dict(reversed(TWO.items()))))
    yield case("ELF bytes inside a tensor", lambda: _u8(b"ab\x7fELF\x02\x01\x01" + bytes(32)))
    yield case("name ../x", lambda: pack(one("../x")), "odd-name")
    yield case("NFC and NFD twin names", lambda: pack(twins), "odd-name")
    yield case("200 kB metadata", lambda: pack({"__metadata__": {"p": "x" * 200_000}, **TWO}), "large-metadata")
    yield case("1 MB of space padding", lambda: pack(json.dumps(TWO) + " " * 1_000_000), "padding")
    yield case("N = 640", lambda: of_length(640), "pickle-prefix")
    yield case("bare zip end signature in tensor bytes", lambda: _u8(b"x" * 30 + b"PK\x05\x06" + bytes(30)), "zip-signature")


def _stricter() -> Iterator[HeaderCase]:
    def case(name: str, build: Callable[[], bytes], rule: str) -> HeaderCase:
        return HeaderCase(name, build, "refuse", reference=True, rule=f"safetensors.{rule}")

    entry = json.dumps(one()["a"])
    yield case("{}", lambda: pack({}, b""), "empty")
    yield case("only __metadata__", lambda: pack({"__metadata__": {"format": "pt"}}, b""), "empty")
    yield case("leading space before {", lambda: pack(" " + json.dumps(TWO)), "frame")
    yield case("newline padding", lambda: pack(json.dumps(TWO) + "\n"), "frame")
    yield case("tab padding", lambda: pack(json.dumps(TWO) + "\t"), "frame")
    yield case("duplicate tensor name", lambda: pack(f'{{"a":{entry},"a":{entry}}}'), "json")
    yield case("duplicate through an escape", lambda: pack(f'{{"a":{entry},"\\u0061":{entry}}}'), "json")
    yield case("duplicate key inside __metadata__", lambda: pack(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{entry}}}'), "json")
    yield case("__metadata__ null", lambda: pack({"__metadata__": None, **TWO}), "metadata")
    yield case("extra key in an entry", lambda: pack(one(extra=1)), "entry")
    yield case("empty name", lambda: pack(one("")), "name")
    yield case("NUL in a name", lambda: pack(one("a\0b")), "name")
    yield case("zero-width character in a name", lambda: pack(one("a\u200bb")), "name")
    yield case("zip end record at the end of a U8 tensor", lambda: _u8(small_zip()), "zip")
    yield case("zip end record and one more byte", lambda: _u8(small_zip() + b"\0"), "zip")
    yield case("tar-shaped header", tar_shaped, "tar")
    yield case("N = 23,117", lambda: of_length(23_117), "front")
    yield case("N = 559,903", lambda: of_length(559_903), "front")
    yield case("N = 67,324,752", lambda: of_length(67_324_752), "front")


def _refused() -> Iterator[HeaderCase]:
    def case(name: str, build: Callable[[], bytes], rule: str) -> HeaderCase:
        return HeaderCase(name, build, "refuse", reference=False, rule=f"safetensors.{rule}")

    entry = json.dumps(one()["a"])
    two = json.dumps(TWO)
    meta = '"__metadata__":{}'
    yield case("0-byte file", lambda: b"", "size")
    yield case("7-byte file", lambda: bytes(7), "size")
    yield case("N = 0", lambda: pack(b"", b""), "size")
    yield case("N = 1", lambda: pack(b"{", b""), "size")
    yield case("N = 2^63", lambda: pack(TWO, length=2**63), "size")
    yield case("N beyond the end", lambda: pack(TWO, length=5_000), "size")
    yield case("NUL padding", lambda: pack(two + "\0"), "frame")
    yield case("JSON array", lambda: pack(f"[{two}]"), "frame")
    yield case("broken JSON", lambda: pack('{"a":{}'), "json")
    yield case("BOM", lambda: pack(b"\xef\xbb\xbf" + two.encode()), "frame")
    yield case("UTF-16", lambda: pack(two.encode("utf-16-le")), "frame")
    yield case("invalid UTF-8", lambda: pack(b'{"\xff":' + entry.encode() + b"}"), "json")
    yield case("lone surrogate", lambda: pack(f'{{"\\ud800":{entry}}}'), "json")
    yield case("NaN", lambda: pack(f'{{"a":{entry.replace("[12]", "[NaN]")}}}'), "json")
    yield case("200-deep JSON", lambda: pack(f'{{"a":{"[" * 200}{"]" * 200}}}'), "json")
    yield case("two __metadata__ objects", lambda: pack(f'{{{meta},{meta},"a":{entry}}}'), "json")
    yield case("key twice inside an entry", lambda: pack(f'{{"a":{entry[:-1]},"dtype":"U8"}}}}'), "json")
    yield case("non-string metadata value", lambda: pack({"__metadata__": {"k": 1}, **TWO}), "metadata")
    yield case("missing shape", lambda: pack(one(shape=None)), "entry")
    yield case("unknown dtype", lambda: pack(one(dtype="U128")), "dtype")
    yield case("4.0 in shape", lambda: pack(one(shape=[12.0])), "entry")
    yield case("true in shape", lambda: pack(one(shape=[12, True])), "entry")
    yield case("negative dimension", lambda: pack(one(shape=[-12])), "json")
    yield case("2^32 x 2^32", lambda: pack(one(shape=[2**32, 2**32])), "extent")
    yield case("F4 with 7 elements", lambda: pack(one(dtype="F4", shape=[7], data_offsets=[0, 4]), bytes(4)), "extent")
    yield case("shape and offsets differ", lambda: pack(one(shape=[11])), "extent")
    yield case("begin behind end", lambda: pack(one(data_offsets=[12, 0])), "extent")
    yield case("hole", lambda: pack({"a": TWO["a"], "b": {**TWO["b"], "data_offsets": [9, 13]}}, bytes(13)), "layout")
    yield case("first tensor not at 0", lambda: pack(one(data_offsets=[1, 13]), bytes(13)), "layout")
    yield case("overlap", lambda: pack({"a": TWO["a"], "b": {**TWO["b"], "data_offsets": [7, 11]}}, bytes(11)), "layout")
    yield case("two names on the same bytes", lambda: pack({**one("a"), **one("b")}), "layout")
    yield case("truncated", lambda: pack(TWO)[:-1], "layout")
    yield case("one trailing byte", lambda: pack(TWO) + b"\0", "layout")
    yield case("zip appended", lambda: pack(TWO) + small_zip(), "layout")
    yield case("-0", lambda: pack(f'{{"a":{entry.replace("[0,", "[-0,")}}}'), "json")


CASES: tuple[HeaderCase, ...] = (*_admitted(), *_stricter(), *_refused())

_SWAPS = (
    b"0", b"1", b"-0", b"-", b"9", b"12", b"4294967296", b"18446744073709551615", b"1e1", b"1.0", b"true", b"null", b"NaN",
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\\u0061", b"\\ud800", b" ", b"\n", b"\0", b"\xff", b'"F32"', b'"F4"',
    b'"BOOL"', b'"a"', b'"shape"', b'"dtype"', b'"data_offsets"', b'"__metadata__"', b"[0,8]", b"[8,12]", b"{}", b"[]",
    b'{"format":"pt"}',
)  # fmt: skip
_SEEDS = (
    pack(TWO),
    pack({"__metadata__": {"format": "pt"}, **TWO}),
    pack({"z": {"dtype": "F16", "shape": [0], "data_offsets": [0, 0]}, **TWO}),
    pack(one(dtype="F4", shape=[2, 12])),
    pack(
        {
            "x": {"dtype": "BF16", "shape": [], "data_offsets": [0, 2]},
            "y": {"dtype": "I8", "shape": [5, 2], "data_offsets": [2, 12]},
        }
    ),
)


def mutants(count: int, *, seed: int) -> Iterator[bytes]:
    """Valid files with one to three changes in the header, its length rewritten: plain mutation rarely loads at all."""
    source = random.Random(seed)  # noqa: S311 (repeatable mutants, no secret)
    for _ in range(count):
        original = source.choice(_SEEDS)
        length = struct.unpack("<Q", original[:8])[0]
        text, data = bytearray(original[8 : 8 + length]), bytearray(original[8 + length :])
        for _ in range(source.randint(1, 3)):
            _mutate(text, source)
        if source.random() < 0.1:
            data += bytes(source.randint(1, 3))
        yield struct.pack("<Q", len(text)) + bytes(text) + bytes(data)


def _mutate(text: bytearray, source: random.Random) -> None:
    begin = source.randrange(len(text) + 1)
    end = min(len(text), begin + source.choice((0, 0, 1, 1, 2, 5)))
    kind = source.randrange(4)
    if kind == 0:
        text[begin:end] = source.choice(_SWAPS)
    elif kind == 1:
        text[begin:end] = b""
    elif kind == 2:
        other = source.randrange(len(text) + 1)
        text[begin:begin] = text[other : other + source.randint(1, 40)]
    elif text:
        digits = [index for index, byte in enumerate(text) if 0x30 <= byte <= 0x39]
        if digits:
            text[source.choice(digits)] = source.choice(b"0123456789-.e")
