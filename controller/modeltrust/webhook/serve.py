"""uvicorn with the settings that facts/performance.md measured, and a drain before it stops."""

import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError, quote
from modeltrust.webhook.app import App
from modeltrust.webhook.health import Health
from modeltrust.webhook.tls import Certificate


class Server(uvicorn.Server):
    """Stops in two steps: not ready at once, closed only when the endpoints had time to forget this replica.

    kube-apiserver keeps using kept-alive connections to terminating Pods, so answers during the drain carry
    ``connection: close``, and nothing is refused.
    """

    def __init__(self, config: uvicorn.Config, *, health: Health, drain_seconds: float, clock: Callable[[], float]) -> None:
        super().__init__(config)
        self._health = health
        self._drain_seconds = drain_seconds
        self._clock = clock
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """SIGTERM or SIGINT: begin to drain; the second one ends the drain."""
        if self._stop_at is not None:
            self.should_exit = True
            return
        self._health.draining = True
        self._stop_at = self._clock() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends serving."""
        if self._stop_at is not None and self._clock() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def configuration(app: App, certificate: Certificate) -> uvicorn.Config:
    """Settings of the TLS port: httptools stated, since uvicorn falls back to a parser 2.8 times as slow without a word."""
    return uvicorn.Config(
        app,
        http="httptools",
        loop="auto",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=limits.KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=limits.SHUTDOWN_SECONDS,
        ssl_context_factory=lambda _config, _default: certificate.context,
    )


def listen(address: str) -> socket.socket:
    """A bound TCP socket.

    Args:
        address: ``host:port`` or ``[v6]:port``; port 0 takes a free one.

    Raises:
        UnavailableError: the address cannot be bound.
    """
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise UnavailableError(f"cannot listen on {quote(address)}: {quote(error)}") from error


_BACKLOG = 1_024  # connections waiting to be accepted; the API server opens 25 to a host
