"""The real webhook process on loopback with TLS, and a client that asks it what an API server would."""

import contextlib
import http.client
import json
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modeltrust.domain.errors import UnavailableError, quote

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 20.0  # a cold disk can take several seconds to import Python packages
_ANSWER_SECONDS = 5.0
_STOP_SECONDS = 5.0
_LINE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """What the webhook said.

    Attributes:
        allowed: the verdict.
        message: status.message; empty when admitted.
        reasons: reasons of status.details.causes.
        warnings: as kubectl would print them.
        milliseconds: from the first byte sent to the last byte read.
    """

    allowed: bool
    message: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    milliseconds: float


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed P-256 certificate for loopback, valid for a day; returns the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "modeltrust demo")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(_LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "tls.crt", folder / "tls.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


class Webhook:
    """A webhook process that serves the trust folder; a context manager that stops it."""

    def __init__(self, *, trust: Path, certificate: Path, key: Path, log: Path) -> None:
        self._log = log.open("wb")
        arguments = ["--trust", str(trust), "--tls-cert", str(certificate), "--tls-key", str(key)]
        arguments += [
            "--listen",
            f"{_LOOPBACK}:0",
            "--metrics-listen",
            f"{_LOOPBACK}:0",
            "--poll-seconds",
            "0.1",
            "--drain-seconds",
            "0",
        ]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "modeltrust", "webhook", *arguments], stdout=subprocess.PIPE, stderr=self._log
        )
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._connection: http.client.HTTPSConnection | None = None

    def __enter__(self) -> Self:
        try:
            port = self._port()
            self._connection = http.client.HTTPSConnection(_LOOPBACK, port, context=self._context, timeout=_ANSWER_SECONDS)
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def ask(self, review: bytes) -> Answer:
        """Post one AdmissionReview.

        Raises:
            UnavailableError: no verdict came back.
        """
        started = time.perf_counter()
        status, body = self._request("POST", "/validate?timeout=3s", review)
        milliseconds = (time.perf_counter() - started) * 1000
        if status != http.client.OK:
            raise UnavailableError(f"the webhook answered HTTP {status} without a verdict")
        response: dict[str, Any] = json.loads(body)["response"]
        state = response.get("status") or {}
        causes = (state.get("details") or {}).get("causes") or []
        return Answer(
            allowed=response["allowed"],
            message=state.get("message", ""),
            reasons=tuple(dict.fromkeys(cause["reason"] for cause in causes)),
            warnings=tuple(response.get("warnings") or ()),
            milliseconds=milliseconds,
        )

    def _request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        if self._connection is None:
            raise UnavailableError("the webhook is not running")
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = self._connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UnavailableError(f"the webhook did not answer: {type(error).__name__}") from error

    def _port(self) -> int:
        stream = self._process.stdout
        line = stream.readline(_LINE_BYTES) if stream is not None else b""
        try:
            port = json.loads(line)["port"]
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(f"the webhook did not start: {self._last_words()}") from error
        return int(port)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(UnavailableError):
                if self._request("GET", "/readyz")[0] == http.client.OK:
                    return
            time.sleep(0.02)
        raise UnavailableError(f"the webhook was not ready within {_START_SECONDS:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        """The last line that it logged: the log itself goes with the folder of the demo."""
        lines = Path(self._log.name).read_text(encoding="utf-8", errors="replace").split("\n")
        return quote(next((line for line in reversed(lines) if line.strip()), "it logged nothing"))

    def _stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()
