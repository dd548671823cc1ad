"""A small API server that lists and watches as the real one does, errors included: pages, bookmarks, 410 in both forms."""

import json
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from modeltrust.kube.access import Access

Object = dict[str, Any]


class ApiServerSimulator:
    """One collection of objects behind every path.

    Attributes:
        page_size: at most this many objects a page, whatever was asked for.
        faults: statuses that the next requests are answered with.
        requests: (method, path with query) in order.
        created: bodies of POST requests.
        existing: names that a POST finds there already.
    """

    def __init__(self) -> None:
        self.page_size = 1_000
        self.faults: list[int] = []
        self.requests: list[tuple[str, str]] = []
        self.created: list[Object] = []
        self.existing: set[str] = set()
        self.expired_continue = False
        self._version = 1
        self._objects: dict[str, Object] = {}
        self._history: list[tuple[int, bytes]] = []
        self._compacted = 0
        self._watchers: list[queue.Queue[bytes | None]] = []
        self._lock = threading.RLock()

    def put(self, name: str, **fields: Any) -> None:
        """Create or change an object; watchers see it."""
        with self._lock:
            event = "MODIFIED" if name in self._objects else "ADDED"
            self._version += 1
            self._objects[name] = {"metadata": {"name": name, "resourceVersion": str(self._version)}, **fields}
            self._tell(event, self._objects[name])

    def remove(self, name: str) -> None:
        """Delete an object; watchers see it."""
        with self._lock:
            self._version += 1
            gone = self._objects.pop(name)
            gone["metadata"]["resourceVersion"] = str(self._version)
            self._tell("DELETED", gone)

    def remove_silently(self, name: str) -> None:
        """Delete an object and forget the history, as a compaction does to who was away."""
        with self._lock:
            del self._objects[name]
            self._version += 1
            self._history.clear()
            self._compacted = self._version

    def bookmark(self) -> None:
        """Tell every watcher where the server stands."""
        with self._lock:
            self._version += 1
            self._send(_event("BOOKMARK", {"metadata": {"resourceVersion": str(self._version)}}))

    def expire(self) -> None:
        """An ERROR event with code 410 in every watch; versions before now are gone."""
        with self._lock:
            self._compacted = self._version = self._version + 1
            self._history.clear()
            self._send(_event("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"}))

    def send_raw(self, data: bytes) -> None:
        """Anything at all in every watch."""
        self._send(data)

    def end_watches(self) -> None:
        """The server ends every watch, as it does after timeoutSeconds."""
        self._send(None)

    def watching(self) -> int:
        """How many watches are open."""
        with self._lock:
            return len(self._watchers)

    def _tell(self, event: str, value: Object) -> None:
        line = _event(event, value)
        self._history.append((self._version, line))
        self._send(line)

    def _send(self, line: bytes | None) -> None:
        with self._lock:
            for watcher in self._watchers:
                watcher.put(line)

    def page(self, following: str) -> Object:
        """One page of a list."""
        with self._lock:
            start = int(following or 0)
            items = list(self._objects.values())
            metadata: Object = {"resourceVersion": str(self._version)}
            if start + self.page_size < len(items):
                metadata["continue"] = str(start + self.page_size)
            return {"kind": "List", "metadata": metadata, "items": items[start : start + self.page_size]}

    @contextmanager
    def subscribed(self, version: int) -> Iterator[queue.Queue[bytes | None] | None]:
        """The events after a version; None where they are gone."""
        with self._lock:
            if version < self._compacted:
                yield None
                return
            watcher: queue.Queue[bytes | None] = queue.Queue()
            for at, line in self._history:
                if at > version:
                    watcher.put(line)
            self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.remove(watcher)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Access]:
        """Serve on loopback with TLS."""
        with serving(_Handler, folder, {"simulator": self}, end=self.end_watches) as access:
            yield access


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], folder: Path, members: Object, *, end: Callable[[], None]) -> Iterator[Access]:
    """Serve on loopback with TLS.

    Args:
        handler: of requests.
        folder: for certificate and token.
        members: of the handler's class.
        end: ends every watch.
    """
    folder.mkdir(exist_ok=True)
    certificate, key = certificate_files(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), members))
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    token = folder / "token"
    token.write_text("a-token\n")
    try:
        yield Access(f"https://127.0.0.1:{server.server_address[1]}", certificate.read_text(), token_file=token)
    finally:
        end()
        server.shutdown()
        server.server_close()
        thread.join()


def _event(event: str, value: Object) -> bytes:
    return json.dumps({"type": event, "object": value}).encode() + b"\n"


class Answering(BaseHTTPRequestHandler):
    """What every simulator of an API server does with a connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its headers

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def known(self) -> bool:
        """Whether the token is the one that was handed out."""
        return self.headers["Authorization"] == "Bearer a-token"

    def answer(self, status: int, body: Object | bytes) -> None:
        """One answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, watcher: "queue.Queue[bytes | None]") -> None:
        """A watch, until it is ended."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while (line := watcher.get()) is not None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")


class _Handler(Answering):
    simulator: ApiServerSimulator

    def do_GET(self) -> None:
        query = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        if self._refused():
            return
        if query.get("watch"):
            self._watch(int(query["resourceVersion"]))
        elif query.get("continue") and self.simulator.expired_continue:
            self.simulator.expired_continue = False
            self.answer(410, {"kind": "Status", "code": 410})
        else:
            self.answer(200, self.simulator.page(query.get("continue", "")))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._refused():
            return
        self.simulator.created.append(body)
        self.answer(409 if body["metadata"]["name"] in self.simulator.existing else 201, body)

    def _refused(self) -> bool:
        self.simulator.requests.append((self.command, self.path))
        if not self.known():
            self.answer(401, {"kind": "Status", "code": 401})
            return True
        if self.simulator.faults:
            self.answer(self.simulator.faults.pop(0), {"kind": "Status", "message": "as you wished"})
            return True
        return False

    def _watch(self, version: int) -> None:
        with self.simulator.subscribed(version) as watcher:
            if watcher is None:
                self.answer(410, {"kind": "Status", "code": 410})
                return
            self.stream(watcher)


def certificate_files(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api server simulator")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths
