"""What breaks in clusters: the API server, the webhook, both. Nothing is admitted by it where it must not be; all of it heals."""

import shutil
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import ACCOUNT, apply_trust
from e2e.control_plane import LOOPBACK, ControlPlane, running
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess, attach
from modeltrust.api.webhooks import FAIL_CLOSED
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World

Object = dict[str, Any]
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def broken_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: these tests stop parts of it."""
    with running(tmp_path_factory.mktemp("broken-plane")) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield plane


@pytest.fixture(scope="module")
def asked(
    broken_plane: ControlPlane, world: World, scenes: tuple[Scene, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookProcess]:
    """A webhook that this control plane asks; its port stays the same when it is started again."""
    assert scenes
    folder = tmp_path_factory.mktemp("asked")
    shutil.copy(world.trust / "attestors.yaml", folder)
    apply_trust(broken_plane, world)
    process = WebhookProcess(folder, broken_plane.kubeconfig(ACCOUNT, organization="system:masters"))
    process.start()
    try:
        process.wait_until_ready()
        attach(broken_plane, process)
        yield process
    finally:
        process.stop()


def test_f81_f82_with_no_webhook_marked_namespaces_are_closed_and_others_open_and_all_heals(
    broken_plane: ControlPlane, asked: WebhookProcess, name: str
) -> None:
    broken_plane.apply(_namespace(name, {FAIL_CLOSED: "true"}), _namespace(f"{name}-open", {}))
    asked.stop()

    closed = _create(broken_plane, name)
    opened = _create(broken_plane, f"{name}-open")
    system = _create(broken_plane, "kube-system", pod=f"{name}-f30")
    cluster = broken_plane.apply(_namespace(f"{name}-new", {}), check=False).stderr

    assert "failed calling webhook" in closed
    assert (opened, system, cluster) == ("", "", "")
    asked.start()
    asked.wait_until_ready()
    eventually(lambda: _create(broken_plane, name) == "", seconds=20, what="recovery of the closed namespace")


def test_f79_a_killed_webhook_is_back_without_help(broken_plane: ControlPlane, asked: WebhookProcess, name: str) -> None:
    broken_plane.apply(_namespace(name, {FAIL_CLOSED: "true"}))
    asked.stop(kill=True)
    asked.start()

    eventually(lambda: _create(broken_plane, name) == "", seconds=20, what="recovery after a kill")


def test_f78_a_webhook_that_has_not_synchronised_gives_no_verdict(world: World, tmp_path: Path) -> None:
    shutil.copy(world.trust / "attestors.yaml", tmp_path)
    nowhere = tmp_path / "kubeconfig"
    ca = tmp_path / "webhook-pki" / "ca.crt"
    process = WebhookProcess(tmp_path, nowhere)
    nowhere.write_text(
        f"{{current-context: x, contexts: [{{name: x, context: {{cluster: x, user: x}}}}], "
        f"clusters: [{{name: x, cluster: {{server: 'https://{LOOPBACK}:1', certificate-authority: '{ca}'}}}}], "
        f"users: [{{name: x, user: {{tokenFile: '{nowhere}'}}}}]}}"
    )
    process.start()
    try:
        assert _status(process, objects.review(objects.pod("acme/guard-7b", "main"))) == 503
        assert not process.ready()
    finally:
        process.stop()


def test_f74_the_api_server_goes_away_and_comes_back_and_nothing_is_forgotten(
    broken_plane: ControlPlane, asked: WebhookProcess, name: str
) -> None:
    review = objects.review(objects.deployment("acme/guard-7b", "main"))
    broken_plane.stop_program("kube-apiserver", kill=True)
    eventually(lambda: asked.metric("modeltrust_watch_failures_total") > 0, seconds=20, what="the webhook's notice")

    assert _status(asked, review) == 200
    assert b'"allowed":false' in _answer(asked, review)
    broken_plane.start_api_server()
    policy = _pinned(name)
    broken_plane.apply(_namespace(name, {}), policy)

    eventually(lambda: "[UnpinnedReference]" in _create_model(broken_plane, name), seconds=60, what="a policy after the outage")


def test_f75_what_was_deleted_during_an_outage_vanishes(broken_plane: ControlPlane, asked: WebhookProcess, name: str) -> None:
    broken_plane.apply(_namespace(name, {}), _pinned(name))
    eventually(lambda: "[UnpinnedReference]" in _create_model(broken_plane, name), seconds=20, what="the policy's effect")
    assert asked.ready()
    broken_plane.kubectl("delete", "modelpolicy", name)

    eventually(lambda: _create_model(broken_plane, name) == "", seconds=20, what="the end of the policy's effect")


@pytest.fixture
def name() -> str:
    return f"x{uuid.uuid4().hex[:8]}"


def _namespace(name: str, labels: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _pinned(name: str) -> Object:
    spec = {"mode": "Enforce", "match": {"namespaces": {"names": [name]}, "models": ["**"]}, "requirements": [{"type": "Pinned"}]}
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelPolicy", "metadata": {"name": name}, "spec": spec}


def _create(plane: ControlPlane, namespace: str, *, pod: str = "") -> str:
    """What kubectl says when a plain Pod is created; empty when it was."""
    metadata = {"name": pod or f"p{uuid.uuid4().hex[:8]}", "namespace": namespace}
    spec = {"containers": [{"name": "web", "image": "nginx:1"}]}
    return plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, check=False).stderr


def _create_model(plane: ControlPlane, namespace: str) -> str:
    return plane.apply(objects.pod("acme/guard-7b", "main", namespace=namespace), check=False, flags=("--dry-run=server",)).stderr


def _status(webhook: WebhookProcess, review: bytes) -> int:
    try:
        _answer(webhook, review)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


def _answer(webhook: WebhookProcess, review: bytes) -> bytes:
    url, headers = f"https://{LOOPBACK}:{webhook.port}/validate", {"Content-Type": "application/json"}
    request = urllib.request.Request(url, review, headers)
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(webhook.ca)), timeout=5) as answer:
        body: bytes = answer.read()
        return body
