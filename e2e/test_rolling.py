"""One webhook process after another on one port, under load: not one call fails, although failure would deny."""

import functools
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.calls import Calls
from e2e.conftest import ACCOUNT
from e2e.control_plane import ControlPlane, free_port
from e2e.load import CALLS_PER_SECOND, Load, bad_pod, closed_namespace, good_pod, pinned
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World

CONFIGURATION = "modeltrust-rolling"
REPLACEMENTS = 5


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


def test_replacing_the_process_again_and_again_fails_no_call(plane: ControlPlane, calls: Calls, first: WebhookProcess) -> None:
    name = f"x{uuid.uuid4().hex[:8]}"
    plane.apply(closed_namespace(name), pinned(name))
    eventually(lambda: "[UnpinnedReference]" in calls.create(bad_pod(name), dry_run=True)[1], what="the policy's effect")
    eventually(lambda: calls.create(good_pod(name), dry_run=True)[0] == 201, what="the namespace's service account")
    eventually(lambda: _asked(calls, first, name), what="the API server's asking this process")
    running = first

    try:
        with Load(calls, name) as load:
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


def _has_decided(webhook: WebhookProcess, count: int) -> bool:
    return webhook.metric("modeltrust_decisions_total") >= count


def _asked(calls: Calls, webhook: WebhookProcess, namespace: str) -> bool:
    calls.create(bad_pod(namespace), dry_run=True)
    return webhook.metric("modeltrust_decisions_total") > 0
