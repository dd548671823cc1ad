"""What happens beside the requests: the folder is watched, statements are verified ahead or packed, the certificate is renewed."""

import ctypes
import gc
import threading
from collections.abc import Callable
from time import time

from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError
from modeltrust.store.files import Problem
from modeltrust.telemetry import Telemetry
from modeltrust.wiring.admission import Live
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.pacing import Pace


class Background:
    """Three threads that end with the process; an error in one round never ends the thread."""

    def __init__(self, *, live: Live, certificate: Certificate, telemetry: Telemetry, poll_seconds: float) -> None:
        self._live = live
        self._certificate = certificate
        self._telemetry = telemetry
        self._stopping = threading.Event()
        self._settled = False
        self._problems: tuple[Problem, ...] | None = None
        self._rounds: dict[str, tuple[Callable[[], None], float]] = {
            "feed": (self.feed, poll_seconds),
            "sweep": (self.sweep, limits.POLL_SECONDS),
            "certificate": (self.renew, limits.CERTIFICATE_POLL_SECONDS),
        }

    def start(self) -> None:
        """Begin."""
        for name, (task, pause) in self._rounds.items():
            threading.Thread(target=self._repeat, args=(name, task, pause), name=name, daemon=True).start()

    def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()

    def feed(self) -> None:
        """Look at the trust folder or file once; problems are logged when they change."""
        first = self._problems is None
        problems = self._live.feed.poll(time())
        if problems != self._problems and (problems or not first):
            self._telemetry.log("trust-folder", problems=[{"file": problem.file, "why": problem.why} for problem in problems])
        self._problems = problems
        self._telemetry.feed_problems.set(len(problems))
        for kind, count in self._live.store.broken().items():
            self._telemetry.broken_objects.labels(kind.value).set(count)
        self._telemetry.statements.set(len(self._live.store.statements))
        self._telemetry.ready.set(not self._live.store.unready(time()))

    def sweep(self) -> None:
        """Look at every statement that nobody has asked for yet, slowly, and only once everything is there: ready comes first."""
        if self._live.store.unready(time()):
            return
        if not self._settled:
            self._settled = True
            gc.collect()
            gc.freeze()  # what stays for ever is no work for later collections (facts/performance.md section 3)
        swept, pace = 0, Pace(limits.SWEEP_PAUSE_SECONDS, wait=self._stopping.wait)
        for look in self._live.store.statements.unswept():
            if self._stopping.is_set():
                return
            look(int(time()))
            swept += 1
            pace.rest()
        if swept > limits.STATEMENTS_KEPT:
            _give_back()

    def renew(self) -> None:
        """Load the serving certificate again if it changed."""
        try:
            if self._certificate.refresh():
                self._telemetry.certificate_loads.inc()
                self._telemetry.log("certificate-loaded")
        except ModelTrustError as error:
            self._telemetry.log("certificate-unusable", why=str(error))

    def _repeat(self, name: str, task: Callable[[], None], pause: float) -> None:
        while not self._stopping.is_set():
            try:
                task()
            except Exception as error:  # noqa: BLE001 - a thread that dies would leave the store stale for ever
                self._telemetry.failed("background-error", error, task=name)
            self._stopping.wait(pause)


def _give_back() -> None:
    """Return to the system what packing freed: the C library would keep it in the gaps between what is still there."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others have no such gaps, or no such call
    if trim is not None:
        trim(0)
