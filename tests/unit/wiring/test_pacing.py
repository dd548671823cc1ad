"""Who works beside the requests gives way after each slice of its own CPU time."""

import time
from collections.abc import Callable

import pytest

from modeltrust.domain import limits
from modeltrust.wiring.pacing import Pace

PAUSE = 0.25
LONG = 100  # slices


def work(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def pauses(hurry: Callable[[], bool] = lambda: False) -> tuple[Pace, list[float]]:
    waited: list[float] = []
    return Pace(PAUSE, wait=waited.append, hurry=hurry), waited


def test_a_long_step_is_followed_by_one_pause() -> None:
    pace, waited = pauses()
    for _ in range(2):
        work(LONG * limits.SLICE_SECONDS)
        pace.rest()
        assert waited.pop() == PAUSE
    assert waited == []


def test_small_steps_share_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    pace, waited = pauses()
    monkeypatch.setattr(limits, "SLICE_SECONDS", 1_000.0)
    for _ in range(LONG):
        pace.rest()
    assert waited == []


def test_where_there_is_nobody_to_give_way_to_nothing_waits() -> None:
    nobody = True
    pace, waited = pauses(lambda: nobody)
    work(limits.SLICE_SECONDS)
    pace.rest()
    assert waited == []
    nobody = False
    work(limits.SLICE_SECONDS)
    pace.rest()
    assert waited == [PAUSE]
