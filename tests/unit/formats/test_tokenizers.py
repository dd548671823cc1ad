"""Tokenizers (facts/formats.md section 7)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.formats.tokenizers import Companions, check_sentencepiece, check_tokenizer, check_vocabulary

NOTHING = Companions()


def document(vocab: Any, added: Any = None, **more: Any) -> dict[str, Any]:
    return {"model": {"type": "BPE", "vocab": vocab}, "added_tokens": added, **more}


def rules(content: Any, companions: Companions = NOTHING) -> list[str]:
    return [problem.rule.removeprefix("tokenizer.") for problem in check_tokenizer(content, companions)]


@pytest.mark.parametrize(
    ("content", "companions"),
    [
        (document({"a": 0, "b": 1}), Companions(vocab_size=2, rows=2)),
        (document([["a", -1.0], ["b", -2.0]]), NOTHING),
        (document({"a": 0}, [{"id": 1, "content": "<x>"}]), Companions(config={"added_tokens_decoder": {"1": {"content": "<x>"}}})),
        (document({"a": 0}), Companions(config={"pad_token": "a"}, special={"pad_token": {"content": "a"}, "more": ["x"]})),
        (document({}), NOTHING),
    ],
)
def test_ordinary_tokenizer_passes(content: Any, companions: Companions) -> None:
    assert rules(content, companions) == []


@pytest.mark.parametrize(
    ("content", "companions", "rule"),
    [
        ([], NOTHING, "shape"),
        ({"model": 1}, NOTHING, "shape"),
        (document({"a": "0"}), NOTHING, "shape"),
        (document({"a": True}), NOTHING, "shape"),
        (document([["a"], [1]]), NOTHING, "shape"),
        (document(7), NOTHING, "shape"),
        (document({"a": 0}, {"x": 1}), NOTHING, "shape"),
        (document({"a": 0}, [7]), NOTHING, "shape"),
        (document({"a": 0}, [{"id": 1, "content": "x"}, {"id": 1, "content": "y"}]), NOTHING, "shape"),
        (document([["a", 0], ["a", 0]]), NOTHING, "duplicate"),
        (document({"a": 0}, [{"id": 1, "content": "x"}, {"id": 2, "content": "x"}]), NOTHING, "duplicate"),
        (document({"a": 0}, [{"id": 0, "content": "b"}]), NOTHING, "duplicate"),
        (document({"a": -1}), NOTHING, "range"),
        (document({"a": 0, "b": 1}), Companions(rows=1), "range"),
        (document({"a": 0}), Companions(config={"added_tokens_decoder": {"x": {"content": "a"}}}), "mismatch"),
        (document({"a": 0}), Companions(config={"added_tokens_decoder": {"9" * 5000: "a"}}), "mismatch"),
        (document({"a": 0}), Companions(config={"pad_token": "a"}, special={"pad_token": "b"}), "mismatch"),
    ],
)
def test_contradiction_is_found(content: Any, companions: Companions, rule: str) -> None:
    assert rule in rules(content, companions)


def test_vocabulary_file_with_one_id_for_two_tokens_is_found() -> None:
    assert [problem.rule for problem in check_vocabulary({"a": 0, "b": 0})] == ["tokenizer.duplicate"]
    assert list(check_vocabulary({"a": 0, "b": 1})) == []
    assert list(check_vocabulary({"config": {}})) == []


PIECE = b"\x0a\x05\x0a\x03abc"


@pytest.mark.parametrize(
    "data", [PIECE, PIECE * 3 + b"\x12\x02\x08\x01", PIECE + b"\x18\x01" + b"\x21" + bytes(8) + b"\x2d" + bytes(4)]
)
def test_well_formed_sentencepiece_passes(data: bytes) -> None:
    assert list(check_sentencepiece(data)) == []


@pytest.mark.parametrize(
    "data", [b"", b"\x12\x00", PIECE[:-1], PIECE + b"\x0b", PIECE + b"\xff" * 12, PIECE + b"\x02\x00", PIECE + b"\x2d\0"]
)
def test_malformed_sentencepiece_is_found(data: bytes) -> None:
    assert [problem.rule for problem in check_sentencepiece(data)] == ["tokenizer.protobuf"]


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_no_bytes_raise_anything(data: bytes) -> None:
    list(check_sentencepiece(data))


JSON = st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=5)


@given(
    st.dictionaries(
        st.sampled_from(["model", "added_tokens", "normalizer"]), JSON | st.dictionaries(st.sampled_from(["vocab", "id"]), JSON)
    )
)
@settings(max_examples=100)
def test_no_document_raises_anything(content: dict[str, Any]) -> None:
    rules(content, Companions(config=content, special=content))
