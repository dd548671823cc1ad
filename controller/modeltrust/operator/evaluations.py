"""Evaluations of one model: which are due, what is committed to before they run, and what their numbers mean.

Level-based: the runs so far stand in the ModelAttestation's status and come in again with every look. A run goes
Committed -> Running -> Decided, the last only once the statement says how it ended. The commitment is written before anything
starts, so that nobody can choose a nonce whose result pleases; a nonce that follows from the run makes the same run the same Job
after a restart (F65), and the number of runs is visible to all. The verdict is computed here from the runner's numbers, never
taken from a runner (attack C6). What broke is Inconclusive: no pass, no fail.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, LimitExceededError, MalformedError, ModelTrustError, UnavailableError
from modeltrust.domain.evaluation import REPORT, EvaluationReport, Judgement, Suite, commitment
from modeltrust.domain.evidence import EvaluationVerdict, Statement, Verdict
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.work import Running
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.judge import judge
from modeltrust.policy.due import Due, suites_due
from modeltrust.policy.policy import Policy, Trust
from modeltrust.policy.wording import moment

COMMITTED, RUNNING, DECIDED, BLOCKED = "Committed", "Running", "Decided", "Blocked"
_RENEW_SHARE = 0.8  # of the age that a policy accepts: the next run ends before this one is too old


@dataclass(frozen=True, slots=True)
class Run:
    """One suite for one model, as it stands in the status.

    Attributes:
        suite: name.
        suite_hash: 64 hex; another one is another suite, whose runs are counted anew.
        number: of runs begun.
        commitment: 64 hex, sha256 of the nonce.
        state: Committed, Running, Decided or Blocked.
        message: what is waited for, or in the way.
        at: unix seconds of the last change of state.
    """

    suite: str
    suite_hash: str
    number: int
    commitment: str
    state: str
    message: str
    at: int


@dataclass(frozen=True, slots=True)
class Examination:
    """One run, as it is ordered.

    Attributes:
        identity: the candidate.
        content: its content digest, ``sha256:…``.
        settings: how it is served and where.
        suite: what is asked.
        baseline: compared with; None where there is none.
        nonce: 32 hex.
        bank: with the operator's prompts, where the suite has any.
    """

    identity: Identity
    content: str
    settings: SuiteSettings
    suite: Suite
    baseline: Identity | None
    nonce: str
    bank: Bank


class Evaluator(Protocol):
    """Who runs: Jobs in the cluster."""

    def evaluate(self, examination: Examination) -> EvaluationReport | Running:
        """The report, checked to belong to the examination; asking again starts nothing twice.

        Raises:
            MalformedError: the run ended without a report of ours: crashed, forged, too large.
            LimitExceededError: as many run already as may.
            UnavailableError: it cannot be said now; ask again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one look.

    Attributes:
        verdicts: of every suite that is due, the latest; what is to stand in the statement.
        runs: for the status.
        after: seconds until the next look; None: when something changes.
    """

    verdicts: tuple[EvaluationVerdict, ...]
    runs: tuple[Run, ...]
    after: int | None


class Evaluations:
    """Runs what policies ask for."""

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        suites: Callable[[str], SuiteSettings | None],
        bank: Callable[[SuiteSettings], Bank],
        nonce: Callable[[str], str],
        elsewhere: Callable[[str, str], EvaluationVerdict | None] = lambda _content, _suite_hash: None,
        publish: Callable[[EvaluationReport, Judgement, Suite], str] = lambda _report, _judgement, _suite: "",
    ) -> None:
        """Join the parts.

        Args:
            evaluator: runs.
            suites: a compiled EvaluationSuite by name; None where there is no usable one.
            bank: of a suite, with the operator's prompts; raises ModelTrustError where their Secret cannot be used.
            nonce: 32 hex that follow from a text and that nobody else can guess.
            elsewhere: a verdict of the same suite about the same content under another name, which is then not run again.
            publish: keeps a report for people; returns where it can be read, empty where it could not be kept.
        """
        self._publish = publish
        self._evaluator = evaluator
        self._suites = suites
        self._bank = bank
        self._nonce = nonce
        self._elsewhere = elsewhere
        self._stated: dict[str, tuple[EvaluationVerdict, ...]] = {}  # from a look until it is signed; found again after a restart

    def of(self, identity: Identity) -> tuple[EvaluationVerdict, ...] | None:
        """What is to be stated about a model; None where nobody has looked yet: what was stated stays."""
        return self._stated.get(identity.key)

    def look(self, letter: Statement, runs: Iterable[Run], policies: Iterable[Policy], trust: Trust) -> Looked:
        """Look at one model.

        Args:
            letter: its current statement.
            runs: as the status has them.
            policies: all of them.
            trust: as of now.
        """
        before = {run.suite: run for run in runs}
        found = [self._suite(due, letter, before.get(due.suite), trust.now) for due in suites_due(letter, policies, trust)]
        afters = [after for _, _, after in found if after is not None]
        verdicts = tuple(verdict for verdict, _, _ in found if verdict is not None)[: limits.EVALUATIONS_PER_STATEMENT]
        self._stated[letter.identity.key] = verdicts
        return Looked(verdicts, tuple(run for _, run, _ in found)[: limits.API_REPORTED], min(afters, default=None))

    def _suite(self, due: Due, letter: Statement, run: Run | None, now: int) -> tuple[EvaluationVerdict | None, Run, int | None]:
        try:
            ordered = self._examination(due, letter)
        except ModelTrustError as error:
            # what was decided stands, whatever is in the way of deciding it again (promises.md 2)
            return _stated(letter, run), _blocked(due.suite, run, str(error), now), limits.EVALUATION_BLOCKED_SECONDS
        verdict = _latest(letter.evaluations, ordered)
        if run is None or run.suite_hash != ordered.suite.hash or (run.state == BLOCKED and not run.commitment):
            run = Run(due.suite, ordered.suite.hash, 0, "", DECIDED, "", now)
        if run.state == RUNNING and verdict is not None and verdict.finished_at + limits.CLOCK_SKEW_SECONDS >= run.at:
            run = _moved(run, DECIDED, verdict.verdict.value, now)  # the statement says it
        if run.state in (COMMITTED, RUNNING):
            return self._poll(ordered, run, verdict, now)
        if verdict is None:
            shared = self._elsewhere(ordered.content, ordered.suite.hash)
            if shared is not None and not _again(shared, due, now):
                return shared, replace(run, state=DECIDED, message="decided for the same content under another name"), None
        again = 0 if verdict is None else _again_in(verdict, due, now)
        if again is None or again > 0:
            return verdict, run, again if verdict is None or verdict in letter.evaluations else 0
        return verdict, self._commit(ordered, run, now), 0

    def _commit(self, ordered: Examination, run: Run, now: int) -> Run:
        number = run.number + 1
        nonce = self._nonce_of(ordered, number)
        return replace(run, number=number, commitment=commitment(nonce), state=COMMITTED, message="", at=now)

    def _poll(
        self, ordered: Examination, run: Run, verdict: EvaluationVerdict | None, now: int
    ) -> tuple[EvaluationVerdict | None, Run, int | None]:
        """Ask the evaluator; what was committed to in the status is what is run, or nothing is."""
        nonce = self._nonce_of(ordered, run.number)
        if commitment(nonce) != run.commitment:
            return verdict, self._commit(ordered, run, now), 0  # the secret changed, or somebody wrote into the status
        try:
            answer = self._evaluator.evaluate(replace(ordered, nonce=nonce))
            if isinstance(answer, EvaluationReport):
                _check_time(answer, now)
        except (LimitExceededError, UnavailableError) as error:
            return verdict, _moved(run, run.state, str(error), now), limits.EVALUATION_POLL_SECONDS
        except MalformedError as error:
            return _broken(ordered, str(error), now), _moved(run, RUNNING, "ended; its verdict is being signed", now), 0
        if isinstance(answer, Running):
            return verdict, _moved(run, RUNNING, answer.where, now), limits.EVALUATION_POLL_SECONDS
        return self._verdict(ordered, run, answer), _moved(run, RUNNING, "ended; its verdict is being signed", now), 0

    def _verdict(self, ordered: Examination, run: Run, report: EvaluationReport) -> EvaluationVerdict:
        judgement = judge(report, ordered.suite)
        place = self._publish(report, judgement, ordered.suite)
        more = f" This is run {run.number} of this suite." if run.number > 1 else ""
        more += f"{REPORT}ConfigMap {place}." if place else ""
        claim = judgement.claim[: limits.STATEMENT_TEXT_CHARACTERS - len(more)]
        return EvaluationVerdict(
            suite=ordered.suite.name,
            suite_hash=ordered.suite.hash,
            serving_hash=ordered.suite.serving,
            verdict=judgement.verdict,
            claim=f"{claim}{more}",
            finished_at=report.finished_at,
            spec_hash=ordered.settings.spec_hash,
        )

    def _examination(self, due: Due, letter: Statement) -> Examination:
        settings = self._suites(due.suite)
        if settings is None:
            raise UnavailableError(f"there is no usable EvaluationSuite named {due.suite}")
        if settings.external:
            raise UnavailableError("the suite is served outside our control; it is run by hand and satisfies no enforcing policy")
        if not isinstance(letter.content, Known):
            raise UnavailableError("the content of the model is not known, so nothing that is served can be compared with it")
        baseline = settings.baseline if settings.baseline is not None else base_of(letter)
        bank = self._bank(settings)
        suite = settings.suite(bank=bank.digest, prompts=bank.private_digest, baseline=baseline)
        return Examination(letter.identity, str(letter.content.value), settings, suite, baseline, "", bank)

    def _nonce_of(self, ordered: Examination, number: int) -> str:
        return self._nonce(f"evaluation\n{ordered.identity.key}\n{ordered.content}\n{ordered.suite.hash}\n{number}")


def _check_time(report: EvaluationReport, now: int) -> None:
    """A run that says that it ends in a year would be the latest until then, and as good as new then, without being repeated.

    Raises:
        MalformedError: it ends in the future.
    """
    if report.finished_at > now + limits.CLOCK_SKEW_SECONDS:
        raise MalformedError("got a report of a run that ends in the future")


def runs_of(status: Mapping[str, Any]) -> tuple[Run, ...]:
    """The runs that a status tells of; what cannot be read is begun anew."""
    found = []
    for entry in status.get("evaluationRuns") or ():
        try:
            texts = (
                entry["suite"],
                entry.get("suiteHash", ""),
                entry.get("commitment", ""),
                entry["state"],
                entry.get("message", ""),
            )
            number, at = entry["number"], int(datetime.fromisoformat(entry["time"]).timestamp())
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        if all(isinstance(text, str) for text in texts) and isinstance(number, int):
            suite, suite_hash, committed, state, message = texts
            found.append(Run(suite, suite_hash, number, committed, state, message, at))
    return tuple(found)


def described(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """The runs as a status tells of them."""
    return [
        {
            "suite": run.suite,
            "suiteHash": run.suite_hash,
            "number": run.number,
            "commitment": run.commitment,
            "state": run.state,
            "message": run.message,
            "time": moment(run.at),
        }
        for run in runs
    ]


def _broken(ordered: Examination, why: str, now: int) -> EvaluationVerdict:
    """A broken run is no pass and no fail."""
    return EvaluationVerdict(
        suite=ordered.suite.name,
        suite_hash=ordered.suite.hash,
        serving_hash=ordered.suite.serving,
        verdict=Verdict.INCONCLUSIVE,
        claim=f"Nothing was shown: {why}"[: limits.STATEMENT_TEXT_CHARACTERS],
        finished_at=now,
        spec_hash=ordered.settings.spec_hash,
    )


def _latest(verdicts: Iterable[EvaluationVerdict], ordered: Examination) -> EvaluationVerdict | None:
    """Of the same suite; where only the words for it changed, such as the name of a Secret, the verdict is stated again."""
    suite = ordered.suite
    ours = [v for v in verdicts if (v.suite, v.suite_hash) == (suite.name, suite.hash) and not v.external]
    found = max(ours, key=lambda verdict: verdict.finished_at, default=None)
    return None if found is None else replace(found, spec_hash=ordered.settings.spec_hash)


def _stated(letter: Statement, run: Run | None) -> EvaluationVerdict | None:
    if run is None:
        return None
    ours = [v for v in letter.evaluations if (v.suite, v.suite_hash) == (run.suite, run.suite_hash) and not v.external]
    return max(ours, key=lambda verdict: verdict.finished_at, default=None)


def _again(verdict: EvaluationVerdict, due: Due, now: int) -> bool:
    after = _again_in(verdict, due, now)
    return after is not None and after <= 0


def _again_in(verdict: EvaluationVerdict, due: Due, now: int) -> int | None:
    """Seconds until it is to be run again; None: never by itself. What failed is never run again until it passes."""
    if verdict.verdict is Verdict.FAILED:
        return None
    ends = []
    if verdict.verdict is Verdict.INCONCLUSIVE:
        ends.append(verdict.finished_at + limits.EVALUATION_RETRY_SECONDS)
    if due.max_age_seconds is not None:
        ends.append(verdict.finished_at + int(due.max_age_seconds * _RENEW_SHARE))
    if verdict.expires_at is not None:
        ends.append(verdict.expires_at)
    return max(0, min(ends) - now) if ends else None


def base_of(letter: Statement) -> Identity | None:
    """The baseline where a suite says Lineage: the first pinned base that the model names.

    A claim; the claim sentence says which one it was compared with.
    """
    if not isinstance(letter.lineage, Known):
        return None
    for claim in letter.lineage.value:
        try:
            return parse_identity(claim.base)
        except InvalidReferenceError:
            continue
    return None


def _blocked(suite: str, run: Run | None, why: str, now: int) -> Run:
    message = why[: limits.API_TEXT_CHARACTERS]
    if run is None:
        return Run(suite, "", 0, "", BLOCKED, message, now)
    return _moved(run, BLOCKED if run.state in (DECIDED, BLOCKED) else run.state, message, now)


def _moved(run: Run, state: str, message: str, now: int) -> Run:
    message = message[: limits.API_TEXT_CHARACTERS]
    if (run.state, run.message) == (state, message):
        return run
    return replace(run, state=state, message=message, at=now if run.state != state else run.at)
