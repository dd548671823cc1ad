"""The TLS port of a process: a socket, and uvicorn with the settings that facts/performance.md measured."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError, quote
from modeltrust.wiring.certificate import Certificate

BACKLOG = 1_024  # connections waiting to be accepted; the API server opens 25 to a host

_Application = Callable[[Any, Any, Any], Awaitable[None]]


def configuration(app: _Application, certificate: Certificate, *, connections: int | None = None) -> uvicorn.Config:
    """Settings of the TLS port: httptools stated, since uvicorn falls back to a parser 2.8 times as slow without a word.

    Args:
        app: ASGI 3.
        certificate: of the port.
        connections: at once; more are answered 503 without a look. None: as many as come.
    """
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
        limit_concurrency=connections,
        timeout_keep_alive=limits.KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=limits.SHUTDOWN_SECONDS,
        ssl_context_factory=lambda _config, _default: certificate.context,
    )


def listen(address: str, *, reuse_port: bool = False) -> socket.socket:
    """A bound TCP socket.

    Args:
        address: ``host:port`` or ``[v6]:port``; port 0 takes a free one.
        reuse_port: other processes of the same user may listen there, too, and the kernel spreads connections over all of them.

    Raises:
        UnavailableError: the address cannot be bound.
    """
    host, _, port = address.rpartition(":")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host.strip("[]"), int(port)), family=family, backlog=BACKLOG, reuse_port=reuse_port)
    except (OSError, ValueError, OverflowError) as error:
        raise UnavailableError(f"cannot listen on {quote(address)}: {quote(error)}") from error
    # Connections inherit it. An answer is two writes, and the second would wait 40 ms for the client to acknowledge the first:
    # uvloop sets it by itself, asyncio's own loop only where the socket names its protocol, which this one does not.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
