"""`helm install` of the chart with the built image on a real node, and what an admin does with it from there.

Needs the image that `make image` builds (MODELTRUST_IMAGE names the archive); certificates and attestors are given here, so that
what is seen does not depend on the operator.
"""

import base64
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import images
from e2e.calls import Calls
from e2e.certificates import Authority
from e2e.conftest import apply_trust
from e2e.node import BUSYBOX, NODE, Node
from e2e.waiting import eventually
from modeltrust.api.webhooks import FAIL_CLOSED
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World
from tests.support.helm import CHART, NAMESPACE, helm

pytestmark = pytest.mark.skipif(not os.environ.get("MODELTRUST_NODE"), reason=NODE)

Object = dict[str, Any]
IMAGE = "modeltrust.test/modeltrust:built"
_SECONDS = "110s"


@pytest.fixture(scope="module")
def image(node: Node) -> tuple[str, str]:
    """Repository and digest of the built image, imported."""
    built = os.environ.get("MODELTRUST_IMAGE", "")
    if not built or not Path(built).exists():
        pytest.skip("NOTHING WAS INSTALLED: MODELTRUST_IMAGE names no archive; `make image` builds it")
    repository, _, digest = node.containers.load(Path(built), IMAGE, images.digest_of(Path(built))).partition("@")
    return repository, digest


@pytest.fixture(scope="module")
def installed(
    node: Node, world: World, scenes: tuple[Scene, ...], image: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The release; its values are returned."""
    assert scenes
    authority = Authority(tmp_path_factory.mktemp("release-pki"), name="release authority")
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *_given(authority, world))
    bundle = base64.b64encode(authority.certificate.read_bytes()).decode()
    values = {"image.repository": image[0], "image.digest": image[1], "verifyAtLoad.inject": "true", "webhook.replicas": "2"}
    values |= {"certificates.mode": "provided", "certificates.caBundle": bundle, "crds.enabled": "false", "worker.replicas": "1"}
    _install(node, "install", values)
    try:
        node.kubectl("rollout", "status", "deployment/modeltrust-webhook", "--namespace", NAMESPACE, f"--timeout={_SECONDS}")
        yield values
    finally:
        helm("uninstall", "modeltrust", "--namespace", NAMESPACE, kubeconfig=node.admin, check=False)


@pytest.fixture
def name() -> str:
    return f"i{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("component", ["webhook", "operator", "worker"])
def test_every_process_is_ready(node: Node, installed: dict[str, str], component: str) -> None:
    assert installed
    node.kubectl("rollout", "status", f"deployment/modeltrust-{component}", "--namespace", NAMESPACE, f"--timeout={_SECONDS}")


def test_installing_changes_nothing_until_somebody_enforces(node: Node, installed: dict[str, str], name: str) -> None:
    assert installed
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    node.apply(_plain(name, "plain"), objects.deployment("acme/anything", "main", namespace=name))
    node.wait_for_pod("plain", "Running", namespace=name)


def test_enforced_a_denial_says_what_where_and_how_to_fix_it_by_kubectl(
    node: Node, world: World, installed: dict[str, str], name: str
) -> None:
    assert installed
    apply_trust(node, world)
    bad = objects.deployment("acme/guard-7b", "main")
    bad["metadata"]["name"] = name
    eventually(lambda: node.apply(bad, check=False, flags=("--dry-run=server",)).returncode != 0, seconds=30, what="a denial")
    denied = node.apply(bad, check=False).stderr
    for part in ("denied the request: modeltrust: ", "[UnpinnedReference] hf://acme/guard-7b", "#ml-platform", "Fix: "):
        assert part in denied


def test_a_release_upgraded_under_load_fails_no_call(node: Node, installed: dict[str, str], name: str) -> None:
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}})
    failed, sent = [], 0
    stop = threading.Event()

    def load() -> None:
        nonlocal sent
        with Calls(node) as calls:
            while not stop.wait(0.05):  # 20 requests/s
                sent += 1
                status, text = calls.create(_plain(name, f"p{sent}"), dry_run=True)
                if status != 201:
                    failed.append((status, text))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        _install(node, "upgrade", installed | {"webhook.podAnnotations.round": "two"})
        node.kubectl("rollout", "status", "deployment/modeltrust-webhook", "--namespace", NAMESPACE, f"--timeout={_SECONDS}")
        time.sleep(2)  # calls to the last of the old Pods that still drain
    finally:
        stop.set()
        thread.join()
    assert (failed[:3], sent > 100) == ([], True)


def test_f79_one_replica_killed_costs_at_most_two_seconds_of_errors(node: Node, installed: dict[str, str], name: str) -> None:
    assert installed
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}})
    listed = node.get("pods", "--namespace", NAMESPACE, "--selector", "app.kubernetes.io/component=webhook")["items"]
    errors: list[float] = []
    with Calls(node) as calls:
        node.containers.kill(listed[0]["metadata"]["uid"])
        begun = time.monotonic()
        while time.monotonic() - begun < 6:
            status, _ = calls.create(_plain(name, f"k{len(errors)}"), dry_run=True)
            if status != 201:
                errors.append(time.monotonic() - begun)
            time.sleep(0.02)
    assert not errors or errors[-1] <= 2.0
    killed = listed[0]["metadata"]["name"]
    eventually(lambda: _restarts(node, killed) > 0, seconds=30, what="the restart of what was killed")
    node.kubectl("rollout", "status", "deployment/modeltrust-webhook", "--namespace", NAMESPACE, f"--timeout={_SECONDS}")


def test_uninstalled_plain_pods_are_created_within_seconds_and_only_the_kinds_stay(
    node: Node, installed: dict[str, str], name: str
) -> None:
    assert installed
    helm("uninstall", "modeltrust", "--namespace", NAMESPACE, kubeconfig=node.admin)
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}})
    eventually(lambda: node.apply(_plain(name, "after"), check=False).returncode == 0, seconds=5, what="a plain Pod")
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings"
    kinds += ",validatingadmissionpolicies,validatingadmissionpolicybindings"
    left = node.get(kinds, "--selector", "app.kubernetes.io/name=modeltrust")["items"]
    assert [entry["metadata"]["name"] for entry in left] == []
    assert node.get("crd", "modelpolicies.modeltrust.dev")


def _restarts(node: Node, name: str) -> int:
    statuses = node.get("pod", name, "--namespace", NAMESPACE)["status"].get("containerStatuses", [])
    return sum(status["restartCount"] for status in statuses)


def _install(node: Node, verb: str, values: dict[str, str]) -> None:
    sets = [
        word for key, value in values.items() for word in ("--set-string" if key.endswith("round") else "--set", f"{key}={value}")
    ]
    helm(verb, "modeltrust", str(CHART), "--namespace", NAMESPACE, *sets, kubeconfig=node.admin)


def _given(authority: Authority, world: World) -> list[Object]:
    """What an admin provides in mode provided, and what the operator would write."""
    service = f"modeltrust-webhook.{NAMESPACE}.svc"
    worker = f"modeltrust-worker.{NAMESPACE}.svc"
    webhook_tls = authority.issue("webhook", hosts=[service, f"{service}.cluster.local"])
    worker_tls = authority.issue("worker", hosts=[worker, f"{worker}.cluster.local", "modeltrust-worker"])
    client = authority.issue("modeltrust-operator")
    secrets = {"modeltrust-webhook-tls": webhook_tls, "modeltrust-worker-tls": worker_tls, "modeltrust-worker-client": client}
    given: list[Object] = []
    for called, issued in secrets.items():
        files = {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": authority.certificate}
        data = {key: base64.b64encode(path.read_bytes()).decode() for key, path in files.items()}
        given.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": called, "namespace": NAMESPACE}, "data": data})
    attestors = {"attestors.yaml": (world.trust / "attestors.yaml").read_text()}
    metadata = {"name": "modeltrust-attestors", "namespace": NAMESPACE}
    return [*given, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": attestors}]


def _plain(namespace: str, name: str) -> Object:
    container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
