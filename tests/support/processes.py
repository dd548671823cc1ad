"""The real webhook process on loopback."""

import http.client
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
START_SECONDS = 30.0


@dataclass
class Running:
    """A webhook process.

    Attributes:
        process: as started.
        port: of TLS.
        metrics_port: of the metrics.
        context: trusts its certificate.
        log: what it wrote to stderr.
    """

    process: "subprocess.Popen[bytes]"
    port: int
    metrics_port: int
    context: ssl.SSLContext
    log: Path

    def connect(self) -> http.client.HTTPSConnection:
        """A connection of one's own."""
        return http.client.HTTPSConnection(LOOPBACK, self.port, context=self.context, timeout=5)

    def ask(self, body: bytes, connection: http.client.HTTPSConnection | None = None) -> dict[str, Any]:
        """The response to one review."""
        link = connection or self.connect()
        link.request("POST", "/validate?timeout=3s", body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        data = answer.read()
        assert answer.status == http.client.OK, data
        response: dict[str, Any] = json.loads(data)["response"]
        return response

    def ready(self) -> bool:
        """Whether /readyz says so now."""
        link = self.connect()
        try:
            link.request("GET", "/readyz")
            return link.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            link.close()

    def wait_until(self, condition: Any) -> None:
        """Poll with a deadline."""
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)


@contextmanager
def running(trust: Path, certificate: Path, key: Path, log: Path, *more: str) -> Iterator[Running]:
    """Start it and wait until it is ready; it is ended in any case."""
    with started(trust, certificate, key, log, *more) as webhook:
        webhook.wait_until(webhook.ready)
        yield webhook


@contextmanager
def started(trust: Path, certificate: Path, key: Path, log: Path, *more: str) -> Iterator[Running]:
    """Start it and read its ports; it is ended in any case."""
    arguments = ["--trust", trust, "--tls-cert", certificate, "--tls-key", key, "--listen", f"{LOOPBACK}:0"]
    arguments += ["--metrics-listen", f"{LOOPBACK}:0", "--poll-seconds", "0.05", *more]
    with log.open("wb") as stderr:
        command = [sys.executable, "-m", "modeltrust", "webhook", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
    assert process.stdout is not None
    try:
        line = process.stdout.readline(4096)
        assert line, log.read_text()
        said = json.loads(line)
        yield Running(process, said["port"], said["metricsPort"], ssl.create_default_context(cafile=str(certificate)), log)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
