import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.globs import Glob, check_glob

MATCHES = [
    ("hf://acme/*", "hf://acme/guard-7b"),
    ("hf://acme/guard-*", "hf://acme/guard-7b"),
    ("hf://acme/*-7b", "hf://acme/guard-7b"),
    ("hf://acme/g*d*b", "hf://acme/guard-7b"),
    ("hf://*/*", "hf://acme/guard-7b"),
    ("oci://registry.acme.example/**", "oci://registry.acme.example/models/guard/7b"),
    ("**", "hf://acme/guard-7b"),
    ("**/guard-7b", "hf://acme/guard-7b"),
    ("hf://acme/guard-7b", "hf://acme/guard-7b"),
    ("*@acme.example", "ci@acme.example"),
    ("registry.acme.example/vllm@sha256:*", "registry.acme.example/vllm@sha256:" + "0" * 64),
    ("a*a", "aa"),
    ("a*", "a"),
    ("*ab*b", "abab"),
]
DIFFERS = [
    ("hf://acme/*", "hf://acme/guard/7b"),
    ("hf://acme/*", "hf://acme2/guard"),
    ("hf://acme/*", "xhf://acme/guard"),
    ("hf://acme/*", "hf://acme/guard@main"),
    ("hf://acme/*", "hf://acme/"[:-1]),
    ("hf://acme/guard", "hf://acme/guard2"),
    ("hf://acme/guard", "hf://acme/Guard"),
    ("hf://acme.ai/*", "hf://acmexai/guard"),
    ("**", "hf://acme/guard@main"),
    ("oci://registry.acme.example/**", "oci://registry.acme.example.evil/x"),
    ("a*a", "a"),
    ("*@acme.example", "ci@evil@acme.example"),
    ("*@acme.example", "x/y@acme.example"),
    ("hf://[ab]/?", "hf://a/b"),
]
BAD = [
    "",
    "a" * (limits.GLOB_CHARACTERS + 1),
    "hf://äcme/*",
    "hf://acme/\n",
    "hf://acme/\x7f",
    "***",
    "a/**/b/**",
    "a**",
    "**a/b",
    "a/b**c",
    "a/*b*c*",
    "*/*/*/*/*/*/*/*/*",
]
WORKFLOW = "https://github.com/acme/models/.github/workflows/*.yml@refs/heads/main"


@pytest.mark.parametrize(("pattern", "text"), MATCHES)
def test_a_pattern_matches_the_whole_text(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text)


@pytest.mark.parametrize(("pattern", "text"), DIFFERS)
def test_a_pattern_matches_nothing_else(pattern: str, text: str) -> None:
    assert not Glob(pattern).matches(text)


@pytest.mark.parametrize("pattern", BAD)
def test_a_pattern_outside_the_grammar_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidReferenceError):
        check_glob(pattern)
    with pytest.raises(InvalidReferenceError):
        Glob(pattern)


H7 = [
    "https://github.com/acme/models/.github/workflows/evil.yml@refs/heads/foo@refs/heads/main",
    "https://github.com/acme/models/.github/workflows/x/evil.yml@refs/heads/main",
    "https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main2",
    "https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main\n",
    "xhttps://github.com/acme/models/.github/workflows/release.yml@refs/heads/main",
]


@pytest.mark.parametrize("subject", H7)
def test_a_branch_named_like_a_reference_does_not_pass_for_the_main_branch(subject: str) -> None:
    assert Glob(WORKFLOW).matches("https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main")
    assert not Glob(WORKFLOW).matches(subject)


def test_case_is_folded_only_where_asked_for() -> None:
    assert not Glob("hf://acme/*").matches("hf://ACME/Guard")
    assert Glob("hf://Acme/*", fold_case=True).matches("hf://aCME/Guard")
    assert Glob("hf://Acme/guard", fold_case=True).matches("hf://aCME/GUARD")


def test_a_text_beyond_the_bound_never_matches() -> None:
    assert Glob("**").matches("a" * limits.REFERENCE_CHARACTERS)
    assert not Glob("**").matches("a" * (limits.REFERENCE_CHARACTERS + 1))
    assert not Glob("a" * 10).matches("a" * (limits.REFERENCE_CHARACTERS + 1))


def test_compiled_patterns_are_equal_by_what_was_written() -> None:
    assert Glob("a/*") == Glob("a/*")
    assert Glob("a/*") != Glob("a/*", fold_case=True)
    assert len({Glob("a/*"), Glob("a/*"), Glob("b/*")}) == 2


def naive(pattern: str, text: str) -> bool:
    """The grammar as a plain recursive definition, the slow and obvious way."""
    if not pattern:
        return not text
    if pattern.startswith("**"):
        return naive(pattern[2:], text) or (bool(text) and text[0] != "@" and naive(pattern, text[1:]))
    if pattern.startswith("*"):
        return naive(pattern[1:], text) or (bool(text) and text[0] not in "/@" and naive(pattern, text[1:]))
    return bool(text) and pattern[0] == text[0] and naive(pattern[1:], text[1:])


COMPONENTS = st.sampled_from(["a", "b", "*", "a*", "*b", "a*b", "*a*", "*ab*b", "b*a*b", "*a*b", "**"])


@given(
    st.lists(COMPONENTS, min_size=1, max_size=4),
    st.lists(st.sampled_from("/@"), min_size=3, max_size=3),
    st.text("ab/@", max_size=12),
)
@settings(max_examples=150, deadline=None)
def test_matching_agrees_with_the_plain_definition(components: list[str], marks: list[str], text: str) -> None:
    pattern = "".join(itertools.chain(*itertools.zip_longest(components, marks[: len(components) - 1], fillvalue="")))
    try:
        glob = Glob(pattern)
    except InvalidReferenceError:
        return
    assert glob.matches(text) == naive(pattern, text)


HOSTILE = [
    ("*a*/*a*/*a*/*b", "/".join(["a" * 300] * 3) + "/" + "a" * 100),
    ("**/*a*/*a*/*b", "/".join(["a" * 250] * 4)),
    ("*a*/*a*/*a*/*a*", "/".join(["a" * 250] * 4) + "@"),
    ("**/*a*a/*a*a/*b", "/".join(["a" * 100] * 10)),
    ("**/*a*/*b", "a/" * 511),
    ("*a*b", "a" * 1023),
    (f"*{'a' * 250}*b", "a" * 1023),
    ("*@*@*@*@*@*@*@*b", "@".join(["a" * 120] * 8)),
]


@pytest.mark.parametrize(("pattern", "text"), HOSTILE)
def test_a_text_that_invites_backtracking_does_not_match(pattern: str, text: str) -> None:
    assert not Glob(pattern).matches(text[: limits.REFERENCE_CHARACTERS])  # timed in tests/slow/test_costs.py


@given(st.text(max_size=30))
@settings(max_examples=100)
def test_a_pattern_is_refused_or_matches_itself_where_it_has_no_star(pattern: str) -> None:
    try:
        glob = Glob(pattern)
    except InvalidReferenceError:
        return
    assert "*" in pattern or glob.matches(pattern)
    assert not re.search(r"\*\*\*", pattern)
