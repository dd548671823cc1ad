"""Container images made in Python: an OCI layout in a tar, which containerd imports. No registry is asked for any of them."""

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"
_APPLETS = [
    "sh",
    "sleep",
    "cat",
    "cp",
    "echo",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "true",
    "test",
    "wget",
    "httpd",
    "printf",
    "id",
    "touch",
    "sha256sum",
    "basename",
]
_PACKAGE = Path(__file__).parent.parent / "controller" / "modeltrust"
_UNNEEDED = {"site-packages", "test", "tests", "__pycache__", "idlelib", "tkinter", "ensurepip", "lib2to3", "pydoc_data"}


def busybox(target: Path, name: str, files: Mapping[str, bytes] | None = None, entrypoint: Sequence[str] = ()) -> str:
    """Write an image with a shell, from Debian's static busybox, that sleeps by itself: Pods' sandbox, too.

    Args:
        target: of the tar.
        name: with tag.
        files: further files by path.
        entrypoint: of the image.

    Returns:
        The digest of the image's manifest, ``sha256:<hex>``.
    """
    found = shutil.which("busybox")
    assert found is not None
    users = b"root:x:0:0::/:/bin/sh\nuser:x:65532:65532::/:/bin/sh\n"
    content = {"bin/busybox": Path(found).read_bytes(), "etc/passwd": users, **(files or {})}
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "models"):
            _add(archive, folder, kind=tarfile.DIRTYPE, mode=0o777 if folder in {"tmp", "models"} else 0o755)
        for path, data in content.items():
            _add(archive, path, data)
        for applet in _APPLETS:
            _add(archive, f"bin/{applet}", kind=tarfile.SYMTYPE, link="busybox")
    config = {"Entrypoint": list(entrypoint)} if entrypoint else {"Cmd": ["/bin/sleep", "infinity"]}
    return write(target, name, layer.getvalue(), {**config, "Env": ["PATH=/bin"]})


def verifier(target: Path, name: str) -> str:
    """Write an image with this machine's Python and our package, which is all that `job verify-at-load` needs.

    A stand-in for the image that `make image` builds, for tests of Pods alone: it takes two seconds.

    Args:
        target: of the tar.
        name: with tag.

    Returns:
        The digest of the image's manifest, ``sha256:<hex>``.
    """
    python = Path(sys.executable).resolve()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", dereference=True) as archive:
        for path in (python, *shared([python], besides=_PACKAGE), *standard_library()):
            archive.add(path, arcname=str(path).lstrip("/"), recursive=False)
        for path in sorted(_PACKAGE.rglob("*.py")):
            archive.add(path, arcname=f"app/modeltrust/{path.relative_to(_PACKAGE)}", recursive=False)
    environment = ["PYTHONPATH=/app", "PYTHONDONTWRITEBYTECODE=1", f"LD_LIBRARY_PATH={python.parent.parent / 'lib'}"]
    config = {"Entrypoint": [str(python), "-m", "modeltrust"], "Env": environment, "User": "65532:65532"}
    return write(target, name, layer.getvalue(), config)


def standard_library() -> list[Path]:
    """The files of this Python's own library that programs need."""
    library = Path(sysconfig.get_paths()["stdlib"])
    listed = (path for path in sorted(library.rglob("*")) if path.is_file() and path.suffix in {".py", ".so"})
    return [path for path in listed if _UNNEEDED.isdisjoint(path.relative_to(library).parts)]


def shared(binaries: Iterable[Path], *, besides: Path) -> list[Path]:
    """The system's libraries that binaries are linked with, but for those in a folder, which stay where they are."""
    told = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False).stdout
    words = {word for line in told.splitlines() if line.startswith("\t") for word in line.split() if word.startswith("/")}
    return sorted(Path(word) for word in words if not Path(word).resolve().is_relative_to(besides.resolve()))


def digest_of(archive: Path) -> str:
    """The manifest digest of the one image in an OCI archive."""
    with tarfile.open(archive) as opened:
        index = opened.extractfile("index.json")
        assert index is not None
        (manifest,) = json.load(index)["manifests"]
    return str(manifest["digest"])


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
