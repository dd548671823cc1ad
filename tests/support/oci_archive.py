"""Reading an OCI archive: its configuration, and its files as a container sees them."""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Archive:
    """An image of one platform.

    Attributes:
        name: what containerd calls it when it imports it.
        digest: of its manifest, ``sha256:<hex>``.
        config: the image's configuration document.
        layers: each as a tar, uncompressed.
        compressed: bytes of all layers as they are pulled.
    """

    name: str
    digest: str
    config: dict[str, Any]
    layers: tuple[bytes, ...]
    compressed: int

    @property
    def unpacked(self) -> int:
        """Bytes of all files of all layers."""
        return sum(member.size for layer in self.layers for member in tarfile.open(fileobj=io.BytesIO(layer)))

    def members(self) -> dict[str, tarfile.TarInfo]:
        """Every path with what the last layer says of it."""
        found: dict[str, tarfile.TarInfo] = {}
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                found |= {member.name.removeprefix("./").rstrip("/"): member for member in archive}
        return found

    def unpack(self, folder: Path) -> None:
        """Write all files, as root does: owners and modes included."""
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                archive.extractall(folder, numeric_owner=True, filter="fully_trusted")  # noqa: S202 - we built it


def read(path: Path) -> Archive:
    """Read the archive that `make image` writes."""
    with tarfile.open(path) as outer:

        def blob(digest: str) -> bytes:
            member = outer.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert member is not None
            return member.read()

        index = outer.extractfile("index.json")
        assert index is not None
        described = json.load(index)["manifests"][0]
        manifest = json.loads(blob(described["digest"]))
        config = json.loads(blob(manifest["config"]["digest"]))
        packed = [blob(layer["digest"]) for layer in manifest["layers"]]
    layers = tuple(gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer for layer in packed)
    name = described.get("annotations", {}).get("io.containerd.image.name", "")
    return Archive(name, described["digest"], config, layers, sum(map(len, packed)))
