"""Servers that attack whoever reads them (faults F66 to F70), on loopback. Each records what it was sent.

Raw sockets: what these servers send no HTTP library would send.
"""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Behaviour: TypeAlias = Callable[[socket.socket], None]
HEAD = b"HTTP/1.1 200 OK\r\n"


@dataclass
class Hostile:
    """A running server.

    Attributes:
        address: ``127.0.0.1:port``.
        received: the head of every request.
        sent: bytes that clients took.
    """

    address: str
    received: list[bytes] = field(default_factory=list)
    sent: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address}"


def answers(data: bytes) -> Behaviour:
    """Exactly these bytes."""
    return lambda link: link.sendall(data)


def redirects(location: str) -> Behaviour:
    return answers(f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode())


def endless(piece: bytes, *, head: bytes = HEAD + b"\r\n", pause: float = 0.0) -> Behaviour:
    """A head, and then the same piece for ever."""

    def behave(link: socket.socket) -> None:
        link.sendall(head)
        for _ in itertools.count():
            link.sendall(piece)
            time.sleep(pause)

    return behave


def silent(link: socket.socket) -> None:
    """Not a byte."""
    link.recv(1)


@contextlib.contextmanager
def attacking(behave: Behaviour, *, greet: bool = True) -> Iterator[Hostile]:
    """Serve one behaviour on a free port.

    Args:
        behave: what is done with each connection.
        greet: read the request's head first.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    server = Hostile(f"127.0.0.1:{listener.getsockname()[1]}")
    links: list[socket.socket] = []

    def serve(link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            if greet:
                server.received.append(_head(link))
            behave(link)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                links.append(link)
                threading.Thread(target=serve, args=(link,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _head(link: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = link.recv(65536)
        if not piece:
            break
        data += piece
    return data
