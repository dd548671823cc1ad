import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError, UnavailableError
from modeltrust.domain.workload import Workload
from modeltrust.kube.client import ApiServer
from modeltrust.kube.events import Events
from modeltrust.operator.audit import Audit, Round
from modeltrust.operator.audited import Reporting
from modeltrust.store.sink import Kind
from modeltrust.store.store import ATTESTORS, Store
from modeltrust.wiring.admission import reader
from tests.support import api_objects as objects
from tests.support import trusted
from tests.support.api_objects import changed
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import BRANCH, UNKNOWN, pod, policy
from tests.support.rollouts import PODS, rolled_out
from tests.support.served import CONNECTORS, OURS, a_cluster, put, put_trust, serve_connectors
from tests.support.statements import NOW

KNOWN = ["acme/guard-7b", "--revision", trusted.GUARD.partition("@")[2]]
EVENTS = "/apis/events.k8s.io/v1/namespaces/team-a/events"


class Measured:
    """What was counted."""

    def __init__(self) -> None:
        self.rounds: list[tuple[Round, int, int]] = []
        self.failures: list[BaseException] = []

    def audited(self, done: Round, *, drift: int, collected: int) -> None:
        self.rounds.append((done, drift, collected))

    def failed(self, event: str, error: BaseException) -> None:
        assert event in {"audit-failed", "audit-refused"}
        self.failures.append(error)


class Auditing:
    """One audit over a simulated cluster."""

    def __init__(self, cluster: ClusterSimulator, api: ApiServer, store: Store) -> None:
        self.cluster = cluster
        self.store = store
        self.measured = Measured()
        self.now = float(NOW)
        events = Events(api, component="modeltrust-operator", instance="one", clock=lambda: self.now)
        self.reporting = Reporting(api, store=store, events=events, measures=self.measured)
        self.audit = Audit(
            api,
            store=store,
            extractor=reader(trusted.EXTRACTOR, store),
            tables=trusted.TABLES,
            tells=self.reporting,
            clock=lambda: self.now,
            monotonic=lambda: 0.0,
            never=frozenset({"kube-system"}),
            rate=1e9,
        )

    def policies(self, *policies: Any) -> None:
        self.store.replace(Kind.POLICIES, policies)
        for value in policies:
            self.cluster.put(f"{OURS}/modelpolicies", value)

    def round(self) -> Round:
        done = self.audit.round(threading.Event())
        self.reporting.audited(done)
        return done

    def status(self, plural: str, name: str) -> Any:
        found = self.cluster.find(f"{OURS}/{plural}", name)
        assert found is not None
        return found.get("status", {})


@pytest.fixture
def auditing(tmp_path: Path) -> Iterator[Auditing]:
    cluster = a_cluster()
    put_trust(cluster, trusted.namespace("team-a"))
    with cluster.serving(tmp_path) as access:
        yield Auditing(cluster, ApiServer(access), trusted.a_store())


def test_a_policy_in_mode_audit_counts_what_it_would_deny_each_workload_once(auditing: Auditing) -> None:
    auditing.policies(policy(mode="Audit"), policy("elsewhere", namespaces=("team-z",)))
    for name, args in (("good", KNOWN), ("bad", BRANCH), ("new", UNKNOWN), ("riddle", ["$(MODEL)"])):
        rolled_out(auditing.cluster, name, args)

    done = auditing.round()

    assert auditing.status("modelpolicies", "production")["workloads"] == {
        "matched": 4,
        "wouldDeny": 2,
        "pending": 1,
        "unresolved": 1,
    }
    assert auditing.status("modelpolicies", "elsewhere")["workloads"]["matched"] == 0
    assert done.drift() == ()
    assert auditing.cluster.all(EVENTS) == []


def test_a_kind_that_a_mapping_teaches_is_counted_as_it_is_judged(auditing: Auditing) -> None:
    connector = {**objects.CONNECTOR, "metadata": {"name": "x", "namespace": "team-a"}}
    serve_connectors(auditing.cluster)
    put(auditing.cluster, CONNECTORS, connector, listed=False)
    auditing.policies(policy(mode="Audit"))

    auditing.round()
    before = auditing.status("modelpolicies", "production")["workloads"]
    auditing.store.replace(Kind.MAPPINGS, [objects.mapping()])
    auditing.round()
    taught = auditing.status("modelpolicies", "production")["workloads"]
    broken = changed(objects.mapping(), "spec.tests", [{"object": objects.CONNECTOR, "expect": ["hf://acme/another"]}])
    auditing.store.replace(Kind.MAPPINGS, [broken])
    auditing.round()

    assert (before["matched"], taught["wouldDeny"], taught["unresolved"]) == (0, 1, 0)
    assert auditing.status("modelpolicies", "production")["workloads"]["unresolved"] == 1


def test_f82_what_runs_and_is_no_longer_admitted_is_told_once_with_its_owner(auditing: Auditing) -> None:
    auditing.policies(policy())
    rolled_out(auditing.cluster, "bad", BRANCH)

    for _ in range(3):
        auditing.round()
        auditing.now += 2 * limits.EVENT_SECONDS
        for kind in (*Kind, ATTESTORS):
            auditing.store.freshness.confirm(kind, auditing.now)

    (event,) = auditing.cluster.all(EVENTS)
    assert event["reason"] == "NoLongerAdmitted"
    assert (event["regarding"]["kind"], event["regarding"]["name"]) == ("Deployment", "bad")
    assert "UnpinnedReference" in event["note"]
    assert [drift for _, drift, _ in auditing.measured.rounds] == [1, 1, 1]


def test_a_policy_that_only_warns_makes_no_drift(auditing: Auditing) -> None:
    auditing.policies(policy(mode="Warn"), policy("later", enforceAfterTime="2030-01-01T00:00:00Z"))
    rolled_out(auditing.cluster, "bad", BRANCH)
    assert auditing.round().drift() == ()


def test_an_enforced_policy_decides_drift_and_another_ones_advice_does_not(auditing: Auditing) -> None:
    auditing.policies(policy("strict", {"type": "Pinned"}), policy("audit", mode="Audit"))
    rolled_out(auditing.cluster, "new", UNKNOWN)
    rolled_out(auditing.cluster, "bad", BRANCH)
    (drift,) = auditing.round().drift()
    assert (drift.link.name, drift.policies, drift.reasons) == ("bad", ("strict",), ("UnpinnedReference",))


def test_a_second_round_writes_nothing_where_nothing_changed(auditing: Auditing) -> None:
    auditing.policies(policy())
    put_trust(auditing.cluster, trusted.attestation("a0", trusted.statement(trusted.GUARD)))
    rolled_out(auditing.cluster, "good", KNOWN)
    auditing.round()
    before = len(auditing.cluster.writes())
    auditing.round()
    assert before
    assert len(auditing.cluster.writes()) == before


def test_usage_is_counted_and_forgotten_only_by_a_count_of_zero(auditing: Auditing) -> None:
    put_trust(auditing.cluster, trusted.attestation("a0", trusted.statement(trusted.GUARD)))
    rolled_out(auditing.cluster, "good", KNOWN)
    auditing.round()
    used = auditing.status("modelattestations", "a0")["usage"]
    assert used == {"workloads": 1, "lastSeenTime": "2026-09-21T14:13:20Z"}
    for name in list(auditing.cluster._collections):
        if name.startswith(("/apis/apps", "/api/v1/pods")):
            auditing.cluster._collections[name].clear()
    auditing.now += 60
    auditing.round()
    assert auditing.status("modelattestations", "a0")["usage"] == {**used, "workloads": 0}
    assert "statement" in auditing.status("modelattestations", "a0")


def test_a_revocation_says_what_runs_with_it_and_keeps_what_others_wrote(auditing: Auditing) -> None:
    other = f"hf://acme/guard-7b@{'3' * 40}"
    known = [trusted.attestation(name, trusted.statement(model)) for name, model in (("a0", trusted.GUARD), ("a1", other))]
    auditing.store.replace(Kind.ATTESTATIONS, known)
    revocation = trusted.revocation(models=[trusted.GUARD])
    auditing.store.upsert(Kind.REVOCATIONS, revocation)
    mine = {"namespace": "team-b", "kind": "Pod", "name": "x", "action": "Quarantined", "at": "2026-01-01T00:00:00Z"}
    put_trust(auditing.cluster, {**revocation, "status": {"workloads": [mine], "conditions": []}}, *known)
    rolled_out(auditing.cluster, "good", KNOWN)

    done = auditing.round()

    status = auditing.status("modelrevocations", "inc-1")
    assert status["workloads"][0] == mine
    assert [(entry["kind"], entry["name"], entry["action"]) for entry in status["workloads"][1:]] == [
        ("Deployment", "good", "Running")
    ]
    assert status["lastGood"] == [{"model": "hf://acme/guard-7b", "good": other}]
    assert status["conditions"] == []
    assert [drift.reasons for drift in done.drift()] == [("ModelRevoked",)]


def test_one_write_that_is_refused_does_not_keep_the_others_from_being_made(auditing: Auditing) -> None:
    auditing.policies(policy("a"), policy("b"))
    rolled_out(auditing.cluster, "bad", BRANCH)
    auditing.cluster.faults.append(("PATCH", "modelpolicies/a/status", 422))
    auditing.cluster.faults.append(("POST", "events", 403))
    auditing.round()
    assert "workloads" not in auditing.status("modelpolicies", "a")
    assert auditing.status("modelpolicies", "b")["workloads"]["wouldDeny"] == 1
    assert len(auditing.measured.failures) == 2
    assert len(auditing.measured.rounds) == 1


def test_what_the_webhook_is_never_asked_about_is_not_judged(auditing: Auditing) -> None:
    auditing.policies(policy(namespaces=("kube-system",)))
    put(auditing.cluster, PODS, pod(BRANCH, namespace="kube-system"))
    assert auditing.round().workloads == {}


def test_a_round_that_comes_to_no_end_writes_nothing(auditing: Auditing) -> None:
    auditing.policies(policy())
    rolled_out(auditing.cluster, "bad", BRANCH)
    auditing.cluster.faults.append(("GET", PODS, 500))
    with pytest.raises(ModelTrustError):
        auditing.round()
    assert auditing.cluster.writes() == []


def test_nothing_is_judged_while_trust_is_stale(auditing: Auditing) -> None:
    auditing.now += limits.STALE_SECONDS_DEFAULT + 1
    with pytest.raises(UnavailableError, match="stale"):
        auditing.audit.round(threading.Event())
    assert auditing.cluster.requests == []


def test_a_kind_that_may_not_be_listed_is_said_and_nothing_is_collected(auditing: Auditing) -> None:
    auditing.cluster.put(f"{OURS}/modelattestations", garbage())
    auditing.cluster.faults.append(("GET", "/apis/apps/v1/daemonsets", 403))
    done = auditing.round()
    assert done.not_listed == ["daemonsets.apps"]
    assert len(auditing.cluster.all(f"{OURS}/modelattestations")) == 1


def test_what_was_requested_and_is_not_used_is_collected_when_its_time_is_over(auditing: Auditing) -> None:
    auditing.cluster.put(f"{OURS}/modelattestations", garbage())
    auditing.round()
    assert auditing.cluster.all(f"{OURS}/modelattestations") == []
    assert [collected for _, _, collected in auditing.measured.rounds] == [1]


def garbage() -> Any:
    obsolete = trusted.attestation("old", trusted.statement(f"hf://acme/guard-7b@{'4' * 40}"))
    obsolete["metadata"] |= {
        "labels": {"modeltrust.dev/requested-by": "webhook"},
        "annotations": {"modeltrust.dev/expiration-time": "2026-09-01T00:00:00Z"},
    }
    return obsolete


def test_the_audit_stops_between_two_objects(auditing: Auditing) -> None:
    rolled_out(auditing.cluster, "bad", BRANCH)
    stop = threading.Event()
    stop.set()
    with pytest.raises(UnavailableError, match="stopped"):
        auditing.audit.round(stop)


def test_rounds_run_in_a_thread_until_stopped_and_never_twice_within_their_time(auditing: Auditing) -> None:
    auditing.audit.start()
    while not auditing.measured.rounds:
        pass
    auditing.audit.stop()
    lists = [path for _, path in auditing.cluster.requests if path.startswith(f"{PODS}?")]
    assert len(auditing.measured.rounds) == 1
    assert len(lists) == 1


class Buggy:
    """An extractor that meets a bug in one object."""

    def extract(self, document: bytes, *, namespace: str) -> Workload:
        if b"cursed" in document:
            raise KeyError("a bug")
        return trusted.EXTRACTOR.extract(document, namespace=namespace)


def test_one_object_that_meets_a_bug_neither_ends_the_round_nor_hides_the_others(auditing: Auditing) -> None:
    auditing.policies(policy(mode="Audit"))
    for name in ("good", "cursed"):
        rolled_out(auditing.cluster, name, BRANCH)
    before = auditing.round()
    auditing.audit._extractor = Buggy()  # type: ignore[assignment]  # what is wrong is not known before
    assert len(auditing.round().workloads) == len(before.workloads) == 2


def test_a_bug_while_telling_does_not_end_the_audit(auditing: Auditing, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_done: Round) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(auditing.reporting, "audited", fails)
    auditing.audit.start()
    while not auditing.measured.failures:
        pass
    auditing.audit.stop()
    assert isinstance(auditing.measured.failures[0], KeyError)


def test_a_failed_round_is_told_and_does_not_end_the_audit(auditing: Auditing) -> None:
    auditing.cluster.faults.append(("GET", PODS, 500))
    auditing.audit.start()
    while not auditing.measured.failures:
        pass
    auditing.audit.stop()
    assert len(auditing.measured.failures) == 1
