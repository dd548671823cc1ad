import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.evaluation.answers import Answer, Position, divergence, parse_answer, parse_text, shift
from tests.support.endpoints import ToyModel, completion

weights = st.dictionaries(st.integers(0, 30), st.floats(0.001, 1), min_size=1, max_size=20)


def logs(values: dict[int, float]) -> dict[Any, float]:
    total = sum(values.values()) * 1.1
    return {key: math.log(value / total) for key, value in values.items()}


def answer(*tokens: int, ended: bool = True, likely: float = 0.9) -> Answer:
    return Answer("", tuple(Position(token, {token: math.log(likely)}) for token in tokens), ended, has_ids=True)


def body(**changes: Any) -> bytes:
    document = completion(ToyModel("m").ask("say blue in french"))
    document["choices"][0] |= changes
    return json.dumps(document).encode()


@settings(max_examples=60)
@given(weights, weights)
def test_divergence_is_symmetric_between_zero_and_one_and_zero_for_equals(one: dict[int, float], two: dict[int, float]) -> None:
    left, right = logs(one), logs(two)
    value = divergence(left, right)
    assert 0 <= value <= 1
    assert value == pytest.approx(divergence(right, left), abs=1e-9)
    assert divergence(left, dict(left)) == 0.0


def test_disjoint_certainties_are_one_bit_apart() -> None:
    assert divergence({1: 0.0}, {2: 0.0}) == pytest.approx(1.0)


def test_half_against_certain_gives_the_known_answer() -> None:
    half = math.log(0.5)
    assert divergence({1: half, 2: half}, {1: 0.0}) == pytest.approx(0.3113, abs=1e-4)


def test_what_lists_leave_out_is_compared_as_one_bucket() -> None:
    listed = math.log(0.6)
    assert 0 < divergence({1: listed}, {1: listed, 2: math.log(0.39)}) < 0.5


def test_the_shift_counts_the_first_different_token_and_nothing_behind_it() -> None:
    assert shift(answer(1, 2, 3, 4), answer(1, 2, 3, 4)) == 0.0
    early = shift(answer(1, 2, 9), answer(1, 3, 8))
    assert early == shift(answer(1, 2), answer(1, 3)) > 0.5


def test_one_changed_token_of_twenty_is_seen_in_full() -> None:
    words = list(range(20))
    assert shift(answer(*words), answer(*words[:19], 99)) == pytest.approx(divergence({19: math.log(0.9)}, {99: math.log(0.9)}))


def test_stopping_where_the_other_goes_on_is_a_difference_even_if_the_end_is_not_shown() -> None:
    assert shift(answer(1, 2), answer(1, 2, 3)) == 1.0
    assert shift(answer(1, 2, ended=False), answer(1, 2, 3, ended=False)) == 0.0


def test_an_answer_is_read_with_its_ids_and_its_end() -> None:
    read = parse_answer(body(), tokens=64)
    assert (read.ended, read.has_ids) == (True, True)
    assert len(read.positions[0].top) == 20
    assert read.positions[-1].chosen == 2


def test_ids_spelled_as_vllm_does_are_ids() -> None:
    document = json.loads(body())
    for entry in document["choices"][0]["logprobs"]["content"]:
        for item in (entry, *entry["top_logprobs"]):
            item["token"] = f"token_id:{item.pop('id')}"
    assert parse_answer(json.dumps(document).encode(), tokens=64) == parse_answer(body(), tokens=64)


def test_without_ids_equal_texts_are_summed_and_said_so() -> None:
    top = [{"token": "", "logprob": math.log(0.3)}, {"token": "", "logprob": math.log(0.4)}]
    read = parse_answer(body(logprobs={"content": [{"token": "", "logprob": math.log(0.3), "top_logprobs": top}]}), tokens=64)
    assert not read.has_ids
    assert math.exp(read.positions[0].top[""]) == pytest.approx(0.7)


@pytest.mark.parametrize("value", ["1.0", "1e308", "NaN", "Infinity", '"-1"', "null", "true"])
def test_a_log_probability_that_is_none_is_refused(value: str) -> None:
    data = body().replace(b'"logprob": -', b'"logprob": ' + value.encode() + b', "x": -', 1)
    with pytest.raises(MalformedError):
        parse_answer(data, tokens=64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"choices": []}',
        b"\xff",
        b"[" * 100_000,
        b'{"choices":[{"text":"\xff"}]}',
        body(logprobs=None),
        body(logprobs={"content": []}),
    ],
)
def test_a_body_that_is_no_completion_is_refused_without_quoting_it(data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_answer(data, tokens=64)
    assert "french" not in str(caught.value)


def test_two_choices_and_more_tokens_than_asked_for_are_refused() -> None:
    document = json.loads(body())
    document["choices"] *= 2
    with pytest.raises(MalformedError, match="2 choices"):
        parse_answer(json.dumps(document).encode(), tokens=64)
    with pytest.raises(LimitExceededError, match="tokens"):
        parse_answer(body(), tokens=1)


def test_a_turn_is_bounded() -> None:
    assert len(parse_text(json.dumps({"choices": [{"text": "x" * 100_000}]}).encode())) == 4_096
    for wrong in (b'{"choices": [{"text": 5}]}', b'{"choices": [{"text": "\xff"}]}', b"[" * 100_000):
        with pytest.raises(MalformedError):
            parse_text(wrong)


def a_turn(*pieces: str) -> bytes:
    content = [{"id": 1, "token": piece, "bytes": [*piece.encode()], "logprob": -1.0, "top_logprobs": []} for piece in pieces]
    return json.dumps({"choices": [{"text": "".join(pieces), "logprobs": {"content": content}}]}).encode()


@pytest.mark.parametrize(
    ("pieces", "turn"),
    [
        (("Say", " red", "", "In", " French"), "Say red"),
        (("", "Say", " red", "", "In"), "Say red"),
        (("Say", " red"), "Say red"),
        (("", ""), ""),
        ((), ""),
    ],
)
def test_a_turn_ends_where_a_token_has_no_text_for_there_the_answer_begins(pieces: tuple[str, ...], turn: str) -> None:
    assert parse_text(a_turn(*pieces)) == turn


def test_a_character_in_two_tokens_is_one_character() -> None:
    halves = [{"bytes": [0xC3]}, {"bytes": [0xA9]}]
    assert parse_text(json.dumps({"choices": [{"text": "?", "logprobs": {"content": halves}}]}).encode()) == "é"


@pytest.mark.parametrize("content", [[{"bytes": [256]}], [{"bytes": None}], [{"bytes": "a"}], [{}], [3], {}])
def test_a_turn_whose_tokens_are_no_bytes_is_refused(content: object) -> None:
    with pytest.raises(MalformedError):
        parse_text(json.dumps({"choices": [{"text": "x", "logprobs": {"content": content}}]}).encode())


def test_logprobs_in_vllms_older_form_leave_the_text_as_it_is() -> None:
    assert parse_text(json.dumps({"choices": [{"text": "Say red", "logprobs": {"tokens": ["Say", " red"]}}]}).encode()) == "Say red"


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_answer(data, tokens=64)
