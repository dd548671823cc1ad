"""An OCI registry in this process, on loopback, that behaves as the real ones do: the good ways and the bad ones.

Content is in memory; behaviour is switched by attributes. Requests are recorded, so that tests can say what was sent where.
"""

import base64
import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from modeltrust.domain import simple_signing

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY_CONFIG = "application/vnd.oci.empty.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
TITLE = "org.opencontainers.image.title"
TAR = "application/vnd.oci.image.layer.v1.tar"
LOOPBACK = "127.0.0.1"


@dataclass
class Request:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]


@dataclass
class Answer:
    """One answer, before the registry spoils it."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Registry:
    """Content and behaviour.

    Attributes:
        referrers_api: whether ``/referrers/`` is served; else the fallback tag is all there is.
        ignore_range: answer 200 with everything.
        username: with password, demanded in the way that ``authentication`` names.
        authentication: "", "basic" or "bearer".
        realm: of the token service; the registry's own by default.
        spoil: may change any answer: (request, answer) → answer.
    """

    referrers_api: bool = True
    ignore_range: bool = False
    username: str = "robot"
    password: str = "secret-password"
    authentication: str = ""
    realm: str = ""
    token: str = "token-1"
    page: int = 0
    address: str = ""
    scheme: str = "http"
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    spoil: Callable[[Request, Answer], Answer] = lambda _request, answer: answer

    def push_blob(self, data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = data
        return digest

    def push_manifest(self, document: Any, *, tag: str = "") -> str:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.manifests[digest] = data
        if tag:
            self.manifests[tag] = data
        return digest

    def layer(
        self, data: bytes, *, title: str = "", media_type: str = "application/octet-stream", **annotations: str
    ) -> dict[str, Any]:
        named = ({TITLE: title} if title else {}) | annotations
        descriptor = {"mediaType": media_type, "digest": self.push_blob(data), "size": len(data)}
        return descriptor | ({"annotations": named} if named else {})

    def push(self, layers: list[dict[str, Any]], *, config: str = EMPTY_CONFIG, **more: Any) -> str:
        return self.push_manifest(self.document(layers, config=config, **more))

    def document(self, layers: list[dict[str, Any]], *, config: str = EMPTY_CONFIG, **more: Any) -> dict[str, Any]:
        descriptor = {"mediaType": config, "digest": self.push_blob(b"{}"), "size": 2}
        return {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor, "layers": layers} | more

    def refer(self, subject: str, bundle: bytes, *, media_type: str = BUNDLE, **more: Any) -> str:
        """Attach a bundle as cosign v3 does."""
        of = {"mediaType": MANIFEST, "digest": subject, "size": len(self.manifests[subject])}
        document = self.document([self.layer(bundle, media_type=media_type)], artifactType=media_type, subject=of)
        digest = self.push_manifest(document | more)
        if not self.referrers_api:
            self.manifests[subject.replace(":", "-")] = json.dumps(self.referrers_of(subject)).encode()
        return digest

    def sign(self, subject: str, *signed: tuple[bytes, dict[str, str]]) -> None:
        """Signatures in the tag, as cosign 1 and 2 push them: payload and annotations of each."""
        media_type = simple_signing.MEDIA_TYPE
        layers = [self.layer(payload, media_type=media_type) | {"annotations": named} for payload, named in signed]
        self.push_manifest(self.document(layers), tag=f"{subject.replace(':', '-')}.sig")

    def referrers_of(self, subject: str) -> dict[str, Any]:
        found = []
        for digest, data in self.manifests.items():
            document = json.loads(data) if digest.startswith("sha256:") and data.startswith(b"{") else {}
            if document.get("subject", {}).get("digest") == subject:
                # go-containerregistry's way: the artifactType here is the config's media type
                found.append({"mediaType": MANIFEST, "digest": digest, "size": len(data), "artifactType": EMPTY_CONFIG})
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}

    def answer(self, request: Request) -> Answer:
        url = urlsplit(request.path)
        if url.path == "/token":
            return self._token(request, parse_qs(url.query))
        refused = self._refused(request)
        if refused is not None:
            return refused
        kind, _, name = url.path.removeprefix("/v2/models/guard/").partition("/")
        if kind == "manifests" and name in self.manifests:
            return Answer(headers={"content-type": MANIFEST}, body=self.manifests[name])
        if kind == "blobs" and name in self.blobs:
            return self._blob(request, self.blobs[name])
        if kind == "referrers" and self.referrers_api:
            return self._referrers(name, int(parse_qs(url.query).get("from", ["0"])[0]))
        return Answer(404, body=b'{"errors":[{"code":"NAME_UNKNOWN"}]}')

    def _blob(self, request: Request, data: bytes) -> Answer:
        wanted = request.headers.get("range", "")
        if not wanted or self.ignore_range:
            return Answer(body=data)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last), len(data) - 1)
        return Answer(206, {"content-range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1])

    def _referrers(self, subject: str, start: int) -> Answer:
        document = self.referrers_of(subject)
        headers = {}
        if self.page:
            following = start + self.page
            if following < len(document["manifests"]):
                headers["link"] = f'</v2/models/guard/referrers/{subject}?from={following}>; rel="next"'
            document["manifests"] = document["manifests"][start:following]
        return Answer(headers=headers, body=json.dumps(document).encode())

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def _refused(self, request: Request) -> Answer | None:
        sent = request.headers.get("authorization", "")
        if self.authentication == "basic" and sent != self._basic():
            return Answer(401, {"www-authenticate": 'Basic realm="registry"'})
        if self.authentication == "bearer" and sent != f"Bearer {self.token}":
            realm = self.realm or f"{self.scheme}://{self.address}/token"
            challenge = f'Bearer realm="{realm}",service="registry.test",scope="repository:models/guard:pull,push"'
            return Answer(401, {"www-authenticate": challenge})
        return None

    def _token(self, request: Request, query: dict[str, list[str]]) -> Answer:
        sent = request.headers.get("authorization", "")
        if sent and sent != self._basic():
            return Answer(401)
        if query.get("scope") != ["repository:models/guard:pull"] or query.get("service") != ["registry.test"]:
            return Answer(400)
        return Answer(body=json.dumps({"token": self.token}).encode())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: Nagle's algorithm would cost 40 ms each time
    disable_nagle_algorithm = True
    registry: Registry

    def do_GET(self) -> None:
        request = Request(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.registry.requests.append(request)
        answer = self.registry.spoil(request, self.registry.answer(request))
        self.send_response(answer.status)
        for name, value in ({"content-length": str(len(answer.body))} | answer.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        if "connection" in answer.headers:
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(registry: Registry, *, tls: ssl.SSLContext | None = None, address: str = LOOPBACK) -> Iterator[Registry]:
    """Serve on a free port of an address of this machine; sets ``registry.address``."""
    handler = type("Handler", (_Handler,), {"registry": registry})
    server = ThreadingHTTPServer((address, 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients hang up on purpose
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        registry.scheme = "https"
    registry.address = f"{address}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
