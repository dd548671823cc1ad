"""Where the models of the scenes come from: the Hub simulator, a real registry with real cosign, a real S3 server, all with TLS."""

import base64
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from e2e.certificates import Authority
from e2e.control_plane import LOOPBACK, free_port
from e2e.waiting import eventually
from modeltrust.cli.demo import objects
from modeltrust.domain.reference import Identity, parse_identity
from tests.support import tools
from tests.support.hub import File, Hub, serving_hub
from tests.support.registry import EMPTY_CONFIG, MANIFEST, TITLE

Object = dict[str, Any]
HOST = "localhost"


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a model by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@dataclass(frozen=True, slots=True)
class HubOrigin:
    """The simulator of the hub, and the PEM that vouches for it."""

    hub: Hub
    ca: str

    def push(self, folder: Path, name: str) -> Identity:
        """Commit a model to the branch main."""
        files = {path: File(data, lfs=path.endswith(".safetensors")) for path, data in files_of(folder).items()}
        commit = self.hub.model(name).commit(files)
        return self.identity(name, commit)

    def identity(self, name: str, commit: str) -> Identity:
        """At this hub, which is another name than the same at the public one."""
        return parse_identity(f"hf+{self.hub.url}/{name}@{commit}")

    def scope(self, owner: str) -> str:
        """Every model of an owner."""
        return f"hf+{self.hub.url}/{owner}/*"

    def source(self, *owners: str) -> Object:
        """The spec of a ModelSource."""
        endpoints = [self.hub.url, f"https://{self.hub.store.address}"]
        models = [self.scope(owner) for owner in owners]
        return {
            "models": models,
            "type": "HuggingFace",
            "endpoints": endpoints,
            "caBundle": self.ca,
            "allowPrivateAddresses": True,
        }

    def workload(self, model: Identity, namespace: str, *, revision: str = "", name: str = "guard") -> Object:
        """A vLLM Deployment that loads a model from this hub."""
        env = {"name": "HF_ENDPOINT", "value": self.hub.url}
        pinned = revision or str(model.pin).rpartition(":")[2]
        made = objects.deployment(model.reference.path, pinned, namespace=namespace, env=env)
        return {**made, "metadata": {**made["metadata"], "name": name}}


@contextlib.contextmanager
def serving_hub_origin(folder: Path) -> Iterator[HubOrigin]:
    """A hub and its store."""
    context, ca = _context(folder)
    with serving_hub(Hub(), tls=context) as hub:
        for part in (hub.front, hub.store):
            part.address = part.address.replace(LOOPBACK, HOST)
        yield HubOrigin(hub, ca)


@dataclass(frozen=True, slots=True)
class RegistryOrigin:
    """A real registry (distribution), and the PEM file that vouches for it."""

    host: str
    ca: Path

    def push(self, folder: Path) -> Identity:
        """A model as layers with titles, as ORAS pushes it."""
        layers = [self._layer(data, title=path) for path, data in files_of(folder).items()]
        config = self._layer(b"{}", kind=EMPTY_CONFIG)
        document = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).encode()
        digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
        self._put(f"/v2/models/guard/manifests/{digest}", document, MANIFEST)
        return parse_identity(f"oci://{self.host}/models/guard@{digest}")

    def source(self) -> Object:
        """The spec of a ModelSource."""
        return {
            "models": [f"oci://{self.host}/**"],
            "type": "OCI",
            "endpoints": [f"https://{self.host}"],
            "caBundle": self.ca.read_text(),
            "allowPrivateAddresses": True,
        }

    def cosign(self, home: Path, *arguments: str) -> None:
        """Run the real cosign, with a home of its own, trusting this registry's authority."""
        environment = os.environ | {"COSIGN_PASSWORD": "", "HOME": str(home), "SSL_CERT_FILE": str(self.ca)}
        command = [str(tools.program("cosign")), *arguments]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    def _layer(self, data: bytes, *, title: str = "", kind: str = "application/octet-stream") -> Object:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        started = self._pool.request("POST", f"https://{self.host}/v2/models/guard/blobs/uploads/")
        place = started.headers["location"]
        self._put(f"{place}{'&' if '?' in place else '?'}digest={digest}", data, "application/octet-stream")
        descriptor: Object = {"mediaType": kind, "digest": digest, "size": len(data)}
        return descriptor | ({"annotations": {TITLE: title}} if title else {})

    def _put(self, place: str, data: bytes, kind: str) -> None:
        url = place if place.startswith("https:") else f"https://{self.host}{place}"
        answer = self._pool.request("PUT", url, body=data, headers={"content-type": kind})
        assert answer.status == 201, answer.data

    @property
    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(retries=False, ca_certs=str(self.ca))


@contextlib.contextmanager
def serving_registry(folder: Path) -> Iterator[RegistryOrigin]:
    """The real registry with TLS, in a process of its own."""
    authority, port = Authority(folder, name="registry authority"), free_port()
    issued = authority.issue("registry", hosts=[HOST])
    tls = {"certificate": str(issued.certificate), "key": str(issued.key)}
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}}
    config = {"version": 0.1, "storage": storage, "http": {"addr": f"{LOOPBACK}:{port}", "tls": tls}}
    (folder / "config.yml").write_text(json.dumps(config), encoding="utf-8")
    command = [str(tools.program("distribution")), "serve", str(folder / "config.yml")]
    environment = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(port), seconds=20, what="the registry's port")
        yield RegistryOrigin(f"{HOST}:{port}", authority.certificate)
    finally:
        process.terminate()
        process.wait(20)


def put_objects(client: Any, bucket: str, prefix: str, files: dict[str, bytes]) -> None:
    """Objects whose sha256 the store states."""
    for path, data in files.items():
        stated = base64.b64encode(hashlib.sha256(data).digest()).decode()
        client.put_object(Bucket=bucket, Key=f"{prefix}/{path}", Body=data, ChecksumSHA256=stated)


def _context(folder: Path) -> tuple[ssl.SSLContext, str]:
    authority = Authority(folder, name="hub authority")
    issued = authority.issue("hub", hosts=[HOST])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    return context, authority.certificate.read_text()


def _answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
