"""A cluster in memory, and everything that the operator needs to write into it."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.kube.client import ApiServer
from modeltrust.kube.events import Events
from modeltrust.operator.writes import Budget, Writes
from tests.support.cluster import ClusterSimulator
from tests.support.statements import NOW


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def api(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[ApiServer]:
    with cluster.serving(tmp_path / "server") as access:
        yield ApiServer(access)


@pytest.fixture
def writes(api: ApiServer) -> Writes:
    budget = Budget(1_000, clock=time.monotonic, wait=threading.Event().wait)
    return Writes(api, budget=budget, leading=lambda: True)


@pytest.fixture
def events(writes: Writes) -> Events:
    ticks = itertools.count(NOW)
    return Events(writes, component="operator", instance="test", clock=lambda: float(next(ticks)))
