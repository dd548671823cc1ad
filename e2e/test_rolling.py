"""One webhook process after another on one port, under load: not one call fails, although failure would deny."""

import concurrent.futures
import functools
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import urllib3

from e2e.calls import Calls
from e2e.conftest import ACCOUNT
from e2e.control_plane import ControlPlane, free_port
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.api.webhooks import FAIL_CLOSED
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World

Object = dict[str, Any]
CONFIGURATION = "modeltrust-rolling"
REPLACEMENTS = 5
CALLS_PER_SECOND = 20


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
    plane.apply(_namespace(name), _pinned(name))
    eventually(lambda: "[UnpinnedReference]" in calls.create(_bad(name), dry_run=True)[1], what="the policy's effect")
    eventually(lambda: calls.create(_good(name), dry_run=True)[0] == 201, what="the namespace's service account")
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


class Load:
    """Dry-run creations at a fixed rate, whatever becomes of them: half must be admitted and half denied by the policy.

    Attributes:
        count: calls answered.
        wrong: (seconds since the start, what was said) of each call with another answer.
    """

    def __init__(self, calls: Calls, namespace: str) -> None:
        self.count = 0
        self.wrong: list[tuple[float, str]] = []
        self._calls = calls
        self._namespace = namespace
        self._stopping = threading.Event()
        self._started = time.monotonic()
        self._pacing = threading.Thread(target=self._pace)

    def __enter__(self) -> Self:
        self._pacing.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._pacing.join()

    def _pace(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            number = 0
            while not self._stopping.wait(max(0.0, self._started + number / CALLS_PER_SECOND - time.monotonic())):
                pool.submit(self._call, good=number % 2 == 0)
                number += 1

    def _call(self, *, good: bool) -> None:
        try:
            status, said = self._calls.create(_good(self._namespace) if good else _bad(self._namespace), dry_run=True)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            status, said = 0, repr(error)
        self.count += 1
        if (status != 201) if good else ("[UnpinnedReference]" not in said):
            self.wrong.append((time.monotonic() - self._started, f"{status} {said}"))


def _has_decided(webhook: WebhookProcess, count: int) -> bool:
    return webhook.metric("modeltrust_decisions_total") >= count


def _asked(calls: Calls, webhook: WebhookProcess, namespace: str) -> bool:
    calls.create(_bad(namespace), dry_run=True)
    return webhook.metric("modeltrust_decisions_total") > 0


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}}


def _pinned(name: str) -> Object:
    return objects.policy(name, [name], [{"type": "Pinned"}])


def _good(namespace: str) -> Object:
    pod = objects.pod("acme/guard-7b", "main", namespace=namespace)
    pod["spec"] = {"containers": [{"name": "web", "image": "nginx:1"}]}
    return pod


def _bad(namespace: str) -> Object:
    return objects.pod("acme/guard-7b", "main", namespace=namespace)
