"""Builds the image without a Docker engine, into a cache outside the checkout, named by everything that it is made of.

`make image` calls it, and `make -s image-path` prints where the result is: an OCI archive, as `ctr images import` reads it.
Needs root, buildah and debootstrap, as every machine with Debian's packages has them to offer.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = "modeltrust"
TAG = "local"
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
    return _cache() / "image" / key() / f"{NAME}.tar"


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
            _import(Path(storage), f"localhost/{NAME}-{name}", base / f"{name}.tar")
        _buildah(Path(storage), *_arguments())
        part = target.with_suffix(".part")
        _buildah(Path(storage), "push", "--quiet", f"localhost/{NAME}:{TAG}", f"oci-archive:{part}:{NAME}:{TAG}")
        part.rename(target)
    return target


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
    arguments = ["bud", "--quiet", "--isolation", "chroot", "--network", "host", "--timestamp", "0", "--tag", f"{NAME}:{TAG}"]
    arguments += ["--build-arg", f"BASE=localhost/{NAME}-base", "--build-arg", f"BUILD_BASE=localhost/{NAME}-build"]
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
