"""What becomes of a round of the audit: counts, usage, where revocations hit, drift told to people, and garbage collected."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from modeltrust.api.compile import attestation_identity
from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError, NotFoundError
from modeltrust.kube import paths
from modeltrust.kube.client import Object, RefusedError
from modeltrust.kube.workloads import Link
from modeltrust.operator.audit import Drift, Round
from modeltrust.operator.collect import PLURAL, Deletes, collect, is_garbage
from modeltrust.policy.wording import moment
from modeltrust.store.last_good import last_good
from modeltrust.store.store import Store

MANAGER = "modeltrust-audit"
_RUNNING = "Running"  # of AffectedWorkload.action: it was left alone
_DAY = 24 * 3600
_NAMED = 8  # reasons or policies in one event


class WritesStatus(Deletes, Protocol):
    """Reading is free, writing costs a place in the budget; ``operator.writes.Writes`` is one."""

    def list_objects(self, path: str, parameters: Mapping[str, str] | None = None) -> Iterator[Object]:
        """Every object of a collection."""
        ...

    def merge_patch(self, path: str, value: Mapping[str, Any], *, manager: str = "", subresource: str = "") -> Object:
        """RFC 7386."""
        ...


class TellsPeople(Protocol):
    """``kube.events.Events`` is one."""

    def tell(self, about: Mapping[str, Any], *, reason: str, message: str, warning: bool = False, action: str = "Verify") -> bool:
        """Send one event, unless the same one was sent within the hour."""
        ...


class Measures(Protocol):
    """Who counts and logs."""

    def audited(self, done: Round, *, drift: int, collected: int) -> None:
        """A whole round."""
        ...

    def failed(self, event: str, error: BaseException) -> None:
        """Something that is tried again in the next round."""
        ...


class Reporting:
    """Writes what changed, and nothing else."""

    def __init__(self, writes: WritesStatus, *, store: Store, events: TellsPeople, measures: Measures) -> None:
        """Join the parts.

        Args:
            writes: to the API server.
            store: statements and revocations.
            events: for people.
            measures: for metrics and the log.
        """
        self._writes = writes
        self._store = store
        self._events = events
        self._measures = measures
        self._drifting: frozenset[Link] = frozenset()

    def failed(self, error: Exception) -> None:
        """A round that came to no end."""
        self._measures.failed("audit-failed", error)

    def audited(self, done: Round) -> None:
        """Write everything that changed.

        Raises:
            ModelTrustError: the API server does not answer; what was not written waits for the next round.
        """
        for policy in self._writes.list_objects(paths.ours("modelpolicies")):
            self._status("modelpolicies", policy, {"workloads": done.counts(policy["metadata"]["name"])})
        attestations, collected = self._attestations(done)
        for revocation in self._writes.list_objects(paths.ours("modelrevocations")):
            self._revocation(revocation, done, attestations)
        drift = done.drift()
        self._tell(drift)
        self._measures.audited(done, drift=len(drift), collected=collected)

    def _status(self, plural: str, obj: Object, fields: Mapping[str, Any]) -> None:
        before = obj.get("status") or {}
        if all(before.get(key) == value for key, value in fields.items()):
            return
        metadata = obj["metadata"]
        try:
            self._writes.merge_patch(
                paths.ours(plural, metadata["name"]),
                {"metadata": {"uid": metadata["uid"]}, "status": dict(fields)},
                manager=MANAGER,
                subresource="status",
            )
        except NotFoundError:
            return  # deleted meanwhile
        except RefusedError as error:  # what one object makes impossible must not keep the others from being written
            self._measures.failed("audit-refused", error)

    def _attestations(self, done: Round) -> tuple[list[Object], int]:
        """Usage, garbage; returns what is needed to name a last good revision, and how many were collected."""
        usage, kept, collected = done.usage(), list[Object](), 0
        complete = not done.not_listed  # what may not be listed may use anything
        for attestation in self._writes.list_objects(paths.ours(PLURAL)):
            try:
                count = usage.get(attestation_identity(attestation).key, 0)
            except ModelTrustError:
                continue
            garbage = complete and collected < limits.COLLECTED and is_garbage(attestation, used=count > 0, now=done.at)
            if garbage and collect(attestation, self._writes):
                collected += 1
                continue
            self._use(attestation, count, done.at)
            kept.append({key: attestation[key] for key in ("apiVersion", "kind", "metadata", "spec") if key in attestation})
        return kept, collected

    def _use(self, attestation: Object, count: int, now: int) -> None:
        before = (attestation.get("status") or {}).get("usage") or {}
        if not before and not count:
            return
        fresh = str(before.get("lastSeenTime", "")) > moment(now - _DAY)  # RFC 3339 in UTC sorts as text
        if before.get("workloads") == count and (not count or fresh):
            return
        usage = {"workloads": count} | ({"lastSeenTime": moment(now)} if count else {})
        self._status(PLURAL, attestation, {"usage": before | usage})

    def _revocation(self, revocation: Object, done: Round, attestations: list[Object]) -> None:
        name = revocation["metadata"]["name"]
        hit = {link: seen.revocations[name] for link, seen in done.workloads.items() if name in seen.revocations}
        before = (revocation.get("status") or {}).get("workloads") or []
        entries = _entries(before, list(hit), moment(done.at))
        fields: dict[str, Any] = {} if entries == before else {"workloads": entries}
        models = {model for models in hit.values() for model in models} | set(_named(revocation))
        good = last_good(attestations, self._store, self._store.snapshot().revocations, models, done.at) if models else {}
        listed = [{"model": model, "good": key} for model, key in good.items()][: limits.API_REPORTED]
        if listed != ((revocation.get("status") or {}).get("lastGood") or []):
            fields["lastGood"] = listed
        if fields:
            self._status("modelrevocations", revocation, fields)

    def _tell(self, drift: tuple[Drift, ...]) -> None:
        """One event about each workload that began to drift; a bounded number, the rest is in the count."""
        fresh = [entry for entry in drift if entry.link not in self._drifting]
        for entry in fresh[: limits.AUDIT_EVENTS]:
            by = f" (policies {', '.join(entry.policies[:_NAMED])})" if entry.policies else ""
            message = f"it runs and would not be admitted now: {', '.join(entry.reasons[:_NAMED])}{by}; modeltrust why says more"
            try:
                self._events.tell(_about(entry.link), reason="NoLongerAdmitted", message=message, warning=True, action="Audit")
            except RefusedError as error:
                self._measures.failed("audit-refused", error)
        self._drifting = frozenset(entry.link for entry in drift)


def _about(link: Link) -> Object:
    metadata = {"name": link.name, "uid": link.uid} | ({"namespace": link.namespace} if link.namespace else {})
    return {"kind": link.kind, "metadata": metadata}


def _named(revocation: Object) -> list[str]:
    models = (revocation.get("spec") or {}).get("models")
    return [model for model in models if isinstance(model, str)] if isinstance(models, list) else []


def _entries(before: list[Object], links: list[Link], at: str) -> list[Object]:
    """Those that run, as they were first seen; what others wrote about them (quarantined, say) stays."""
    known = {(entry.get("namespace"), entry.get("kind"), entry.get("name")): entry for entry in before}
    ordered = sorted(links, key=lambda link: (link.namespace, link.kind, link.name))
    kept = [entry for entry in before if entry.get("action") != _RUNNING]
    others = {(entry.get("namespace"), entry.get("kind"), entry.get("name")) for entry in kept}
    for link in ordered:
        key = (link.namespace, link.kind, link.name)
        if key not in others:
            fresh = {"namespace": link.namespace, "kind": link.kind, "name": link.name, "action": _RUNNING, "at": at}
            kept.append(known.get(key, fresh))
    return kept[: limits.API_REPORTED]
