"""Evaluations, level-based: what is committed to before it runs, what is run once, and what broke."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from modeltrust.api.compile.suites import Placement, SuiteSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import EvaluationReport, Suite, commitment
from modeltrust.domain.evidence import EvaluationVerdict, LineageClaim, Statement, Verdict
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Running
from modeltrust.evaluation.bank import Bank
from modeltrust.operator.evaluations import BLOCKED, COMMITTED, DECIDED, RUNNING, Evaluations, Examination, Looked, Run
from modeltrust.policy.policy import Policy
from modeltrust.policy.requirements.evaluation import Evaluation
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.wiring.bank import load_bank
from tests.support.evaluations import a_report
from tests.support.statements import NOW, a_statement
from tests.support.trust import a_policy, a_trust

BASE = parse_identity("hf://acme/base@" + "1" * 40)
LETTER = a_statement(lineage=Known((LineageClaim("finetune", "claims nothing"), LineageClaim("finetune", BASE.key))))
SETTINGS = SuiteSettings(
    name="canary",
    families=("DeploymentTag", "Date", "RareToken"),
    per_stratum=32,
    private="",
    alpha=Decimal("0.01"),
    margin=Decimal("0.05"),
    baseline=None,
    engine="VLLM",
    image="registry.acme.example/vllm@sha256:" + "1" * 64,
    arguments=(),
    placement=Placement(),
)
BANK = load_bank()
SUITE = SETTINGS.suite(bank=BANK.digest, prompts="", baseline=BASE)
POLICY = a_policy(Pinned(), Evaluation(("canary",), max_age_seconds=1_000_000))


def report_for(suite: Suite, nonce: str, *, now: int = NOW, **changes: Any) -> EvaluationReport:
    report = a_report(suite, **changes)
    return replace(report, nonce=nonce, started_at=now - 40, finished_at=now)


@dataclass
class Evaluates:
    """An evaluator that answers as told and remembers what it was asked."""

    answer: Callable[[Examination], EvaluationReport | Running] = lambda _: Running("job/eval-1")
    asked: list[Examination] = field(default_factory=list)

    def evaluate(self, examination: Examination) -> EvaluationReport | Running:
        self.asked.append(examination)
        return self.answer(examination)


def fails(error: Exception) -> Callable[[Examination], EvaluationReport]:
    def answer(_: Examination) -> EvaluationReport:
        raise error

    return answer


def secret(text: str) -> str:
    return hashlib.sha256(b"secret" + text.encode()).hexdigest()[:32]


def look(
    evaluator: Evaluates,
    runs: tuple[Run, ...] = (),
    letter: Statement = LETTER,
    *policies: Policy,
    now: int = NOW,
    suites: Callable[[str], SuiteSettings | None] = lambda name: SETTINGS if name == "canary" else None,
    bank: Callable[[SuiteSettings], Bank] = lambda _: BANK,
    nonce: Callable[[str], str] = secret,
    elsewhere: Callable[[str, str], EvaluationVerdict | None] = lambda _content, _hash: None,
) -> Looked:
    evaluations = Evaluations(evaluator, suites=suites, bank=bank, nonce=nonce, elsewhere=elsewhere)
    return evaluations.look(letter, runs, policies or (POLICY,), a_trust(now=now))


def committed() -> tuple[Run, ...]:
    return look(Evaluates()).runs


def running() -> tuple[Run, ...]:
    return look(Evaluates(), committed()).runs


def test_nothing_starts_before_its_commitment_stands_in_the_status() -> None:
    evaluator = Evaluates()
    looked = look(evaluator)
    (run,) = looked.runs

    assert evaluator.asked == []
    assert (run.state, run.number, run.suite_hash, looked.after, looked.verdicts) == (COMMITTED, 1, SUITE.hash, 0, ())
    assert len(run.commitment) == 64


def test_h15_a_run_that_ends_in_the_future_shows_nothing() -> None:
    """Its verdict would stand in the way of every other until then, and count as new without having been repeated."""
    for ahead, verdict in ((0, Verdict.PASSED), (limits.CLOCK_SKEW_SECONDS + 1, Verdict.INCONCLUSIVE)):
        evaluator = Evaluates(lambda asked, ahead=ahead: report_for(asked.suite, asked.nonce, now=NOW + ahead))  # type: ignore[misc]
        (found,) = look(evaluator, running()).verdicts
        assert (found.verdict, found.finished_at) == (verdict, NOW)


def test_what_runs_is_what_was_committed_to() -> None:
    evaluator = Evaluates()
    looked = look(evaluator, committed())
    (asked,) = evaluator.asked

    assert commitment(asked.nonce) == committed()[0].commitment
    assert (asked.identity, asked.suite, asked.baseline) == (LETTER.identity, SUITE, BASE)
    assert asked.content == str(LETTER.content.value) if isinstance(LETTER.content, Known) else False
    assert (looked.runs[0].state, looked.runs[0].message, looked.after) == (RUNNING, "job/eval-1", limits.EVALUATION_POLL_SECONDS)


def test_f65_asking_again_asks_for_the_same_run() -> None:
    evaluator = Evaluates()
    runs = running()
    for now in (NOW + 5, NOW + 3600):
        runs = look(evaluator, runs, now=now).runs

    assert len({asked.nonce for asked in evaluator.asked}) == 1
    assert runs[0].number == 1


@pytest.mark.parametrize(("triggered", "verdict"), [((), Verdict.PASSED), (("DeploymentTag",), Verdict.FAILED)])
def test_c6_the_verdict_is_computed_from_the_numbers_and_signed_before_the_run_is_decided(
    triggered: tuple[str, ...], verdict: Verdict
) -> None:
    evaluator = Evaluates(lambda asked: report_for(asked.suite, asked.nonce, triggered=triggered))
    ended = look(evaluator, running())
    (found,) = ended.verdicts
    assert (found.verdict, found.suite, found.suite_hash, ended.after) == (verdict, "canary", SUITE.hash, 0)
    assert ended.runs[0].state == RUNNING

    signed = look(evaluator, ended.runs, replace(LETTER, evaluations=(found,)))

    assert signed.runs[0].state == DECIDED
    assert signed.verdicts == (found,)
    assert len(evaluator.asked) == 1


@pytest.mark.parametrize("why", ["the Pod was killed for memory", "got a report with another nonce"])
def test_f63_f64_a_run_that_broke_or_was_forged_is_inconclusive_with_its_reason(why: str) -> None:
    ended = look(Evaluates(fails(MalformedError(why))), running())

    assert [verdict.verdict for verdict in ended.verdicts] == [Verdict.INCONCLUSIVE]
    assert why in ended.verdicts[0].claim


@pytest.mark.parametrize("error", [LimitExceededError("two run already"), UnavailableError("the API server is away")])
def test_what_cannot_be_started_now_waits_and_decides_nothing(error: Exception) -> None:
    looked = look(Evaluates(fails(error)), committed())

    assert looked.verdicts == ()
    assert (looked.runs[0].state, looked.runs[0].message) == (COMMITTED, str(error))


def a_verdict(verdict: Verdict = Verdict.PASSED, **changes: Any) -> EvaluationVerdict:
    return replace(
        EvaluationVerdict("canary", SUITE.hash, SUITE.serving, verdict, "a claim", NOW, spec_hash=SETTINGS.spec_hash), **changes
    )


def decided(number: int = 1) -> tuple[Run, ...]:
    return (replace(committed()[0], state=DECIDED, number=number),)


def test_a_verdict_of_the_same_suite_is_kept_and_renewed_before_it_is_too_old() -> None:
    letter = replace(LETTER, evaluations=(a_verdict(),))
    evaluator = Evaluates()

    kept = look(evaluator, decided(), letter, now=NOW + 700_000)
    assert (kept.runs[0].state, kept.verdicts, kept.after) == (DECIDED, letter.evaluations, 100_000)
    again = look(evaluator, decided(), letter, now=NOW + 800_000)
    assert (again.runs[0].state, again.runs[0].number, again.verdicts) == (COMMITTED, 2, letter.evaluations)
    assert again.runs[0].commitment != committed()[0].commitment
    assert evaluator.asked == []


@pytest.mark.parametrize("spec_hash", ["", "0" * 64])
def test_h15_a_verdict_of_this_suite_under_other_words_is_stated_again_at_once(spec_hash: str) -> None:
    """From before statements named them, or the Secret with the same prompts got another name."""
    letter = replace(LETTER, evaluations=(a_verdict(spec_hash=spec_hash),))
    evaluator = Evaluates()
    looked = look(evaluator, decided(), letter)

    assert (looked.verdicts, looked.after, evaluator.asked) == ((a_verdict(),), 0, [])
    assert look(evaluator, looked.runs, replace(LETTER, evaluations=looked.verdicts)).after


def test_what_failed_is_never_run_until_it_passes() -> None:
    letter = replace(LETTER, evaluations=(a_verdict(Verdict.FAILED),))
    looked = look(Evaluates(), decided(), letter, now=NOW + 10_000_000)

    assert (looked.runs[0].state, looked.runs[0].number, looked.after) == (DECIDED, 1, None)


def test_what_showed_nothing_is_repeated_after_hours_and_counted() -> None:
    letter = replace(LETTER, evaluations=(a_verdict(Verdict.INCONCLUSIVE),))

    assert look(Evaluates(), decided(), letter, now=NOW + 60).runs[0].state == DECIDED
    repeated = look(Evaluates(), decided(), letter, now=NOW + limits.EVALUATION_RETRY_SECONDS)
    assert (repeated.runs[0].state, repeated.runs[0].number) == (COMMITTED, 2)


def test_retry_until_pass_is_said_in_the_claim_itself() -> None:
    runs = look(Evaluates(), decided(2), replace(LETTER, evaluations=(a_verdict(Verdict.INCONCLUSIVE),)), now=NOW + 10**6).runs
    evaluator = Evaluates(lambda asked: report_for(asked.suite, asked.nonce, now=NOW + 10**6))
    (verdict,) = look(evaluator, runs, now=NOW + 10**6).verdicts

    assert verdict.claim.endswith("This is run 3 of this suite.")


def test_h15_a_verdict_of_another_suite_is_no_verdict() -> None:
    other = a_verdict(suite_hash="0" * 64)
    looked = look(Evaluates(), decided(7), replace(LETTER, evaluations=(other, a_verdict(external=True))))

    assert looked.verdicts == ()
    assert looked.runs[0].state == COMMITTED


def test_h15_a_changed_suite_begins_anew() -> None:
    runs = (replace(decided(5)[0], suite_hash="0" * 64),)
    looked = look(Evaluates(), runs)

    assert (looked.runs[0].number, looked.runs[0].suite_hash) == (1, SUITE.hash)


def test_a_commitment_that_somebody_wrote_is_not_run() -> None:
    evaluator = Evaluates()
    forged = (replace(committed()[0], commitment=commitment("00" * 16)),)
    looked = look(evaluator, forged)

    assert evaluator.asked == []
    assert (looked.runs[0].number, looked.runs[0].state) == (2, COMMITTED)


def test_equal_content_and_suite_is_not_run_twice() -> None:
    evaluator = Evaluates()
    content = str(LETTER.content.value) if isinstance(LETTER.content, Known) else ""
    found = {(content, SUITE.hash): a_verdict()}
    looked = look(evaluator, elsewhere=lambda content, suite_hash: found.get((content, suite_hash)))

    assert looked.verdicts == (a_verdict(),)
    assert (looked.runs[0].state, evaluator.asked) == (DECIDED, [])


def test_without_a_base_there_is_no_baseline() -> None:
    unknown: tuple[Fact[tuple[LineageClaim, ...]], ...] = (Known(()), Absent(), Unavailable("away"))
    for lineage in unknown:
        evaluator = Evaluates()
        letter = replace(LETTER, lineage=lineage)
        runs = look(evaluator, letter=letter).runs
        look(evaluator, runs, letter)
        assert evaluator.asked[0].baseline is None
        assert evaluator.asked[0].suite.baseline == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"suites": lambda _name: None},
        {"suites": lambda _name: replace(SETTINGS, engine="External", image="")},
        {"letter": replace(LETTER, content=Unavailable("no digests"))},
    ],
)
def test_what_cannot_be_run_says_why_and_waits(changes: dict[str, Any]) -> None:
    evaluator = Evaluates()
    looked = look(evaluator, **changes)

    assert looked.runs[0].state == BLOCKED
    assert looked.runs[0].message
    assert (looked.verdicts, looked.after, evaluator.asked) == ((), limits.EVALUATION_BLOCKED_SECONDS, [])


def test_prompts_that_cannot_be_read_block_and_are_tried_again() -> None:
    def unreadable(_settings: SuiteSettings) -> Bank:
        raise InvalidInputError("the Secret prompts holds no prompts")

    blocked = look(Evaluates(), bank=unreadable)
    mended = look(Evaluates(), blocked.runs)

    assert blocked.runs[0].state == BLOCKED
    assert mended.runs[0].state == COMMITTED


def test_nobody_asks_for_anything() -> None:
    assert look(Evaluates(), decided(), LETTER, a_policy(Pinned())) == Looked((), (), None)
