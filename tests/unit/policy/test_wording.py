import pytest

from modeltrust.domain.locator import path_of
from modeltrust.domain.workload import Role
from modeltrust.policy.wording import listed, moment, named
from tests.support.statements import COMMIT
from tests.support.trust import a_found


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_790_000_000, "2026-09-21T14:13:20Z"), (-1, "-1 s"), (10**18, f"{10**18} s")],
)
def test_times_are_said_in_utc_and_impossible_ones_as_numbers(seconds: int, text: str) -> None:
    assert moment(seconds) == text


@pytest.mark.parametrize(
    ("names", "text"), [([], "nothing"), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d"], "a, b, c and 1 more")]
)
def test_long_lists_are_cut_and_counted(names: list[str], text: str) -> None:
    assert listed(names) == text


def test_a_list_can_quote_foreign_names() -> None:
    assert listed(["a\n"], quoted=True) == '"a\\x0a"'


def test_a_reference_is_named_with_its_place_and_role() -> None:
    assert named(a_found("hf://acme/x@main", locator="/a/0/b~1c#word 2")) == "hf://acme/x at a[0].b/c"
    assert named(a_found(f"hf://acme/x@{COMMIT}", role=Role.ADAPTER, locator="/a")) == f"hf://acme/x@{COMMIT[:8]}… (adapter at a)"
    assert named(a_found("oci://r.example/x@sha256:" + "5" * 64, locator="/a")) == "oci://r.example/x@sha256:55555555… at a"


@pytest.mark.parametrize(
    ("locator", "path"), [("", ""), ("/spec", "spec"), ("/0/a", "[0].a"), ("/spec/args/12#word 3", "spec.args[12]")]
)
def test_a_locator_reads_as_people_write_paths(locator: str, path: str) -> None:
    assert path_of(locator) == path
