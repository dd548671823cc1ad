"""Builds the real registries, Helm 3, cosign and Sigstore of the slow tests into a cache outside, keyed by every pinned byte.

`make tools` calls it; it builds only what is missing: the registries (90 seconds), Helm 3 and helm-unittest once, then nothing.
cosign and the services of a Sigstore take minutes, so that each is built where its variable asks for it; what was built once is
used from then on.
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
    "helm3": ("helm", "helm.sh/helm/v3/cmd/helm"),  # 160 CPU seconds together with the next, which shares its packages
    "helm-unittest": ("helm", "github.com/helm-unittest/helm-unittest/cmd/helm-unittest"),
    "unpack": ("unpack", "."),  # containerd's own unpacking of layers; 15 seconds
    "cosign": ("cosign", "github.com/sigstore/cosign/v3/cmd/cosign"),  # 300 CPU seconds once, and as much again to link it
    "ctlog": ("sigstore", "./ctlog"),
    "fulcio": ("sigstore", "github.com/sigstore/fulcio"),
    "rekor": ("sigstore", "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix"),
    "tsa": ("sigstore", "./tsa"),
}
"""By name: in which Go module below ``SOURCES``, since their dependencies disagree, and what to build there."""
PINNED = {
    "": ("go.sum", "go.mod", "registry/main.go"),
    "helm": ("helm/go.sum", "helm/go.mod"),
    "unpack": ("unpack/go.sum", "unpack/go.mod", "unpack/main.go"),
    "cosign": ("cosign/go.sum", "cosign/go.mod"),
    "sigstore": ("sigstore/go.sum", "sigstore/go.mod", "sigstore/ctlog/main.go", "sigstore/tsa/main.go"),
}
ASKED_BY = {"cosign": "MODELTRUST_COSIGN", "sigstore": "MODELTRUST_SIGSTORE"}
"""Modules that are not always built, and the variable whose 1 asks for each."""
NO_COSIGN = "REAL COSIGN WAS NOT ASKED: it is not built; `MODELTRUST_COSIGN=1 make tools` does it, in about ten CPU minutes"
NO_SIGSTORE = "REAL SIGSTORE WAS NOT ASKED: it is not built; `MODELTRUST_SIGSTORE=1 make tools` does it, in about four CPU minutes"
FLAGS = ["-trimpath", "-buildvcs=false"]
STAMPS = {
    "helm": {
        "helm.sh/helm/v3/internal/version.version": "v3.22.0",
        # As in upstream's Makefile: without a cluster, Helm assumes the Kubernetes of its client library; unstamped, 1.20.
        **{f"helm.sh/helm/v3/pkg/{package}.k8sVersionMajor": "1" for package in ("chartutil", "lint/rules")},
        **{f"helm.sh/helm/v3/pkg/{package}.k8sVersionMinor": "37" for package in ("chartutil", "lint/rules")},
    }
}
"""By module: what upstream's own build writes into the programs."""


def folder(module: str = "") -> Path:
    """Where the built programs of one module are, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    hasher = hashlib.sha256()
    for name in PINNED[module]:
        hasher.update((SOURCES / name).read_bytes())
    for place, value in sorted(STAMPS.get(module, {}).items()):
        hasher.update(f"{place}={value}\n".encode())
    return cache / "modeltrust" / "tools" / hasher.hexdigest()[:16]


def program(name: str) -> Path:
    """Path of a built program.

    Raises:
        FileNotFoundError: `make tools` has not been run.
    """
    if not built(name):
        raise FileNotFoundError(f"{_path(name)} is missing: run `make tools` first")
    return _path(name)


def built(name: str) -> bool:
    """Whether a program is there."""
    return _path(name).exists()


def complete(module: str) -> bool:
    """Whether every program of a module is there."""
    return all(built(name) for name, (where, _) in PROGRAMS.items() if where == module)


def wanted(module: str) -> bool:
    """Whether a module is always built, or asked for."""
    return module not in ASKED_BY or os.environ.get(ASKED_BY[module]) == "1"


def build() -> tuple[Path, ...]:
    """Build what is missing and wanted; returns the folders."""
    modules = tuple(module for module in PINNED if wanted(module) or complete(module))
    for module in modules:
        _build(module)
    return tuple(folder(module) for module in modules)


def _path(name: str) -> Path:
    return folder(PROGRAMS[name][0]) / name


def _build(module: str) -> None:
    if complete(module):
        return
    target, programs = folder(module), {name: package for name, (where, package) in PROGRAMS.items() if where == module}
    target.parent.mkdir(parents=True, exist_ok=True)
    stamps = "".join(f" -X {place}={value}" for place, value in STAMPS.get(module, {}).items())
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for name, package in programs.items():
            command = ["go", "build", *FLAGS, f"-ldflags=-s -w{stamps}", "-o", f"{scratch}/{name}", package]
            subprocess.run(command, cwd=SOURCES / module, check=True, env=os.environ | {"CGO_ENABLED": "0"})
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(scratch, target)


def main() -> int:
    """Build, print the folders; 1 and one line where that is impossible."""
    if shutil.which("go") is None and not all(complete(module) for module in PINNED if wanted(module)):
        sys.stderr.write("make tools: needs Go 1.26 or later to build the real registries, and there is no `go` on the PATH\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in build()))
    for module, why in (("cosign", NO_COSIGN), ("sigstore", NO_SIGSTORE)):
        if not complete(module):
            sys.stdout.write(f"{why}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
