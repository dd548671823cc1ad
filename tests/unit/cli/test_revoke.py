from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import trusted
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import NOW, PINNED, UNKNOWN, CommandLine, Ran, policy
from tests.support.rollouts import PODS, attestors, rolled_out
from tests.support.served import OURS, a_cluster, put, put_trust, reached
from tests.support.statements import COMMIT

KNOWN = f"hf://acme/guard-7b@{COMMIT}"
OLDER = f"hf://acme/guard-7b@{'2' * 40}"
INCIDENT = ("--reason", "backdoor", "--reference", "INC-1234")
REVOCATIONS = f"{OURS}/modelrevocations"


@pytest.fixture
def cluster() -> ClusterSimulator:
    cluster = a_cluster()
    known = [trusted.attestation(name, trusted.statement(model)) for name, model in (("a", KNOWN), ("b", OLDER))]
    put_trust(cluster, trusted.namespace("team-a"), policy(), *known)
    rolled_out(cluster, "good", PINNED)
    rolled_out(cluster, "new", UNKNOWN)
    return cluster


@pytest.fixture
def revoke(cluster: ClusterSimulator, command_line: CommandLine, tmp_path: Path) -> Iterator[Any]:
    attestors(tmp_path)
    with reached(cluster, tmp_path) as kubeconfig:

        def _revoke(*arguments: str | Path) -> Ran:
            options = ("--kubeconfig", kubeconfig, "--now", NOW, "--attestors", "attestors.yaml")
            return command_line("revoke", *options, *arguments)

        yield _revoke


def test_without_apply_the_object_is_printed_and_nothing_changes(cluster: ClusterSimulator, revoke: Any) -> None:
    ran = revoke("--model", KNOWN, *INCIDENT)
    document = yaml.safe_load(ran.out)
    assert ran.code == 0
    assert document["kind"] == "ModelRevocation"
    assert document["spec"] == {"models": [KNOWN], "reason": "backdoor", "reference": "INC-1234", "action": "DenyNew"}
    assert "not applied" in ran.err
    assert not cluster.writes()


def test_with_apply_it_is_there_first_and_what_runs_is_listed_with_its_owner_and_the_last_good_revision(
    cluster: ClusterSimulator, revoke: Any
) -> None:
    ran = revoke("--model", KNOWN, *INCIDENT, "--apply")
    assert ran.code == 0
    assert [value["spec"]["models"] for value in cluster.all(REVOCATIONS)] == [[KNOWN]]
    assert cluster.requests[0] == ("POST", REVOCATIONS)
    assert f"team-a  Deployment/good  {KNOWN}" in ran.out
    assert "Deployment/new" not in ran.out
    assert f"last good revision of hf://acme/guard-7b: {OLDER}" in ran.out
    assert "1 workload runs with it" in ran.out


def test_the_same_command_twice_creates_one_object(cluster: ClusterSimulator, revoke: Any) -> None:
    first, second = (revoke("--model", KNOWN, *INCIDENT, "--apply") for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert "is in force already" in second.out
    assert len(cluster.all(REVOCATIONS)) == 1


def test_another_object_of_this_name_is_an_error_and_not_overwritten(cluster: ClusterSimulator, revoke: Any) -> None:
    revoke("--model", KNOWN, *INCIDENT, "--apply")
    ran = revoke("--model", KNOWN, "--reason", "another", "--reference", "INC-1234", "--apply")
    assert ran.code == 2
    assert cluster.all(REVOCATIONS)[0]["spec"]["reason"] == "backdoor"


def test_a_model_revoked_in_every_revision_has_no_good_one(revoke: Any) -> None:
    ran = revoke("--model", "hf://acme/guard-7b", *INCIDENT, "--apply")
    assert "2 workloads run with it" in ran.out
    assert "last good revision of hf://acme/guard-7b: none is attested" in ran.out


def test_content_and_signer_are_found_through_statements(revoke: Any) -> None:
    ran = revoke("--content-digest", "sha256:" + "c0" * 32, *INCIDENT, "-o", "json")
    assert [(w["kind"], w["name"]) for w in ran.document["workloads"]] == [("Deployment", "good")]
    fingerprint = trusted.statement(KNOWN).signatures.value.valid[0].fingerprint  # type: ignore[union-attr] # it is known
    ran = revoke("--signer", fingerprint, *INCIDENT, "-o", "json")
    assert [(w["kind"], w["name"]) for w in ran.document["workloads"]] == [("Deployment", "good")]
    assert ran.document["lastGood"] == []


def test_an_identity_is_revoked_with_its_issuer(revoke: Any) -> None:
    ran = revoke("--signer", "ci@acme.example", "--issuer", "https://issuer.example", *INCIDENT)
    (signer,) = yaml.safe_load(ran.out)["spec"]["signers"]
    assert signer == {"identity": {"issuer": "https://issuer.example", "subject": "ci@acme.example"}}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--signer", "ci@acme.example"),
        ("--model", "not a reference"),
        ("--content-digest", "sha256:12"),
        ("--issuer", "https://issuer.example"),
        ("--model", KNOWN, "--signed-after", "2026-01-01T00:00:00Z"),
        ("--signer", "a" * 64, "--signed-after", "yesterday"),
        ("--model", KNOWN, "--action", "Delete"),
        ("--model", KNOWN, "--reference", "two words"),
    ],
)
def test_what_cannot_be_revoked_is_refused_before_anything_is_asked(
    arguments: tuple[str, ...], cluster: ClusterSimulator, revoke: Any
) -> None:
    ran = revoke(*INCIDENT, *arguments, "--apply")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert not cluster.requests


def test_without_permission_nothing_is_said_to_be_revoked(cluster: ClusterSimulator, revoke: Any) -> None:
    cluster.faults.append(("POST", "modelrevocations", 403))
    ran = revoke("--model", KNOWN, *INCIDENT, "--apply")
    assert ran.code == 12
    assert ran.out == ""


@pytest.mark.parametrize("output", [(), ("-o", "json")])
def test_what_goes_wrong_after_it_is_in_force_does_not_hide_that_it_is(
    output: tuple[str, ...], cluster: ClusterSimulator, revoke: Any
) -> None:
    cluster.faults.append(("GET", "pods", 500))
    ran = revoke("--model", KNOWN, *INCIDENT, "--apply", *output)
    assert ran.code != 0
    assert "created: nothing new starts with it" in (ran.err if output else ran.out)
    assert len(cluster.all(REVOCATIONS)) == 1


def test_a_workload_that_loads_what_cannot_be_named_is_not_passed_over(cluster: ClusterSimulator, revoke: Any) -> None:
    rolled_out(cluster, "riddle", ["$(MODEL)"])
    ran = revoke("--model", KNOWN, *INCIDENT, "-o", "json")
    (problem,) = ran.document["problems"]
    assert problem == "load something that cannot be named: Deployment/riddle in team-a; whether they run with it cannot be told"
    assert [w["name"] for w in ran.document["workloads"]] == ["good"]


@pytest.mark.parametrize("target", [("--content-digest", "sha256:" + "c0" * 32), ("--signer", "ab" * 32)])
def test_a_model_of_which_nothing_is_known_is_not_passed_over_where_content_or_a_signer_is_revoked(
    target: tuple[str, str], revoke: Any
) -> None:
    (problem,) = revoke(*target, *INCIDENT, "-o", "json").document["problems"]
    assert "no statement says what is in it and who signed it: Deployment/new in team-a; whether" in problem
    assert revoke("--model", KNOWN, *INCIDENT, "-o", "json").document["problems"] == []


def test_a_workload_that_cannot_be_read_is_named_and_not_passed_over(cluster: ClusterSimulator, revoke: Any) -> None:
    broken = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "odd", "namespace": "team-a"}, "spec": {"containers": "none"}}
    put(cluster, PODS, broken)
    ran = revoke("--model", KNOWN, *INCIDENT, "--apply")
    assert "not read, an unknown form: Pod/odd in team-a; whether they run with it cannot be told" in ran.err
    assert "1 workload runs with it" in ran.out
