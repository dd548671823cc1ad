import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from modeltrust.domain.errors import UnavailableError
from modeltrust.operator.attestations import Result
from modeltrust.operator.index import Index
from modeltrust.operator.leading import Changes, Leading
from modeltrust.operator.queue import Key, Queue
from modeltrust.operator.reconciling import Reconciling
from modeltrust.operator.writes import NotLeadingError
from modeltrust.store.sink import Kind
from modeltrust.telemetry import OperatorTelemetry
from tests.support import trusted

PLURAL = "modelattestations"
A: Key = (PLURAL, "a")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return Queue(clock=clock, uniform=lambda low, _high: low)


@pytest.fixture
def changes(queue: Queue) -> Changes:
    return Changes(queue, Index())


def drain(queue: Queue) -> list[str]:
    names = []
    while (key := queue.take(0)) is not None:
        names.append(key[1])
        queue.done(key)
    return names


def body(name: str = "a", model: Any = trusted.GUARD, generation: int = 1, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name, "generation": generation, **metadata}, "spec": {"model": model}}


def test_what_changes_is_looked_at_and_our_own_status_is_no_change(changes: Changes, queue: Queue) -> None:
    changes.watched(PLURAL, body(), "ADDED")
    assert drain(queue) == ["a"]
    changes.watched(PLURAL, {**body(), "status": {"statement": "x"}}, "MODIFIED")
    assert drain(queue) == []
    changes.watched(PLURAL, body(generation=2), "MODIFIED")
    changes.watched(PLURAL, body("b", annotations={"x": "y"}), "MODIFIED")
    assert drain(queue) == ["a", "b"]


def test_what_is_listed_again_is_looked_at_after_what_is_new(changes: Changes, queue: Queue) -> None:
    changes.watched(PLURAL, body("old"), "")
    changes.watched(PLURAL, body("new"), "ADDED")
    assert drain(queue) == ["new", "old"]
    changes.watched(PLURAL, body("old"), "")
    assert drain(queue) == ["old"]


def test_what_is_deleted_is_looked_at_once_more_and_forgotten(changes: Changes, queue: Queue) -> None:
    changes.watched(PLURAL, body(), "ADDED")
    changes.watched(PLURAL, body(), "DELETED")
    drain(queue)
    changes.all()
    assert drain(queue) == []


def test_a_signer_policy_or_revocation_finds_the_models_it_concerns(changes: Changes, queue: Queue) -> None:
    changes.watched(PLURAL, body("guard"), "ADDED")
    changes.watched(PLURAL, body("other", "hf://zeta/x@" + "1" * 40), "ADDED")
    changes.watched(PLURAL, body("broken", 7), "ADDED")
    drain(queue)
    changes.mirrored(Kind.SIGNERS, trusted.signer())
    assert drain(queue) == ["guard"]
    changes.mirrored(Kind.REVOCATIONS, trusted.revocation(models=[f"{trusted.GUARD}"]))
    assert drain(queue) == ["guard"]
    changes.mirrored(Kind.POLICIES, trusted.policy())
    assert set(drain(queue)) == {"guard", "other"}
    changes.mirrored(Kind.POLICIES, {"spec": {"match": {"models": [7, "***"]}}})
    changes.mirrored(Kind.NAMESPACES, {"spec": {}})
    assert drain(queue) == []
    changes.mirrored(Kind.SIGNERS, None)
    assert set(drain(queue)) == {"guard", "other", "broken"}


def test_signers_hear_how_much_counts_for_them_and_not_for_each_model(changes: Changes, queue: Queue, clock: Clock) -> None:
    for name in ("a", "b", "c"):
        changes.looked((PLURAL, name), Result("attested", signed_by=frozenset({"acme"})))
    changes.looked((PLURAL, "c"), Result("gone"))
    assert (changes.signed_by("acme"), drain(queue)) == (2, [])
    clock.now += 31
    assert drain(queue) == ["acme"]


@pytest.fixture
def telemetry() -> tuple[OperatorTelemetry, list[bytes]]:
    lines: list[bytes] = []
    return OperatorTelemetry(sink=lines.append), lines


Make = Callable[[Result | Exception], Reconciling]


@pytest.fixture
def make(queue: Queue, telemetry: tuple[OperatorTelemetry, list[bytes]]) -> Make:
    def make(answer: Result | Exception) -> Reconciling:
        def look(_name: str, _now: int) -> Result:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return Reconciling(queue, kinds={PLURAL: look}, telemetry=telemetry[0], now=lambda: 0, threads=2)

    return make


@pytest.mark.parametrize(
    ("answer", "due"),
    [
        (Result("attested", after=100.0), 100),
        (Result("waiting", after=30.0, retry=True), 30),
        (Result("waiting", after=1.0, retry=True), 5),
        (Result("waiting", after=2.0), 2),
        (Result("refused", after=60.0), 60),
        (UnavailableError("no"), 5),
        (RuntimeError("a bug"), 5),
    ],
)
def test_each_end_of_a_look_plans_the_next_one(
    answer: Result | Exception, due: float, make: Make, queue: Queue, clock: Clock
) -> None:
    make(answer).look(A)
    clock.now = due - 0.5
    assert drain(queue) == []
    clock.now = due + 0.5
    assert drain(queue) == ["a"]


def test_a_failure_that_comes_late_still_backs_off(make: Make, queue: Queue) -> None:
    failing, under_way, good = (
        make(answer) for answer in (Result("waiting", retry=True), Result("waiting", after=2.0), Result("attested"))
    )
    for _ in range(2):  # each attempt is under way for a while before it fails
        under_way.look(A)
        failing.look(A)
    assert queue.retry(A) >= 10.0
    good.look(A)
    assert queue.retry(A) == 5.0


@pytest.mark.parametrize("answer", [Result("refused"), Result("gone"), NotLeadingError("no")])
def test_what_waits_for_a_change_is_not_planned(answer: Result | Exception, make: Make, queue: Queue) -> None:
    make(answer).look(A)
    assert (queue.delayed, len(queue)) == (0, 0)


def test_a_bug_is_written_down_and_stops_nobody(make: Make, telemetry: tuple[OperatorTelemetry, list[bytes]]) -> None:
    make(RuntimeError("a bug")).look(A)
    assert b"reconcile-error" in telemetry[1][0]


def test_hands_take_what_is_there_until_stopped(telemetry: tuple[OperatorTelemetry, list[bytes]]) -> None:
    queue = Queue(clock=time.monotonic, uniform=lambda low, _high: low)
    seen = threading.Event()

    def look(_name: str, _now: int) -> Result:
        seen.set()
        return Result("refused")

    hands = Reconciling(queue, kinds={PLURAL: look}, telemetry=telemetry[0], now=lambda: 0)
    hands.start()
    queue.add(A)
    assert seen.wait(5)
    hands.stop()


class Part:
    def __init__(self, said: list[str]) -> None:
        self.said = said

    def start(self) -> None:
        self.said.append("start")

    def stop(self) -> None:
        self.said.append("stop")


def test_nothing_starts_before_everything_is_seen_and_every_round_went_well(
    telemetry: tuple[OperatorTelemetry, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrust.domain.limits.LEASE_RETRY_SECONDS", 0.01)
    said: list[str] = []
    blind, errors = [("signers",)] * 2, [UnavailableError("no"), RuntimeError("bug")]

    def look() -> None:
        said.append("keys")
        if errors:
            raise errors.pop()

    leading = Leading(
        unready=lambda: blind.pop() if blind else (), rounds={"keys": look}, parts=(Part(said), Part(said)), telemetry=telemetry[0]
    )
    leading.start()
    deadline = time.monotonic() + 5
    while said.count("start") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    leading.stop()
    assert said == ["keys", "keys", "keys", "start", "start", "stop", "stop"]


def test_stopping_before_anything_is_seen_starts_nothing(telemetry: tuple[OperatorTelemetry, list[bytes]]) -> None:
    said: list[str] = []
    leading = Leading(unready=lambda: ("signers",), rounds={}, parts=(Part(said),), telemetry=telemetry[0])
    leading.start()
    leading.stop()
    assert said == []
