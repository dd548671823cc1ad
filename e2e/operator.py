"""The real operator process, as its own account, with exactly the permissions that the chart gives it."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.control_plane import LOOPBACK, ControlPlane
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo.world import World
from tests.support.worker import RunningWorker

Object = dict[str, Any]
NAMESPACE = "modeltrust-system"
JOBS = "modeltrust-jobs"
ACCOUNT = "operator"
ATTESTORS = "modeltrust-attestors"  # ConfigMap
KINDS = (
    "evaluationsuites",
    "modelattestations",
    "modelpolicies",
    "modelreferencemappings",
    "modelrevocations",
    "modelsources",
    "policyexemptions",
    "trustedsigners",
)


@dataclass(slots=True)
class OperatorProcess:
    """One replica.

    Attributes:
        folder: of its log.
        kubeconfig: of its account.
        worker: the real one.
        name: of the replica.
    """

    folder: Path
    kubeconfig: Path
    worker: RunningWorker
    name: str = "one"
    arguments: tuple[str, ...] = ()
    metrics_port: int = 0
    _process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        """Start it; it may not lead yet."""
        flags = {
            "--kubeconfig": self.kubeconfig,
            "--namespace": NAMESPACE,
            "--jobs-namespace": JOBS,
            "--worker": self.worker.url,
            "--worker-ca": self.worker.server.certificate,
            "--worker-cert": self.worker.client.certificate,
            "--worker-key": self.worker.client.key,
            "--identity": self.name,
            "--metrics-listen": f"{LOOPBACK}:0",
        }
        words = [str(word) for pair in flags.items() for word in pair]
        with self.path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modeltrust", "operator", *words, *self.arguments], stdout=subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        self.metrics_port = json.loads(self._process.stdout.readline())["metricsPort"]

    @property
    def path(self) -> Path:
        """Of its log."""
        return self.folder / f"operator-{self.name}.log"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = 30.0) -> int:
        """Wait until it has ended; returns its exit code."""
        assert self._process is not None
        assert self._process.stdout is not None
        code = self._process.wait(seconds)
        self._process.stdout.close()
        self._process = None
        return code

    def stop(self, *, kill: bool = False) -> None:
        """Stop it and wait, if it runs."""
        if self._process is not None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL if kill else signal.SIGTERM)
            self.wait()

    def leads(self) -> bool:
        """Whether it says so, and has begun."""
        return any(line.get("event") == "leading" for line in self.log()) and self.metric("modeltrust_leader") == 1.0

    def wait_until_leading(self, seconds: float = 30.0) -> None:
        """Wait until it leads."""
        eventually(self.leads, seconds=seconds, what=f"replica {self.name} leading")

    def metric(self, name: str, label: str = "") -> float:
        """The sum of a metric's samples; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics_port}/metrics", timeout=2) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return 0.0
        samples = [line for line in lines if line.partition(" ")[0].partition("{")[0] == name and label in line]
        return sum(float(line.rpartition(" ")[2]) for line in samples)

    def log(self) -> list[Object]:
        """Everything it logged."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextlib.contextmanager
def leading(process: OperatorProcess, plane: ControlPlane, webhook: WebhookProcess) -> Iterator[OperatorProcess]:
    """Run it until the end; it leads, and the webhook believes what it signs."""
    process.start()
    try:
        process.wait_until_leading()
        mount(plane, webhook)
        yield process
    finally:
        process.stop()


def mount(plane: ControlPlane, webhook: WebhookProcess) -> None:
    """What the kubelet does with the ConfigMap of attestors."""
    found = plane.get("configmap", ATTESTORS, "-n", NAMESPACE)
    (webhook.folder / "attestors.yaml").write_text(found["data"]["attestors.yaml"])


def believe(plane: ControlPlane, world: World) -> None:
    """The ConfigMap of attestors with the demo's, unless an operator added its own already."""
    if plane.kubectl("get", "configmap", ATTESTORS, "-n", NAMESPACE, check=False).returncode != 0:
        config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ATTESTORS, "namespace": NAMESPACE}}
        plane.apply({**config_map, "data": {"attestors.yaml": (world.trust / "attestors.yaml").read_text()}})


def install(plane: ControlPlane) -> None:
    """Namespaces and permissions of the operator."""
    for name in (NAMESPACE, JOBS):
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    plane.apply(*permissions())


def permissions() -> list[Object]:
    """Everything that the operator may do, and to whom it is given."""
    ours = "modeltrust.dev"
    cluster = [
        _rule([ours], KINDS, ["get", "list", "watch"]),
        _rule([ours], [f"{kind}/status" for kind in KINDS], ["patch"]),
        _rule([ours], ["modelattestations"], ["attest", "delete"]),
        _rule([ours], ["modelrevocations"], ["create"]),
        _rule([""], ["namespaces"], ["get", "list", "watch"]),
        _rule(["events.k8s.io"], ["events"], ["create"]),
        _rule(["admissionregistration.k8s.io"], ["validatingwebhookconfigurations"], ["get"], ["modeltrust"]),
        _rule(["admissionregistration.k8s.io"], ["validatingwebhookconfigurations"], ["get", "patch"], ["modeltrust-mapped"]),
        _rule([ours], ["webhookconfigurations"], ["intercept"]),
    ]
    release = [
        _rule(["coordination.k8s.io"], ["leases"], ["create"]),
        _rule(["coordination.k8s.io"], ["leases"], ["get", "update"], ["modeltrust-operator"]),
        _rule([""], ["configmaps"], ["create"]),
        _rule([""], ["configmaps"], ["get", "update"], [ATTESTORS]),
        _rule([""], ["secrets"], ["get", "create", "update"]),
    ]
    jobs = [
        _rule(["batch"], ["jobs"], ["get", "list", "create", "patch", "delete"]),
        _rule([""], ["pods"], ["get", "list"]),
        _rule([""], ["pods/log"], ["get"]),
        _rule([""], ["secrets", "services"], ["get", "create", "delete"]),
        _rule([""], ["configmaps"], ["create", "patch"]),
    ]
    return [*_granted("", cluster), *_granted(NAMESPACE, release), *_granted(JOBS, jobs)]


def _rule(groups: list[str], resources: Any, verbs: list[str], names: list[str] | None = None) -> Object:
    rule: Object = {"apiGroups": groups, "resources": list(resources), "verbs": verbs}
    return rule | ({"resourceNames": names} if names else {})


def _granted(namespace: str, rules: list[Object]) -> list[Object]:
    prefix = "" if namespace else "Cluster"
    metadata = {"name": "modeltrust-operator"} | ({"namespace": namespace} if namespace else {})
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": f"{prefix}Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": f"{prefix}RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": f"{prefix}Role", "name": "modeltrust-operator"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": ACCOUNT}],
        },
    ]
