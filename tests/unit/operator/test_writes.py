from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer
from modeltrust.operator.writes import Budget, NotLeadingError, Writes
from tests.support.cluster import ClusterSimulator

MAPS = paths.core("configmaps", namespace="a")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.ends = False

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return self.ends


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def api(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[ApiServer]:
    with cluster.serving(tmp_path) as access:
        yield ApiServer(access)


def value(name: str = "m") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}}


def test_s11_twenty_at_once_and_then_twenty_a_second(clock: Clock) -> None:
    budget = Budget(20, clock=clock, wait=clock.wait)
    for _ in range(20):
        budget.take()
    assert clock.now == 0
    for _ in range(100):
        budget.take()
    assert clock.now == pytest.approx(5.0)


def test_a_slow_rate_still_lets_one_through_at_once(clock: Clock) -> None:
    budget = Budget(0.5, clock=clock, wait=clock.wait)
    budget.take()
    assert clock.now == 0
    budget.take()
    assert clock.now == pytest.approx(2.0)


def test_nobody_stands_in_line_for_ever(clock: Clock) -> None:
    budget = Budget(1, clock=clock, wait=lambda _seconds: False)
    for _ in range(int(limits.WRITE_WAIT_SECONDS) + 1):
        budget.take()
    with pytest.raises(UnavailableError, match="more writes than 1 a second"):
        budget.take()


def test_whoever_waits_when_the_process_ends_writes_nothing(clock: Clock) -> None:
    budget = Budget(1, clock=clock, wait=clock.wait)
    budget.take()
    clock.ends = True
    with pytest.raises(UnavailableError, match="ends"):
        budget.take()


def test_f84_who_does_not_lead_reads_and_never_writes(api: ApiServer, clock: Clock, cluster: ClusterSimulator) -> None:
    writes = Writes(api, budget=Budget(100, clock=clock, wait=clock.wait), leading=lambda: False)
    api.create_object(MAPS, value())
    before = len(cluster.writes())
    path = f"{MAPS}/m"

    assert writes.get_object(path)["metadata"]["name"] == "m"
    assert len(list(writes.list_objects(MAPS))) == 1
    for attempt in (
        lambda: writes.create_object(MAPS, value("n")),
        lambda: writes.apply(path, value(), manager="us"),
        lambda: writes.merge_patch(path, value()),
        lambda: writes.replace(path, value()),
        lambda: writes.delete(path),
    ):
        with pytest.raises(NotLeadingError):
            attempt()
    assert len(cluster.writes()) == before


def test_who_leads_writes(api: ApiServer, clock: Clock, cluster: ClusterSimulator) -> None:
    writes = Writes(api, budget=Budget(100, clock=clock, wait=clock.wait), leading=lambda: True)
    made = writes.create_object(MAPS, value())
    assert made is not None
    path = f"{MAPS}/m"
    writes.apply(path, value() | {"data": {"a": "1"}}, manager="us")
    writes.merge_patch(path, {"data": {"b": "2"}})
    found = writes.get_object(path)
    assert found["data"] == {"a": "1", "b": "2"}
    writes.replace(path, found | {"data": {}})
    assert writes.delete(path) is True
    cluster.logs["a/p"] = b"x"
    assert writes.pod_log("a", "p", max_bytes=9) == b"x"
