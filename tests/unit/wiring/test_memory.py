"""Together all processes of a container fit into it, whatever they read; what states no bound is bounded all the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.wiring import memory

GIB = 1024**3


@pytest.mark.parametrize(("place", "text"), [("memory.max", "4294967296\n"), ("memory/memory.limit_in_bytes", "4294967296\n")])
def test_the_bound_of_the_container_is_read_from_either_kind_of_cgroup(place: str, text: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(text)
    assert memory.of_container(tmp_path) == 4 * GIB


@pytest.mark.parametrize("text", ["max\n", "", "-1\n", "4 GiB\n", "\N{SUPERSCRIPT TWO}"])
def test_what_states_no_bound_is_no_bound_and_no_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(text, encoding="utf-8")
    assert memory.of_container(tmp_path) is None
    assert memory.of_one(None) == limits.EXAMINER_MEMORY_BYTES
    assert memory.of_each(None, processes=4) == (4, limits.EXAMINER_MEMORY_BYTES)


@given(container=st.integers(0, 2**63), wished=st.integers(1, 64))
def test_the_worker_and_all_its_children_fit_into_the_container(container: int, wished: int) -> None:
    fitting, each = memory.of_each(container, processes=wished)
    assert 0 <= fitting <= wished
    if fitting:
        assert limits.WORKER_MEMORY_BYTES + fitting * each <= container
        assert limits.EXAMINER_LEAST_MEMORY_BYTES <= each <= limits.EXAMINER_MEMORY_BYTES
    assert memory.of_one(container) <= min(container, limits.EXAMINER_MEMORY_BYTES)


def test_the_chart_s_worker_runs_as_many_at_once_as_it_says() -> None:
    assert memory.of_each(4 * GIB, processes=4) == (4, 896 * 1024**2)
    assert memory.of_each(2 * GIB, processes=4)[0] == 3
    assert memory.of_each(GIB // 2, processes=4)[0] == 0
