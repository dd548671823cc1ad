from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer
from modeltrust.kube.events import Events
from tests.support.cluster import ClusterSimulator

COLLECTION = paths.group("events.k8s.io/v1", "events", namespace="default")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(cluster: ClusterSimulator, clock: Clock, tmp_path: Path) -> Iterator[Events]:
    with cluster.serving(tmp_path) as access:
        yield Events(ApiServer(access), component="operator", instance="here", clock=clock)


def about(name: str = "m") -> dict[str, Any]:
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelAttestation", "metadata": {"name": name, "uid": f"uid-{name}"}}


def test_an_event_says_about_what_why_and_who(events: Events, cluster: ClusterSimulator) -> None:
    assert events.tell(about(), reason="ModelRefused", message="it is unsigned", warning=True) is True
    (found,) = cluster.all(COLLECTION)
    assert found["regarding"] == {
        "apiVersion": "modeltrust.dev/v1alpha1",
        "kind": "ModelAttestation",
        "name": "m",
        "uid": "uid-m",
    }
    assert (found["type"], found["reason"], found["note"]) == ("Warning", "ModelRefused", "it is unsigned")
    assert found["reportingController"] == "modeltrust.dev/operator"


def test_the_same_event_is_sent_once_an_hour(events: Events, cluster: ClusterSimulator, clock: Clock) -> None:
    for _ in range(50):
        events.tell(about(), reason="ModelVerified", message="well")
    events.tell(about(), reason="ModelVerified", message="well again")
    events.tell(about("n"), reason="ModelVerified", message="well")
    assert len(cluster.all(COLLECTION)) == 3
    clock.now += limits.EVENT_SECONDS
    assert events.tell(about(), reason="ModelVerified", message="well") is True


def test_a_process_that_has_forgotten_sends_it_under_the_same_name(events: Events, cluster: ClusterSimulator, clock: Clock) -> None:
    events.tell(about(), reason="ModelVerified", message="well")
    fresh = Events(events._api, component="operator", instance="there", clock=clock)
    assert fresh.tell(about(), reason="ModelVerified", message="well") is False
    assert len(cluster.all(COLLECTION)) == 1


def test_an_event_that_could_not_be_sent_is_tried_again(events: Events, cluster: ClusterSimulator) -> None:
    cluster.faults = [("POST", "events", 500)]
    with pytest.raises(UnavailableError):
        events.tell(about(), reason="ModelVerified", message="well")
    assert events.tell(about(), reason="ModelVerified", message="well") is True


def test_names_notes_and_memory_are_bounded(events: Events, cluster: ClusterSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EVENTS_REMEMBERED", 2)
    for number in range(5):
        events.tell(about("x" * 253), reason="ModelVerified", message=f"{number}" + "y" * 5_000)
    assert all(len(found["metadata"]["name"]) <= 253 and len(found["note"]) == 1_024 for found in cluster.all(COLLECTION))
    assert len(events._sent) == 2
