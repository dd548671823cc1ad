"""EvaluationSuites: understood or not, and the servers that they watch, with one state that survives everything."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from modeltrust.api.compile import compile_suite
from modeltrust.api.compile.suites import LiveService, SuiteSettings
from modeltrust.api.v1alpha1.evaluation_suite import EvaluationSuiteStatus
from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.work import Running
from modeltrust.evaluation.bank import Bank
from modeltrust.kube import paths
from modeltrust.kube.events import Events
from modeltrust.operator.alarms import Alarms, revocation_of
from modeltrust.operator.attestations import Result
from modeltrust.operator.monitoring import COMMITTED, RUNNING, WAITING, Monitored, Monitoring, Watched
from modeltrust.operator.suites import Asking, Suites
from modeltrust.operator.writes import NotLeadingError, Writes
from modeltrust.telemetry import OperatorTelemetry
from tests.support import evaluation_runs as runs
from tests.support.cluster import ClusterSimulator
from tests.support.statements import NOW
from tests.support.suites import a_suite
from tests.unit.operator.test_monitoring import TRIGGERS, Probes, a_report, fails, secret

Object = dict[str, Any]
SUITES = paths.ours("evaluationsuites")
EVENTS = paths.group("events.k8s.io/v1", "events", namespace="default")
REVOCATIONS = paths.ours("modelrevocations")
ONE, TWO = (f"hf://acme/{name}@" + "9" * 40 for name in ("guard-7b", "other"))
DIGEST = "f" * 64


def written(*models: str, **reprobe: Any) -> Object:
    value = a_suite()
    services = [{"model": model, "namespace": "serving", "name": "guard", "port": 8000} for model in models]
    value["spec"]["reprobe"] = {"schedule": "0 3 * * *", **({"services": services} if services else {}), **reprobe}
    return value


@dataclass
class Known:
    """Watches of everything that is attested; a fingerprint is kept once the probes recorded it."""

    unattested: str = ""
    error: Exception | None = None
    prompts: str = ""

    def bank(self, settings: SuiteSettings) -> Bank:
        if self.prompts:
            raise UnavailableError(self.prompts)
        assert settings.private
        return runs.private_bank()

    def of(self, settings: SuiteSettings, bank: Bank, service: LiveService, before: Monitored | None, now: int) -> Watched:
        assert now >= NOW
        assert bank.private_digest
        if self.error is not None:
            raise self.error
        if service.model.key == self.unattested:
            raise UnavailableError("it is not attested")
        suite = settings.suite(bank="b" * 64, prompts="", baseline=None)
        recorded = "" if before is None or before.suite_hash != suite.hash else before.watch.fingerprint
        return Watched(service.model, runs.CONTENT, suite, runs.SERVED, service.namespace, recorded, TRIGGERS)


@dataclass
class World:
    """One operator over one cluster; every look reads what the last one wrote."""

    cluster: ClusterSimulator
    writes: Writes
    events: Events
    probes: Probes = field(default_factory=Probes)
    known: Known = field(default_factory=Known)
    telemetry: OperatorTelemetry = field(default_factory=lambda: OperatorTelemetry(sink=lambda _: None))
    forgotten: list[tuple[str, str]] = field(default_factory=list)
    now: int = NOW

    def put(self, value: Object) -> None:
        before = self.cluster.find(SUITES, "canary") or {}
        self.cluster.put(SUITES, value | ({"status": before["status"]} if "status" in before else {}))

    def suites(self, *, asking: bool = True) -> Suites:
        """A process that starts anew."""
        alarms = Alarms(
            self.writes,
            about=lambda name: self.writes.get_object(paths.ours("evaluationsuites", name)),
            events=self.events,
            measures=self.telemetry,
        )
        monitoring = Monitoring(self.probes, nonce=secret, tells=alarms)
        parts = Asking(monitoring, self.known, lambda model, suite: self.forgotten.append((model, suite)))
        return Suites(self.writes, events=self.events, asking=parts if asking else None, gauges=self._gauges)

    def _gauges(self, suite: str, watches: Iterable[Monitored]) -> None:
        self.telemetry.monitored(suite, ((0.0, 0.0, one.watch.level.value) for one in watches))

    def look(self, now: int = 0, **more: Any) -> Result:
        """Time does not go back."""
        self.now = max(self.now, now)
        return self.suites(**more).reconcile("canary", self.now)

    @property
    def status(self) -> Object:
        value = self.cluster.find(SUITES, "canary")
        assert value is not None
        EvaluationSuiteStatus.model_validate(value["status"])  # nothing of it is pruned or refused by the API server
        return dict(value["status"])

    def monitor(self, model: str = ONE) -> Object:
        return next(one for one in self.status["monitors"] if one["model"] == model)

    def condition(self, name: str) -> tuple[str, str]:
        return next(((c["status"], c["reason"]) for c in self.status["conditions"] if c["type"] == name), ("", ""))

    def recorded(self) -> "World":
        for _ in range(3):
            self.look()
        return self

    def round(self) -> Object:
        """From waiting to waiting, each look by a process that starts anew."""
        self.look()
        now = due(self.monitor())
        for _ in range(2):
            self.look(now)
        return self.monitor()

    def told(self) -> list[str]:
        return [event["reason"] for event in self.cluster.all(EVENTS)]


def due(entry: Object) -> int:
    return int(datetime.fromisoformat(entry["dueTime"]).timestamp())


@pytest.fixture
def world(cluster: ClusterSimulator, writes: Writes, events: Events) -> World:
    world = World(cluster, writes, events)
    world.put(written(ONE))
    return world


def test_the_hash_by_which_verdicts_are_known_stands_in_the_status(world: World) -> None:
    result = world.look()

    assert world.status["specHash"] == compile_suite(written(ONE)).spec_hash
    assert (world.condition("Ready"), world.condition("Degraded")) == (("True", "Accepted"), ("Unknown", "NotAskedYet"))
    assert (result.outcome, result.after) == ("described", 1.0)


def test_the_commitment_is_written_before_anything_is_asked(world: World) -> None:
    world.look()
    assert (world.monitor()["state"], world.probes.asked) == (COMMITTED, [])
    world.probes.recorded = lambda: Running("in the Job jobs/record-1")
    world.look()

    assert (world.monitor()["state"], len(world.probes.asked)) == (RUNNING, 1)
    assert world.probes.asked[0].fingerprint == ""


def test_a_quiet_server_is_asked_by_the_schedule_and_raises_nothing(world: World) -> None:
    world.recorded()
    first = world.round()
    second = world.round()

    assert (first["rounds"], second["rounds"], second["level"]) == (1, 2, "Quiet")
    assert 80_000 < due(second) - due(first) < 90_000
    assert (world.told(), world.cluster.all(REVOCATIONS)) == ([], [])
    assert world.condition("Degraded") == ("False", "Quiet")


def swapped(order: MonitorOrder) -> MonitorReport:
    return a_report(order, shift=9_000)


def test_a_swapped_server_is_an_alarm_that_is_proposed(world: World) -> None:
    world.recorded()
    world.probes.answer = swapped
    entry = world.round()

    assert (entry["level"], entry["alarmed"]) == ("Alarm", True)
    assert world.condition("Degraded") == ("True", "Alarm")
    assert (world.told(), world.cluster.all(REVOCATIONS)) == (["RevocationProposed"], [])


def test_where_the_suite_says_so_an_alarm_denies_new_workloads_and_never_quarantines(world: World) -> None:
    world.put(written(ONE, onAlarm="DenyNew"))
    world.recorded()
    world.probes.answer = swapped
    world.round()

    (revocation,) = world.cluster.all(REVOCATIONS)
    assert (revocation["spec"]["action"], revocation["spec"]["models"]) == ("DenyNew", [ONE])


def test_m4_an_alarm_never_says_that_it_revoked_what_another_revocation_of_its_name_does_not(world: World) -> None:
    world.put(written(ONE, onAlarm="DenyNew"))
    world.recorded()
    world.probes.answer = swapped
    named = revocation_of(compile_suite(written(ONE)).services[0].model)
    world.cluster.put(REVOCATIONS, {"metadata": {"name": named}, "spec": {"models": ["hf://other/one@*"], "action": "DenyNew"}})
    world.round()

    assert world.told() == ["RevocationProposed"]
    (event,) = world.cluster.all(EVENTS)
    assert f"ModelRevocation {named} is there already and does not name it" in event["note"]


def test_an_alarm_whose_revocation_could_not_be_written_is_raised_again(world: World) -> None:
    world.put(written(ONE, onAlarm="DenyNew"))
    world.recorded()
    world.probes.answer = swapped
    world.look()
    now = due(world.monitor())
    world.look(now)
    world.cluster.faults.append(("POST", "modelrevocations", 500))
    world.look(now)
    assert (world.monitor()["level"], world.cluster.all(REVOCATIONS)) == ("Quiet", [])
    world.look(now)

    assert (world.monitor()["level"], len(world.cluster.all(REVOCATIONS))) == ("Alarm", 1)


def test_a_restart_between_any_two_steps_loses_no_evidence(world: World) -> None:
    """Each look of ``World`` is of a process that knows nothing but the cluster; the same without restarts gives the same."""
    world.recorded()
    world.probes.answer = lambda order: a_report(order, shift=30, canary=300)
    entry = world.round()
    assert entry["identity"]["probes"] == limits.MONITOR_IDENTITY_PROBES
    again = world.round()

    assert again["identity"]["probes"] == 2 * limits.MONITOR_IDENTITY_PROBES
    assert json.loads(json.dumps(again)) == again


def test_a_round_whose_state_could_not_be_written_is_counted_once(world: World) -> None:
    world.recorded()
    world.probes.answer = lambda order: a_report(order, canary=6_000)
    world.look()
    now = due(world.monitor())
    world.look(now)
    world.cluster.faults.append(("PATCH", "evaluationsuites/canary/status", 500))
    with pytest.raises(UnavailableError):
        world.look(now)
    world.look(now)

    assert (world.monitor()["rounds"], world.monitor()["identity"]["probes"]) == (1, limits.MONITOR_IDENTITY_PROBES)


def test_a_suite_that_is_edited_in_the_middle_of_a_round_begins_another_watch_and_forgets_the_old_fingerprint(
    world: World,
) -> None:
    world.recorded()
    world.probes.answer = lambda _: Running("in the Job jobs/monitor-1")
    world.look()
    now = due(world.monitor())
    for _ in range(2):
        world.look(now)
    old = world.monitor()
    edited = written(ONE)
    edited["spec"]["decision"]["margin"] = "0.10"
    world.put(edited)
    world.probes.answer = swapped  # what the old round found
    world.look(now)

    assert (old["state"], world.monitor()["state"], world.monitor()["fingerprint"]) == (RUNNING, COMMITTED, "")
    assert world.forgotten == [(ONE, old["suiteHash"])]
    assert (world.told(), world.cluster.all(REVOCATIONS)) == ([], [])


def test_when_and_what_follows_may_change_without_beginning_anew(world: World) -> None:
    world.recorded()
    world.probes.answer = swapped
    before = world.round()
    world.put(written(ONE, schedule="30 * * * *", onAlarm="DenyNew"))
    world.look()

    assert (world.monitor()["rounds"], world.monitor()["level"]) == (before["rounds"], "Alarm")


@pytest.mark.parametrize("answer", [lambda order: a_report(order, problem="refused"), fails(UnavailableError("away"))])
def test_what_shows_nothing_moves_nothing_and_is_told_in_the_end(
    answer: Callable[[MonitorOrder], MonitorReport], world: World
) -> None:
    world.recorded()
    quiet = world.monitor()["identity"]
    world.probes.answer = answer
    for _ in range(limits.MONITOR_SILENT_ROUNDS):
        world.round()

    assert world.monitor()["identity"] == quiet
    refused = world.monitor()["silentRounds"] >= limits.MONITOR_SILENT_ROUNDS
    assert world.condition("Degraded") == (("True", "NothingShown") if refused else ("Unknown", "NotAskedYet"))
    assert world.told() == (["NothingShown"] if refused else [])


def test_one_model_that_is_not_attested_keeps_no_other_from_being_watched(world: World) -> None:
    world.put(written(ONE, TWO))
    world.known.unattested = ONE
    result = world.look()

    assert (world.monitor(ONE)["state"], world.monitor(ONE)["message"]) == (WAITING, "it is not attested")
    assert world.monitor(TWO)["state"] == COMMITTED
    assert result.after == 1.0
    world.known.unattested = ""
    world.look()
    assert world.monitor(ONE)["state"] == COMMITTED


def test_prompts_that_cannot_be_read_stop_every_watch_where_it_is(world: World) -> None:
    world.recorded()
    seen = world.monitor()
    world.known.prompts = "the Secret prompts is not there"
    result = world.look()

    assert world.monitor() == seen | {"message": "the Secret prompts is not there"}
    assert result.after == limits.EVALUATION_BLOCKED_SECONDS


def test_a_schedule_that_never_comes_keeps_what_was_seen(world: World) -> None:
    world.recorded()
    world.probes.answer = swapped
    seen = world.round()
    world.put(written(ONE, schedule="0 0 31 2 *"))
    result = world.look()

    assert (world.monitor(), world.forgotten, result.after) == (seen, [], None)


def test_who_does_not_lead_any_more_writes_nothing(world: World) -> None:
    world.known.error = NotLeadingError("another leads")
    with pytest.raises(NotLeadingError):
        world.look()
    value = world.cluster.find(SUITES, "canary")
    assert value is not None
    assert "status" not in value


def test_a_suite_that_is_not_understood_says_so_and_keeps_what_was_seen(world: World) -> None:
    world.recorded()
    seen = world.status["monitors"]
    broken = written(ONE)
    broken["spec"]["decision"] = {"alpha": "2", "margin": "0.05"}
    world.put(broken)
    result = world.look()

    assert (world.condition("Ready"), world.condition("Stalled")) == (("False", "Invalid"), ("True", "Invalid"))
    assert (world.status["monitors"], world.status.get("specHash"), result.after) == (seen, None, None)
    assert world.told() == ["ObjectBroken"]


@pytest.mark.parametrize("asking", [True, False])
def test_without_schedule_services_or_jobs_nothing_is_asked(asking: bool, world: World) -> None:  # noqa: FBT001 - a case
    world.put(a_suite() if asking else written(ONE))
    result = world.look(asking=asking)

    assert (world.status["monitors"], world.probes.asked, result.after) == ([], [], None)
    assert world.condition("Degraded") == ("", "")


def test_an_operator_that_asks_nothing_keeps_what_another_saw(world: World) -> None:
    world.recorded()
    world.probes.answer = swapped
    seen = world.round()
    world.look(asking=False)

    assert (world.monitor(), world.forgotten, world.condition("Degraded")) == (seen, [], ("True", "Alarm"))


def test_a_service_that_is_taken_off_the_list_is_forgotten_and_a_suite_that_is_gone_leaves_no_gauge(world: World) -> None:
    world.recorded()
    hash_ = world.monitor()["suiteHash"]
    world.put(a_suite())
    world.look()
    assert (world.status["monitors"], world.forgotten) == ([], [(ONE, hash_)])
    world.put(written(ONE))
    world.look()
    assert world.telemetry.registry.get_sample_value("modeltrust_monitor_servers", {"level": "Quiet"}) == 1
    world.cluster.remove(SUITES, "canary")

    assert world.look().outcome == "gone"
    assert world.telemetry.registry.get_sample_value("modeltrust_monitor_servers", {"level": "Quiet"}) == 0


def test_models_in_a_condition_are_few(world: World) -> None:
    models = [f"hf://acme/m{number}@" + "9" * 40 for number in range(20)]
    world.put(written(*models))
    world.recorded()
    world.probes.answer = swapped
    last = max(due(entry) for entry in world.status["monitors"])
    for _ in range(2):
        world.look(last)
    (condition,) = [entry for entry in world.status["conditions"] if entry["type"] == "Degraded"]

    assert f"and {20 - limits.NAMES_IN_MESSAGE} more" in condition["message"]
