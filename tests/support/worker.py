"""The real worker process on loopback, its client, and a registry that it may read."""

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.domain.work import Order, SourceAccess, SourceType
from modeltrust.operator.worker import HttpWorker
from tests.support.registry import Registry, serving
from tests.support.statements import NOW
from tests.support.tls import write_certificate

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker process.

    Attributes:
        process: as started.
        url: of its TLS port.
        metrics_port: in the clear.
        server: its certificate.
        client: a certificate that it accepts.
    """

    process: "subprocess.Popen[bytes]"
    url: str
    metrics_port: int
    server: Pair
    client: Pair

    def connect(self, pair: Pair | None = None) -> HttpWorker:
        """A client of it."""
        chosen = pair or self.client
        return HttpWorker(self.url, ca=self.server.certificate, certificate=chosen.certificate, key=chosen.key)


def pair(folder: Path, name: str) -> Pair:
    """A self-signed certificate that vouches for itself."""
    place = folder / name
    place.mkdir()
    return Pair(*write_certificate(place, name=name))


def command(server: Pair, client: Pair, *more: str) -> list[str]:
    """How the worker is started."""
    flags = {"--listen": f"{LOOPBACK}:0", "--metrics-listen": f"{LOOPBACK}:0", "--tls-cert": server.certificate}
    flags |= {"--tls-key": server.key, "--client-ca": client.certificate}
    words = [str(word) for flag in flags.items() for word in flag]
    return [sys.executable, "-m", "modeltrust", "worker", *words, *more]


@contextmanager
def running_worker(folder: Path, *more: str) -> Iterator[RunningWorker]:
    """Start it, wait until it listens, end it in any case."""
    server, client = pair(folder, "server"), pair(folder, "client")
    process = subprocess.Popen(command(server, client, "--allow-loopback", *more), stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield RunningWorker(process, f"https://{LOOPBACK}:{said['port']}", said["metricsPort"], server, client)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def running_registry(folder: Path) -> Iterator[tuple[Registry, bytes]]:
    """A registry with TLS, and the PEM that vouches for it."""
    made = pair(folder, "registry")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with serving(Registry(), tls=context) as registry:
        yield registry, made.certificate.read_bytes()


def push_model(registry: Registry, files: dict[str, bytes], *, name: str = "models/guard") -> Identity:
    """A model as layers; returns its identity."""
    digest = registry.push([registry.layer(data, title=path) for path, data in files.items()])
    return parse_identity(f"oci://{registry.address}/{name}@{digest}")


def order_of(
    identity: Identity, ca: bytes, *, nonce: str = "0f" * 16, signers: tuple[TrustedSigner, ...] = (), read_bytes: bool = False
) -> Order:
    """An order that may read the model where its reference says."""
    access = SourceAccess(SourceType.OCI, (f"https://{identity.reference.path.partition('/')[0]}",), ca=ca, allow_private=True)
    return Order(identity, nonce, signers, (), read_bytes, NOW, source=access)
