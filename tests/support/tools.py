"""Builds the real registries and cosign that slow tests run against, into a cache outside the checkout, keyed by every pinned byte.

`make tools` calls it; it builds only what is missing: once 90 seconds for the registries and five minutes for cosign, then nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "tools"
PROGRAMS = {
    "distribution": ("", "github.com/distribution/distribution/v3/cmd/registry"),
    "ggcr": ("", "./registry"),
    "cosign": ("cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),  # 300 CPU seconds once, and as much again to link it
}
"""By name: in which Go module below ``SOURCES``, since their dependencies disagree, and what to build there."""
PINNED = {"": ("go.sum", "go.mod", "registry/main.go"), "cosign": ("cosign/go.sum", "cosign/go.mod")}
FLAGS = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]


def folder(module: str = "") -> Path:
    """Where the built programs of one module are, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hasher = hashlib.sha256()
    for name in PINNED[module]:
        hasher.update((SOURCES / name).read_bytes())
    return cache / "modeltrust" / "tools" / hasher.hexdigest()[:16]


def program(name: str) -> Path:
    """Path of a built program.

    Raises:
        FileNotFoundError: `make tools` has not been run.
    """
    path = _path(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make tools` first")
    return path


def build() -> tuple[Path, ...]:
    """Build what is missing; returns the folders."""
    for module in PINNED:
        _build(module)
    return tuple(folder(module) for module in PINNED)


def _path(name: str) -> Path:
    return folder(PROGRAMS[name][0]) / name


def _build(module: str) -> None:
    target, programs = folder(module), {name: package for name, (where, package) in PROGRAMS.items() if where == module}
    if all((target / name).exists() for name in programs):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for name, package in programs.items():
            command = ["go", "build", *FLAGS, "-o", f"{scratch}/{name}", package]
            subprocess.run(command, cwd=SOURCES / module, check=True, env=os.environ | {"CGO_ENABLED": "0"})
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(scratch, target)


def main() -> int:
    """Build, print the folders; 1 and one line where that is impossible."""
    if shutil.which("go") is None and not all(_path(name).exists() for name in PROGRAMS):
        sys.stderr.write(
            "make tools: needs Go 1.26 or later to build the real registries and cosign, and there is no `go` on the PATH\n"
        )
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in build()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
