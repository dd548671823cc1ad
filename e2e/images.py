"""Container images made in Python: an OCI layout in a tar, which containerd imports. No registry is asked for any of them."""

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"
_APPLETS = ("sh", "sleep", "cat", "cp", "echo", "ls", "mkdir", "mv", "rm", "true", "test", "wget", "httpd", "printf", "id", "touch")


def busybox(target: Path, name: str) -> str:
    """Write an image with a shell, from Debian's static busybox, that sleeps by itself: Pods' sandbox, too.

    Args:
        target: of the tar.
        name: with tag.

    Returns:
        The digest of the image's manifest, ``sha256:<hex>``.
    """
    found = shutil.which("busybox")
    assert found is not None
    files = {"bin/busybox": Path(found).read_bytes(), "etc/passwd": b"root:x:0:0::/:/bin/sh\nuser:x:65532:65532::/:/bin/sh\n"}
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "models"):
            _add(archive, folder, kind=tarfile.DIRTYPE, mode=0o777 if folder in {"tmp", "models"} else 0o755)
        for path, content in files.items():
            _add(archive, path, content)
        for applet in _APPLETS:
            _add(archive, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
    return write(target, name, layer.getvalue(), {"Cmd": ["/bin/sleep", "infinity"], "Env": ["PATH=/bin"]})


def write(target: Path, name: str, layer: bytes, config: Mapping[str, Any]) -> str:
    """Write an image of one layer.

    Args:
        target: of the tar.
        name: with tag.
        layer: a tar.
        config: ``config`` of the image: Entrypoint, Cmd, Env, User.

    Returns:
        The digest of its manifest, ``sha256:<hex>``.
    """
    blobs: dict[str, bytes] = {}
    packed = _blob(blobs, gzip.compress(layer, compresslevel=1, mtime=0), f"{_OCI}.layer.v1.tar+gzip")
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    machine = {"architecture": _ARCHITECTURES[platform.machine()], "os": "linux"}
    image = _blob(blobs, _json({**machine, "config": dict(config), "rootfs": rootfs}), f"{_OCI}.config.v1+json")
    document = {"schemaVersion": 2, "mediaType": f"{_OCI}.manifest.v1+json", "config": image, "layers": [packed]}
    manifest = _blob(blobs, _json(document), f"{_OCI}.manifest.v1+json")
    described = {**manifest, "annotations": {"io.containerd.image.name": name}, "platform": machine}
    index = _json({"schemaVersion": 2, "manifests": [described]})
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add(archive, "index.json", index)
        for digest, content in blobs.items():
            _add(archive, f"blobs/{digest.replace(':', '/')}", content)
    return str(manifest["digest"])


def _blob(blobs: dict[str, bytes], content: bytes, kind: str) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blobs[digest] = content
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _add(
    archive: tarfile.TarFile,
    path: str,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o755,
    link: str = "",
) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.type, entry.mode, entry.linkname = len(content), kind, mode, link
    archive.addfile(entry, io.BytesIO(content))
