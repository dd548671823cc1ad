"""The throw-away Sigstore behind HTTP on loopback: what a signer talks to. Fulcio, Rekor v2, a timestamp authority, an OIDC issuer.

It answers as the services do, from the keys of ``sigstore_ca``; like Fulcio it takes identity and issuer from the bearer token, and
it believes every token.
"""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from asn1crypto import tsp  # type: ignore[import-untyped] # the package has no stubs
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.sigstore_ca import IDENTITY, ISSUER, TestSigstore, stamp


def identity_token(identity: str = IDENTITY, issuer: str = ISSUER, *, lives: int = 600) -> str:
    """An OIDC token that nobody signed; the clock is the real one, since sigstore-python reads that."""
    now = int(time.time())
    claims = {"aud": "sigstore", "iss": issuer, "sub": identity, "iat": now - 60, "nbf": now - 60, "exp": now + lives}
    return ".".join([_part({"alg": "ES256", "typ": "JWT"}), _part(claims), "c2lnbmF0dXJl"])


@contextmanager
def serving(instance: TestSigstore, *, refusing: str = "") -> Iterator[str]:
    """Serve an instance.

    Args:
        instance: whose keys answer.
        refusing: path that is answered with 503.

    Yields:
        The URL of every service.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(instance, refusing))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(instance: TestSigstore, refusing: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(json.dumps({"authorization_endpoint": "http://x.example", "token_endpoint": "http://x.example"}).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if refusing and self.path == refusing:
                self.send_error(503)
            elif self.path == "/api/v2/signingCert":
                self._answer(_certificate(instance, self.headers["Authorization"], json.loads(body)))
            elif self.path == "/api/v2/log/entries":
                self._answer(_entry(instance, json.loads(body)))
            else:
                digest = tsp.TimeStampReq.load(body)["message_imprint"]["hashed_message"].native
                self._answer(stamp(digest, instance.now, instance.tsa_key, instance.tsa_leaf))

        def _answer(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def _certificate(instance: TestSigstore, authorization: str, request: dict[str, str]) -> bytes:
    claims = json.loads(_unpadded(authorization.removeprefix("Bearer ").split(".")[1]))
    wanted = x509.load_pem_x509_csr(base64.b64decode(request["certificateSigningRequest"]))
    leaf = instance.issue(wanted.public_key(), claims["sub"], claims["iss"])
    chain = [
        item.public_bytes(serialization.Encoding.PEM).decode()
        for item in (leaf, instance.fulcio.intermediate, instance.fulcio.root)
    ]
    return json.dumps({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}).encode()


def _entry(instance: TestSigstore, request: dict[str, Any]) -> bytes:
    wanted = request["hashedRekordRequestV002"]
    signature = wanted["signature"]
    leaf = x509.load_der_x509_certificate(base64.b64decode(signature["verifier"]["x509Certificate"]["rawBytes"]))
    entry = instance.entry_v2(base64.b64decode(wanted["digest"]), base64.b64decode(signature["content"]), leaf)
    return json.dumps(entry).encode()


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
