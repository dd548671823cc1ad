"""Asking again starts nothing twice; a failure is not remembered for long; there is an end to what runs and what is kept."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, UnavailableError
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.work import Order, Report
from modeltrust.worker.examinations import BusyError, Examinations
from tests.unit.api.test_work import ORDER, REPORT, SOURCE

ELSEWHERE = dataclasses.replace(SOURCE, endpoints=("https://elsewhere.example",))


class Runs:
    """Stands for child processes: each waits until it is told how it ends."""

    def __init__(self) -> None:
        self.begun: list[Order] = []
        self.go = threading.Event()
        self.ends: Callable[[Order], Report] = lambda order: dataclasses.replace(REPORT, nonce=order.nonce)

    def examine(self, order: bytes) -> Report:
        self.begun.append(work.decode_order(order))
        assert self.go.wait(5)
        return self.ends(self.begun[-1])

    def stop(self) -> None:
        self.go.set()


class World:
    def __init__(self, concurrency: int = 3) -> None:
        self.now = 0.0
        self.runs = Runs()
        self.examinations = Examinations(self.runs, concurrency=concurrency, clock=lambda: self.now)

    def ask(self, nonce: int = 0, **changes: Any) -> "Future[Report]":
        return self.examinations.ask(dataclasses.replace(ORDER, nonce=f"{nonce:032x}", **changes))

    def settled(self, nonce: int = 0) -> "Future[Report]":
        self.runs.go.set()
        future = self.ask(nonce)
        future.exception(5)
        while self.examinations.under_way():
            pass
        return future


@pytest.fixture
def world() -> World:
    return World()


def test_asking_again_and_later_joins_what_is_under_way(world: World) -> None:
    first = world.ask()
    assert world.ask(now=ORDER.now + 60) is first
    world.runs.go.set()
    assert first.result(5).nonce == f"{0:032x}"
    assert world.ask(now=ORDER.now + 120) is first
    assert len(world.runs.begun) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"bundles": ()},
        {"signers": ()},
        {"read_bytes": False},
        {"source": dataclasses.replace(SOURCE, username="another")},
        {"remote_bundles": ()},
    ],
)
def test_any_other_difference_is_another_order(world: World, change: dict[str, Any]) -> None:
    assert world.ask() is not world.ask(**change)
    world.runs.go.set()


def test_there_is_room_for_so_many_and_what_is_under_way_can_still_be_asked_about(world: World) -> None:
    first = world.ask(1)
    world.ask(2)
    with pytest.raises(BusyError, match="under way"):
        world.ask(3)
    assert isinstance(BusyError(""), LimitExceededError)
    assert world.ask(1) is first
    world.settled(1)
    world.ask(3)
    assert len(world.runs.begun) <= 3


def test_the_last_place_is_for_a_model_that_was_never_attested() -> None:
    world = World(concurrency=3)
    known = world.ask(1, patient=True)
    world.ask(2, patient=True, source=ELSEWHERE)
    for number in (3, 4):
        with pytest.raises(BusyError, match="never was"):
            world.ask(number, patient=True)
    assert world.ask(1, patient=True) is known
    world.ask(3)
    with pytest.raises(BusyError, match="expected fewer"):
        world.ask(4)
    world.runs.go.set()


def test_no_source_takes_the_last_place_while_it_holds_all_others() -> None:
    """A hub that drips, with every model at it never attested, would hold all places for 15 minutes."""
    world = World(concurrency=3)
    world.ask(1)
    world.ask(2)
    with pytest.raises(BusyError, match="another source"):
        world.ask(3)
    world.ask(3, source=ELSEWHERE)
    world.runs.go.set()


def test_h1_slow_new_models_of_one_source_keep_no_other_source_s_models_from_being_verified_again() -> None:
    """A tenant's new models, at a hub that drips for 15 minutes each, one after the other."""
    world = World(concurrency=4)
    for number in range(3):
        world.ask(number)
    with pytest.raises(BusyError):
        world.ask(3, patient=True)
    world.ask(4, patient=True, source=ELSEWHERE)
    world.runs.go.set()


def test_one_place_is_for_everybody() -> None:
    world = World(concurrency=1)
    world.ask(1, patient=True)
    with pytest.raises(BusyError, match="expected fewer"):
        world.ask(2)
    world.runs.go.set()


def test_a_thousand_orders_at_once_begin_as_many_as_there_is_room_for(world: World) -> None:
    refused = 0
    for number in range(1_000):
        try:
            world.ask(number)
        except BusyError:
            refused += 1
    assert refused == 998
    assert world.examinations.under_way() == 2
    world.runs.go.set()


def test_a_report_is_kept_for_a_while_and_a_failure_hardly(world: World) -> None:
    world.settled(1)
    world.now = limits.REPORT_KEPT_SECONDS - 1
    world.settled(1)
    assert len(world.runs.begun) == 1
    world.now += 2
    world.settled(1)
    assert len(world.runs.begun) == 2

    def fails(_order: Order) -> Report:
        raise UnavailableError("no")

    for number, ends in ((2, fails), (3, lambda _order: UNKNOWN_ALL)):
        world.runs.ends = ends
        world.settled(number)
        world.settled(number)
        begun = len(world.runs.begun)
        world.now += limits.FAILURE_KEPT_SECONDS
        world.settled(number)
        assert len(world.runs.begun) == begun + 1


DOWN = Unavailable("503")
UNKNOWN_ALL = dataclasses.replace(REPORT, content=DOWN, signatures=DOWN, formats=DOWN)


def test_no_more_reports_are_kept_than_memory_should_hold() -> None:
    world = World(concurrency=1)
    for number in range(limits.REPORTS_KEPT + 3):
        world.settled(number)
    world.settled(0)
    assert len(world.runs.begun) == limits.REPORTS_KEPT + 4


def test_after_the_stop_nothing_begins(world: World) -> None:
    world.ask(1)
    world.examinations.stop()
    assert world.examinations.under_way() == 0
    with pytest.raises(UnavailableError, match="stopping"):
        world.ask(2)
