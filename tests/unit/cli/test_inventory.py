import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import api_objects as objects
from tests.support import trusted
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import BRANCH, NOW, PINNED, UNKNOWN, CommandLine, Ran, pod, policy
from tests.support.rollouts import PODS, attestors, rolled_out
from tests.support.served import CONNECTORS, a_cluster, put, put_trust, reached, serve_connectors
from tests.support.statements import COMMIT
from tests.unit.cli.shapes import COUNT, TEXT, array, closed, one_of, validate

MODEL = closed(
    model=TEXT,
    role=TEXT,
    revisionState=TEXT,
    pinned={"type": "boolean"},
    source=TEXT,
    attested=one_of("yes", "no", "expired", "invalid", "unknown"),
)
WORKLOAD = closed(
    namespace=TEXT,
    kind=TEXT,
    name=TEXT,
    outcome={"enum": [None, "admit", "warn", "pending", "deny", "error"]},
    reasons=array(TEXT),
    models=array(MODEL),
    unresolved=array(TEXT),
)
COUNTS = ("workloads", "models", "unpinned", "unresolved", "wouldDeny", "pending", "scanned")
INVENTORY = closed(
    version={"const": 1},
    installed={"type": "boolean"},
    summary=closed(**dict.fromkeys(COUNTS, COUNT)),
    notListed=array(TEXT),
    problems=array(TEXT),
    workloads=array(WORKLOAD),
)


@pytest.fixture
def cluster() -> ClusterSimulator:
    return a_cluster()


@pytest.fixture
def inventory(cluster: ClusterSimulator, command_line: CommandLine, tmp_path: Path) -> Iterator[Any]:
    with reached(cluster, tmp_path) as kubeconfig:

        def _inventory(*arguments: str | Path) -> Ran:
            return command_line("inventory", "--kubeconfig", kubeconfig, "--now", NOW, *arguments)

        yield _inventory


def test_with_nothing_installed_a_deployment_its_replica_sets_and_pods_are_one_row(
    cluster: ClusterSimulator, inventory: Any
) -> None:
    rolled_out(cluster, "guard", PINNED)
    rolled_out(cluster, "draft", BRANCH)

    ran = inventory("-o", "json")

    validate(ran.document, INVENTORY)
    assert ran.code == 0
    assert not ran.document["installed"]
    assert [(w["kind"], w["name"], w["outcome"]) for w in ran.document["workloads"]] == [
        ("Deployment", "draft", None),
        ("Deployment", "guard", None),
    ]
    assert [(m["pinned"], m["attested"]) for w in ran.document["workloads"] for m in w["models"]] == [
        (False, "unknown"),
        (True, "unknown"),
    ]
    assert ran.document["summary"]["unpinned"] == 1
    assert ran.document["summary"]["scanned"] == 10


def test_neither_secrets_nor_config_maps_are_ever_asked_for(cluster: ClusterSimulator, inventory: Any) -> None:
    rolled_out(cluster, "guard", PINNED)
    inventory()
    asked = {path.partition("?")[0] for _, path in cluster.requests}
    assert PODS in asked
    assert not [path for path in asked if "secrets" in path or "configmaps" in path]


def test_a_mapping_in_the_cluster_is_how_a_kind_is_read(cluster: ClusterSimulator, inventory: Any) -> None:
    serve_connectors(cluster)
    put(cluster, CONNECTORS, {**objects.CONNECTOR, "metadata": {"name": "x", "namespace": "team-a"}}, listed=False)
    put_trust(cluster, trusted.namespace("team-a"), objects.mapping())

    ran = inventory("-o", "json")

    (workload,) = ran.document["workloads"]
    assert (workload["kind"], [model["model"] for model in workload["models"]]) == ("GMConnector", ["hf://acme/guard"])


def test_what_would_be_denied_is_counted_as_if_every_policy_were_enforced(
    cluster: ClusterSimulator, inventory: Any, tmp_path: Path
) -> None:
    put_trust(
        cluster,
        trusted.namespace("team-a"),
        policy(mode="Audit"),
        trusted.attestation("a", trusted.statement(f"hf://acme/guard-7b@{COMMIT}")),
    )
    for name, args in (("good", PINNED), ("bad", BRANCH), ("new", UNKNOWN)):
        rolled_out(cluster, name, args)

    ran = inventory("-o", "json", "--attestors", attestors(tmp_path))

    outcomes = {w["name"]: (w["outcome"], w["reasons"], [m["attested"] for m in w["models"]]) for w in ran.document["workloads"]}
    assert outcomes["good"] == ("admit", [], ["yes"])
    assert outcomes["bad"][0] == "deny"
    assert "UnpinnedReference" in outcomes["bad"][1]
    assert outcomes["new"] == ("pending", ["AttestationPending"], ["no"])
    assert ran.document["summary"]["wouldDeny"] == 1
    assert ran.document["summary"]["pending"] == 1
    assert ran.document["installed"]


def test_a_policy_that_nobody_has_installed_says_what_it_would_do(
    cluster: ClusterSimulator, inventory: Any, tmp_path: Path
) -> None:
    rolled_out(cluster, "draft", BRANCH)
    (tmp_path / "policy.json").write_text(json.dumps(policy()))

    ran = inventory("--policy", "policy.json")

    assert ran.code == 0
    (row,) = [line for line in ran.out.splitlines() if "Deployment/draft" in line]
    assert "deny" in row
    assert "UnpinnedReference" in row
    assert "1 would be denied, 0 pending" in ran.out


def test_a_what_if_without_a_policy_is_refused(inventory: Any, tmp_path: Path) -> None:
    (tmp_path / "signer.json").write_text(json.dumps(trusted.signer()))
    ran = inventory("--policy", "signer.json")
    assert ran.code == 2
    assert ran.err.count("\n") == 1


def test_a_kind_that_may_not_be_listed_is_said_and_is_no_success(cluster: ClusterSimulator, inventory: Any) -> None:
    rolled_out(cluster, "guard", PINNED)
    cluster.faults.append(("GET", "/apis/apps/v1/daemonsets", 403))
    ran = inventory()
    assert ran.code == 12
    assert "not listed, no permission: daemonsets.apps" in ran.err


def test_a_list_that_expires_on_the_way_is_listed_again_and_nothing_counts_twice(cluster: ClusterSimulator, inventory: Any) -> None:
    cluster.page_size = 1
    rolled_out(cluster, "guard", PINNED)
    cluster.faults.append(("GET", "pods?limit=250&continue=1", 410))
    ran = inventory("-o", "json")
    assert ran.code == 0
    assert ran.document["summary"]["scanned"] == 5


def test_one_namespace_alone_is_asked_for_in_its_own_path(cluster: ClusterSimulator, inventory: Any) -> None:
    rolled_out(cluster, "guard", PINNED)
    ran = inventory("-n", "team-b", "-o", "json")
    assert ran.code == 3
    lists = [path for _, path in cluster.requests if "limit=" in path and "modeltrust.dev" not in path]
    assert all("/namespaces/team-b/" in path for path in lists if "/api/v1/namespaces?" not in path)


def test_what_nobody_can_name_has_a_row(cluster: ClusterSimulator, inventory: Any) -> None:
    put(cluster, PODS, pod(["$(MODEL)"], name="riddle"))
    ran = inventory("-o", "json")
    (workload,) = ran.document["workloads"]
    assert workload["unresolved"]
    assert ran.document["summary"]["unresolved"] == 1


def test_an_api_server_that_does_not_answer_is_no_verdict(cluster: ClusterSimulator, inventory: Any) -> None:
    cluster.faults.append(("GET", "/apis/modeltrust.dev/v1alpha1/modelpolicies", 500))
    ran = inventory()
    assert ran.code == 12
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("content", ["", "{}", "[1]", "contexts: x", "a: ["])
def test_a_kubeconfig_that_is_none_is_said_in_one_line(content: str, command_line: CommandLine) -> None:
    command_line.write("config", content)
    ran = command_line("inventory", "--kubeconfig", "config")
    assert ran.code == 2
    assert ran.err.count("\n") == 1


def test_a_context_that_is_not_there_is_said(cluster: ClusterSimulator, inventory: Any) -> None:
    ran = inventory("--context", "elsewhere")
    assert ran.code == 2
    assert "elsewhere" in ran.err
    assert not cluster.requests


def test_a_kubeconfig_that_is_missing_is_said(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "nowhere")
    ran = command_line("inventory")
    assert ran.code == 2
    assert "--kubeconfig FILE" in ran.err
