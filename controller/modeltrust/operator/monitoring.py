"""Monitoring of live servers: when each is asked, what is committed to before, and what its numbers mean.

Level-based, as evaluations: the state of each watch stands in the suite's status and comes in again with every look. A round goes
Waiting -> Committed -> Running -> Waiting. Streams move here, by numbers that were checked, never in a runner (attack C6). A round
that breaks off moves nothing and revokes nothing. An alarm is proposed, or, where the suite says DenyNew, becomes a ModelRevocation
with action DenyNew: never Quarantine, which would make load into an outage (design/api.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.domain import limits
from modeltrust.domain.cron import parse_schedule
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import Served, Suite, commitment
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.reference import Identity
from modeltrust.domain.work import Running
from modeltrust.evaluation import monitor
from modeltrust.evaluation.monitor import Level, Watch

WAITING, COMMITTED, RUNNING = "Waiting", "Committed", "Running"
_JITTER_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Watched:
    """One live server that a suite watches.

    Attributes:
        identity: of the model that should be served there.
        content: its content digest, ``sha256:…``.
        suite: whose families and prompts are asked.
        served: where it answers.
        fingerprint: 64 hex, digest of the answers recorded from attested bytes.
        triggers: names, in the fingerprint's order.
    """

    identity: Identity
    content: str
    suite: Suite
    served: Served
    fingerprint: str
    triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Monitored:
    """The state of one watch, as it stands in the suite's status.

    Attributes:
        model: key of the identity.
        suite_hash: 64 hex; another one begins another watch.
        watch: the streams.
        number: of rounds begun.
        commitment: 64 hex, sha256 of the nonce of the round under way.
        state: Waiting, Committed or Running.
        due: unix seconds of the next round.
        message: what is waited for, or what broke.
    """

    model: str
    suite_hash: str
    watch: Watch
    number: int
    commitment: str
    state: str
    due: int
    message: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """What became of one look.

    Attributes:
        monitored: for the status; None where the schedule cannot be read.
        after: seconds until the next look; None: when something changes.
    """

    monitored: Monitored | None
    after: int | None


class Probes(Protocol):
    """Who asks: Jobs in the cluster."""

    def probe(self, order: MonitorOrder) -> MonitorReport | Running:
        """The round's report; asking again starts nothing twice.

        Raises:
            MalformedError: the round ended without a report of ours.
            LimitExceededError: as many run already as may.
            UnavailableError: it cannot be said now; ask again.
        """
        ...


class Tells(Protocol):
    """Who hears of it; ``alarms.Alarms`` is the real one. Called before the state is written, so each may come twice."""

    def measured(self, watched: Watched, watch: Watch, report: MonitorReport) -> None:
        """A round ended with numbers."""
        ...

    def degraded(self, watched: Watched, watch: Watch) -> None:
        """The evidence reached 20."""
        ...

    def alarmed(self, watched: Watched, watch: Watch, *, deny: bool) -> None:
        """The evidence reached 1,000."""
        ...


class Monitoring:
    """Asks live servers as their suites say."""

    def __init__(self, probes: Probes, *, nonce: Callable[[str], str], tells: Tells) -> None:
        """Join the parts.

        Args:
            probes: asks.
            nonce: 32 hex that follow from a text and that nobody else can guess.
            tells: hears of it.
        """
        self._probes = probes
        self._nonce = nonce
        self._tells = tells

    def look(self, settings: SuiteSettings, watched: Watched, before: Monitored | None, now: int) -> Looked:
        """Look at one server.

        Args:
            settings: of the suite; one without schedule watches nothing.
            watched: the server.
            before: as the status has it.
            now: unix seconds.
        """
        if not settings.schedule:
            return Looked(None, None)
        try:
            due = parse_schedule(settings.schedule).next_after(now)
        except InvalidInputError:
            return Looked(None, None)  # the suite itself says that it is not understood
        if due is None:
            return Looked(None, None)
        state = self._state(watched, before, self._jittered(watched, due))
        if state.state == WAITING:
            if now < state.due:
                return Looked(state, state.due - now)
            return Looked(self._commit(watched, replace(state, due=self._jittered(watched, due))), 0)
        return self._poll(settings, watched, state)

    def _state(self, watched: Watched, before: Monitored | None, due: int) -> Monitored:
        same = before is not None and (before.model, before.suite_hash) == (watched.identity.key, watched.suite.hash)
        if before is not None and same and before.watch.fingerprint == watched.fingerprint and _names(before) == watched.triggers:
            return before
        watch = monitor.begin(watched.fingerprint, watched.triggers)
        return Monitored(watched.identity.key, watched.suite.hash, watch, 0, "", WAITING, due)

    def _commit(self, watched: Watched, state: Monitored) -> Monitored:
        number = state.number + 1
        return replace(state, number=number, commitment=commitment(self._nonce_of(watched, number)), state=COMMITTED, message="")

    def _poll(self, settings: SuiteSettings, watched: Watched, state: Monitored) -> Looked:
        nonce = self._nonce_of(watched, state.number)
        if commitment(nonce) != state.commitment:
            return Looked(self._commit(watched, state), 0)  # the secret changed, or somebody wrote into the status
        order = MonitorOrder(
            identity=watched.identity,
            content=watched.content,
            nonce=nonce,
            suite=watched.suite,
            served=watched.served,
            fingerprint=watched.fingerprint,
            deadline_seconds=limits.MONITOR_SECONDS,
        )
        try:
            answer = self._probes.probe(order)
            if isinstance(answer, Running):
                return Looked(replace(state, state=RUNNING, message=_said(answer.where)), limits.EVALUATION_POLL_SECONDS)
            monitor.check(answer, order, watched.triggers)
        except (LimitExceededError, UnavailableError) as error:
            return Looked(replace(state, message=_said(str(error))), limits.EVALUATION_POLL_SECONDS)
        except MalformedError as error:
            return Looked(replace(state, state=WAITING, message=_said(f"the last round showed nothing: {error}")), 1)
        return Looked(self._ended(settings, watched, state, answer), 1)

    def _ended(self, settings: SuiteSettings, watched: Watched, state: Monitored, report: MonitorReport) -> Monitored:
        if report.problem:
            return replace(state, state=WAITING, message=_said(f"the last round showed nothing: {report.problem}"))
        watch = monitor.moved(state.watch, report)
        self._tells.measured(watched, watch, report)
        if watch.level is Level.ALARM and state.watch.level is not Level.ALARM:
            self._tells.alarmed(watched, watch, deny=settings.deny_on_alarm)
        elif watch.level is Level.DEGRADED and state.watch.level is Level.QUIET:
            self._tells.degraded(watched, watch)
        return replace(state, watch=watch, state=WAITING, message="")

    def _nonce_of(self, watched: Watched, number: int) -> str:
        return self._nonce(
            f"monitor\n{watched.identity.key}\n{watched.served.url}\n{watched.suite.hash}\n{watched.fingerprint}\n{number}"
        )

    def _jittered(self, watched: Watched, due: int) -> int:
        """A server that knew the second would know which requests are probes."""
        drawn = int(self._nonce(f"jitter\n{watched.identity.key}\n{watched.suite.hash}\n{due}")[:_JITTER_DIGITS], 16)
        return due + drawn % limits.MONITOR_JITTER_SECONDS


def _names(state: Monitored) -> tuple[str, ...]:
    return tuple(name for name, _ in state.watch.canaries)


def _said(text: str) -> str:
    return text[: limits.API_TEXT_CHARACTERS]
