"""What is being examined and what was found lately, by order: asking again starts nothing twice.

The last free place is kept from a source that holds all the others, and from models attested before while such ones hold all the
others. Hubs that are down or slow, with every model of them tried again, would otherwise keep models of other hubs waiting for
minutes, and one tenant's slow new models would keep every other hub's from being verified again (attack H1).
"""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Lock
from typing import Protocol

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, UnavailableError, quote
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.work import Order, Report


class Runs(Protocol):
    """Who runs orders, each to its end; ``worker.children.Children`` is the real one."""

    def examine(self, order: bytes) -> Report:
        """The report; UnavailableError where there is none."""
        ...

    def stop(self) -> None:
        """End what runs."""
        ...


class BusyError(LimitExceededError):
    """There is no room for more work now."""


@dataclass(slots=True)
class _Examination:
    future: "Future[Report]"
    source: str
    patient: bool
    ended: float | None = None


class Examinations:
    """At most so many at once; results are kept for who asks again, few and not for long."""

    def __init__(self, children: Runs, *, concurrency: int, clock: Callable[[], float]) -> None:
        """Begin idle.

        Args:
            children: run orders.
            concurrency: examinations at once.
            clock: monotonic seconds.
        """
        self._children = children
        self._concurrency = concurrency
        self._clock = clock
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="examination")
        self._known: OrderedDict[bytes, _Examination] = OrderedDict()
        self._lock = Lock()
        self._stopping = False

    def ask(self, order: Order) -> "Future[Report]":
        """The examination of an order: a new one, the one under way, or one that ended lately.

        Args:
            order: its time does not tell two apart: who asks again asks later.

        Raises:
            BusyError: there is no room now.
            UnavailableError: no more are begun.
        """
        key = sha256(work.encode_order(replace(order, now=0))).digest()
        with self._lock:
            self._forget()
            known = self._known.get(key)
            if known is not None:
                return known.future
            if self._stopping:
                raise UnavailableError("the worker is stopping")
            source = _source(order)
            self._admit(source, patient=order.patient)
            data = work.encode_order(order)
            entry = _Examination(self._threads.submit(self._children.examine, data), source, order.patient)
            self._known[key] = entry
        entry.future.add_done_callback(lambda _future: self._end(entry))
        return entry.future

    def under_way(self) -> int:
        """How many run now."""
        with self._lock:
            return self._under_way()

    def stop(self) -> None:
        """Kill what runs, and begin no more."""
        with self._lock:
            self._stopping = True
        self._children.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _under_way(self) -> int:
        return len(self._holders())

    def _holders(self) -> list[_Examination]:
        return [entry for entry in self._known.values() if entry.ended is None]

    def _admit(self, source: str, *, patient: bool) -> None:
        holders = self._holders()
        taken = f"{len(holders)} examinations are under way"
        if len(holders) >= self._concurrency:
            raise BusyError(f"{taken}, expected fewer")
        if not holders or len(holders) + 1 < self._concurrency:
            return
        if all(entry.source == source for entry in holders):
            raise BusyError(f"{taken}, all at {quote(source)}: the last place is for another source")
        if patient and all(entry.patient for entry in holders):
            raise BusyError(f"{taken}, all of models attested before: the last place is for one that never was")

    def _end(self, entry: _Examination) -> None:
        with self._lock:
            entry.ended = self._clock()

    def _forget(self) -> None:
        """What is too old, and the oldest of too many."""
        now = self._clock()
        ended = [(key, entry.future, entry.ended) for key, entry in self._known.items() if entry.ended is not None]
        for place, (key, future, at) in enumerate(reversed(ended)):
            if place >= limits.REPORTS_KEPT or now - at >= _seconds(future):
                del self._known[key]


def _source(order: Order) -> str:
    return "" if order.source is None else order.source.endpoints[0]


def _seconds(future: "Future[Report]") -> float:
    """A failure is kept for less than whoever asks waits before asking again, or an outage would be remembered as one."""
    if future.cancelled() or future.exception() is not None:
        return limits.FAILURE_KEPT_SECONDS
    report = future.result()
    unknown = all(isinstance(fact, Unavailable) for fact in (report.content, report.signatures, report.formats))
    return limits.FAILURE_KEPT_SECONDS if unknown else limits.REPORT_KEPT_SECONDS
