"""The way from nothing to an enforced policy and back, every command as the documents have it, on a real node with running Pods.

The image has the name that the documents give it: the node finds it where it was imported.
"""

from collections.abc import Iterator

import pytest

from e2e.node import Node
from e2e.release import cleared, imported, with_kinds, without_kinds
from e2e.shell import Shell, reader
from tests.support.documents import ROOT, Block, blocks

IMAGE = "registry.acme.example/modeltrust:0.1.0"
PAGES = ("install.md", "upgrade.md")
BLOCKS = [block for page in PAGES for block in blocks(ROOT / "docs" / page) if block.mark != "shown"]


@pytest.fixture(scope="module")
def shell(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """An admin's, in a cluster in which nothing of ours is."""
    imported(node, IMAGE)
    cleared(node)
    without_kinds(node)
    yield reader(tmp_path_factory.mktemp("bin"), node)
    with_kinds(node)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.document}:{block.line}")
def test_the_commands_work_as_written_on_running_pods(shell: Shell, block: Block) -> None:
    result = shell.run(block.text)

    assert result.returncode == 0, f"{block.text}\n{result.stdout}\n{result.stderr}"


def test_after_the_last_page_nothing_is_left(node: Node, shell: Shell) -> None:
    assert shell.environment
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings,crds"
    policies = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    assert "modeltrust" not in node.kubectl("get", f"{kinds},{policies}", "-o", "name").stdout
