"""The port in the clear: metrics, and the probes again for where the TLS port demands a client certificate that no kubelet has."""

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from modeltrust.domain.errors import UnavailableError, quote

_TEXT = "text/plain; charset=utf-8"
_SECONDS = 10  # of silence on one connection


def serve_plain(address: str, *, registry: CollectorRegistry, unready: Callable[[], tuple[str, ...]]) -> int:
    """Serve in a thread of its own until the process ends.

    Args:
        address: ``host:port`` or ``[v6]:port``; port 0 takes a free one.
        registry: of the metrics.
        unready: why no verdicts are given now; empty when they are.

    Returns:
        The port.

    Raises:
        UnavailableError: the address cannot be bound.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SECONDS

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/livez":
                    self._answer(HTTPStatus.OK, _TEXT, b"ok\n")
                case "/readyz":
                    why = unready()
                    status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
                    self._answer(status, _TEXT, "\n".join(why or ("ok",)).encode() + b"\n")
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, _TEXT, b"not found\n")

        def log_message(self, *_: object) -> None:
            """Probes and scrapes are nobody's news."""

        def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    host, _, port = address.rpartition(":")
    try:
        server = _server(host.strip("[]"), int(port), Handler)
    except (OSError, OverflowError) as error:
        raise UnavailableError(f"cannot listen for metrics on {quote(address)}: {quote(error)}") from error
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return int(server.server_port)


def _server(host: str, port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    return Server((host, port), handler)
