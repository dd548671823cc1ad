"""Builds the image without a Docker engine, into a cache outside the checkout, named by everything that it is made of.

`make image` calls it, and `make -s image-path` prints where the result is: an OCI archive, as `ctr images import` reads it.
Needs root, buildah and debootstrap, as every machine with Debian's packages has them to offer.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = "localhost/modeltrust"
TAG = "local"
REFERENCE = f"{NAME}:{TAG}"
_TOOLS = ("buildah", "debootstrap")
_INPUTS = (
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements/build.txt",
    "requirements/image.txt",
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PASSED_ON = ("PIP_INDEX_URL", "PIP_CERT")


def key() -> str:
    """Names the image by the content of everything that goes into it."""
    hasher = hashlib.sha256()
    for path in sorted(_inputs()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        hasher.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return hasher.hexdigest()[:16]


def archive() -> Path:
    """Where the image is, or will be."""
    return _cache() / "image" / key() / "modeltrust.tar"


def build() -> Path:
    """Build what is missing; returns the archive's path.

    Raises:
        RuntimeError: a tool is missing.
        subprocess.CalledProcessError: the build failed; its output says why.
    """
    target = archive()
    if target.exists():
        return target
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        raise RuntimeError(
            f"building the image needs root and {', '.join(missing or _TOOLS)} (apt-get install buildah debootstrap)"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    base = _base()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="storage-") as storage:
        for name in ("base", "build"):
            _import(Path(storage), f"{NAME}-{name}", base / f"{name}.tar")
        _buildah(Path(storage), *_arguments())
        pushed = Path(storage) / "pushed.tar"
        _buildah(Path(storage), "push", "--quiet", REFERENCE, f"oci-archive:{pushed}:{REFERENCE}")
        part = target.with_suffix(".part")
        _named(pushed, part)
        part.rename(target)
    return target


def _named(pushed: Path, target: Path) -> None:
    """Copy an archive, saying in containerd's words what the image is called: the OCI annotation counts as a tag alone there."""
    with tarfile.open(pushed) as source, tarfile.open(target, "w") as copy:
        for member in source:
            stream = source.extractfile(member) if member.isfile() else None
            if member.name == "index.json" and stream is not None:
                index = json.load(stream)
                for manifest in index["manifests"]:
                    manifest.setdefault("annotations", {})["io.containerd.image.name"] = REFERENCE
                content = json.dumps(index, sort_keys=True).encode()
                member.size, stream = len(content), io.BytesIO(content)
            copy.addfile(member, stream)


def _install() -> None:
    if os.geteuid() != 0:
        raise RuntimeError("building the image needs root")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if any(shutil.which(name) is None for name in _TOOLS) and shutil.which("apt-get"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", *_TOOLS]):
            subprocess.run(["apt-get", "-qq", *command], check=False, stdout=subprocess.DEVNULL, env=environment)
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing:
        raise RuntimeError(
            f"building the image needs {' and '.join(missing)}, which cannot be installed from Debian's packages here"
        )


def _inputs() -> Iterator[Path]:
    yield from (ROOT / name for name in _INPUTS)
    yield from (ROOT / "image").glob("*.sh")
    yield from (ROOT / "image").glob("*.py")
    for path in (ROOT / "controller").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modeltrust"


def _base() -> Path:
    script = ROOT / "image" / "base.sh"
    folder = _cache() / "image-base" / hashlib.sha256(script.read_bytes()).hexdigest()[:16]
    if not (folder / "base.tar").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            subprocess.run([script, made], check=True)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(made, folder)
    return folder


def _import(storage: Path, name: str, tar: Path) -> None:
    container = _buildah(storage, "from", "--quiet", "scratch")
    _buildah(storage, "add", "--quiet", container, str(tar), "/")
    _buildah(storage, "commit", "--quiet", "--rm", container, name)


def _arguments() -> list[str]:
    arguments = ["bud", "--quiet", "--isolation", "chroot", "--network", "host", "--timestamp", "0", "--tag", REFERENCE]
    arguments += ["--build-arg", f"BASE={NAME}-base", "--build-arg", f"BUILD_BASE={NAME}-build"]
    for name in _PASSED_ON:
        if name in os.environ:
            arguments += ["--build-arg", f"{name}={os.environ[name]}"]
    if _CERTIFICATES.exists():
        arguments += ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
    return [*arguments, str(ROOT)]


def _buildah(storage: Path, *arguments: str) -> str:
    places = ["--storage-driver", "vfs", "--root", str(storage / "root"), "--runroot", str(storage / "run")]
    result = subprocess.run(["buildah", *places, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return result.stdout.strip()


def main(arguments: list[str]) -> int:
    """Build, or with --path only say where; prints the archive's path."""
    try:
        path = archive() if "--path" in arguments else build()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"make image: {error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
