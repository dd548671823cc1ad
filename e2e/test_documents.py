"""Every command of the documents' plain blocks, run as written, from nothing, against a control plane of its own, without Pods.

Once with each major of Helm: install, upgrade, roll back, uninstall, and nothing left.
"""

from collections.abc import Iterator

import pytest

from e2e.control_plane import ControlPlane, running
from e2e.shell import Shell, reader
from tests.support.documents import ROOT, Block, blocks

# In the order in which somebody reads them: what one page leaves, the next finds.
PAGES = ("install.md", "ci.md", "operations.md", "mappings.md", "certificates.md", "sizing.md", "troubleshooting.md", "upgrade.md")
BLOCKS = [block for page in PAGES for block in blocks(ROOT / "docs" / page) if not block.mark]


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
    return reader(tmp_path_factory.mktemp("bin"), fresh, major=major)


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
