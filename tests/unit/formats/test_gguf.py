"""The strict walk over GGUF headers (facts/formats.md section 7.1)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.formats.gguf import CheckedGguf, check_gguf, templates_of
from tests.support.gguf import gguf_bytes, string


def check(data: bytes) -> CheckedGguf:
    return check_gguf(lambda start, length: data[start : start + length], len(data))


def rules(data: bytes) -> list[str]:
    return [problem.rule for problem in check(data).problems]


def start(keys: int = 1, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


GOOD = gguf_bytes(
    [("general.alignment", 32), ("flag", True), ("f", 1.5), ("n", [1, 2]), ("tokenizer.ggml.tokens", ["a", "b"]), ("s", "text")],
    [("w", (4, 2), 0, 0), ("v", (32,), 8, 32)],
    data=bytes(96),
)


@pytest.mark.parametrize("version", [2, 3])
def test_well_formed_file_is_admitted(version: int) -> None:
    checked = check(GOOD[:4] + struct.pack("<I", version) + GOOD[8:])
    assert checked.problems == ()
    assert checked.metadata["tokenizer.ggml.tokens"] == ["a", "b"]


BAD = {
    "empty": (b"", "header"),
    "other magic": (b"GGML" + bytes(40), "header"),
    "version 1": (start(0, version=1), "header"),
    "truncated": (GOOD[:60], "header"),
    "more keys than bytes": (start(90_000), "header"),
    "more keys than the bound": (start(limits.GGUF_ENTRIES + 1) + bytes(12 * limits.GGUF_ENTRIES + 64), "too-large"),
    "key too long": (start() + struct.pack("<Q", 70_000) + bytes(70_020), "header"),
    "key that is not UTF-8": (start() + struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 0, 0) + bytes(8), "header"),
    "unknown value type": (start() + string("k") + struct.pack("<I", 99) + bytes(8), "header"),
    "arrays too deep": (start() + string("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9 + bytes(8), "header"),
    "array longer than the file": (start() + string("k") + struct.pack("<IIQ", 9, 4, 1 << 60), "header"),
    "alignment of another type": (gguf_bytes([("general.alignment", "32")]), "alignment"),
    "alignment zero": (gguf_bytes([("general.alignment", 0)]), "alignment"),
    "offset not aligned": (gguf_bytes([], [("w", (1,), 0, 4)], data=bytes(64)), "alignment"),
    "tensor twice": (gguf_bytes([], [("w", (1,), 0, 0), ("w", (1,), 0, 32)], data=bytes(64)), "duplicate"),
    "overlap": (gguf_bytes([], [("w", (16,), 0, 0), ("v", (1,), 0, 32)], data=bytes(64)), "extent"),
    "five dimensions": (gguf_bytes([], [("w", (1, 1, 1, 1, 1), 0, 0)], data=bytes(64)), "header"),
    "unknown tensor type": (gguf_bytes([], [("w", (1,), 99, 0)], data=bytes(64)), "header"),
    "row that is no whole block": (gguf_bytes([], [("w", (33,), 8, 0)], data=bytes(64)), "extent"),
    "dimensions that overflow": (gguf_bytes([], [("w", (2**62, 2**62), 0, 0)], data=bytes(64)), "extent"),
}


@pytest.mark.parametrize(("data", "rule"), BAD.values(), ids=BAD)
def test_malformed_header_is_refused(data: bytes, rule: str) -> None:
    assert rules(data) == [f"gguf.{rule}"]


def test_vocabulary_that_is_no_list_is_left_to_the_loader() -> None:
    assert rules(gguf_bytes([("tokenizer.ggml.tokens", "x")])) == []


def test_header_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GGUF_HEADER_BYTES", 40)
    assert rules(GOOD) == ["gguf.too-large"]


def test_source_that_returns_less_than_it_lists_is_a_finding() -> None:
    assert [problem.rule for problem in check_gguf(lambda start, length: GOOD[start : start + length - 1], len(GOOD)).problems] == [
        "gguf.header"
    ]


def test_every_chat_template_is_found() -> None:
    metadata = {"tokenizer.chat_template": "a", "tokenizer.chat_template.tool_use": "b", "tokenizer.chat_templates": ["c"]}
    assert templates_of(metadata) == {"default": "a", "tool_use": "b"}


@given(st.binary(max_size=120))
@settings(max_examples=100)
def test_no_bytes_raise_anything(data: bytes) -> None:
    assert check(data).problems
    check(b"GGUF\x03\0\0\0" + data)
