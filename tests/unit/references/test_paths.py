"""The JSONPath subset agrees with python-jsonpath, and is bounded."""

from typing import Any

import jsonpath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.errors import InvalidInputError, LimitExceededError
from modeltrust.references.budget import Budget
from modeltrust.references.paths import evaluate, parse_path

_NAMES = st.sampled_from(["a", "b", "c"])
_VALUES = st.recursive(
    st.sampled_from([1, "x", True]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3)
)
_STEPS = st.sampled_from([".a", ".b", "..a", "..c", "[*]", ".*", "['a','b']", "['c']"])


@given(_VALUES, st.lists(_STEPS, max_size=4).map("".join))
@settings(max_examples=150, deadline=None)
def test_it_agrees_with_the_oracle(value: Any, steps: str) -> None:
    text = f"${steps}"
    ours = evaluate(parse_path(text), value, Budget())
    matches = list(jsonpath.finditer(text, value)) if isinstance(value, (dict, list)) else []
    if isinstance(value, (dict, list)):
        assert sorted(place for place, _ in ours) == sorted(str(match.pointer()) for match in matches)
    for place, item in ours:
        assert item == jsonpath.pointer.resolve(place, value) if place else item == value


@pytest.mark.parametrize("text", ["", "a", "$.", "$[0]", "$[?@.a]", "$..", "$.a b", "$['a'", "$[1:2]", "@.a"])
def test_paths_outside_the_subset_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_path(text)


def test_nulls_are_no_matches() -> None:
    assert not evaluate(parse_path("$.a"), {"a": None}, Budget())


def test_pointers_are_escaped() -> None:
    assert evaluate(parse_path("$.*"), {"a/b~c": 1}, Budget()) == [("/a~1b~0c", 1)]


def test_descent_is_bounded_by_depth_steps_and_matches() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    with pytest.raises(LimitExceededError, match="deeper"):
        evaluate(parse_path("$..b"), deep, Budget())
    with pytest.raises(LimitExceededError, match="steps"):
        evaluate(parse_path("$..b"), [[1]] * 200, Budget(100))
    with pytest.raises(LimitExceededError, match="matches"):
        evaluate(parse_path("$[*]"), list(range(5000)), Budget())
