"""A deadline for one whole answer: handshake, headers and body.

The timeout of a socket bounds silence, not time: a server that sends one byte of a header every 29 seconds would hold a reader for
weeks (slow loris, fault F66). When the deadline passes, the connections are shut down from another thread, and whoever reads them
finds their end.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class Deadline:
    """Ends the connections of one client; for one thread, which does one request at a time.

    Attributes:
        passed: whether the last request was ended.
    """

    def __init__(self) -> None:
        self.passed = False
        self._open: dict[int, socket.socket] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """What is done inside ends within so many seconds."""
        self.passed = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def watch(self, connection: object, opened: socket.socket) -> None:
        """Shut this one down, too. A duplicate is kept: TLS takes the first descriptor away while it shakes hands."""
        twin = opened.dup()
        with self._lock:
            self._open[id(connection)] = twin

    def forget(self, connection: object) -> None:
        """The connection is closed."""
        with self._lock:
            twin = self._open.pop(id(connection), None)
        if twin is not None:
            twin.close()

    def _end(self) -> None:
        self.passed = True
        with self._lock:
            for twin in self._open.values():
                with contextlib.suppress(OSError):
                    twin.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    def __init__(self, *args: Any, deadline: Deadline, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline = deadline

    def _new_conn(self) -> socket.socket:
        opened = super()._new_conn()
        self._deadline.watch(self, opened)
        return opened

    def close(self) -> None:
        self._deadline.forget(self)
        super().close()


class _Tls(_Plain, HTTPSConnection):
    """The same, with TLS."""


class PlainPool(urllib3.HTTPConnectionPool):
    """Connections without TLS that a deadline ends."""

    ConnectionCls = _Plain


class TlsPool(urllib3.HTTPSConnectionPool):
    """Connections with TLS that a deadline ends."""

    ConnectionCls = _Tls
