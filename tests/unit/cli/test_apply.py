"""`attest` and `approve` print a ModelAttestation, or apply it through the caller's kubeconfig."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.cluster import ClusterSimulator
from tests.support.command_line import CommandLine
from tests.support.served import OURS, a_cluster, reached
from tests.support.statements import COMMIT

MODEL = f"hf://community/third-party@{COMMIT}"
ATTESTATIONS = f"{OURS}/modelattestations"
APPROVAL = ("--ticket", "SEC-42", "--expires", "90", "--content-digest", "sha256:" + "ab" * 32)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "approver.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(
        private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def cluster() -> ClusterSimulator:
    return a_cluster()


@pytest.fixture
def kubeconfig(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[Path]:
    with reached(cluster, tmp_path) as path:
        yield path


def test_an_approval_is_applied_and_nothing_is_printed_to_stdout(
    cluster: ClusterSimulator, kubeconfig: Path, command_line: CommandLine, key: Path
) -> None:
    ran = command_line("approve", MODEL, "--key", key, *APPROVAL, "--apply", "--kubeconfig", kubeconfig)
    (found,) = cluster.all(ATTESTATIONS)

    assert (ran.code, ran.out) == (0, "")
    assert f"applied ModelAttestation {found['metadata']['name']}" in ran.err
    assert found["spec"]["model"] == MODEL
    assert [entry["name"] for entry in found["spec"]["evidence"]] == ["approval"]


def test_applying_twice_is_applying_once(cluster: ClusterSimulator, kubeconfig: Path, command_line: CommandLine, key: Path) -> None:
    for _ in range(2):
        assert command_line("approve", MODEL, "--key", key, *APPROVAL, "--apply", "--kubeconfig", kubeconfig).code == 0

    assert len(cluster.all(ATTESTATIONS)) == 1


def test_without_apply_it_is_printed_and_no_cluster_is_needed(command_line: CommandLine, key: Path) -> None:
    ran = command_line("approve", MODEL, "--key", key, *APPROVAL)

    assert ran.code == 0
    assert yaml.safe_load(ran.out)["kind"] == "ModelAttestation"


@pytest.mark.parametrize("option", [("--kubeconfig", "somewhere"), ("--context", "prod")])
def test_a_cluster_that_is_named_and_not_written_to_is_a_mistake(
    option: tuple[str, str], command_line: CommandLine, key: Path
) -> None:
    ran = command_line("approve", MODEL, "--key", key, *APPROVAL, *option)

    assert (ran.code, ran.out) == (2, "")
    assert "--apply" in ran.err


def test_a_cluster_that_refuses_is_told_in_one_line(
    cluster: ClusterSimulator, kubeconfig: Path, command_line: CommandLine, key: Path
) -> None:
    cluster.faults.append(("PATCH", "modelattestations", 403))
    ran = command_line("approve", MODEL, "--key", key, *APPROVAL, "--apply", "--kubeconfig", kubeconfig)

    assert ran.code == 12
    assert len(ran.err.strip().splitlines()) == 1
    assert cluster.all(ATTESTATIONS) == []
