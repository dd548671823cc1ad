"""Monitoring of live servers: when each is asked, what is committed to before, and what its numbers mean.

Level-based, as evaluations: the state of each watch stands in the suite's status and comes in again with every look. A round goes
Waiting -> Committed -> Running -> Waiting. The first asks no live server: it records the fingerprint that all later ones compare
with, from an engine that was given the attested bytes. Streams move here, by numbers that were checked, never in a runner (attack
C6). A round that breaks off moves nothing and revokes nothing; after several in a row a person is told. An alarm is proposed, or,
where the suite says DenyNew, becomes a ModelRevocation with action DenyNew: never Quarantine, which would make load into an outage
(design/api.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.domain import limits
from modeltrust.domain.cron import Schedule, parse_schedule
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, UnavailableError, quote
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
        namespace: of its Service.
        fingerprint: 64 hex, digest of the answers recorded from attested bytes; empty where they are still to be recorded.
        triggers: names, in the fingerprint's order.
    """

    identity: Identity
    content: str
    suite: Suite
    served: Served
    namespace: str
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
        silent: rounds in a row that showed nothing.
    """

    model: str
    suite_hash: str
    watch: Watch
    number: int
    commitment: str
    state: str
    due: int
    message: str = ""
    silent: int = 0

    @property
    def unheard(self) -> bool:
        """So many rounds showed nothing that somebody should look: a server may refuse the questions that would give it away."""
        return self.silent >= limits.MONITOR_SILENT_ROUNDS


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
    """Who asks: Jobs in the cluster. Asking again starts nothing twice.

    Both raise MalformedError where a round ended without a report of ours, LimitExceededError where as many run already as may, and
    UnavailableError where it cannot be said now: ask again.
    """

    def record(self, settings: SuiteSettings, watched: Watched, order: MonitorOrder) -> str | Running:
        """Record the answers of the attested bytes, and keep them; their digest, 64 hex."""
        ...

    def probe(self, settings: SuiteSettings, watched: Watched, order: MonitorOrder) -> MonitorReport | Running:
        """Compare the live server with them."""
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

    def unheard(self, watched: Watched, why: str) -> None:
        """Several rounds in a row showed nothing."""
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
            due = self._due(parse_schedule(settings.schedule), watched, now)
        except InvalidInputError:
            return Looked(None, None)  # the suite itself says that it is not understood
        if due is None:
            return Looked(before, None)  # 30 February: nothing is asked, and what was seen stays
        state = self._state(watched, before, due if watched.fingerprint else now)
        if state.state != WAITING:
            return self._poll(settings, watched, state, now)
        if now < state.due:
            state = replace(state, due=min(state.due, due)) if watched.fingerprint else state  # the schedule may be another one
            return Looked(state, state.due - now)
        return Looked(self._commit(watched, replace(state, due=due)), 0)

    def _state(self, watched: Watched, before: Monitored | None, due: int) -> Monitored:
        if before is None or (before.model, before.suite_hash) != (watched.identity.key, watched.suite.hash):
            return Monitored(watched.identity.key, watched.suite.hash, _begun(watched), 0, "", WAITING, due)
        if before.watch.fingerprint == watched.fingerprint and (not watched.fingerprint or _names(before) == watched.triggers):
            return before
        return replace(before, watch=_begun(watched), commitment="", state=WAITING, due=due, silent=0)

    def _commit(self, watched: Watched, state: Monitored) -> Monitored:
        begun = replace(state, number=state.number + 1, state=COMMITTED)
        return replace(begun, commitment=commitment(self._nonce_of(watched, begun)))

    def _poll(self, settings: SuiteSettings, watched: Watched, state: Monitored, now: int) -> Looked:
        nonce = self._nonce_of(watched, state)
        if commitment(nonce) != state.commitment:
            return Looked(self._commit(watched, state), 0)  # the secret or the place changed, or somebody wrote into the status
        order = MonitorOrder(
            identity=watched.identity,
            content=watched.content,
            nonce=nonce,
            suite=watched.suite,
            served=watched.served,
            fingerprint=watched.fingerprint,
            deadline_seconds=limits.MONITOR_SECONDS if watched.fingerprint else limits.EVALUATION_RUN_SECONDS,
        )
        try:
            return self._asked(settings, watched, state, order)
        except (LimitExceededError, UnavailableError) as error:
            return Looked(replace(state, message=_said(str(error))), limits.EVALUATION_POLL_SECONDS)
        except MalformedError as error:
            return Looked(self._broken(watched, state, str(error), now), 1)

    def _asked(self, settings: SuiteSettings, watched: Watched, state: Monitored, order: MonitorOrder) -> Looked:
        asks = self._probes.probe if watched.fingerprint else self._probes.record
        answer = asks(settings, watched, order)
        if isinstance(answer, Running):
            return Looked(replace(state, state=RUNNING, message=_said(answer.where)), limits.EVALUATION_POLL_SECONDS)
        if isinstance(answer, str):
            watch = monitor.begin(answer, watched.triggers)
            return Looked(replace(state, watch=watch, state=WAITING, message="the fingerprint is recorded", silent=0), 1)
        monitor.check(answer, order, watched.triggers)
        if answer.problem:
            raise MalformedError(quote(answer.problem, limits.API_TEXT_CHARACTERS))
        return Looked(self._ended(settings, watched, state, answer), 1)

    def _ended(self, settings: SuiteSettings, watched: Watched, state: Monitored, report: MonitorReport) -> Monitored:
        watch = monitor.moved(state.watch, report)
        self._tells.measured(watched, watch, report)
        if watch.level is Level.ALARM and state.watch.level is not Level.ALARM:
            self._tells.alarmed(watched, watch, deny=settings.deny_on_alarm)
        elif watch.level is Level.DEGRADED and state.watch.level is Level.QUIET:
            self._tells.degraded(watched, watch)
        return replace(state, watch=watch, state=WAITING, message="", silent=0)

    def _broken(self, watched: Watched, state: Monitored, why: str, now: int) -> Monitored:
        """A recording that failed is repeated after hours, as evaluations are: engines stay broken, and GPUs are dear."""
        message = _said(f"the last round showed nothing: {why}")
        due = state.due if watched.fingerprint else now + limits.EVALUATION_RETRY_SECONDS
        after = replace(state, state=WAITING, message=message, due=due, silent=state.silent + 1)
        if after.unheard and not state.unheard:
            self._tells.unheard(watched, message)
        return after

    def _nonce_of(self, watched: Watched, state: Monitored) -> str:
        """Of one round: with its time, so that a watch that begins again does not ask again what a server has seen."""
        which = f"{watched.identity.key}\n{watched.served.url}\n{watched.suite.hash}\n{watched.fingerprint}"
        return self._nonce(f"monitor\n{which}\n{state.number}\n{state.due}")

    def _due(self, schedule: Schedule, watched: Watched, now: int) -> int | None:
        """A server that knew the second would know which requests are probes."""
        due = schedule.next_after(now)
        following = None if due is None else schedule.next_after(due)
        if due is None or following is None:
            return due
        spread = min(limits.MONITOR_JITTER_SECONDS, (following - due) // 2)  # a dense schedule is kept
        drawn = int(self._nonce(f"jitter\n{watched.identity.key}\n{watched.suite.hash}\n{due}")[:_JITTER_DIGITS], 16)
        return due + drawn % spread


def blocked(identity: Identity, before: Monitored | None, why: str, now: int) -> Monitored:
    """A watch that cannot go on: its streams stay where they are, and it says why."""
    nothing = Monitored(identity.key, "", monitor.begin("", ()), 0, "", WAITING, now)
    return replace(nothing if before is None else before, message=_said(why))


def _begun(watched: Watched) -> Watch:
    return monitor.begin(watched.fingerprint, watched.triggers if watched.fingerprint else ())


def _names(state: Monitored) -> tuple[str, ...]:
    return tuple(name for name, _ in state.watch.canaries)


def _said(text: str) -> str:
    return text[: limits.API_TEXT_CHARACTERS]
