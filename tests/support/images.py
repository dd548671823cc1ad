"""Packed models: tars made field by field, images and packages of them, and what they hold."""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.registry import IMAGE_CONFIG, INDEX, MANIFEST, Registry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TAR_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
TAR_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
KIT_CONFIG = "application/vnd.kitops.modelkit.config.v1+json"
PACK_CONFIG = "application/vnd.cncf.model.config.v1+json"
FILEPATH = "org.cncf.model.filepath"
END = bytes(1024)


@dataclass(frozen=True)
class Entry:
    """One entry of a tar; any field of its header may be set to anything."""

    name: str | bytes
    data: bytes = b""
    type: bytes = b"0"
    link: str = ""
    size: int | None = None
    magic: bytes = b"ustar\x0000"
    pax: dict[str, str] = field(default_factory=dict)
    pax_type: bytes = b"x"
    device: tuple[int, int] = (0, 0)
    fields: dict[int, bytes] = field(default_factory=dict)
    checksum: bytes | None = None


def folder(name: str) -> Entry:
    return Entry(f"{name}/", type=b"5")


def tar(entries: Iterable[Entry], *, end: bytes = END) -> bytes:
    """The bytes of a tar, valid unless an entry says otherwise."""
    return b"".join(_entry(entry) for entry in entries) + end


def _entry(entry: Entry) -> bytes:
    before = b""
    if entry.pax:
        records = b"".join(record(key, value) for key, value in entry.pax.items())
        before = header(Entry("PaxHeader", type=entry.pax_type, size=len(records))) + padded(records)
    return before + header(entry) + padded(entry.data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def record(key: str, value: str | bytes) -> bytes:
    """One record of a pax header."""
    text = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
    length = len(text)
    while len(str(length)) + len(text) != length:
        length = len(str(length)) + len(text)
    return str(length).encode() + text


def header(entry: Entry) -> bytes:
    name = entry.name if isinstance(entry.name, bytes) else entry.name.encode()
    size = len(entry.data) if entry.size is None else entry.size
    block = bytearray(512)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[156:157] = entry.type
    block[157:257] = entry.link.encode()[:100].ljust(100, b"\0")
    block[257:265] = entry.magic
    block[329:345] = b"%07o\0%07o\0" % entry.device
    for start, data in entry.fields.items():
        block[start : start + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block) if entry.checksum is None else entry.checksum
    return bytes(block)


def files(**contents: bytes) -> list[Entry]:
    """Files by path; ``__`` is "/" and ``_dot_`` a dot."""
    return [Entry(name.replace("__", "/").replace("_dot_", "."), data) for name, data in contents.items()]


def packed(layer: bytes | Sequence[Entry]) -> bytes:
    return compressed(layer if isinstance(layer, bytes) else tar(layer), TAR_GZIP)


def compressed(data: bytes, media_type: str) -> bytes:
    """As the media type says."""
    if media_type.endswith("gzip"):
        return gzip.compress(data, 1, mtime=0)
    return zstd.compress(data) if media_type.endswith("zstd") else data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def image(
    registry: Registry,
    layers: Sequence[bytes | Sequence[Entry]],
    *,
    diff_ids: Sequence[str] | None = None,
    media_type: str = TAR_GZIP,
    config: Any = None,
    **annotations: str,
) -> str:
    """Push an image of these layers, each gzipped, and return the digest of its manifest."""
    tars = [layer if isinstance(layer, bytes) else tar(layer) for layer in layers]
    stated = [f"sha256:{sha256(data)}" for data in tars] if diff_ids is None else list(diff_ids)
    document = (
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": stated}} if config is None else config
    )
    blobs = [compressed(data, media_type) for data in tars]
    descriptors = [registry.layer(blob, media_type=media_type, **annotations) for blob in blobs]
    return push(registry, document, descriptors)


def push(registry: Registry, config: Any, layers: list[dict[str, Any]], *, config_type: str = IMAGE_CONFIG) -> str:
    data = config if isinstance(config, bytes) else json.dumps(config).encode()
    described = {"mediaType": config_type, "digest": registry.push_blob(data), "size": len(data)}
    return registry.push_manifest({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers})


def kit(registry: Registry, parts: Sequence[tuple[str, bytes | Sequence[Entry]]], *, suffix: str = "+gzip", **changes: Any) -> str:
    """Push a ModelKit as kit packs it, and return the digest of its manifest."""
    layers, config = [], dict[str, Any](manifestVersion="1.0.0")
    for part, entries in parts:
        data = entries if isinstance(entries, bytes) else tar(entries)
        blob = compressed(data, suffix)
        layer = registry.layer(blob, media_type=f"application/vnd.kitops.modelkit.{part}.v1.tar{suffix}")
        layers.append(layer)
        listed = {"path": "./x", "digest": layer["digest"], "diffId": f"sha256:{sha256(data)}"}
        if part == "model":
            config["model"] = config.get("model", {}) | listed
        elif part == "modelpart":
            config.setdefault("model", {}).setdefault("parts", []).append(listed)
        else:
            config.setdefault({"dataset": "datasets"}.get(part, part), []).append(listed)
    return push(registry, config | changes, layers, config_type=KIT_CONFIG)


def pack(registry: Registry, layers: list[dict[str, Any]]) -> str:
    """Push a ModelPack, and return the digest of its manifest."""
    return push(registry, {"descriptor": {}, "modelfs": {"type": "layers"}}, layers, config_type=PACK_CONFIG)


def index(registry: Registry, *children: dict[str, Any]) -> str:
    return registry.push_manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)})


def child(digest: str, architecture: str = "amd64", os: str = "linux", **more: Any) -> dict[str, Any]:
    return {"mediaType": MANIFEST, "digest": digest, "size": 1, "platform": {"os": os, "architecture": architecture}} | more


def attestation(digest: str, of: str) -> dict[str, Any]:
    """As BuildKit adds one to an index."""
    annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of}
    return child(digest, "unknown", "unknown", annotations=annotations)


def by_tarfile(data: bytes) -> dict[str, bytes]:
    """What CPython makes of a tar: its files."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            if member.isreg():
                stream = archive.extractfile(member)
                assert stream is not None
                found[member.name] = stream.read()
    return found
