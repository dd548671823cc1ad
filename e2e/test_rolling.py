"""Several webhook processes on one port, under load: not one call fails, although failure would deny."""

import base64
import contextlib
import functools
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from e2e.calls import Calls
from e2e.conftest import ACCOUNT
from e2e.control_plane import ControlPlane, free_port
from e2e.load import CALLS_PER_SECOND, Load, bad_pod, closed_namespace, good_pod, pinned
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World
from modeltrust.store.sink import Kind
from modeltrust.webhook.app import build_app
from modeltrust.wiring.certificate import Certificate
from modeltrust.wiring.listening import configuration, listen
from tests.support.hooks import Hook

CONFIGURATION = "modeltrust-rolling"
REPLACEMENTS = 5
CLIENTS = 12


@pytest.fixture
def first(plane: ControlPlane, world: World, scenes: tuple[Scene, ...], tmp_path: Path) -> Iterator[WebhookProcess]:
    """A process that shares its port, asked by the API server beside whatever else is."""
    assert scenes
    shutil.copy(world.trust / "attestors.yaml", tmp_path)
    arguments = ("--reuse-port", "--drain-seconds", "2")
    process = WebhookProcess(tmp_path, plane.kubeconfig(ACCOUNT), arguments, port=free_port())
    process.start()
    plane.apply(process.configuration(CONFIGURATION))
    try:
        yield process
    finally:
        plane.kubectl("delete", "validatingwebhookconfiguration", CONFIGURATION)


@pytest.fixture
def calls(plane: ControlPlane) -> Iterator[Calls]:
    with Calls(plane) as calls:
        yield calls


@pytest.fixture
def closed(plane: ControlPlane, calls: Calls, first: WebhookProcess) -> str:
    """A namespace that fails closed, about which this process is asked."""
    name = f"x{uuid.uuid4().hex[:8]}"
    plane.apply(closed_namespace(name), pinned(name))
    eventually(lambda: "[UnpinnedReference]" in calls.create(bad_pod(name), dry_run=True)[1], what="the policy's effect")
    eventually(lambda: calls.create(good_pod(name), dry_run=True)[0] == 201, what="the namespace's service account")
    eventually(lambda: _asked(calls, first, name), what="the API server's asking this process")
    return name


def test_replacing_the_process_again_and_again_fails_no_call(calls: Calls, first: WebhookProcess, closed: str) -> None:
    running = first

    try:
        with Load(calls, closed) as load:
            for _ in range(REPLACEMENTS):
                following = running.successor()
                following.start()
                running.stop()
                running = following
                eventually(functools.partial(_has_decided, running, 20), what="its share of the calls")
    finally:
        running.stop()

    assert load.count > CALLS_PER_SECOND * REPLACEMENTS
    assert load.wrong == []


def test_a_replica_that_gives_no_verdict_fails_no_call_while_another_one_does(
    plane: ControlPlane, calls: Calls, first: WebhookProcess, closed: str
) -> None:
    """Until the endpoints forget it; the API server asks again where it is told to."""
    try:
        with _unready(first) as hook, Load(calls, closed) as load:
            for count in range(2, 2 + CLIENTS):
                _connect_anew(plane, first, copies=count)
                enough = load.count + CALLS_PER_SECOND
                eventually(functools.partial(_counted, load, enough), what="calls")
    finally:
        first.stop()

    assert load.wrong[:3] == []
    refused = hook.telemetry.registry.get_sample_value("modeltrust_refused_total", {"why": "not_ready"})
    assert refused is not None
    assert refused > 0  # of each client's first connection, the kernel tosses a coin


def _counted(load: Load, enough: int) -> bool:
    return load.count > enough


def _connect_anew(plane: ControlPlane, webhook: WebhookProcess, *, copies: int) -> None:
    """Have the API server make a client that it has not: it keeps one, with its connections, for each caBundle."""
    changed = webhook.configuration(CONFIGURATION)
    for each in changed["webhooks"]:
        each["clientConfig"]["caBundle"] = base64.b64encode(webhook.ca.read_bytes() * copies).decode()
    plane.apply(changed)


@contextlib.contextmanager
def _unready(beside: WebhookProcess) -> Iterator[Hook]:
    """A replica whose signers are stale, on the same port: the kernel gives it half of the connections."""
    assert beside.serving is not None
    hook = Hook()
    hook.store.freshness.confirm(Kind.SIGNERS, 0)
    application = build_app(hook.validate, hook.mutate, hook.health)
    server = uvicorn.Server(configuration(application, Certificate(beside.serving.certificate, beside.serving.key)))
    sockets = [listen(f"{beside.address}:{beside.port}", reuse_port=True)]
    thread = threading.Thread(target=server.run, args=(sockets,))
    thread.start()
    try:
        yield hook
    finally:
        server.should_exit = True
        thread.join()


def _has_decided(webhook: WebhookProcess, count: int) -> bool:
    return webhook.metric("modeltrust_decisions_total") >= count


def _asked(calls: Calls, webhook: WebhookProcess, namespace: str) -> bool:
    calls.create(bad_pod(namespace), dry_run=True)
    return webhook.metric("modeltrust_decisions_total") > 0
