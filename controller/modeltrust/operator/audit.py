"""The audit: every existing workload, judged in the background as the webhook would judge it; nothing is blocked.

One decision per object serves two questions: what each policy would deny if it were enforced (counts in its status, promise 1),
and what runs although it is no longer admitted (drift: what slipped in while webhooks were away, fault F82; what was revoked
since). The rate is bounded, one list is in flight at a time, and no kind is listed twice within ``limits.AUDIT_SECONDS``.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from modeltrust.admission.decide import Admission, Extractor, Question
from modeltrust.domain import limits
from modeltrust.domain.decision import Decision, Finding, Outcome, Status
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.values import value
from modeltrust.domain.workload import Workload
from modeltrust.kube.client import ApiServer, GoneError, RefusedError
from modeltrust.kube.workloads import Item, Link, Owners, Served, discover, objects
from modeltrust.policy.fold import fold
from modeltrust.policy.pinning import pinned_identity
from modeltrust.policy.revocations import revoked
from modeltrust.policy.scopes import key_of
from modeltrust.policy.unresolved import GOVERNED
from modeltrust.references.tables import Tables
from modeltrust.store.enforced import Enforced
from modeltrust.store.store import Snapshot, Store

_ATTEMPTS = 3  # lists of one kind, each at twice the rate of the one before: a list expires after about five minutes
_REFUSED = (Outcome.DENY, Outcome.ERROR)


@value
class Verdict:
    """What one policy would say about one workload if it were enforced."""

    outcome: Outcome
    unresolved: bool


@value
class Drift:
    """A workload that runs and would not be admitted now.

    Attributes:
        link: which one, owners collapsed.
        reasons: from ``domain.reasons``, sorted.
        policies: names; empty for revocations.
    """

    link: Link
    reasons: tuple[str, ...]
    policies: tuple[str, ...]


@dataclass(slots=True)
class Seen:
    """What is known about one workload, or about one object of it."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    revocations: dict[str, set[str]] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    policies: set[str] = field(default_factory=set)

    def key(self) -> object:
        """Equal for what is alike."""
        verdicts = tuple((name, verdict.outcome, verdict.unresolved) for name, verdict in self.verdicts.items())
        hits = tuple((name, frozenset(models)) for name, models in self.revocations.items())
        return verdicts, hits, frozenset(self.models), frozenset(self.reasons), frozenset(self.policies)

    def join(self, other: "Seen") -> None:
        """The worse of both, in every respect."""
        for name, verdict in other.verdicts.items():
            mine = self.verdicts.get(name, verdict)
            self.verdicts[name] = Verdict(max(mine.outcome, verdict.outcome), mine.unresolved or verdict.unresolved)
        for name, models in other.revocations.items():
            self.revocations.setdefault(name, set()).update(models)
        self.models |= other.models
        self.reasons |= other.reasons
        self.policies |= other.policies


@dataclass(slots=True)
class Round:
    """One look at everything.

    Attributes:
        at: unix seconds when it began.
        workloads: those that load something, or that some policy has something to say about.
        objects: read.
        not_listed: kinds that this account may not list: what runs there is not in any count.
    """

    at: int
    workloads: dict[Link, Seen] = field(default_factory=dict)
    objects: int = 0
    not_listed: list[str] = field(default_factory=list)

    def drift(self) -> tuple[Drift, ...]:
        """Everything that runs and would not be admitted now."""
        found = [(link, seen) for link, seen in self.workloads.items() if seen.reasons]
        return tuple(Drift(link, tuple(sorted(seen.reasons)), tuple(sorted(seen.policies))) for link, seen in found)

    def counts(self, policy: str) -> dict[str, int]:
        """status.workloads of one policy."""
        verdicts = [seen.verdicts[policy] for seen in self.workloads.values() if policy in seen.verdicts]
        return {
            "matched": len(verdicts),
            "wouldDeny": sum(verdict.outcome in _REFUSED for verdict in verdicts),
            "pending": sum(verdict.outcome is Outcome.PENDING for verdict in verdicts),
            "unresolved": sum(verdict.unresolved for verdict in verdicts),
        }

    def usage(self) -> dict[str, int]:
        """Number of workloads by identity."""
        counts: dict[str, int] = {}
        for seen in self.workloads.values():
            for key in seen.models:
                counts[key] = counts.get(key, 0) + 1
        return counts


class Tells(Protocol):
    """Who makes something of a round: statuses, events, metrics, garbage."""

    def audited(self, done: Round) -> None:
        """A whole round.

        Raises:
            ModelTrustError: not everything could be written; the next round tries again.
        """
        ...

    def failed(self, error: Exception) -> None:
        """A round that came to no end; nothing of it counts."""
        ...


class Audit:
    """Rounds until stopped; only in the leader."""

    def __init__(  # noqa: PLR0913 - the parts of one loop
        self,
        api: ApiServer,
        *,
        store: Store,
        extractor: Extractor,
        tables: Tables,
        tells: Tells,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        never: frozenset[str] = frozenset(),
        rate: float = limits.AUDIT_STEPS_PER_SECOND,
    ) -> None:
        """Begin with nothing seen.

        Args:
            api: lists workloads; nothing is written through it.
            store: what is trusted.
            extractor: reads objects.
            tables: which kinds can name models.
            tells: is told of each round.
            clock: unix seconds.
            monotonic: seconds, for the rate.
            never: namespaces that the webhook is never asked about: nothing there is judged.
            rate: objects a second.
        """
        self._api = api
        self._store = store
        self._extractor = extractor
        self._tables = tables
        self._tells = tells
        self._clock = clock
        self._monotonic = monotonic
        self._never = never
        self._rate = rate
        self._admission = Admission(extractor=extractor, store=Enforced(store))
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin rounds in a thread."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self.run, args=(self._stopping,), name="audit", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End between two objects, and wait for it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def run(self, stop: threading.Event) -> None:
        """One round after another, their starts at least ``limits.AUDIT_SECONDS`` apart, until stopped."""
        while not stop.is_set():
            began = self._monotonic()
            try:
                self._tells.audited(self.round(stop))
            except Exception as error:  # noqa: BLE001 - a thread that dies would count and tell nothing ever again
                if stop.is_set():
                    return
                self._tells.failed(error)
            stop.wait(max(0.0, began + limits.AUDIT_SECONDS - self._monotonic()))

    def round(self, stop: threading.Event) -> Round:
        """Look at everything once.

        Raises:
            UnavailableError: stopped, the store is stale, or some list came to no end: nothing of the round counts.
        """
        now = int(self._clock())
        stale = self._store.unready(now)
        if stale:
            raise UnavailableError(f"nothing is judged while what is trusted is stale: {stale[0]}")
        done, owners, parts = Round(now), Owners(), list[tuple[Link, Seen]]()
        for served in discover(self._api, self._tables, self._store.snapshot().mapped):
            try:
                parts += self._kind(served, owners, done, stop)
            except RefusedError:
                done.not_listed.append(f"{served.plural}.{served.group}".rstrip("."))
        for link, part in parts:
            done.workloads.setdefault(owners.root(link), Seen()).join(part)
        return done

    def _kind(self, served: Served, owners: Owners, done: Round, stop: threading.Event) -> list[tuple[Link, Seen]]:
        for attempt in range(_ATTEMPTS):
            parts: list[tuple[Link, Seen]] = []
            alike: dict[object, Seen] = {}  # replicas are alike: each answer is kept once
            pace, count = Pace(self._rate * 2**attempt, self._monotonic, stop), 0
            try:
                for item in objects(self._api, served):
                    pace.wait()
                    owners.add(item)
                    count += 1
                    seen = None if item.finished else self.look(item)
                    if seen is not None:
                        parts.append((item.link, alike.setdefault(seen.key(), seen)))
            except GoneError:
                continue
            done.objects += count
            return parts
        raise UnavailableError(f"the list of {served.plural} expired {_ATTEMPTS} times before it was complete")

    def look(self, item: Item) -> Seen | None:
        """What is to be said about one object; None where it concerns nobody."""
        namespace = item.link.namespace
        if namespace in self._never:
            return None
        now = int(self._clock())
        try:
            workload: Workload | None = self._extractor.extract(item.data, namespace=namespace)
        except Exception:  # noqa: BLE001 - one object that meets a bug must not keep all others from being looked at
            workload = None  # the decision says so, and why
        decision = self._admission.decide(Question(item.data, namespace, passes=True), now)
        seen = Seen(_verdicts(decision))
        snapshot = self._store.snapshot()
        _real(decision, snapshot, now, seen)
        if workload is not None:
            seen.models = {identity.key for found in workload.references if (identity := pinned_identity(found)) is not None}
            if Reason.MODEL_REVOKED.value in seen.reasons:
                seen.revocations = self._hits(workload, snapshot, now)
        return seen if seen.verdicts or seen.models or seen.reasons else None

    def _hits(self, workload: Workload, snapshot: Snapshot, now: int) -> dict[str, set[str]]:
        """Models of one workload by the revocations that concern them."""
        hits: dict[str, set[str]] = {}
        for found in workload.references:
            identity = pinned_identity(found)
            fact = None if identity is None else self._store.statements.look_up(identity, now)
            statement = fact.value if isinstance(fact, Known) and isinstance(fact.value, Statement) else None
            for revocation in snapshot.revocations:
                if revoked((revocation,), found.reference.text, key_of(found), statement) is not None:
                    hits.setdefault(revocation.name, set()).add(key_of(found))
        return hits


class Pace:
    """So many steps a second, however long each takes."""

    def __init__(self, rate: float, clock: Callable[[], float], stop: threading.Event) -> None:
        """Begin now.

        Args:
            rate: steps a second.
            clock: monotonic seconds.
            stop: ends the waiting.
        """
        self._step = 1.0 / rate
        self._clock = clock
        self._stop = stop
        self._next = clock()

    def wait(self) -> None:
        """Wait for the next step; what took longer than its step is not made up for.

        Raises:
            UnavailableError: stopped.
        """
        now = self._clock()
        if self._stop.wait(max(0.0, self._next - now)):
            raise UnavailableError("the audit is stopped")
        self._next = max(self._next, now) + self._step


def _verdicts(decision: Decision) -> dict[str, Verdict]:
    by_policy: dict[str, list[Finding]] = {}
    for finding in decision.findings:
        if finding.policy:
            by_policy.setdefault(finding.policy, []).append(finding)
    return {name: Verdict(fold(findings), any(map(_unresolved, findings))) for name, findings in by_policy.items()}


def _unresolved(finding: Finding) -> bool:
    return finding.reason in GOVERNED and finding.status is not Status.PASS


def _real(decision: Decision, snapshot: Snapshot, now: int, seen: Seen) -> None:
    """What would be denied today: revocations, what no policy can be asked about, and policies that are enforced now."""
    enforced = {policy.name for policy in snapshot.policies if policy.enforced(now)}
    findings = [finding for finding in decision.findings if not finding.policy or finding.policy in enforced]
    if fold(findings) not in _REFUSED:
        return
    keeping = [entry for entry in findings if entry.status in {Status.FAIL, Status.ERROR} and not entry.advisory]
    seen.reasons = {entry.reason.value for entry in keeping if entry.reason is not None}
    seen.policies = {entry.policy for entry in keeping if entry.policy}
