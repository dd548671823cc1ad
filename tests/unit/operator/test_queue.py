import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.operator.queue import Key, Queue

A: Key = ("modelattestations", "a")
B: Key = ("modelattestations", "b")
C: Key = ("modelattestations", "c")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> Queue:
    return Queue(clock=clock, uniform=lambda _low, high: high)


def drain(queue: Queue) -> list[Key]:
    taken = []
    while (key := queue.take(0)) is not None:
        taken.append(key)
        queue.done(key)
    return taken


def test_a_key_added_many_times_is_looked_at_once(queue: Queue) -> None:
    for _ in range(1_000):
        queue.add(A)
    assert len(queue) == 1
    assert drain(queue) == [A]


def test_a_key_is_never_in_two_hands_and_a_change_meanwhile_is_not_lost(queue: Queue) -> None:
    queue.add(A)
    assert queue.take(0) == A
    queue.add(A)
    assert queue.take(0) is None
    queue.done(A)
    assert drain(queue) == [A]


def test_what_is_new_comes_before_what_is_only_looked_at_again(queue: Queue) -> None:
    queue.add(A, urgent=False)
    queue.add(B, urgent=False)
    queue.add(C)
    queue.add(B)
    assert drain(queue) == [C, B, A]


def test_a_key_comes_at_its_time_and_not_before(queue: Queue, clock: Clock) -> None:
    queue.schedule(A, 10)
    assert (drain(queue), queue.delayed) == ([], 1)
    clock.now += 9.9
    assert drain(queue) == []
    clock.now += 0.1
    assert (drain(queue), queue.delayed) == ([A], 0)


def test_the_latest_plan_counts(queue: Queue, clock: Clock) -> None:
    queue.schedule(A, 10)
    queue.schedule(A, 100)
    clock.now += 50
    assert drain(queue) == []
    clock.now += 50
    assert drain(queue) == [A]


def test_a_change_comes_before_its_back_off_and_replaces_it(queue: Queue, clock: Clock) -> None:
    queue.retry(A)
    queue.add(A)
    assert drain(queue) == [A]
    clock.now += 1000
    assert drain(queue) == []


def test_s9_back_off_grows_from_five_seconds_to_ten_minutes_and_begins_anew_after_success(queue: Queue) -> None:
    waits = [queue.retry(A) for _ in range(12)]
    assert waits[:3] == [5.0, 10.0, 20.0]
    assert waits[-1] == 600.0
    queue.settled(A)
    assert queue.retry(A) == 5.0


def test_back_off_has_jitter_and_is_never_shorter_than_its_least(clock: Clock) -> None:
    queue = Queue(clock=clock, uniform=lambda low, _high: low)
    assert [queue.retry(A) for _ in range(4)] == [5.0, 5.0, 10.0, 20.0]


def test_what_is_gone_comes_back_no_more(queue: Queue, clock: Clock) -> None:
    queue.schedule(A, 1)
    queue.forget(A)
    clock.now += 2
    assert drain(queue) == []


def test_a_time_that_comes_while_the_key_is_in_hand_is_not_lost(queue: Queue, clock: Clock) -> None:
    queue.add(A)
    queue.take(0)
    queue.schedule(A, 1)
    clock.now += 2
    assert queue.take(0) is None
    queue.done(A)
    assert queue.take(0) == A


def test_f87_it_is_bounded_and_says_that_it_dropped_something(clock: Clock) -> None:
    queue = Queue(clock=clock, uniform=lambda low, _high: low, bound=10)
    for number in range(25):
        queue.add(("k", str(number)))
    assert len(queue) == 10
    assert queue.overflowed() == 15
    assert queue.overflowed() == 0
    queue.schedule(("k", "later"), 5)
    assert (queue.delayed, queue.overflowed()) == (0, 1)


def test_whoever_waits_is_woken_by_a_key_and_by_the_end() -> None:
    queue = Queue(clock=time.monotonic, uniform=lambda low, _high: low)
    got: list[Key | None] = []
    threads = [threading.Thread(target=lambda: got.append(queue.take(30))) for _ in range(2)]
    for thread in threads:
        thread.start()
    queue.add(A)
    while not got:
        pass
    queue.close()
    for thread in threads:
        thread.join(5)
    assert got == [A, None]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(["add", "slow", "plan", "take", "done", "retry", "tick"]), st.integers(0, 3)), max_size=60)
)
def test_whatever_happens_no_key_is_lost_or_in_two_hands(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    queue = Queue(clock=clock, uniform=lambda low, _high: low)
    taken: list[Key] = []
    expected: set[Key] = set()
    for step, number in steps:
        key = ("k", str(number))
        match step:
            case "add" | "slow":
                queue.add(key, urgent=step == "add")
                expected.add(key)
            case "plan":
                queue.schedule(key, 3)
                expected.add(key)
            case "retry":
                queue.retry(key)
                expected.add(key)
            case "take":
                got = queue.take(0)
                assert got is None or got not in taken
                taken += [got] if got else []
                expected -= {got} if got else set()
            case "done" if taken:
                queue.done(taken.pop())
            case _:
                clock.now += 1
    for key in taken:
        queue.done(key)
    clock.now += 10_000
    assert set(drain(queue)) >= expected
    assert (len(queue), queue.delayed) == (0, 0)
    assert limits.OPERATOR_KEYS > 0
