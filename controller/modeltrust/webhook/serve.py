"""A drain before uvicorn stops, and the port handed over to a successor."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from modeltrust.webhook.health import Health
from modeltrust.wiring.listening import BACKLOG


class Server(uvicorn.Server):
    """Stops in two steps: not ready at once, closed only when the endpoints had time to forget this replica.

    kube-apiserver keeps using kept-alive connections to terminating Pods, so answers during the drain carry
    ``connection: close``, and nothing is refused. Where the port is shared with a successor, new connections go to that one.
    """

    def __init__(
        self, config: uvicorn.Config, *, health: Health, drain_seconds: float, clock: Callable[[], float], shared: bool = False
    ) -> None:
        """Begin without listening.

        Args:
            config: of uvicorn.
            health: is told to drain.
            drain_seconds: from the signal to the end.
            clock: monotonic, seconds.
            shared: another process listens on the same port, so stop listening when draining begins.
        """
        super().__init__(config)
        self._health = health
        self._drain_seconds = drain_seconds
        self._clock = clock
        self._stop_at: float | None = None
        self._shared = shared
        self._listening: list[socket.socket] = []
        self._arriving: set[asyncio.Task[None]] = set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """SIGTERM or SIGINT: begin to drain; the second one ends the drain."""
        if self._stop_at is not None:
            self.should_exit = True
            return
        self._health.draining = True
        self._stop_at = self._clock() + self._drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; True ends serving."""
        if self._stop_at is not None and self._listening:
            self._hand_over()
        if self._stop_at is not None and self._clock() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self._shared:
            self._listening = [listening.dup() for listening in sockets or []]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, also where nobody told it to drain."""
        self._hand_over()
        await super().shutdown(sockets)

    def _hand_over(self) -> None:
        """Leave the port to the successor.

        Closing a socket resets the connections that wait in its queue, and the API server reports each as a failed call. So the
        event loop lets go of it first, while a duplicate keeps the queue; what waits is taken, and then the last descriptor closed.
        """
        for server in self.servers:
            server.close()
        while self._listening:
            listening = self._listening.pop()
            with contextlib.suppress(OSError), listening:
                listening.setblocking(False)
                for _ in range(BACKLOG):
                    connection, _address = listening.accept()  # ends with BlockingIOError: nobody waits
                    task = asyncio.get_running_loop().create_task(self._serve_accepted(connection))
                    self._arriving.add(task)
                    task.add_done_callback(self._arriving.discard)

    async def _serve_accepted(self, connection: socket.socket) -> None:
        protocol: Any = self.config.http_protocol_class

        def answering() -> asyncio.Protocol:
            made: asyncio.Protocol = protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
            return made

        connection.setblocking(False)
        with contextlib.suppress(OSError):  # the client left, or its handshake failed
            await asyncio.get_running_loop().connect_accepted_socket(answering, connection, ssl=self.config.ssl)
