"""`helm install` of the chart with the built image on a real node, and what an admin does with it from there.

Needs the image that `make image` builds (MODELTRUST_IMAGE names the archive); certificates and attestors are given here, so that
what is seen does not depend on the operator.
"""

import base64
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.calls import Calls
from e2e.certificates import Authority
from e2e.conftest import apply_trust
from e2e.load import Load
from e2e.node import Node, only_asked
from e2e.release import Release, built, fresh_namespace, guarded, plain
from e2e.waiting import eventually
from modeltrust.api.webhooks import FAIL_CLOSED
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World
from tests.support.helm import NAMESPACE

pytestmark = only_asked

Object = dict[str, Any]
_LEFT_SECONDS = 90


@pytest.fixture(scope="module")
def release(node: Node, world: World, scenes: tuple[Scene, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """The release, with certificates and attestors that were provided."""
    assert scenes
    image = built(node)
    authority = Authority(tmp_path_factory.mktemp("release-pki"), name="release authority")
    fresh_namespace(node)
    node.apply(*_given(authority, world))
    bundle = base64.b64encode(authority.certificate.read_bytes()).decode()
    values = {**image, "verifyAtLoad.inject": "true", "webhook.replicas": "2", "worker.replicas": "1"}
    values |= {"certificates.mode": "provided", "certificates.caBundle": bundle, "crds.enabled": "false"}
    release = Release(node, values)
    release.install()
    try:
        release.rolled_out("webhook")
        yield release
    finally:
        release.uninstall(check=False)


@pytest.fixture
def name() -> str:
    return f"i{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("component", ["webhook", "operator", "worker"])
def test_every_process_is_ready(release: Release, component: str) -> None:
    release.rolled_out(component)


def test_installing_changes_nothing_until_somebody_enforces(node: Node, release: Release, name: str) -> None:
    assert release.pods()
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    node.apply(plain(name, "plain"), objects.deployment("acme/anything", "main", namespace=name))
    node.wait_for_pod("plain", "Running", namespace=name)


def test_enforced_a_denial_says_what_where_and_how_to_fix_it_by_kubectl(
    node: Node, world: World, release: Release, name: str
) -> None:
    assert release.pods()
    apply_trust(node, world)
    bad = objects.deployment("acme/guard-7b", "main")
    bad["metadata"]["name"] = name
    eventually(lambda: node.apply(bad, check=False, flags=("--dry-run=server",)).returncode != 0, seconds=30, what="a denial")
    denied = node.apply(bad, check=False).stderr
    for part in ("denied the request: modeltrust: ", "[UnpinnedReference] hf://acme/guard-7b", "#ml-platform", "Fix: "):
        assert part in denied


def test_a_release_upgraded_under_load_fails_no_call(node: Node, release: Release, name: str) -> None:
    with guarded(release, name) as closed, Calls(node) as calls, Load(calls, closed) as load:
        release.install("upgrade", round="two")
        release.settled("webhook")
    assert (load.wrong[:3], load.count > 100) == ([], True)


def test_f79_one_replica_killed_costs_at_most_two_seconds_of_errors(node: Node, release: Release, name: str) -> None:
    """Or as long as a busy machine takes to tell the kernel that nobody answers there: until then, packets go to who was killed."""
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}})
    killed = release.settled("webhook")[0]
    address = killed["status"]["podIP"]
    errors: list[tuple[float, str]] = []
    left = 0.0
    with Calls(node) as calls:
        eventually(lambda: calls.create(plain(name, "first"), dry_run=True)[0] == 201, what="the namespace's service account")
        node.containers.kill(killed["metadata"]["uid"])
        begun = time.monotonic()
        while (seconds := time.monotonic() - begun) < 6 or (not left and seconds < _LEFT_SECONDS):
            status, said = calls.create(plain(name, f"k{len(errors)}"), dry_run=True)
            if status != 201:
                errors.append((seconds, said))
            if not left and not node.leads_to(address):
                left = time.monotonic() - begun
    print(f"errors ended {errors[-1][0] if errors else 0:.1f} s after the kill; no packet was led there after {left:.1f} s")  # noqa: T201
    assert left
    assert [entry for entry in errors if entry[0] > max(2.0, left)] == []
    eventually(lambda: _restarts(release, killed) > 0, seconds=60, what="the restart of what was killed", progress=release.progress)
    release.rolled_out("webhook")


def test_uninstalled_plain_pods_are_created_within_seconds_and_only_the_kinds_stay(node: Node, release: Release, name: str) -> None:
    assert release.pods()
    release.helm("uninstall", "modeltrust")
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}})
    eventually(lambda: node.apply(plain(name, "after"), check=False).returncode == 0, seconds=5, what="a plain Pod")
    kinds = "validatingwebhookconfigurations,mutatingwebhookconfigurations,clusterroles,clusterrolebindings"
    kinds += ",validatingadmissionpolicies,validatingadmissionpolicybindings"
    left = node.get(kinds, "--selector", "app.kubernetes.io/name=modeltrust")["items"]
    assert [entry["metadata"]["name"] for entry in left] == []
    assert node.get("crd", "modelpolicies.modeltrust.dev")


def _restarts(release: Release, killed: Object) -> int:
    (pod,) = (pod for pod in release.pods("webhook") if pod["metadata"]["uid"] == killed["metadata"]["uid"])
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))


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
