"""Every example policy admits its good workloads and denies its bad ones, for the reason written beside each."""

import json
import shutil
import time
from pathlib import Path

import pytest

from modeltrust.cli.main import main
from tests.support import fast_yaml
from tests.support.example_models import ExampleModels

POLICIES = Path(__file__).parent.parent.parent / "policies"
WORKLOADS = sorted(POLICIES.glob("*/good/*.yaml")) + sorted(POLICIES.glob("*/bad/*.yaml"))
EXITS = {"admit": 0, "deny": 11, "pending": 13}


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with statements about every model that the examples name."""
    folder = tmp_path_factory.mktemp("attested")
    ExampleModels(POLICIES, int(time.time())).write(folder)
    return folder


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}/{path.stem}")
def test_an_example_workload_gets_the_answer_written_in_its_first_line(
    workload: Path, attested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trust = _trust(workload.parent.parent, attested, tmp_path)
    expected = workload.read_text().splitlines()[0].removeprefix("# expect: ")
    outcome, *reasons = expected.replace(", would deny", "").split()

    code = main(["check", str(workload), "--trust", str(trust), "-o", "json"])

    (decision,) = json.loads(capsys.readouterr().out)["decisions"]
    found = {f["reason"] for f in decision["findings"] if f["status"] not in {"pass", "skip"}}
    assert (decision["outcome"], set(reasons) - found, code) == (outcome, set(), EXITS[outcome]), decision
    assert bool(reasons) or not found, decision


def test_every_example_policy_has_good_and_bad_workloads() -> None:
    folders = [path.parent.parent for path in POLICIES.glob("*/trust/policy.yaml")]

    assert len(folders) >= 5
    assert all(list(folder.glob("good/*.yaml")) and list(folder.glob("bad/*.yaml")) for folder in folders)


def _trust(example: Path, attested: Path, folder: Path) -> Path:
    trust = folder / "trust"
    shutil.copytree(example / "trust", trust)
    shutil.copytree(attested, trust, dirs_exist_ok=True)
    metadata = {"name": "prod", "labels": {"modeltrust.dev/tier": example.name}}
    (trust / "namespaces.yaml").write_text(fast_yaml.dump({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
    return trust
