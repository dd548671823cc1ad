"""One control plane for the whole run, with our kinds and guards in it, and one webhook that it asks."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from e2e import machine
from e2e.containers import missing
from e2e.control_plane import ControlPlane, running
from e2e.node import ASKED, Node, running_node
from e2e.origins import HubOrigin, serving_hub_origin
from e2e.release import with_kinds
from e2e.webhook import WebhookProcess, attach
from modeltrust.cli.demo.scenes import Scene, prepare
from modeltrust.cli.demo.world import World
from tests.support.worker import RunningWorker, running_worker

ROOT = Path(__file__).parent.parent
ACCOUNT = "webhook"


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A running control plane with the CRDs and the guards applied."""
    with running(tmp_path_factory.mktemp("control-plane")) as plane:
        plane.kubectl("apply", "-f", str(ROOT / "crds"), "-f", str(ROOT / "e2e" / "foreign.yaml"))
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        plane.kubectl("apply", "-f", str(ROOT / "charts" / "modeltrust" / "files" / "guards.yaml"))
        plane.apply(*permissions())
        yield plane


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A running node with the CRDs applied; where none can be had, skipped, loudly, and failed where one was asked for."""
    if why := missing() or machine.refused():
        _no_node(why)
    with contextlib.ExitStack() as stack:
        try:
            node = stack.enter_context(running_node(tmp_path_factory.mktemp("node")))
            node.runs_a_pod()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            _no_node(str(error))
        node.kubectl("apply", "-f", str(ROOT / "e2e" / "foreign.yaml"))
        with_kinds(node)
        yield node


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubOrigin]:
    """A hub of one module."""
    with serving_hub_origin(tmp_path_factory.mktemp("hub")) as origin:
        yield origin


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """A worker of one module."""
    with running_worker(tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world of the demo: models, keys, trust."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def scenes(world: World) -> tuple[Scene, ...]:
    """The scenes of the demo, their models and statements made."""
    return prepare(world)


@pytest.fixture(scope="session")
def webhook(
    plane: ControlPlane, world: World, scenes: tuple[Scene, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookProcess]:
    """The webhook, fed by the API server with the world's trust, and asked by it."""
    assert scenes
    folder = tmp_path_factory.mktemp("webhook")
    shutil.copy(world.trust / "attestors.yaml", folder)
    apply_trust(plane, world)
    process = WebhookProcess(folder, plane.kubeconfig(ACCOUNT))
    process.start()
    try:
        process.wait_until_ready()
        attach(plane, process)
        yield process
    finally:
        plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust", check=False)
        process.stop()


def apply_trust(plane: ControlPlane, world: World) -> None:
    """Everything in the world's trust folder but the attestor file, as objects of the cluster."""
    for path in sorted(world.trust.rglob("*.yaml")):
        if path.name != "attestors.yaml":
            plane.kubectl("apply", "-f", str(path))


def _no_node(why: str) -> NoReturn:
    told = f"NOTHING WAS SEEN ON REAL PODS: {why}"
    if ASKED:
        pytest.fail(told)
    pytest.skip(told)


def permissions() -> tuple[dict[str, object], ...]:
    """What the webhook's account may do."""
    return _role(), _binding()


def _role() -> dict[str, object]:
    kinds = [
        "evaluationsuites",
        "modelpolicies",
        "trustedsigners",
        "policyexemptions",
        "modelrevocations",
        "modelattestations",
        "modelreferencemappings",
    ]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "modeltrust-webhook"},
        "rules": [
            {"apiGroups": ["modeltrust.dev"], "resources": kinds, "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["modeltrust.dev"], "resources": ["modelattestations"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
        ],
    }


def _binding() -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "modeltrust-webhook"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "modeltrust-webhook"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": ACCOUNT}],
    }
