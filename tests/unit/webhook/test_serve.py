import asyncio
import http.client
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain.errors import UnavailableError
from modeltrust.webhook.health import Health
from modeltrust.webhook.serve import Server
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.listening import configuration, listen
from tests.support.tls import write_certificate

LOOPBACK = "127.0.0.1"
SECONDS = 20.0
Files = tuple[Path, Path] | None


class Serving:
    """A server in a thread, whose event loop can be held up."""

    def __init__(self, folder: Path, *, shared: bool, port: int = 0, loop: Any = "auto", files: Files = None) -> None:
        self.files = files or write_certificate(folder, name="server")
        self.context = ssl.create_default_context(cafile=str(self.files[0]))
        self.health = Health(lambda _now: ())
        self.held = threading.Event()
        self.go_on = threading.Event()
        self.listening = listen(f"{LOOPBACK}:{port}", reuse_port=shared)
        self.port = self.listening.getsockname()[1]
        config = configuration(self._app, Certificate(*self.files))
        config.loop = loop
        self.server = Server(config, health=self.health, drain_seconds=SECONDS, clock=time.monotonic, shared=shared)
        self.thread = threading.Thread(target=self._run)

    async def _app(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["path"] == "/hold":
            self.held.set()
            self.go_on.wait(SECONDS)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self.server.config.get_loop_factory()) as runner:
            runner.run(self.server.serve([self.listening]))

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(LOOPBACK, self.port, context=self.context, timeout=SECONDS)

    def get(self, path: str) -> int:
        connection = self.connect()
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def serving(folder: Path, *, shared: bool, port: int = 0, loop: str = "auto", files: Files = None) -> Iterator[Serving]:
    it = Serving(folder, shared=shared, port=port, loop=loop, files=files)
    it.thread.start()
    try:
        until(lambda: it.server.started)
        yield it
    finally:
        it.go_on.set()
        it.server.should_exit = True
        it.thread.join(SECONDS)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refused(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_while_draining_alone_on_its_port_new_connections_are_answered_still(tmp_path: Path) -> None:
    with serving(tmp_path, shared=False) as it:
        it.server.handle_exit(signal.SIGTERM, None)
        time.sleep(0.3)  # three ticks
        assert it.health.draining
        assert it.get("/") == 200


def test_a_shared_port_is_left_when_draining_begins_and_what_waits_in_its_queue_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path, shared=True) as it:
        kept = it.connect()
        kept.request("GET", "/")
        kept.getresponse().read()
        holding = threading.Thread(target=it.get, args=("/hold",))
        holding.start()
        assert it.held.wait(SECONDS)
        waiting = [socket.create_connection((LOOPBACK, it.port), timeout=SECONDS) for _ in range(20)]
        it.server.handle_exit(signal.SIGTERM, None)
        it.go_on.set()
        until(lambda: refused(it.port))
        for plain in waiting:
            with it.context.wrap_socket(plain, server_hostname=LOOPBACK) as link:
                link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert link.recv(64).startswith(b"HTTP/1.1 200")
        kept.request("GET", "/")
        assert kept.getresponse().status == 200
        kept.close()
        holding.join()


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_what_waits_is_taken_over_from_the_queue_itself(tmp_path: Path, loop: str) -> None:
    # The event loop would take them by itself in most cases; here nobody but the hand-over can.
    with serving(tmp_path, shared=True, loop=loop) as it:
        holding = threading.Thread(target=it.get, args=("/hold",))
        holding.start()
        assert it.held.wait(SECONDS)
        good = socket.create_connection((LOOPBACK, it.port), timeout=SECONDS)
        rude = socket.create_connection((LOOPBACK, it.port), timeout=SECONDS)
        rude.close()
        it.server.servers[0].get_loop().call_soon_threadsafe(it.server._hand_over)
        it.go_on.set()
        with it.context.wrap_socket(good, server_hostname=LOOPBACK) as link:
            link.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert link.recv(64).startswith(b"HTTP/1.1 200")
        holding.join()


def test_no_connection_fails_while_one_server_follows_another(tmp_path: Path) -> None:
    stopping, failures, answered = threading.Event(), [], []
    with serving(tmp_path, shared=True) as first, serving(tmp_path, shared=True, port=first.port, files=first.files):

        def knock() -> None:
            while not stopping.is_set():
                try:
                    answered.append(first.get("/"))
                except OSError as error:
                    failures.append(error)

        knocking = threading.Thread(target=knock)
        knocking.start()
        until(lambda: failures or len(answered) > 20)
        first.server.handle_exit(signal.SIGTERM, None)
        until(lambda: not first.server._listening)
        enough = len(answered) + 20
        until(lambda: failures or len(answered) > enough)
        stopping.set()
        knocking.join()
    assert failures == []
    assert set(answered) == {200}


def test_two_processes_share_a_port_only_when_both_say_so(tmp_path: Path) -> None:
    with serving(tmp_path, shared=True) as it:
        with listen(f"{LOOPBACK}:{it.port}", reuse_port=True):
            pass
        with pytest.raises(UnavailableError):
            listen(f"{LOOPBACK}:{it.port}")


@pytest.mark.parametrize("address", ["nowhere", "host.invalid:0"])
def test_an_address_that_cannot_be_listened_on_is_named(address: str) -> None:
    with pytest.raises(UnavailableError, match="cannot listen on"):
        listen(address)


def test_what_is_accepted_sends_the_second_half_of_an_answer_without_waiting_for_the_first() -> None:
    """With the delayed acknowledgement of a client each answer took 44 ms on an event loop that does not set this by itself."""
    with listen(f"{LOOPBACK}:0") as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
