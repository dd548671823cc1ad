"""The audit on a real control plane: counts in policy status, drift as events, usage and garbage; nothing is blocked."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.control_plane import ControlPlane
from e2e.test_cli import COMMIT, anywhere, scattered
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.api.attestations import attestation_name, requested_attestation
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.domain.reference import parse_identity
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer
from modeltrust.kube.events import Events
from modeltrust.operator.audit import Audit, Round
from modeltrust.operator.audited import Reporting
from modeltrust.store.store import ATTESTORS
from modeltrust.wiring.admission import believe, new_extractor, new_store, reader
from modeltrust.wiring.cluster import Reflecting

Object = dict[str, Any]
_SECONDS = 30.0


class Measured:
    """What was counted."""

    def __init__(self) -> None:
        self.rounds: list[Round] = []

    def audited(self, done: Round, *, drift: int, collected: int) -> None:
        assert drift >= 0
        assert collected >= 0
        self.rounds.append(done)

    def failed(self, event: str, error: BaseException) -> None:
        raise AssertionError(event) from error


class Auditing:
    """The audit as the operator runs it: fed by reflectors, writing through the API."""

    def __init__(self, plane: ControlPlane, world: World) -> None:
        access = from_kubeconfig(plane.admin)
        api = ApiServer(access)
        extractor = new_extractor()
        self.store = new_store(lambda *_: None, extractor)
        believe(self.store, (world.trust / "attestors.yaml").read_bytes())
        self.store.freshness.confirm(ATTESTORS, time.time())
        self.reflecting = Reflecting(access, store=self.store, clock=time.time, problem=lambda *_: None)
        events = Events(api, component="modeltrust-operator", instance="e2e", clock=time.time)
        self.reporting = Reporting(api, store=self.store, events=events, measures=Measured())
        self.audit = Audit(
            api,
            store=self.store,
            extractor=reader(extractor, self.store),
            tables=extractor.tables,
            tells=self.reporting,
            clock=time.time,
            monotonic=time.monotonic,
            rate=2_000.0,
        )

    def round(self) -> Round:
        done = self.audit.round(threading.Event())
        self.reporting.audited(done)
        return done


@pytest.fixture
def auditing(plane: ControlPlane, webhook: WebhookProcess, world: World) -> Iterator[Auditing]:  # noqa: ARG001 - it must run
    auditing = Auditing(plane, world)
    auditing.reflecting.start()
    eventually(lambda: not auditing.store.unready(time.time()), seconds=_SECONDS, what="the store")
    yield auditing
    auditing.reflecting.stop()


def test_a_policy_in_mode_audit_counts_what_runs_and_nothing_is_blocked(plane: ControlPlane, auditing: Auditing) -> None:
    namespace = scattered(plane)
    policy = anywhere(namespace)
    policy["spec"]["mode"] = "Audit"
    plane.apply(policy)
    eventually(lambda: namespace in {entry.name for entry in auditing.store.snapshot().policies}, what="the policy")

    done = auditing.round()

    counts = plane.get("modelpolicy", namespace)["status"]["workloads"]
    assert counts == {"matched": 2, "wouldDeny": 1, "pending": 1, "unresolved": 0}
    assert done.not_listed == []
    assert [drift for drift in done.drift() if drift.link.namespace == namespace] == []
    shown = plane.kubectl("get", "modelpolicy", namespace).stdout
    assert "WOULDDENY" in shown
    more = objects.deployment("acme/guard-7b", "dev", namespace=namespace)
    more["metadata"]["name"] = "another"
    plane.apply(more)


def test_f82_what_slipped_in_is_told_about_its_owner(plane: ControlPlane, auditing: Auditing) -> None:
    namespace = scattered(plane)
    plane.apply(anywhere(namespace))
    eventually(lambda: namespace in {entry.name for entry in auditing.store.snapshot().policies}, what="the policy")

    drifts = [drift for drift in auditing.round().drift() if drift.link.namespace == namespace]

    assert [(drift.link.kind, drift.link.name, drift.policies) for drift in drifts] == [("Deployment", "guard", (namespace,))]
    told = [event for event in plane.get("events", "-n", namespace)["items"] if event["reason"] == "NoLongerAdmitted"]
    assert [(event["involvedObject"]["kind"], event["involvedObject"]["name"]) for event in told] == [("Deployment", "guard")]
    assert "UnpinnedReference" in told[0]["message"]


def test_garbage_of_requests_is_collected_and_what_is_used_or_made_by_people_stays(plane: ControlPlane, auditing: Auditing) -> None:
    namespace = scattered(plane)
    unused, used = (parse_identity(f"hf://acme/guard-7b@{commit}") for commit in (uuid.uuid4().hex + "00000000", COMMIT))
    by_people = parse_identity(f"hf://acme/guard-7b@{uuid.uuid4().hex}11111111")
    mine = requested_attestation(by_people, namespace=namespace, expires_at=1)
    mine["metadata"]["labels"] = {}
    for value in (*(requested_attestation(entry, namespace=namespace, expires_at=1) for entry in (unused, used)), mine):
        plane.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(value))

    auditing.round()

    there = {item["metadata"]["name"]: item for item in plane.get("modelattestations")["items"]}
    assert attestation_name(unused) not in there
    assert attestation_name(by_people) in there
    assert there[attestation_name(used)]["status"]["usage"]["workloads"] >= 1
