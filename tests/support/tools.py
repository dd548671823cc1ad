"""Builds the real registries that slow tests run against, into a cache outside the checkout, keyed by every pinned byte.

`make tools` calls it; it builds only what is missing (about 90 seconds once, then nothing).
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
    "distribution": "github.com/distribution/distribution/v3/cmd/registry",
    "ggcr": "./registry",
}
FLAGS = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"]


def folder() -> Path:
    """Where the built programs are, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hasher = hashlib.sha256()
    for name in ("go.sum", "go.mod", "registry/main.go"):
        hasher.update((SOURCES / name).read_bytes())
    return cache / "modeltrust" / "tools" / hasher.hexdigest()[:16]


def program(name: str) -> Path:
    """Path of a built program.

    Raises:
        FileNotFoundError: `make tools` has not been run.
    """
    path = folder() / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `make tools` first")
    return path


def build() -> Path:
    """Build what is missing; returns the folder."""
    target = folder()
    if all((target / name).exists() for name in PROGRAMS):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        for program_name, package in PROGRAMS.items():
            command = ["go", "build", *FLAGS, "-o", f"{name}/{program_name}", package]
            subprocess.run(command, cwd=SOURCES, check=True, env=os.environ | {"CGO_ENABLED": "0"})
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(name, target)
    return target


def main() -> int:
    """Build, print the folder; 1 and one line where that is impossible."""
    if shutil.which("go") is None and not all((folder() / name).exists() for name in PROGRAMS):
        sys.stderr.write("make tools: needs Go 1.26 or later to build the real registries, and there is no `go` on the PATH\n")
        return 1
    sys.stdout.write(f"{build()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
