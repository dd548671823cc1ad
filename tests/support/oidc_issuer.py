"""OIDC issuers on loopback whose tokens a real Fulcio believes: discovery, one key, and tokens that say what a test wants."""

import base64
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.tls import write_certificate

AUDIENCE = "sigstore"
_ALGORITHM = "RS256"  # cosign takes a token with another one for the name of a file


@dataclass(frozen=True, slots=True)
class Issuers:
    """Any number of issuers at one address, told apart by path; all sign with one key.

    Attributes:
        address: ``https://127.0.0.1:port``.
        plain: the same in the clear, for signers that read a discovery document and have no option for a certificate authority.
        ca: PEM that vouches for ``address``.
    """

    address: str
    plain: str
    ca: str = field(repr=False)
    _key: rsa.RSAPrivateKey = field(repr=False)

    def url(self, name: str) -> str:
        """What the issuer of this name calls itself."""
        return f"{self.address}/{name}"

    def token(self, name: str, subject: str, *, key: rsa.RSAPrivateKey | None = None, **claims: Any) -> str:
        """A token of an issuer, good for ten minutes.

        Args:
            name: of the issuer.
            subject: ``sub``.
            key: that signs, instead of the issuer's own.
            claims: further ones; they win.
        """
        now = int(time.time())
        stated = {"iss": self.url(name), "aud": AUDIENCE, "sub": subject, "iat": now, "nbf": now, "exp": now + 600, **claims}
        head = ".".join(_part(json.dumps(value).encode()) for value in ({"alg": _ALGORITHM, "typ": "JWT", "kid": "1"}, stated))
        return f"{head}.{_part((key or self._key).sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def answer(self, path: str) -> dict[str, Any] | None:
        """What is served there."""
        name, _, document = path.removeprefix("/").partition("/")
        if document == "keys":
            numbers = self._key.public_key().public_numbers()
            n, e = (_part(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (numbers.n, numbers.e))
            return {"keys": [{"kty": "RSA", "alg": _ALGORITHM, "use": "sig", "kid": "1", "n": n, "e": e}]}
        if document == ".well-known/openid-configuration":
            url = self.url(name)
            # The two that nobody asks: model-signing wants them to be there even with a token at hand.
            asked_by_nobody = {"authorization_endpoint": f"{url}/auth", "token_endpoint": f"{url}/token"}
            return {
                "issuer": url,
                "jwks_uri": f"{url}/keys",
                "id_token_signing_alg_values_supported": [_ALGORITHM],
                **asked_by_nobody,
            }
        return None


def new_key() -> rsa.RSAPrivateKey:
    """A key that an issuer may sign with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def serving(folder: Path) -> Iterator[Issuers]:
    """Answer until the block ends; the folder keeps the certificate."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuers.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    certificate, key = write_certificate(folder, name="issuers")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    servers[0].socket = context.wrap_socket(servers[0].socket, server_side=True)
    address, plain = (f"{scheme}://127.0.0.1:{each.server_port}" for scheme, each in zip(("https", "http"), servers, strict=True))
    issuers = Issuers(address, plain, certificate.read_text(), new_key())
    threads = [Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield issuers
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        for thread in threads:
            thread.join()


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
