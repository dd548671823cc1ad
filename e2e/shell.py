"""A shell as the reader of our documents has it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e.control_plane import ControlPlane, binaries
from tests.support.documents import ROOT
from tests.support.helm import program

_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Shell:
    """In the checkout, with helm, kubectl and modeltrust on the PATH, and a kubeconfig."""

    environment: dict[str, str]

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block; the first command that fails ends it."""
        command = ["bash", "-euo", "pipefail", "-c", text]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )


def reader(folder: Path, plane: ControlPlane, *, major: int = 4) -> Shell:
    """The shell of an admin of this cluster.

    Args:
        folder: for the programs' links, and the home directory.
        plane: the cluster.
        major: which helm.
    """
    programs = {"helm": program(major), "kubectl": binaries() / "kubectl", "modeltrust": ROOT / ".venv" / "bin" / "modeltrust"}
    for name, target in programs.items():
        (folder / name).symlink_to(target)
    return Shell({"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "KUBECONFIG": str(plane.admin)})
