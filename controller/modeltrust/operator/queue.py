"""What is to be looked at: each object once, however often it changed; who failed comes later, what is new comes first.

Level-based: a key says *look*, never what happened. One key is never in two hands, so nobody writes the same status twice.
"""

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable

from modeltrust.domain import limits

Key = tuple[str, str]  # plural of the kind, name


class Queue:
    """A bounded, deduplicating queue with delays and a back-off for each key."""

    def __init__(
        self, *, clock: Callable[[], float], uniform: Callable[[float, float], float], bound: int = limits.OPERATOR_KEYS
    ) -> None:
        """Begin empty.

        Args:
            clock: monotonic seconds.
            uniform: a random number between two.
            bound: keys that it holds; more are dropped and counted, and ``overflowed`` says so until it is read.
        """
        self._clock = clock
        self._uniform = uniform
        self._bound = bound
        self._urgent: deque[Key] = deque()
        self._patient: deque[Key] = deque()
        self._waiting: dict[Key, bool] = {}  # ready keys, and whether they are urgent
        self._taken: set[Key] = set()
        self._again: dict[Key, bool] = {}  # changed while they were in somebody's hands
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._numbers = itertools.count()
        self._failures: dict[Key, int] = {}
        self._dropped = 0
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        """Keys that are ready or in hand; delayed ones are not counted."""
        with self._changed:
            return len(self._waiting) + len(self._taken)

    @property
    def delayed(self) -> int:
        """Keys that wait for their time."""
        with self._changed:
            return len(self._due)

    def overflowed(self) -> int:
        """How many keys were dropped since the last call: somebody has to list everything again."""
        with self._changed:
            dropped, self._dropped = self._dropped, 0
            return dropped

    def add(self, key: Key, *, urgent: bool = True) -> None:
        """Look at it as soon as possible; what waits for its time does so no more."""
        with self._changed:
            if key in self._taken:
                self._again[key] = self._again.get(key, False) or urgent
            elif self._waiting.get(key) is not True:
                self._put(key, urgent=urgent)
            self._changed.notify()

    def schedule(self, key: Key, seconds: float) -> None:
        """Look at it in so many seconds, instead of whatever was planned for it."""
        with self._changed:
            if key not in self._due and len(self._due) + len(self._waiting) >= self._bound:
                self._dropped += 1
                return
            at = self._clock() + seconds
            self._due[key] = at
            heapq.heappush(self._heap, (at, next(self._numbers), key))
            self._changed.notify()

    def plan(self, key: Key, seconds: float) -> None:
        """Look at it in so many seconds, unless something is planned or waiting already: many small changes, one look."""
        with self._changed:
            planned = key in self._due or key in self._waiting
        if not planned:
            self.schedule(key, seconds)

    def retry(self, key: Key) -> float:
        """Look at it after a back-off that doubles with each failure; returns the seconds."""
        shortest, longest = limits.OPERATOR_BACK_OFF_SECONDS
        with self._changed:
            failures = self._failures[key] = min(self._failures.get(key, 0) + 1, 20)
        bound = min(longest, shortest * 2.0 ** (failures - 1))
        seconds = max(shortest, self._uniform(bound / 2, bound))
        self.schedule(key, seconds)
        return seconds

    def settled(self, key: Key) -> None:
        """It went well: its back-off begins anew."""
        with self._changed:
            self._failures.pop(key, None)

    def forget(self, key: Key) -> None:
        """It is gone: nothing is planned for it."""
        with self._changed:
            self._failures.pop(key, None)
            self._due.pop(key, None)

    def take(self, seconds: float) -> Key | None:
        """The next key, which nobody else gets until ``done``; None after so many seconds without one, or once closed."""
        until = self._clock() + seconds
        with self._changed:
            while not self._closed:
                self._ripen()
                key = self._next()
                if key is not None:
                    self._taken.add(key)
                    return key
                left = min(until, self._heap[0][0] if self._heap else until) - self._clock()
                if self._clock() >= until:
                    return None
                self._changed.wait(max(left, 0.001))
        return None

    def done(self, key: Key) -> None:
        """It was looked at; if it changed meanwhile, it is looked at again."""
        with self._changed:
            self._taken.discard(key)
            urgent = self._again.pop(key, None)
            if urgent is not None:
                self._put(key, urgent=urgent)
            self._changed.notify()

    def close(self) -> None:
        """Nobody gets anything any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, key: Key, *, urgent: bool) -> None:
        if key not in self._waiting and len(self._waiting) >= self._bound:
            self._dropped += 1
            return
        self._due.pop(key, None)
        self._waiting[key] = urgent or self._waiting.get(key, False)
        (self._urgent if urgent else self._patient).append(key)

    def _ripen(self) -> None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._due.get(key) != at:
                continue  # planned anew since
            if key in self._taken:
                self._due.pop(key)
                self._again.setdefault(key, False)
            else:
                self._put(key, urgent=False)

    def _next(self) -> Key | None:
        for line in (self._urgent, self._patient):
            while line:
                key = line.popleft()
                if self._waiting.pop(key, None) is not None:
                    return key
        return None
