"""Evaluation: named suites have been run against the model, recently, and did not fail.

The latest run of each suite, as it is written now, decides; its age counts from the run. A run of another version of the suite, or
against a server outside our control, never satisfies (H15). A failed run never ages into anything better, nor does a suite that was
changed excuse it before it was run. `inconclusive` says what a run that could not decide means.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.evaluation import REPORT
from modeltrust.domain.evidence import EvaluationVerdict, Verdict
from modeltrust.domain.reasons import Reason
from modeltrust.policy.policy import Attested, Trust
from modeltrust.policy.wording import moment

SuiteName: TypeAlias = str  # metadata.name of an EvaluationSuite


class Inconclusive(StrEnum):
    """What a run means that could not decide."""

    DENY = "Deny"
    WARN = "Warn"
    ALLOW = "Allow"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Suites that must have been run, and not have failed.

    Attributes:
        suites: names; empty is never satisfied.
        max_age_seconds: oldest run that counts; None sets no age, and the suite's own expiry still holds.
        inconclusive: see Inconclusive.
    """

    suites: tuple[SuiteName, ...]
    max_age_seconds: int | None = None
    inconclusive: Inconclusive = Inconclusive.DENY
    name: ClassVar[str] = "evaluation"

    def check(self, subject: Attested, trust: Trust) -> tuple[Finding, ...]:
        """One finding for each suite."""
        if not self.suites:
            return (_finding(Status.FAIL, Reason.EVALUATION_MISSING, "the policy names no suite"),)
        return tuple(self._suite(suite, subject.statement.evaluations, trust) for suite in self.suites)

    def _suite(self, suite: SuiteName, verdicts: tuple[EvaluationVerdict, ...], trust: Trust) -> Finding:
        runs, now = [verdict for verdict in verdicts if verdict.suite == suite], trust.now
        ours = [run for run in runs if not run.external]
        spec = trust.suites.get(suite)
        same = [run for run in ours if spec is not None and run.spec_hash == spec]
        # Of two runs that ended in the same second the worse one counts.
        latest = max(same or ours, key=lambda run: (run.finished_at, _SEVERITY[run.verdict]), default=None)
        if latest is None or (not same and latest.verdict is not Verdict.FAILED):
            message = f"waits for the suite {quote(suite)}, {_why(spec, runs, ours)}"
            return _finding(Status.PENDING, Reason.EVALUATION_MISSING, message)
        if latest.verdict is Verdict.FAILED:
            return _judged(latest, Reason.EVALUATION_FAILED, f"failed the suite {quote(suite)}: ")
        expired = self._expired(latest, now)
        if expired:
            return _finding(Status.FAIL, Reason.EVALUATION_EXPIRED, f"the run of the suite {quote(suite)} {expired}")
        return self._recent(suite, latest)

    def _expired(self, run: EvaluationVerdict, now: int) -> str:
        """Why a run is too old, or cannot be dated; empty when it is recent."""
        ended = f"ended at {moment(run.finished_at)}"
        if run.finished_at > now + limits.CLOCK_SKEW_SECONDS:
            return f"{ended}, which has not come yet"
        if self.max_age_seconds is not None and now - run.finished_at > self.max_age_seconds:
            return f"{ended}, expected at most {self.max_age_seconds} s ago"
        if run.expires_at is not None and now > run.expires_at:
            return f"{ended} and counted until {moment(run.expires_at)}"
        return ""

    def _recent(self, suite: SuiteName, run: EvaluationVerdict) -> Finding:
        if run.verdict is Verdict.PASSED:
            return _finding(Status.PASS, None, f"passed the suite {quote(suite)}")
        if run.verdict is Verdict.WARNED:
            said = f"passed the suite {quote(suite)} with a warning: "
            return _judged(run, Reason.EVALUATION_INCONCLUSIVE, said, advisory=True)
        said = f"the suite {quote(suite)} could not decide: "
        if self.inconclusive == Inconclusive.ALLOW:
            return _finding(Status.PASS, None, f"{said}{quote(run.claim, limits.EVALUATION_CLAIM_CHARACTERS)}")
        return _judged(run, Reason.EVALUATION_INCONCLUSIVE, said, advisory=self.inconclusive == Inconclusive.WARN)


def _why(spec: str | None, runs: list[EvaluationVerdict], ours: list[EvaluationVerdict]) -> str:
    if ours:
        return "which asks something else by now than what was run" if spec is not None else "which is not there, or cannot be read"
    return "which was run against an external server only, and that never counts" if runs else "which has not been run yet"


def _judged(run: EvaluationVerdict, reason: Reason, said: str, *, advisory: bool = False) -> Finding:
    """What was found in the message, and in the fix where the report is: a claim that is cut for a denial would lose its end."""
    claim, marked, place = run.claim.rpartition(REPORT)
    message = f"{said}{quote(claim if marked else run.claim, limits.EVALUATION_CLAIM_CHARACTERS)}"
    fix = _FIXES[reason]
    if marked:
        fix = fix.replace("report", f"report {quote(place.removesuffix('.'))}", 1)
    return Finding("evaluation", Status.FAIL, reason, message, fix, advisory=advisory)


def _finding(status: Status, reason: Reason | None, message: str, *, advisory: bool = False) -> Finding:
    fix = "" if reason is None else _FIXES.get(reason, "")
    return Finding("evaluation", status, reason, message, fix, advisory=advisory)


_SEVERITY = {verdict: rank for rank, verdict in enumerate((Verdict.PASSED, Verdict.WARNED, Verdict.INCONCLUSIVE, Verdict.FAILED))}
_FIXES = {
    Reason.EVALUATION_FAILED: "do not deploy it; read the report and talk to the publisher",
    Reason.EVALUATION_EXPIRED: "run the suite again",
    Reason.EVALUATION_INCONCLUSIVE: "run the suite again with the settings that its report proposes",
}
