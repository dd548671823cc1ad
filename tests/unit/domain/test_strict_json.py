import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError

BYTES = 100_000


def loads(data: bytes, **options: Any) -> Any:
    return strict_json.loads(data, max_bytes=BYTES, **options)


REFUSED = [
    b"",
    b" ",
    b"{",
    b"nul",
    b"{'a': 1}",
    b'{"a": 1,}',
    b"[1,]",
    b"[1] 2",
    b"// comment\n1",
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"0x10",
    b"NaN",
    b"[Infinity]",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b'{"a": [1e400]}',
    b"1" * 5000,
    b'"\t"',
    b'"\x00"',
    b'"\\x41"',
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'{"\\ud800": 1}',
    b'[{"a": ["\\uDFFF"]}]',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'"\xc0\x80"',
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    "{}".encode("utf-16-le"),
    "{}".encode("utf-32"),
    b'{"a": 1, "a": 1}',
    b'{"a": 1, "\\u0061": 2}',
    b'{"x": {"a": 1, "b": 2, "a": 3}}',
    b'[{"a": null, "a": null}]',
    b'{"": 1, "": 2}',
]


@pytest.mark.parametrize("data", REFUSED)
def test_what_two_parsers_might_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        loads(data)


ACCEPTED: list[tuple[bytes, Any]] = [
    (b"null", None),
    (b" [true, false] ", [True, False]),
    (b'{"a": {"a": 1}}', {"a": {"a": 1}}),
    (b"1e3", 1000.0),
    (b"-0", 0),
    (b"1000000000000000019884624838656", 1000000000000000019884624838656),
    (b'"\\ud83d\\ude00"', "😀"),
    ('"😀"'.encode(), "😀"),
    (b'"\\\\ud800"', "\\ud800"),
    (b'"\\uD55C"', "한"),
    (b"1.7976931348623157e308", 1.7976931348623157e308),
]


@pytest.mark.parametrize(("data", "value"), ACCEPTED)
def test_plain_json_is_read(data: bytes, value: Any) -> None:
    assert loads(data) == value


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + closing * depth


def test_depth_is_bounded_exactly() -> None:
    assert loads(nested(5), max_depth=5) == [[[[[]]]]]
    assert loads(b"1", max_depth=0) == 1
    for data in (nested(6), b'{"a":' * 6 + b"1" + b"}" * 6, b'[{"a":[{"a":[{"a":1}]}]}]'):
        with pytest.raises(LimitExceededError, match="deeper than 5"):
            loads(data, max_depth=5)


@pytest.mark.parametrize("depth", [limits.JSON_DEPTH + 1, 5_000, 49_000])
def test_deep_documents_are_refused_and_do_not_end_the_process(depth: int) -> None:
    with pytest.raises(LimitExceededError):
        loads(nested(depth))
    with pytest.raises(ModelTrustError):
        loads(b"[" * depth)


def test_size_is_bounded_exactly() -> None:
    assert strict_json.loads(b"[1]", max_bytes=3) == [1]
    with pytest.raises(LimitExceededError, match="4 bytes, expected at most 3"):
        strict_json.loads(b"[12]", max_bytes=3)


def test_a_reader_of_integers_may_refuse_one() -> None:
    def small(literal: str) -> int:
        if len(literal) > 3:
            raise ValueError("too long")
        return int(literal)

    assert loads(b"[123]", parse_int=small) == [123]
    with pytest.raises(MalformedError, match="too long"):
        loads(b"[1234]", parse_int=small)


def test_an_error_quotes_and_shortens_foreign_keys() -> None:
    key = "\\u202e" + "x" * 10_000
    with pytest.raises(MalformedError) as caught:
        loads(f'{{"{key}": 1, "{key}": 2}}'.encode())
    assert len(str(caught.value)) < 300
    assert "\u202e" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_and_json_reads_the_same(value: Any) -> None:
    data = strict_json.dumps(value)
    assert loads(data) == value == json.loads(data)


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:0123456789.eE-+ ntfaulrs\\ud8', max_size=40).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_whatever_is_accepted_json_accepts_too_and_reads_alike(data: bytes) -> None:
    try:
        value = loads(data)
    except ModelTrustError:
        return
    assert value == json.loads(data.decode("utf-8"))


def test_canonical_bytes_have_no_spaces_and_no_needless_escapes() -> None:
    assert strict_json.dumps({"b": ["é/\u2028\x7f", 1], "a": None}) == '{"b":["é/\u2028\x7f",1],"a":null}'.encode()
    assert strict_json.dumps('"\\\n\x01') == b'"\\"\\\\\\n\\u0001"'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_json_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        strict_json.dumps([value])
