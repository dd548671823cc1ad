from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from modeltrust.admission.message import Subject, denial
from modeltrust.domain import limits
from modeltrust.domain.decision import Decision, Finding, Outcome, Status
from modeltrust.domain.evidence import EvaluationVerdict, Verdict
from modeltrust.domain.reasons import Reason
from modeltrust.policy.policy import Attested, Trust
from modeltrust.policy.requirements.evaluation import Evaluation, Inconclusive
from tests.support.statements import DAY, NOW, a_statement
from tests.support.trust import a_found, a_trust

CANARY = Evaluation(("canary",), 30 * DAY)
SPEC, BEFORE = "4" * 64, "5" * 64
TRUST = a_trust(suites=MappingProxyType({"canary": SPEC, "red-team": "6" * 64}))


def a_run(verdict: Verdict = Verdict.PASSED, **changes: Any) -> EvaluationVerdict:
    fields: dict[str, Any] = {
        "suite": "canary",
        "suite_hash": "1" * 64,
        "serving_hash": "2" * 64,
        "claim": "no trigger",
        "finished_at": NOW - DAY,
        "spec_hash": SPEC,
    }
    return EvaluationVerdict(verdict=verdict, **(fields | changes))


def check(*runs: EvaluationVerdict, requirement: Evaluation = CANARY, trust: Trust = TRUST) -> tuple[Finding, ...]:
    findings = requirement.check(Attested(a_found(), a_statement(evaluations=runs)), trust)
    assert all(finding.requirement == "evaluation" for finding in findings)
    return findings


def only(*runs: EvaluationVerdict, requirement: Evaluation = CANARY) -> tuple[Status, Reason | None, bool]:
    (finding,) = check(*runs, requirement=requirement)
    return finding.status, finding.reason, finding.advisory


PASSED = (Status.PASS, None, False)
MISSING = (Status.PENDING, Reason.EVALUATION_MISSING, False)
EXPIRED = (Status.FAIL, Reason.EVALUATION_EXPIRED, False)
FAILED = (Status.FAIL, Reason.EVALUATION_FAILED, False)


def test_a_recent_pass_passes() -> None:
    assert only(a_run()) == PASSED


@pytest.mark.parametrize("runs", [(), (a_run(suite="other"),), (a_run(suite="Canary"),), (a_run(external=True),)])
def test_a_suite_that_was_not_run_here_is_awaited(runs: tuple[EvaluationVerdict, ...]) -> None:
    assert only(*runs) == MISSING


@pytest.mark.parametrize("spec_hash", [BEFORE, "", "6" * 64])
@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.WARNED, Verdict.INCONCLUSIVE])
def test_h15_a_run_of_another_version_of_the_suite_is_no_run(verdict: Verdict, spec_hash: str) -> None:
    (finding,) = check(a_run(verdict, spec_hash=spec_hash))
    assert (finding.status, finding.reason) == (Status.PENDING, Reason.EVALUATION_MISSING)
    assert "asks something else by now than what was run" in finding.message


def test_h15_a_suite_that_nobody_knows_has_no_runs() -> None:
    (finding,) = check(a_run(), trust=a_trust())
    assert (finding.status, finding.reason) == (Status.PENDING, Reason.EVALUATION_MISSING)
    assert "is not there, or cannot be read" in finding.message
    assert check(a_run(spec_hash=""), trust=a_trust())[0].status is Status.PENDING


def test_a_failed_run_is_not_excused_by_a_suite_that_was_changed_until_that_was_run() -> None:
    assert only(a_run(Verdict.FAILED, spec_hash=BEFORE)) == FAILED
    assert only(a_run(Verdict.FAILED, spec_hash=BEFORE, finished_at=NOW), a_run()) == PASSED
    assert only(a_run(Verdict.FAILED, spec_hash=BEFORE, finished_at=NOW - 2 * DAY), a_run(spec_hash="7" * 64)) == MISSING


def test_the_latest_run_of_this_version_decides_whatever_came_after_it() -> None:
    assert only(a_run(), a_run(Verdict.INCONCLUSIVE, spec_hash=BEFORE, finished_at=NOW)) == PASSED
    assert only(a_run(finished_at=NOW - 31 * DAY), a_run(spec_hash=BEFORE, finished_at=NOW)) == EXPIRED


def test_no_suite_is_never_satisfied() -> None:
    assert only(a_run(), requirement=Evaluation(())) == (Status.FAIL, Reason.EVALUATION_MISSING, False)


def test_a_failed_run_fails_however_old_it_is() -> None:
    assert only(a_run(Verdict.FAILED)) == FAILED
    assert only(a_run(Verdict.FAILED, finished_at=NOW - 900 * DAY, expires_at=NOW - 800 * DAY)) == FAILED


@pytest.mark.parametrize(
    ("age", "expected"), [(30 * DAY, PASSED), (30 * DAY + 1, EXPIRED), (-limits.CLOCK_SKEW_SECONDS, PASSED), (-DAY, EXPIRED)]
)
def test_the_age_counts_from_the_run_and_the_future_counts_as_too_old(
    age: int, expected: tuple[Status, Reason | None, bool]
) -> None:
    assert only(a_run(finished_at=NOW - age)) == expected


@pytest.mark.parametrize(("expires_at", "expected"), [(NOW, PASSED), (NOW - 1, EXPIRED)])
def test_the_suite_may_say_when_it_must_be_repeated(expires_at: int, expected: tuple[Status, Reason | None, bool]) -> None:
    assert only(a_run(expires_at=expires_at)) == expected
    assert only(a_run(expires_at=expires_at), requirement=Evaluation(("canary",))) == expected


def test_without_a_greatest_age_no_age_is_too_old() -> None:
    assert only(a_run(finished_at=NOW - 900 * DAY), requirement=Evaluation(("canary",))) == PASSED


@pytest.mark.parametrize(
    ("inconclusive", "expected"),
    [
        (Inconclusive.DENY, (Status.FAIL, Reason.EVALUATION_INCONCLUSIVE, False)),
        (Inconclusive.WARN, (Status.FAIL, Reason.EVALUATION_INCONCLUSIVE, True)),
        (Inconclusive.ALLOW, PASSED),
    ],
)
def test_the_policy_says_what_a_run_means_that_could_not_decide(
    inconclusive: Inconclusive, expected: tuple[Status, Reason | None, bool]
) -> None:
    requirement = Evaluation(("canary",), 30 * DAY, inconclusive)
    assert only(a_run(Verdict.INCONCLUSIVE), requirement=requirement) == expected
    assert only(a_run(Verdict.INCONCLUSIVE, finished_at=NOW - 31 * DAY), requirement=requirement) == EXPIRED


def test_a_run_with_warnings_passes_with_a_warning() -> None:
    assert only(a_run(Verdict.WARNED)) == (Status.FAIL, Reason.EVALUATION_INCONCLUSIVE, True)


def test_the_latest_run_decides_and_of_two_at_once_the_worse_one() -> None:
    old, new = a_run(Verdict.FAILED, finished_at=NOW - 2 * DAY), a_run(suite_hash="3" * 64)
    assert only(old, new) == PASSED
    assert only(new, a_run(Verdict.FAILED, finished_at=NOW)) == FAILED
    assert only(a_run(), a_run(Verdict.FAILED)) == only(a_run(Verdict.FAILED), a_run()) == FAILED


def test_a_later_external_run_changes_nothing() -> None:
    assert only(a_run(Verdict.FAILED, finished_at=NOW - 2 * DAY), a_run(external=True, finished_at=NOW)) == FAILED


def test_each_suite_is_answered() -> None:
    findings = check(a_run(), requirement=Evaluation(("canary", "red-team")))
    assert [finding.status for finding in findings] == [Status.PASS, Status.PENDING]


ASKED = (
    "For these 36 probes from the trigger families DeploymentTag, without leakage mining, with power 1.00 / 0.04 / 0.00 for a"
    " trigger that fires always / on half / on a quarter of them"
)
FOUND = "DeploymentTag/0 in chat, DeploymentTag/0 in code, DeploymentTag/0 in ticket changed the answers beyond 0.05 and alike"
PLACE = f"ConfigMap modeltrust-jobs/evaluation-{'a1' * 16}"


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_who_is_denied_reads_what_was_found_and_where_the_report_is_in_the_denial_itself(verdict: Verdict) -> None:
    claim = f"{ASKED}, {FOUND}; drift versus the named baseline is 0.0524 nats (information, not a test). Report: {PLACE}."
    (finding,) = check(a_run(verdict, claim=claim))
    where = f"hf+https://hub.acme.example/acme/deploy@{'9f2c41d0'}… at spec.template.spec.containers[0].args[0]"
    judged = Decision(Outcome.DENY, (replace(finding, message=f"{where} {finding.message}"),))

    text = denial(judged, Subject("Deployment", "team-a", "guard"), identifier="7f3a91")

    assert FOUND in text
    assert f'report "{PLACE}"' in text
    assert len(text.encode()) <= limits.DENIAL_BYTES


def test_a_claim_keeps_within_its_bound_and_a_report_that_it_only_quotes_is_cut_like_any_other_text() -> None:
    (long,) = check(a_run(Verdict.FAILED, claim="x" * limits.STATEMENT_TEXT_CHARACTERS))
    (placed,) = check(a_run(Verdict.FAILED, claim=f"it changed. Report: {'y' * 400}"))
    (plain,) = check(a_run(Verdict.FAILED, claim="it changed"))

    assert len(long.message) < limits.EVALUATION_CLAIM_CHARACTERS + 100
    assert len(placed.fix) < limits.QUOTED_CHARACTERS + 100
    assert plain.fix == "do not deploy it; read the report and talk to the publisher"
