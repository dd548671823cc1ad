"""The hands that take keys from the queue: each looks at one object, and none is stopped by what one object does."""

import threading
from collections.abc import Callable, Mapping
from time import monotonic

from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError, quote
from modeltrust.operator.attestations import Result
from modeltrust.operator.queue import Key, Queue
from modeltrust.operator.writes import NotLeadingError
from modeltrust.telemetry import OperatorTelemetry

_TAKE_SECONDS = 1.0  # between two looks at whether to end

Look = Callable[[str, int], Result]


class Reconciling:
    """Some threads over one queue."""

    def __init__(
        self,
        queue: Queue,
        *,
        kinds: Mapping[str, Look],
        telemetry: OperatorTelemetry,
        now: Callable[[], int],
        after: Callable[[Key, Result], None] = lambda _key, _result: None,
        threads: int = limits.OPERATOR_THREADS,
    ) -> None:
        """Begin without a thread.

        Args:
            queue: of keys.
            kinds: by plural, who looks at one object of it.
            telemetry: counts and logs.
            now: unix seconds.
            after: told of every look that came to an end.
            threads: how many.
        """
        self._queue = queue
        self._kinds = kinds
        self._telemetry = telemetry
        self._now = now
        self._after = after
        self._threads = [threading.Thread(target=self._run, name="reconcile", daemon=True) for _ in range(threads)]
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the looks under way, or once they take too long."""
        self._stopping.set()
        self._queue.close()
        until = monotonic() + limits.OPERATOR_STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - monotonic()))

    def look(self, key: Key) -> None:
        """Look at one object, and plan the next look."""
        plural, name = key
        started = monotonic()
        try:
            result = self._kinds[plural](name, self._now())
            self._plan(key, result)
            outcome = result.outcome
            self._after(key, result)
        except NotLeadingError:
            outcome = "unavailable"
        except ModelTrustError as error:
            outcome = "unavailable"
            seconds = self._queue.retry(key)
            self._telemetry.log("reconcile-put-off", kind=plural, name=name, seconds=round(seconds, 1), why=quote(error, 300))
        except Exception as error:  # noqa: BLE001 - one object that meets a bug must not stop those behind it
            outcome = "failed"
            self._queue.retry(key)
            self._telemetry.failed("reconcile-error", error, kind=plural, name=name)
        self._telemetry.seconds.observe(monotonic() - started)
        self._telemetry.reconciled(plural, outcome)

    def _plan(self, key: Key, result: Result) -> None:
        if result.outcome == "gone":
            self._queue.forget(key)
        elif result.retry:
            seconds = self._queue.retry(key)
            if result.after is not None and result.after > seconds:
                self._queue.schedule(key, result.after)
        else:
            if result.outcome != "waiting":  # work under way has not gone well yet: a slow failure still backs off
                self._queue.settled(key)
            if result.after is not None:
                self._queue.schedule(key, result.after)

    def _run(self) -> None:
        while not self._stopping.is_set():
            key = self._queue.take(_TAKE_SECONDS)
            if key is not None:
                try:
                    self.look(key)
                finally:
                    self._queue.done(key)
