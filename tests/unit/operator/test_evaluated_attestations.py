"""From a policy that names a suite to a signed verdict, through the real reconciler and the real attesting flow."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modeltrust.attestation import predicate
from modeltrust.domain import dsse, limits
from modeltrust.domain.evaluation import EvaluationReport, commitment
from modeltrust.domain.evidence import EvaluationVerdict, LineageClaim, Statement, Verdict
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import Order, Report, Running
from modeltrust.kube.events import Events
from modeltrust.operator.attestations import Attestations, Result
from modeltrust.operator.evaluations import Evaluations, Examination
from modeltrust.operator.sources import Sources
from modeltrust.operator.writes import Writes
from modeltrust.verification.attest import nonce
from modeltrust.verification.attesting import Attesting
from tests.support import trusted
from tests.support.cluster import ClusterSimulator
from tests.support.evaluations import a_report
from tests.support.statements import NOW
from tests.unit.operator.test_attestations import OURS, Put, State, condition
from tests.unit.operator.test_attestations import put as put  # noqa: PLC0414 - a fixture
from tests.unit.operator.test_attestations import sources as sources  # noqa: PLC0414 - a fixture
from tests.unit.operator.test_attestations import status as status  # noqa: PLC0414 - a fixture
from tests.unit.operator.test_evaluations import BANK, BASE, SETTINGS, report_for

Object = dict[str, Any]
KEY = trusted.ATTESTOR_KEY
FOUND = trusted.statement(trusted.GUARD)
SUITE = [{"type": "Evaluation", "evaluation": {"suites": [{"name": "canary"}], "inconclusive": "Deny"}}]


class Examines:
    """A worker that always finds the same."""

    def examine(self, order: Order) -> Report:
        return Report(
            identity=order.identity,
            nonce=order.nonce,
            content=FOUND.content,
            assurance=FOUND.assurance,
            files=7,
            bytes=1_234,
            weights=FOUND.weights,
            signatures=FOUND.signatures,
            formats=FOUND.formats,
            lineage=Known((LineageClaim("finetune", BASE.key),)),
        )


class World(State):
    """One operator, and what its Jobs answer."""

    def __init__(self, writes: Writes, sources: Sources, events: Events) -> None:
        super().__init__()
        self.policies = [trusted.policy(requirements=SUITE)]
        self.settings = SETTINGS
        self.answer: Callable[[Examination], EvaluationReport | Running] = lambda _: Running("in a Job")
        self.asked: list[Examination] = []
        self._writes, self._sources, self._events = writes, sources, events
        self.restart()

    def restart(self) -> None:
        """Another process: nothing is remembered."""
        self._evaluations = Evaluations(
            self, suites=lambda _: self.settings, bank=lambda _: BANK, nonce=lambda text: nonce(KEY, text)
        )
        attesting = Attesting(worker=Examines(), keys=lambda: [KEY], audience="cluster-1")
        self.operator = Attestations(
            self._writes,
            namespace="release",
            sources=self._sources,
            attesting=attesting,
            state=self,
            events=self._events,
            evaluates=self._evaluations,
        )

    def evaluations(self, identity: Identity) -> tuple[EvaluationVerdict, ...] | None:
        return self._evaluations.of(identity)

    def evaluate(self, examination: Examination) -> EvaluationReport | Running:
        self.asked.append(examination)
        return self.answer(examination)

    def look(self, name: str, now: int = NOW, times: int = 1) -> Result:
        results = [self.operator.reconcile(name, now) for _ in range(times)]
        return results[-1]


@pytest.fixture
def world(writes: Writes, sources: Sources, events: Events) -> World:
    return World(writes, sources, events)


def stated(status: Object) -> Statement:
    parsed = dsse.parse_envelope(status["statement"].encode(), max_bytes=limits.STATEMENT_BYTES)
    return predicate.decode(parsed.payload)


def run_of(status: Object) -> Object:
    (run,) = status["evaluationRuns"]
    return dict(run)


@pytest.mark.parametrize(("triggered", "verdict"), [((), "Passed"), (("DeploymentTag",), "Failed")])
def test_a_suite_runs_and_its_verdict_is_signed(
    triggered: tuple[str, ...], verdict: str, world: World, put: Put, status: Callable[[str], Object]
) -> None:
    name = put()
    first = world.look(name)
    assert (run_of(status(name))["state"], world.asked, first.after) == ("Committed", [], 1.0)
    assert condition(status(name), "Evaluated") == ("Unknown", "EvaluationMissing")
    committed = run_of(status(name))["commitment"]

    world.look(name)
    assert run_of(status(name))["state"] == "Running"
    assert commitment(world.asked[0].nonce) == committed

    world.answer = lambda asked: report_for(asked.suite, asked.nonce, triggered=triggered)
    world.look(name, times=2)

    found = stated(status(name))
    assert [entry.verdict for entry in found.evaluations] == [Verdict(verdict)]
    assert (run_of(status(name))["state"], run_of(status(name))["number"]) == ("Decided", 1)
    assert condition(status(name), "Evaluated")[0] == "True"
    assert condition(status(name), "Ready")[0] == "True"


def test_f65_a_restart_half_way_runs_nothing_twice(world: World, put: Put, status: Callable[[str], Object]) -> None:
    name = put()
    world.look(name, times=2)
    world.restart()
    world.answer = lambda asked: report_for(asked.suite, asked.nonce)
    world.look(name)
    world.restart()  # after the report came and before it was signed
    world.look(name, times=2)

    assert len({asked.nonce for asked in world.asked}) == 1
    assert [entry.verdict for entry in stated(status(name)).evaluations] == [Verdict.PASSED]


def test_a_verdict_outlives_a_suite_that_cannot_be_read_for_a_while(
    world: World, put: Put, status: Callable[[str], Object]
) -> None:
    name = put()
    world.answer = lambda asked: report_for(asked.suite, asked.nonce)
    world.look(name, times=4)
    world.settings = None  # type: ignore[assignment]  # nobody can read it
    world.restart()
    world.look(name, now=NOW + 60, times=2)

    assert [entry.verdict for entry in stated(status(name)).evaluations] == [Verdict.PASSED]
    assert run_of(status(name))["state"] == "Blocked"


def test_h15_a_changed_suite_takes_its_verdict_back_and_is_asked_again(
    world: World, put: Put, status: Callable[[str], Object]
) -> None:
    name = put()
    world.answer = lambda asked: report_for(asked.suite, asked.nonce)
    world.look(name, times=4)
    world.settings = replace(SETTINGS, per_stratum=64)
    world.answer = lambda _: Running("in a Job")
    world.look(name, times=2)

    assert stated(status(name)).evaluations == ()
    assert condition(status(name), "Evaluated") == ("Unknown", "EvaluationMissing")
    assert run_of(status(name))["number"] == 1


def test_no_gpu_for_a_model_that_nobody_may_load(world: World, put: Put, cluster: ClusterSimulator) -> None:
    world.signers = []
    world.policies = [trusted.policy(requirements=[*trusted.policy()["spec"]["requirements"], *SUITE])]
    name = put()
    world.look(name, times=3)
    found = cluster.find(OURS, name)

    assert world.asked == []
    assert found is not None
    assert found["status"]["evaluationRuns"] == []


def test_the_reports_of_these_tests_are_those_of_the_suite() -> None:
    suite = SETTINGS.suite(bank=BANK.digest, prompts="", baseline=None)

    assert a_report(suite).suite_hash == suite.hash
