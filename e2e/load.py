"""Dry-run creations at a fixed rate, half of which a policy must deny: a failed call and a wrong answer are seen alike."""

import concurrent.futures
import threading
import time
from typing import Any, Self

import urllib3

from e2e.calls import Calls
from modeltrust.api.webhooks import FAIL_CLOSED
from modeltrust.cli.demo import objects

Object = dict[str, Any]
CALLS_PER_SECOND = 20
_THREADS = 16


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
        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            number = 0
            while not self._stopping.wait(max(0.0, self._started + number / CALLS_PER_SECOND - time.monotonic())):
                pool.submit(self._call, good=number % 2 == 0)
                number += 1

    def _call(self, *, good: bool) -> None:
        value = good_pod(self._namespace) if good else bad_pod(self._namespace)
        try:
            status, said = self._calls.create(value, dry_run=True)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            status, said = 0, repr(error)
        self.count += 1
        if (status != 201) if good else ("[UnpinnedReference]" not in said):
            self.wrong.append((time.monotonic() - self._started, f"{status} {said}"))


def closed_namespace(name: str) -> Object:
    """A namespace that fails closed."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {FAIL_CLOSED: "true"}}}


def pinned(name: str) -> Object:
    """A policy for one namespace that every reference be pinned."""
    return objects.policy(name, [name], [{"type": "Pinned"}])


def good_pod(namespace: str) -> Object:
    """A Pod that names no model."""
    pod = objects.pod("acme/guard-7b", "main", namespace=namespace)
    pod["spec"] = {"containers": [{"name": "web", "image": "nginx:1"}]}
    return pod


def bad_pod(namespace: str) -> Object:
    """A Pod that names a branch."""
    return objects.pod("acme/guard-7b", "main", namespace=namespace)
