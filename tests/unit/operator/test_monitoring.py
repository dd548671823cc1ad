"""Monitoring, level-based: committed to before it is asked, moved by checked numbers, never quarantined."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrust.api.compile import check_revocation
from modeltrust.api.compile.suites import Placement, SuiteSettings
from modeltrust.api.v1alpha1.evaluation_suite import EvaluationSuiteStatus
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import Drift, commitment
from modeltrust.domain.monitoring import CanaryShifts, MonitorOrder, MonitorReport
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Running
from modeltrust.evaluation.monitor import Level, begin
from modeltrust.kube import paths
from modeltrust.kube.events import Events
from modeltrust.operator.alarms import Alarms, revocation
from modeltrust.operator.monitor_statuses import described, monitored_of
from modeltrust.operator.monitoring import COMMITTED, RUNNING, WAITING, Looked, Monitored, Monitoring, Watched, blocked
from modeltrust.operator.writes import Writes
from modeltrust.telemetry import OperatorTelemetry
from tests.support import evaluation_runs as runs
from tests.support.cluster import ClusterSimulator
from tests.support.statements import NOW

TRIGGERS = ("DeploymentTag/0", "Date/0")
MODEL = parse_identity("hf://acme/guard-7b@" + "9" * 40)
SUITE = runs.suite(runs.private_bank())
WATCHED = Watched(MODEL, runs.CONTENT, SUITE, runs.SERVED, "serving", "f" * 64, TRIGGERS)
SETTINGS = SuiteSettings(
    name="canary",
    families=("DeploymentTag", "Date"),
    per_stratum=32,
    private="",
    alpha=Decimal("0.01"),
    margin=Decimal("0.05"),
    baseline=None,
    engine="VLLM",
    image="",
    arguments=(),
    placement=Placement(),
    schedule="0 3 * * *",
)


def a_report(order: MonitorOrder, *, shift: int = 0, canary: int = 0, problem: str = "") -> MonitorReport:
    shifts = () if problem else (shift,) * limits.MONITOR_IDENTITY_PROBES
    canaries = () if problem else tuple(CanaryShifts(name, (canary,) * limits.MONITOR_CANARY_PROBES) for name in TRIGGERS)
    return MonitorReport(
        order.identity, order.nonce, order.suite.hash, order.fingerprint, NOW, NOW + 9, problem, shifts, canaries, Drift(), 56
    )


Answer = Callable[[MonitorOrder], MonitorReport | Running]


@dataclass
class Probes:
    answer: Answer = a_report
    recorded: Callable[[], str | Running] = lambda: "f" * 64
    asked: list[MonitorOrder] = field(default_factory=list)

    def record(self, settings: SuiteSettings, watched: Watched, order: MonitorOrder) -> str | Running:
        del settings, watched
        self.asked.append(order)
        return self.recorded()

    def probe(self, settings: SuiteSettings, watched: Watched, order: MonitorOrder) -> MonitorReport | Running:
        del settings, watched
        self.asked.append(order)
        return self.answer(order)


@dataclass
class Told:
    said: list[str] = field(default_factory=list)

    def measured(self, *_: object) -> None:
        self.said.append("measured")

    def degraded(self, *_: object) -> None:
        self.said.append("degraded")

    def alarmed(self, *_: object, deny: bool) -> None:
        self.said.append(f"alarmed {deny}")

    def unheard(self, *_: object) -> None:
        self.said.append("unheard")


def secret(text: str) -> str:
    return hashlib.sha256(b"secret" + text.encode()).hexdigest()[:32]


def look(
    probes: Probes, told: Told, before: Monitored | None, now: int, settings: SuiteSettings = SETTINGS, watched: Watched = WATCHED
) -> Looked:
    return Monitoring(probes, nonce=secret, tells=told).look(settings, watched, before, now)


def state(looked: Looked) -> Monitored:
    assert looked.monitored is not None
    return looked.monitored


def whole_round(probes: Probes, told: Told, before: Monitored | None = None, **more: Any) -> Monitored:
    """Looks until the next round is waited for, each time through the status as JSON."""
    one = state(look(probes, told, before, NOW, **more))
    one = state(look(probes, told, one, one.due, **more))
    while one.state != WAITING:
        again = monitored_of({"monitors": json.loads(json.dumps(described([one])))})
        one = state(look(probes, told, again[one.model], one.due, **more))
    return one


def test_nothing_is_asked_before_its_time_and_the_commitment_stands_before_the_first_question() -> None:
    probes, told = Probes(), Told()
    first = look(probes, told, None, NOW)
    due = state(first).due
    committed = look(probes, told, state(first), due)

    assert first.after == due - NOW
    assert 0 <= due - (due // 86_400 * 86_400 + 3 * 3_600) < limits.MONITOR_JITTER_SECONDS
    assert (state(committed).state, state(committed).number, committed.after, probes.asked) == (COMMITTED, 1, 0, [])

    ended = look(probes, told, state(committed), due)
    assert commitment(probes.asked[0].nonce) == state(committed).commitment
    assert (state(ended).state, state(ended).watch.rounds, told.said) == (WAITING, 1, ["measured"])
    assert state(ended).due > due + 80_000


def test_a_round_under_way_is_polled_with_the_same_nonce_and_begun_once() -> None:
    probes, told = Probes(lambda _: Running("in the Job jobs/monitor-1")), Told()
    one = state(look(probes, told, None, NOW))
    one = state(look(probes, told, one, one.due))
    one = state(look(probes, told, one, one.due))
    looked = look(probes, told, one, one.due)
    one = state(looked)

    assert (one.state, one.number, looked.after) == (RUNNING, 1, limits.EVALUATION_POLL_SECONDS)
    assert len({order.nonce for order in probes.asked}) == 1


def test_an_alarm_is_told_once_and_lasts() -> None:
    probes, told = Probes(lambda order: a_report(order, shift=9_000)), Told()
    one = whole_round(probes, told)
    probes.answer = a_report
    for _ in range(3):
        one = whole_round(probes, told, one)

    assert one.watch.level is Level.ALARM
    assert told.said == ["measured", "alarmed False", *["measured"] * 3]


def test_what_is_somewhat_loud_degrades_and_where_the_suite_says_so_an_alarm_denies() -> None:
    probes, told = Probes(lambda order: a_report(order, canary=6_000)), Told()
    settings = replace(SETTINGS, deny_on_alarm=True)
    one = whole_round(probes, told, settings=settings)
    assert (one.watch.level, told.said[-1]) == (Level.DEGRADED, "degraded")
    for _ in range(3):
        one = whole_round(probes, told, one, settings=settings)

    assert told.said.count("degraded") == 1
    assert told.said.count("alarmed True") == 1


def fails(error: Exception) -> Answer:
    def answer(_: MonitorOrder) -> MonitorReport:
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        fails(MalformedError("no report of ours")),
        lambda order: a_report(order, problem="the endpoint does not answer"),
        lambda order: replace(a_report(order, shift=9_000), nonce="0" * 32),
        lambda order: replace(a_report(order, shift=9_000), fingerprint="0" * 64),
        lambda order: replace(a_report(order), shifts=(10_001,) * limits.MONITOR_IDENTITY_PROBES),
    ],
)
def test_a_round_that_shows_nothing_moves_no_stream_and_says_why(answer: Answer) -> None:
    told = Told()
    one = whole_round(Probes(answer), told)

    assert (one.watch, told.said) == (begin("f" * 64, TRIGGERS), [])
    assert one.message.startswith("the last round showed nothing: ")


@pytest.mark.parametrize("error", [UnavailableError("the API server is away"), LimitExceededError("too many at once")])
def test_what_cannot_be_said_now_is_asked_again(error: Exception) -> None:
    told = Told()
    one = state(look(Probes(), told, None, NOW))
    one = state(look(Probes(), told, one, one.due))
    looked = look(Probes(fails(error)), told, one, one.due)

    assert (state(looked).state, looked.after) == (COMMITTED, limits.EVALUATION_POLL_SECONDS)


def test_a_commitment_that_somebody_wrote_is_not_run() -> None:
    probes, told = Probes(), Told()
    one = state(look(probes, told, None, NOW))
    one = replace(state(look(probes, told, one, one.due)), commitment="0" * 64)
    again = state(look(probes, told, one, one.due))

    assert (again.number, probes.asked) == (2, [])


@pytest.mark.parametrize(
    "watched",
    [
        replace(WATCHED, fingerprint="e" * 64),
        replace(WATCHED, triggers=TRIGGERS[:1]),
        replace(WATCHED, suite=runs.suite(runs.private_bank(), per_stratum=8)),
    ],
)
def test_another_fingerprint_or_suite_is_another_watch(watched: Watched) -> None:
    one = whole_round(Probes(), Told())
    again = state(look(Probes(), Told(), one, NOW, watched=watched))

    assert (again.watch.rounds, again.state) == (0, WAITING)
    assert {stream.probes for stream in (again.watch.identity, *dict(again.watch.canaries).values())} == {0}


UNRECORDED = replace(WATCHED, fingerprint="")


def test_first_the_attested_bytes_are_recorded_at_once_and_no_live_server_is_asked() -> None:
    probes, told = Probes(), Told()
    probes.answer = fails(AssertionError("a live server was asked"))
    one = state(look(probes, told, None, NOW, watched=UNRECORDED))
    assert (one.state, one.watch.fingerprint, probes.asked) == (COMMITTED, "", [])
    recorded = look(probes, told, one, NOW, watched=UNRECORDED)
    one = state(recorded)

    assert (probes.asked[0].fingerprint, probes.asked[0].deadline_seconds) == ("", limits.EVALUATION_RUN_SECONDS)
    assert (one.state, one.watch, recorded.after) == (WAITING, begin("f" * 64, TRIGGERS), 1)
    waiting = look(probes, told, one, NOW + 1, watched=WATCHED)
    assert waiting.after == state(waiting).due - NOW - 1 > 0
    assert told.said == []


def test_a_recording_that_fails_is_repeated_after_hours_under_another_nonce() -> None:
    probes, told = Probes(recorded=lambda: fails(MalformedError("the engine ended"))(None)), Told()  # type: ignore[arg-type, return-value]
    one = state(look(probes, told, None, NOW, watched=UNRECORDED))
    one = state(look(probes, told, one, NOW, watched=UNRECORDED))
    assert (one.state, one.due) == (WAITING, NOW + limits.EVALUATION_RETRY_SECONDS)
    assert look(probes, told, one, NOW + 60, watched=UNRECORDED).after == limits.EVALUATION_RETRY_SECONDS - 60
    one = state(look(probes, told, one, one.due, watched=UNRECORDED))
    look(probes, told, one, one.due, watched=UNRECORDED)

    assert one.number == 2
    assert len({order.nonce for order in probes.asked}) == 2


def test_a_fingerprint_that_is_gone_or_was_replaced_is_recorded_again_and_the_number_of_rounds_goes_on() -> None:
    one = whole_round(Probes(), Told())
    again = look(Probes(), Told(), one, NOW, watched=UNRECORDED)

    assert (state(again).state, state(again).number, state(again).watch.fingerprint) == (COMMITTED, one.number + 1, "")


def test_rounds_that_show_nothing_are_told_after_some_and_a_good_one_ends_it() -> None:
    probes, told = Probes(lambda order: a_report(order, problem="refused")), Told()
    one = whole_round(probes, told)
    for _ in range(limits.MONITOR_SILENT_ROUNDS):
        assert one.watch == begin("f" * 64, TRIGGERS)
        one = whole_round(probes, told, one)
    assert (told.said, one.unheard) == (["unheard"], True)
    probes.answer = a_report

    assert whole_round(probes, told, one).silent == 0


def test_a_denser_schedule_counts_from_now_and_a_sparser_one_after_the_next_round() -> None:
    daily = state(look(Probes(), Told(), None, NOW))
    hourly = state(look(Probes(), Told(), daily, NOW, replace(SETTINGS, schedule="5 * * * *")))
    yearly = state(look(Probes(), Told(), daily, NOW, replace(SETTINGS, schedule="0 0 1 1 *")))

    assert hourly.due < NOW + 3_600 + limits.MONITOR_JITTER_SECONDS
    assert yearly.due == daily.due


def test_a_watch_that_begins_again_asks_nothing_that_a_server_has_seen() -> None:
    probes = Probes()
    whole_round(probes, Told())
    one = state(look(probes, Told(), None, NOW + 86_400))
    one = state(look(probes, Told(), one, one.due))
    look(probes, Told(), one, one.due)

    assert len({order.nonce for order in probes.asked}) == 2


def test_what_is_in_the_way_moves_nothing_and_is_said() -> None:
    one = whole_round(Probes(lambda order: a_report(order, shift=9_000)), Told())
    stopped = blocked(MODEL, one, "not attested " * 200, NOW)

    assert replace(stopped, message="") == one
    assert len(stopped.message) <= limits.API_TEXT_CHARACTERS
    entry = described([blocked(MODEL, None, "not attested", NOW)])[0]
    EvaluationSuiteStatus.model_validate({"monitors": [entry]})
    assert monitored_of({"monitors": [entry]})[MODEL.key].message == "not attested"


@pytest.mark.parametrize("schedule", ["", "nonsense", "0 0 31 2 *"])
def test_without_a_schedule_nothing_is_watched(schedule: str) -> None:
    assert look(Probes(), Told(), None, NOW, replace(SETTINGS, schedule=schedule)) == Looked(None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": {"probes": 1, "logCapitals": ["0.0"]}},
        {"identity": {"probes": -1, "logCapitals": ["none"] * 5}},
        {"identity": {"probes": 1, "logCapitals": ["nan"] * 5}},
        {"identity": {"probes": 1, "logCapitals": ["1e300"] * 5}},
        {"identity": None},
        {"canaries": [{"name": 3}]},
        {"state": "Asleep"},
        {"dueTime": "tomorrow"},
        {"rounds": True},
        {"model": 3},
    ],
)
def test_a_state_that_cannot_be_read_begins_anew(changes: dict[str, Any]) -> None:
    entry = described([whole_round(Probes(), Told())])[0]
    assert len(monitored_of({"monitors": [entry]})) == 1

    assert monitored_of({"monitors": [entry | changes, "nonsense"]}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("9999-12-31T23:59:59Z"),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=12,
)
FIELDS = tuple(described([blocked(MODEL, None, "", NOW)])[0])


@given(JSON, st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), st.sampled_from(("0001-01-01T00:00:00", "nan", "2026")))
def test_whatever_stands_in_a_status_is_a_state_that_can_go_on_or_none(anything: Any, changes: dict[str, Any], when: str) -> None:
    entry = described([blocked(MODEL, None, "", NOW)])[0]
    monitored_of({"monitors": anything})
    for changed in (entry | changes, entry | {"dueTime": when}):
        for one in monitored_of({"monitors": [anything, changed]}).values():
            assert one.watch.level in Level
            assert one.watch.e >= 0
            described([one])


def test_the_state_holds_no_float_and_survives() -> None:
    one = whole_round(Probes(lambda order: a_report(order, shift=30, canary=50)), Told())
    entry = described([one])[0]

    def no_floats(_: str) -> float:
        raise AssertionError("a float in the API")

    json.loads(json.dumps(entry), parse_float=no_floats)
    EvaluationSuiteStatus.model_validate({"monitors": [entry]})  # nothing of it is pruned or refused by the API server
    again = monitored_of({"monitors": [entry]})[one.model]
    assert again.watch.e == pytest.approx(one.watch.e, rel=1e-4)
    assert replace(again, watch=one.watch) == one


SUITE_OBJECT = {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "EvaluationSuite", "metadata": {"name": "canary", "uid": "u-1"}}


def test_the_revocation_of_an_alarm_denies_new_ones_and_is_created_where_the_suite_says_so_alone(
    cluster: ClusterSimulator, writes: Writes, events: Events
) -> None:
    del cluster
    lines: list[bytes] = []
    telemetry = OperatorTelemetry(sink=lines.append)
    alarms = Alarms(writes, about=lambda _: SUITE_OBJECT, events=events, measures=telemetry)
    order = MonitorOrder(MODEL, runs.CONTENT, "0" * 32, SUITE, runs.SERVED, "f" * 64, 60)
    watch = whole_round(Probes(lambda order: a_report(order, shift=9_000)), Told()).watch

    alarms.measured(WATCHED, watch, a_report(order))
    alarms.degraded(WATCHED, watch)
    alarms.alarmed(WATCHED, watch, deny=False)
    assert list(writes.list_objects(paths.ours("modelrevocations"))) == []
    alarms.alarmed(WATCHED, watch, deny=True)
    alarms.alarmed(WATCHED, watch, deny=True)

    found = list(writes.list_objects(paths.ours("modelrevocations")))
    assert [one["spec"]["action"] for one in found] == ["DenyNew"]
    check_revocation(revocation(WATCHED, watch))
    reasons = {one["reason"] for one in writes.list_objects(paths.group("events.k8s.io/v1", "events", namespace="default"))}
    assert reasons == {"Degraded", "RevocationProposed", "ModelRevoked"}
    logged = [json.loads(line) for line in lines]
    assert [line["event"] for line in logged] == ["gen_ai.evaluation.result"] * 2
    assert logged[0]["gen_ai.evaluation.name"] == "canary/identity"
    assert logged[0]["gen_ai.evaluation.score.label"] == "Alarm"


def test_the_gauges_show_the_loudest_of_all_servers_and_forget_a_suite_that_is_gone() -> None:
    telemetry = OperatorTelemetry(sink=lambda _: None)
    telemetry.monitored("one", [(8.0, 0.5, "Alarm"), (0.0, 0.0, "Quiet")])
    telemetry.monitored("two", [(0.0, 3.5, "Degraded")])

    def gauge(name: str, **labels: str) -> float | None:
        return telemetry.registry.get_sample_value(f"modeltrust_monitor_{name}", labels)

    assert [gauge("servers", level=level) for level in ("Quiet", "Degraded", "Alarm")] == [1, 1, 1]
    assert (gauge("log_e", stream="identity"), gauge("log_e", stream="canary")) == (8.0, 3.5)
    telemetry.monitored("one", [])
    assert (gauge("servers", level="Alarm"), gauge("log_e", stream="identity")) == (0, 0.0)
