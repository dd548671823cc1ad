"""EvaluationSuites: whether each is understood, by what hash its verdicts are known, and what was seen of servers it watches."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from modeltrust.api.compile.suites import LiveService, SuiteSettings, compile_suite
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, NotFoundError
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.monitor import Level
from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.kube.events import Events
from modeltrust.operator.attestations import Result
from modeltrust.operator.conditions import FALSE, TRUE, UNKNOWN, Condition, ready
from modeltrust.operator.describing import describe
from modeltrust.operator.monitor_statuses import described, monitored_of
from modeltrust.operator.monitoring import Looked, Monitored, Watched, blocked
from modeltrust.operator.watches import forgotten
from modeltrust.operator.writes import NotLeadingError, Writes

PLURAL = "evaluationsuites"
DEGRADED = "Degraded"


class Monitors(Protocol):
    """Who asks live servers; ``monitoring.Monitoring`` is the real one."""

    def look(self, settings: SuiteSettings, watched: Watched, before: Monitored | None, now: int) -> Looked:
        """Look at one server."""
        ...


class Watches(Protocol):
    """Who knows what is to be asked; ``watches.Watches`` is the real one."""

    def bank(self, settings: SuiteSettings) -> Bank:
        """What a suite asks; raises ModelTrustError where its prompts cannot be used."""
        ...

    def of(self, settings: SuiteSettings, bank: Bank, service: LiveService, before: Monitored | None, now: int) -> Watched:
        """What is to be asked of one Service; raises ModelTrustError where nothing is."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """What asks live servers.

    Attributes:
        monitors: asks.
        watches: knows what.
        forget: deletes the fingerprint of (model, suite hash).
    """

    monitors: Monitors
    watches: Watches
    forget: Callable[[str, str], None]


class Suites:
    """Reconciles EvaluationSuites."""

    def __init__(
        self,
        writes: Writes,
        *,
        events: Events,
        asking: Asking | None,
        gauges: Callable[[str, Iterable[Monitored]], None] = lambda _suite, _watches: None,
    ) -> None:
        """Join the parts.

        Args:
            writes: to the API server.
            events: for people.
            asking: asks live servers; None: there is no image for Jobs.
            gauges: told of every watch of a suite, at each look.
        """
        self._writes = writes
        self._events = events
        self._asking = asking
        self._gauges = gauges

    def reconcile(self, name: str, now: int) -> Result:
        """Look at one suite.

        Raises:
            ModelTrustError: the API server could not be asked, or somebody else wrote at the same time; look again later.
        """
        try:
            obj = self._writes.get_object(paths.ours(PLURAL, name))
        except NotFoundError:
            self._gauges(name, ())
            return Result("gone")
        before = monitored_of(obj.get("status") or {})
        try:
            settings = compile_suite(obj)
        except InvalidInputError as error:
            # what was seen stays: a suite that is mended must not begin anew
            status: Object = {"monitors": (obj.get("status") or {}).get("monitors") or []}
            describe(self._writes, PLURAL, obj, status, ready(why=str(error), reason="Invalid"), now=now)
            self._events.tell(obj, reason="ObjectBroken", message=str(error), warning=True, action="Reconcile")
            return Result("described")
        found = self._looks(settings, before, now)
        after = {looked.monitored.model: looked.monitored for looked in found if looked.monitored is not None}
        said = (*ready(reason="Accepted", message="it is understood"), *_degraded(after.values()))
        fields = {"specHash": settings.spec_hash, "monitors": described(after.values())}
        describe(self._writes, PLURAL, obj, fields, said, now=now)
        if self._asking is not None:
            for model, suite_hash in forgotten(before, after):
                self._asking.forget(model, suite_hash)
        self._gauges(name, after.values())
        soonest = min((looked.after for looked in found if looked.after is not None), default=None)
        return Result("described", after=None if soonest is None else max(1.0, float(soonest)))

    def _looks(self, settings: SuiteSettings, before: Mapping[str, Monitored], now: int) -> list[Looked]:
        """One look at each server."""
        asking = self._asking
        if asking is None:  # nothing is asked by this process; what another saw stays
            return [Looked(before.get(service.model.key), None) for service in settings.services]
        if not settings.schedule or not settings.services:
            return []

        def stopped(service: LiveService, error: ModelTrustError) -> Looked:
            was = before.get(service.model.key)
            return Looked(blocked(service.model, was, str(error), now), limits.EVALUATION_BLOCKED_SECONDS)

        def look(service: LiveService, bank: Bank) -> Looked:
            was = before.get(service.model.key)
            return asking.monitors.look(settings, asking.watches.of(settings, bank, service, was, now), was, now)

        try:
            bank = asking.watches.bank(settings)
        except ModelTrustError as error:
            return [stopped(service, error) for service in settings.services]
        found = []
        for service in settings.services:
            try:
                found.append(look(service, bank))
            except NotLeadingError:
                raise
            except ModelTrustError as error:  # one server that cannot be asked keeps no other from being asked
                found.append(stopped(service, error))
        return found


def _degraded(watches: Iterable[Monitored]) -> tuple[Condition, ...]:
    """One condition over all servers, the loudest first; nothing where none is watched."""
    found = list(watches)
    alarmed = [one.model for one in found if one.watch.level is Level.ALARM]
    loud = [one.model for one in found if one.watch.level is Level.DEGRADED]
    unheard = [one.model for one in found if one.unheard]
    if alarmed:
        return (_told("Alarm", "does not answer as its attested bytes did", alarmed),)
    if loud:
        return (_told("EvidenceGathers", "may not answer as its attested bytes did", loud),)
    if unheard:
        return (_told("NothingShown", "showed nothing in several rounds", unheard),)
    if not any(one.watch.rounds for one in found):
        return (Condition(DEGRADED, UNKNOWN, "NotAskedYet", "no round has ended with numbers"),) if found else ()
    return (Condition(DEGRADED, FALSE, "Quiet", "nothing was seen that speaks against what is served"),)


def _told(reason: str, what: str, models: list[str]) -> Condition:
    names = ", ".join(models[: limits.NAMES_IN_MESSAGE])
    more = f" and {len(models) - limits.NAMES_IN_MESSAGE} more" if len(models) > limits.NAMES_IN_MESSAGE else ""
    return Condition(DEGRADED, TRUE, reason, f"what is served as {names}{more} {what}")
