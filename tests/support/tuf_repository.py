"""A TUF repository on loopback, like the public good instance's: four roles, consistent snapshots; one key signs them all."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from securesystemslib import signer as signers
from tuf.api import metadata

tuf: Any = metadata  # both re-export without saying so, which mypy does not follow
CryptoSigner: Any = signers.CryptoSigner  # type: ignore[attr-defined] # as above

TARGET = "trusted_root.json"


class TufRepository:
    """What it serves is in ``files``, by path; publish again after a change."""

    def __init__(self, target: bytes, *, days: float = 7) -> None:
        self.signer = CryptoSigner(ed25519.Ed25519PrivateKey.generate())
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.versions = {"root": 1, "timestamp": 0, "snapshot": 0, "targets": 0}
        self.address = ""
        self.roots: list[bytes] = []
        self.publish_root()
        self.publish(target, days=days)

    @property
    def root(self) -> bytes:
        """The first root: what a client starts from."""
        return self.roots[0]

    def publish_root(self, *, signer: Any = None) -> None:
        """Another root version, signed by the old key and the new."""
        old, self.signer = self.signer, signer or self.signer
        version = len(self.roots) + 1
        key = self.signer.public_key
        roles = {role: tuf.Role([key.keyid], 1) for role in ("root", "timestamp", "snapshot", "targets")}
        root: Any = tuf.Metadata(tuf.Root(version, expires=_in(365), keys={key.keyid: key}, roles=roles, consistent_snapshot=True))
        for number, each in enumerate({old.public_key.keyid: old, key.keyid: self.signer}.values()):
            root.sign(each, append=number > 0)
        self.roots.append(root.to_bytes())
        self.files[f"{version}.root.json"] = self.roots[-1]

    def rotate(self) -> None:
        """A new key from now on."""
        self.publish_root(signer=CryptoSigner(ed25519.Ed25519PrivateKey.generate()))

    def publish(self, target: bytes, *, days: float = 7, names: tuple[str, ...] = (TARGET,), versions: int = 1) -> None:
        """New targets, snapshot and timestamp, which end after so many days (negative: before today)."""
        for role in ("timestamp", "snapshot", "targets"):
            self.versions[role] += versions
        entries = {name: tuf.TargetFile.from_data(name, target, ["sha256"]) for name in names}
        targets = tuf.Targets(self.versions["targets"], expires=_in(days), targets=entries)
        snapshot = tuf.Snapshot(
            self.versions["snapshot"], expires=_in(days), meta={"targets.json": tuf.MetaFile(self.versions["targets"])}
        )
        timestamp = tuf.Timestamp(
            self.versions["timestamp"], expires=_in(days), snapshot_meta=tuf.MetaFile(self.versions["snapshot"])
        )
        for role, signed in (("targets", targets), ("snapshot", snapshot), ("timestamp", timestamp)):
            document: Any = tuf.Metadata(signed)
            document.sign(self.signer)
            path = f"{role}.json" if role == "timestamp" else f"{self.versions[role]}.{role}.json"
            self.files[path] = document.to_bytes()
        for name in names:
            self.files[f"targets/{hashlib.sha256(target).hexdigest()}.{name}"] = target


def _in(days: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@contextmanager
def serving(repository: TufRepository) -> Iterator[TufRepository]:
    """Answer on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/")
            repository.asked.append(path)
            body = repository.files.get(path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    repository.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield repository
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
