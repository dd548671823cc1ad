"""The port of orders: a drain before uvicorn stops."""

from collections.abc import Callable
from types import FrameType

import uvicorn

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.listening import configuration
from modeltrust.worker.app import App


class Server(uvicorn.Server):
    """Stops in two steps: not ready at once, closed when what is under way has ended or the drain is over."""

    def __init__(
        self,
        app: App,
        certificate: Certificate,
        *,
        under_way: Callable[[], int],
        failed: Callable[[UnavailableError], None],
        clock: Callable[[], float],
    ) -> None:
        """Begin without listening.

        Args:
            app: answers.
            certificate: is refreshed while it serves.
            under_way: how many examinations run now.
            failed: is told of a certificate that cannot be used.
            clock: monotonic seconds.
        """
        super().__init__(configuration(app, certificate, connections=limits.WORKER_CONNECTIONS))
        self._certificate = certificate
        self._under_way = under_way
        self._failed = failed
        self._clock = clock
        self._stop_at: float | None = None
        self._look_at = clock() + limits.CERTIFICATE_POLL_SECONDS

    @property
    def draining(self) -> bool:
        """Whether somebody told it to stop."""
        return self._stop_at is not None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """SIGTERM or SIGINT: begin to drain; the second one ends the drain."""
        if self._stop_at is not None:
            self.should_exit = True
            return
        self._stop_at = self._clock() + limits.WORKER_DRAIN_SECONDS

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends serving."""
        now = self._clock()
        if self._stop_at is not None and (now >= self._stop_at or not self._under_way()):
            self.should_exit = True
        if now >= self._look_at:
            self._look_at = now + limits.CERTIFICATE_POLL_SECONDS
            try:
                self._certificate.refresh()
            except UnavailableError as error:
                self._failed(error)
        return await super().on_tick(counter)
