from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import trusted
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import BRANCH, NOW, PINNED, UNKNOWN, CommandLine, Ran, policy
from tests.support.rollouts import attestors, rolled_out
from tests.support.served import a_cluster, put_trust, reached
from tests.support.statements import COMMIT
from tests.unit.cli.shapes import TEXT, array, closed, validate
from tests.unit.cli.test_check import FINDING

KNOWN = f"hf://acme/guard-7b@{COMMIT}"
ANYTHING: dict[str, Any] = {}
EVIDENCE = closed(reference=TEXT, role=TEXT, locator=TEXT, missing={"type": ["string", "null"]}, statement=ANYTHING)
WHY = closed(
    version={"const": 1},
    kind=TEXT,
    namespace=TEXT,
    name=TEXT,
    allowed={"type": "boolean"},
    outcome=TEXT,
    message=TEXT,
    findings=array(FINDING),
    evidence=array(EVIDENCE),
    steps=array(TEXT),
    installed={"type": "boolean"},
    problems=array(TEXT),
)


@pytest.fixture
def cluster() -> ClusterSimulator:
    cluster = a_cluster()
    put_trust(cluster, trusted.namespace("team-a"), policy(), trusted.attestation("a", trusted.statement(KNOWN)))
    for name, args in (("good", PINNED), ("bad", BRANCH), ("new", UNKNOWN)):
        rolled_out(cluster, name, args)
    return cluster


@pytest.fixture
def why(cluster: ClusterSimulator, command_line: CommandLine, tmp_path: Path) -> Iterator[Any]:
    attestors(tmp_path)
    with reached(cluster, tmp_path) as kubeconfig:

        def _why(*arguments: str | Path) -> Ran:
            options = ("--kubeconfig", kubeconfig, "--now", NOW, "-n", "team-a", "--attestors", "attestors.yaml")
            return command_line("why", *options, *arguments)

        yield _why


def test_the_json_has_the_shape_that_is_documented(why: Any) -> None:
    for name, outcome, code in (("good", "admit", 0), ("bad", "deny", 11), ("new", "pending", 13)):
        ran = why(f"deployment/{name}", "-o", "json")
        validate(ran.document, WHY)
        assert (ran.document["outcome"], ran.code) == (outcome, code)


def test_a_denied_object_is_told_in_the_words_of_the_denial_and_what_would_make_it_pass(why: Any) -> None:
    ran = why("deploy/bad")
    assert ran.out.startswith("modeltrust: 1 problem in Deployment team-a/bad (policy production, ask #ml-platform)\n")
    assert "[UnpinnedReference] hf://acme/guard-7b" in ran.out
    assert "What would make it pass\n  - --revision <40-hex commit>" in ran.out
    assert "names nothing immutable" in ran.out


def test_an_admitted_object_shows_the_evidence_it_rests_on(why: Any) -> None:
    ran = why("deployments.apps/good")
    assert "Deployment team-a/good would be admitted" in ran.out
    assert f"base       {KNOWN}" in ran.out
    assert "BytesHashed" in ran.out
    assert "signed by the key" in ran.out
    assert "What would make it pass" not in ran.out


def test_a_pending_object_says_what_to_wait_for(why: Any) -> None:
    ran = why("deployment/new")
    assert "kubectl wait --for=condition=Ready modelattestation/hf-acme-guard-7b-" in ran.out


def test_a_pod_is_judged_like_its_deployment(why: Any) -> None:
    assert why("po/bad-7d9f-0").code == 11


def test_without_an_attestor_file_it_says_that_nothing_counts(cluster: ClusterSimulator, command_line: CommandLine) -> None:
    with reached(cluster, command_line.folder) as kubeconfig:
        ran = command_line("why", "deploy/good", "-n", "team-a", "--kubeconfig", kubeconfig, "--now", NOW)
    assert ran.code == 12
    assert "no attestor file was found" in ran.err


def test_where_nothing_is_installed_nothing_is_decided(command_line: CommandLine) -> None:
    cluster = a_cluster()
    rolled_out(cluster, "good", PINNED)
    with reached(cluster, command_line.folder) as kubeconfig:
        ran = command_line("why", "deploy/good", "-n", "team-a", "--kubeconfig", kubeconfig)
    assert ran.code == 3
    assert "not installed" in ran.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("good", "KIND/NAME"),
        ("/good", "KIND/NAME"),
        ("deployment/", "KIND/NAME"),
        ("secret/good", "expected one that this cluster serves"),
        ("configmap/x", "expected one that this cluster serves"),
        ("deployment.batch/good", "expected one that this cluster serves"),
        ("deployment/nowhere", "404"),
        ("deployment/../../secrets/x", "404"),
    ],
)
def test_what_is_not_there_is_one_line(name: str, said: str, why: Any) -> None:
    ran = why(name)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
