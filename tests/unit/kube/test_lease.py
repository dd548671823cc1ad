from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer
from modeltrust.kube.lease import Lease, keep
from tests.support.cluster import ClusterSimulator

LEASES = paths.group("coordination.k8s.io/v1", "leases", namespace="ns")


class Clock:
    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def api(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[ApiServer]:
    with cluster.serving(tmp_path) as access:
        yield ApiServer(access, seconds=limits.LEASE_REQUEST_SECONDS)


Make = Callable[..., Lease]


@pytest.fixture
def lease(api: ApiServer) -> Make:
    def make(identity: str, clock: Clock, wall: Callable[[], float] | None = None) -> Lease:
        return Lease(api=api, namespace="ns", name="l", identity=identity, clock=clock, wall=wall or clock)

    return make


def test_the_first_one_leads_and_the_second_waits(lease: Make) -> None:
    clock = Clock()
    first, second = lease("a", clock), lease("b", clock)

    assert first.attempt() is True
    assert second.attempt() is False
    assert (first.leading(), second.leading()) == (True, False)


def test_a_lease_that_is_renewed_is_never_taken(lease: Make) -> None:
    clock = Clock()
    first, second = lease("a", clock), lease("b", clock)
    for _ in range(40):
        assert first.attempt() is True
        assert second.attempt() is False
        clock.now += 2


def test_a_dead_leader_is_followed_only_once_its_time_is_over_as_seen_here(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    first, second = lease("a", clock), lease("b", clock)
    first.attempt()
    clock.now += limits.LEASE_SECONDS + 1
    assert second.attempt() is False  # it has only just seen it: how old it is nobody here knows
    assert not first.leading()
    clock.now += limits.LEASE_SECONDS - 1
    assert second.attempt() is False
    clock.now += 1
    assert second.attempt() is True
    found = cluster.find(LEASES, "l")
    assert found is not None
    assert (found["spec"]["holderIdentity"], found["spec"]["leaseTransitions"]) == ("b", 1)


def test_f84_a_leader_that_was_stopped_does_not_act_when_it_wakes_up(lease: Make) -> None:
    frozen, running = Clock(), Clock()
    first, second = lease("a", frozen), lease("b", running)
    first.attempt()
    second.attempt()
    frozen.now += 30  # it slept through it all
    running.now += 30
    assert second.attempt() is True

    assert first.leading() is False
    assert first.attempt() is False


def test_at_no_time_do_two_lead_whatever_their_request_takes(lease: Make) -> None:
    clock = Clock()
    first, second = lease("a", clock), lease("b", clock)
    first.attempt()
    second.attempt()
    for _ in range(200):
        clock.now += 0.25
        second.attempt()
        assert not (first.leading() and second.leading())
    assert second.leading()


def test_f86_a_wall_clock_that_jumps_changes_nothing(lease: Make) -> None:
    clock, wall = Clock(), Clock(0)
    first, second = lease("a", clock, wall), lease("b", clock, lambda: 1e9)
    first.attempt()
    second.attempt()
    wall.now += 3600
    clock.now += 2

    assert first.attempt() is True
    assert second.attempt() is False


def test_a_leader_whose_renewals_fail_stops_before_anybody_else_begins(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    first = lease("a", clock)
    first.attempt()
    cluster.faults = [("GET", "leases", 503)]
    clock.now += limits.LEASE_RENEW_SECONDS - 1
    with pytest.raises(UnavailableError):
        first.attempt()
    assert first.leading()
    clock.now += 1
    assert not first.leading()
    assert limits.LEASE_RENEW_SECONDS + limits.LEASE_REQUEST_SECONDS < limits.LEASE_SECONDS


def test_two_that_try_at_once_make_one_leader(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    first, second = lease("a", clock), lease("b", clock)
    cluster.faults = [("GET", "leases", 404), ("GET", "leases", 404)]  # both looked before either wrote
    assert [first.attempt(), second.attempt()] == [True, False]


def test_somebody_who_wrote_between_our_look_and_our_write_wins(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    first = lease("a", clock)
    first.attempt()
    cluster.faults = [("PUT", "leases", 409)]
    assert first.attempt() is False


def test_a_lease_given_back_is_taken_at_once(lease: Make) -> None:
    clock = Clock()
    first, second = lease("a", clock), lease("b", clock)
    first.attempt()
    second.attempt()
    first.release()

    assert not first.leading()
    assert second.attempt() is True


def test_giving_back_what_somebody_else_holds_takes_nothing_from_them(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    first = lease("a", clock)
    first.attempt()
    held = cluster.find(LEASES, "l")
    assert held is not None
    cluster.put(LEASES, {**held, "spec": {**held["spec"], "holderIdentity": "b"}})
    first.release()

    found = cluster.find(LEASES, "l")
    assert found is not None
    assert found["spec"]["holderIdentity"] == "b"


def test_giving_back_without_an_answer_is_no_error(lease: Make, cluster: ClusterSimulator) -> None:
    first = lease("a", Clock())
    first.release()
    first.attempt()
    cluster.faults = [("PUT", "leases", 500)]
    first.release()
    assert not first.leading()


def test_a_lease_deleted_under_the_leader_is_made_again(lease: Make, cluster: ClusterSimulator) -> None:
    first = lease("a", Clock())
    first.attempt()
    cluster.remove(LEASES, "l")
    assert first.attempt() is True


class Turns:
    """What ``keep`` is given: ends after some turns, and writes down what it was told."""

    def __init__(self, clock: Clock, turns: int, step: float = 2.0) -> None:
        self.clock, self.turns, self.step = clock, turns, step
        self.said: list[str] = []

    def stopping(self, _seconds: float) -> bool:
        self.clock.now += self.step
        self.turns -= 1
        return self.turns == 0

    def keep(self, lease: Lease) -> list[str]:
        keep(
            lease,
            stopping=self.stopping,
            won=lambda: self.said.append("won"),
            lost=lambda why: self.said.append(f"lost: {why}"),
            told=lambda error: self.said.append(type(error).__name__),
            uniform=lambda low, high: (low + high) / 2,
        )
        return self.said


class Outage(Turns):
    """After the first turn nobody answers."""

    def __init__(self, clock: Clock, turns: int, cluster: ClusterSimulator) -> None:
        super().__init__(clock, turns)
        self.cluster = cluster

    def stopping(self, _seconds: float) -> bool:
        self.cluster.faults = [("GET", "leases", 500)]
        return super().stopping(_seconds)


def test_leading_begins_once(lease: Make) -> None:
    clock = Clock()
    assert Turns(clock, 5).keep(lease("a", clock)) == ["won"]


def test_who_lost_is_told_and_the_loop_ends(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    candidate = lease("a", clock)
    candidate.attempt()
    cluster.faults = [("GET", "leases", 500)] * 9

    said = Turns(clock, 20).keep(candidate)
    assert said[:2] == ["UnavailableError"] * 2
    cluster.faults = []
    assert "won" not in said[:2]


def test_an_outage_longer_than_the_renewal_ends_the_leader(lease: Make, cluster: ClusterSimulator) -> None:
    clock = Clock()
    candidate = lease("a", clock)
    said = Outage(clock, 20, cluster).keep(candidate)
    assert said[0] == "won"
    assert said[-1].startswith("lost: ")
    assert len(said) <= 7


def test_a_lease_goes_with_whom_it_belongs_to(cluster: ClusterSimulator, api: ApiServer) -> None:
    clock = Clock()
    ours = Lease(api=api, namespace="ns", name="l", identity="a", clock=clock, wall=clock, owner=lambda: {"uid": "an-uid"})

    assert ours.attempt() is True
    assert ours.attempt() is True
    found = cluster.find(LEASES, "l")
    assert found is not None
    assert found["metadata"]["ownerReferences"] == [{"uid": "an-uid"}]
