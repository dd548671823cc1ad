"""What rounds of probes show about a live server: one identity stream, one canary stream for each trigger. Pure; persists.

*Identity*: are the answers those of the attested model? A benign twin raises it, too, since it is another model. *Canary*: does a
trigger move the answers further than it moved the attested model's? From e >= 20 a person is told, at e >= 1,000 there is an alarm.
The bound of each is a bound for the life of a stream: at most one false alarm in a thousand lives, whenever one looks (Ville).
Both rest on probes that are drawn at random in each round, and on a server that cannot tell them from users' questions.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evaluation import SCALE
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.evaluation.eprocess import ALARM, CANARY_TOLERANCE, DEGRADED, IDENTITY_TOLERANCE, Stream, identity, named, overall

_DRIFT = 10**15  # millionths of a nat: more than any list of log-probabilities can differ by, and still a number


class Level(StrEnum):
    """How loud it is."""

    QUIET = "Quiet"
    DEGRADED = "Degraded"
    ALARM = "Alarm"


@dataclass(frozen=True, slots=True)
class Watch:
    """The state of one server under one suite.

    Attributes:
        fingerprint: 64 hex, of the answers that it is compared with; another one begins another watch.
        identity: see above.
        canaries: by name of the trigger.
        rounds: that ended with numbers.
        alarmed: an alarm was reached once; what happens later does not take it back.
    """

    fingerprint: str
    identity: Stream
    canaries: tuple[tuple[str, Stream], ...]
    rounds: int = 0
    alarmed: bool = False

    @property
    def e(self) -> float:
        """The larger of both families' evidence."""
        return max(self.identity.e, self.canary_e)

    @property
    def canary_e(self) -> float:
        """Evidence of all triggers together, 1 where there is none."""
        return overall(tuple(stream for _, stream in self.canaries)) if self.canaries else 1.0

    @property
    def level(self) -> Level:
        """How loud it is; never quieter than an alarm that was reached."""
        if self.alarmed or self.e >= ALARM:
            return Level.ALARM
        return Level.DEGRADED if self.e >= DEGRADED else Level.QUIET

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that are loud: ``identity``, and triggers that raise the alarm by themselves."""
        loud = ("identity",) if self.identity.e >= DEGRADED else ()
        triggers = named(dict(self.canaries))
        return loud + (triggers or (("canary",) if self.canary_e >= DEGRADED else ()))


def begin(fingerprint: str, triggers: Iterable[str]) -> Watch:
    """A watch that has seen nothing."""
    return Watch(fingerprint, Stream(IDENTITY_TOLERANCE), tuple((name, Stream(CANARY_TOLERANCE)) for name in triggers))


def check(report: MonitorReport, order: MonitorOrder, triggers: Iterable[str]) -> None:
    """Is this report the answer to that order? The key holder asks before it moves a stream (attack C6).

    Raises:
        MalformedError: a report about something else, from another time, or with other numbers than a round has.
    """
    said = (report.identity, report.nonce, report.suite_hash, report.fingerprint)
    if said != (order.identity, order.nonce, order.suite.hash, order.fingerprint):
        raise MalformedError("got a report with another model, nonce, suite or fingerprint than was ordered")
    if not 0 <= report.started_at <= report.finished_at <= report.started_at + limits.MONITOR_SECONDS:
        raise MalformedError("got a report of a round that ends before it starts, or lasts longer than any may")
    if report.problem:
        return
    if len(report.shifts) != limits.MONITOR_IDENTITY_PROBES or [entry.name for entry in report.canaries] != list(triggers):
        raise MalformedError("got a round with other probes or triggers than were ordered")
    if any(len(entry.shifts) != limits.MONITOR_CANARY_PROBES for entry in report.canaries):
        raise MalformedError("got a trigger with another number of probes than a round has")
    values = [*report.shifts, *(value for entry in report.canaries for value in entry.shifts)]
    if any(not 0 <= value <= SCALE for value in values):
        raise MalformedError(f"got a distance outside 0 to {SCALE}")
    _information(report)


def _information(report: MonitorReport) -> None:
    """What moves nothing is still shown, so it must be numbers that a round can have."""
    asked = limits.MONITOR_IDENTITY_PROBES + 2 * limits.MONITOR_CANARY_PROBES * len(report.canaries)
    if report.requests != asked:
        raise MalformedError(f"got a round of {report.requests} requests, expected {asked}")
    drift = report.drift
    sizes = (abs(drift.divergence), abs(drift.entropy_shift))
    if max(sizes) > _DRIFT or not 0 <= drift.agreement <= SCALE or not 0 <= drift.probes <= limits.MONITOR_IDENTITY_PROBES:
        raise MalformedError("got a drift that no answers have")


def moved(watch: Watch, report: MonitorReport) -> Watch:
    """The watch after one round; a round that broke off moves nothing, since silence is no evidence.

    Args:
        watch: before.
        report: checked.

    Raises:
        MalformedError: the report is about other triggers than the watch.
    """
    if report.problem:
        return watch
    if [entry.name for entry in report.canaries] != [name for name, _ in watch.canaries]:
        raise MalformedError("got a report about other triggers than are watched")
    stream = watch.identity
    loudest = watch.e
    for value in report.shifts:
        stream = stream.update(identity(value / SCALE))
        loudest = max(loudest, stream.e)
    canaries = []
    for (name, canary), entry in zip(watch.canaries, report.canaries, strict=True):
        for value in entry.shifts:
            canary = canary.update(value / SCALE)  # noqa: PLW2901 - a stream is replaced by what it becomes
        canaries.append((name, canary))
    after = replace(watch, identity=stream, canaries=tuple(canaries), rounds=watch.rounds + 1)
    return replace(after, alarmed=watch.alarmed or max(loudest, after.e) >= ALARM)
