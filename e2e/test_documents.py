"""Every command of the documents' plain blocks, run as written, from nothing, against a control plane of its own, without Pods.

Once with each major of Helm: install, upgrade, roll back, uninstall, and nothing left.
"""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.control_plane import ControlPlane, binaries, running
from tests.support.documents import ROOT, Block, blocks
from tests.support.helm import program

# In the order in which somebody reads them: what one page leaves, the next finds.
PAGES = ("install.md", "ci.md", "operations.md", "mappings.md", "certificates.md", "sizing.md", "troubleshooting.md", "upgrade.md")
BLOCKS = [block for page in PAGES for block in blocks(ROOT / "docs" / page) if not block.mark]


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell as the reader has it: in the checkout, with helm, kubectl and modeltrust, and a kubeconfig."""

    environment: dict[str, str]

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run a block; the first command that fails ends it."""
        command = ["bash", "-euo", "pipefail", "-c", text]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module", params=[4, 3], ids=lambda major: f"helm {major}")
def major(request: pytest.FixtureRequest) -> int:
    """Which helm stands on the reader's PATH."""
    found: int = request.param
    return found


@pytest.fixture(scope="module")
def fresh(major: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster in which nothing of ours is."""
    with running(tmp_path_factory.mktemp(f"documents-{major}")) as plane:
        yield plane


@pytest.fixture(scope="module")
def shell(fresh: ControlPlane, major: int, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("bin")
    for name, target in (("helm", program(major)), ("kubectl", binaries() / "kubectl"), ("modeltrust", _modeltrust())):
        (folder / name).symlink_to(target)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "KUBECONFIG": str(fresh.admin)}
    return Shell(environment)


def _modeltrust() -> Path:
    return ROOT / ".venv" / "bin" / "modeltrust"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.line}")
def test_the_commands_work_as_written(shell: Shell, block: Block) -> None:
    result = shell.run(block.text)

    assert result.returncode == 0, f"{block.text}\n{result.stdout}\n{result.stderr}"


def test_f97_after_the_last_page_nothing_is_left(fresh: ControlPlane, shell: Shell) -> None:
    """The page on upgrades ends with the uninstallation, and with the removal of the kinds."""
    assert shell.environment
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings,crds"
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    left = fresh.kubectl("get", f"{kinds},{policies}", "-o", "name").stdout

    assert "modeltrust" not in left
