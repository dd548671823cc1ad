"""The kinds that people write: whether each is understood, and what of it is in effect. A broken one says so loudly (F58)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from modeltrust.api.compile import (
    UnprovenError,
    check_exemption,
    check_mapping,
    check_policy,
    check_revocation,
    compile_exemption,
    compile_policy,
    compile_signer,
    compile_source,
    effective_requirements,
)
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, NotFoundError, quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeyTrust, TrustedSigner
from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.kube.events import Events
from modeltrust.operator.attestations import Result
from modeltrust.operator.conditions import FALSE, READY, STALLED, TRUE, Condition, ready
from modeltrust.operator.describing import describe
from modeltrust.operator.sources import credentials
from modeltrust.operator.writes import Writes
from modeltrust.policy.wording import moment
from modeltrust.references.extract import Extractor

_MAPPINGS = "modelreferencemappings"
_AUDITED = "Audited"
_AUDIT_LABEL = 'modeltrust.dev/aggregate-to-operator: "true"'
_INVALID = "Invalid"
_ACCEPTED = "Accepted"
_SECRET_SECONDS = 60.0  # F72
_INTERCEPTION_RECHECK_SECONDS = 60.0  # somebody else may have changed the webhook configuration
_INTERCEPTION_SECONDS = 2.0  # until the mirror has a mapping too, and the API server asks about its kinds


@dataclass(frozen=True, slots=True)
class Described:
    """What is to be said of one object.

    Attributes:
        conditions: what holds.
        fields: of the status, beside them.
        after: seconds until something changes by itself; None: nothing does.
        event: (reason, message) worth telling.
    """

    conditions: tuple[Condition, ...]
    fields: Mapping[str, Any] = field(default_factory=dict)
    after: float | None = None
    event: tuple[str, str] | None = None


Describe = Callable[[Object, int], Described]


class Intercepts(Protocol):
    """Who makes the API server ask about kinds of mappings; ``operator.interception.Interception`` is one."""

    def __call__(self) -> None:
        """Look now."""
        ...

    def missing(self, group: str, kinds: Iterable[str]) -> str:
        """Why it does not ask about some of these kinds; empty where it asks about all."""
        ...

    def unlisted(self, group: str, kinds: Iterable[str]) -> tuple[str, ...]:
        """Resources of these kinds that the operator may not list."""
        ...


class Declarations:
    """Reconciles every kind but ModelAttestation and EvaluationSuite."""

    def __init__(
        self,
        writes: Writes,
        *,
        namespace: str,
        events: Events,
        extractor: Extractor,
        intercepts: Intercepts,
        signed_by: Callable[[str], int] = lambda _name: 0,
    ) -> None:
        """Join the parts.

        Args:
            writes: to the API server.
            namespace: of the release, where credentials are.
            events: for people.
            extractor: reads the objects in the tests of mappings.
            intercepts: has the API server ask about what mappings teach.
            signed_by: how many models a signer's signatures count for.
        """
        self._writes = writes
        self._namespace = namespace
        self._events = events
        self._extractor = extractor
        self._intercepts = intercepts
        self._signed_by = signed_by
        self._kinds: Mapping[str, tuple[Describe, frozenset[str]]] = {
            "trustedsigners": (self._signer, frozenset()),
            "modelpolicies": (_policy, frozenset({"workloads"})),
            "modelsources": (self._source, frozenset()),
            "modelrevocations": (_revocation, frozenset({"workloads", "lastGood"})),
            "policyexemptions": (_exemption, frozenset({"used", "lastUsedTime"})),
            _MAPPINGS: (self._mapping, frozenset()),
        }

    @property
    def plurals(self) -> tuple[str, ...]:
        """The kinds."""
        return tuple(self._kinds)

    def reconcile(self, plural: str, name: str, now: int) -> Result:
        """Look at one object.

        Raises:
            ModelTrustError: the API server could not be asked, or somebody else wrote at the same time; look again later.
        """
        look, foreign = self._kinds[plural]
        try:
            obj = self._writes.get_object(paths.ours(plural, name))
        except NotFoundError:
            if plural == _MAPPINGS:
                self._intercepts()
            return Result("gone")
        said = look(obj, now)
        describe(self._writes, plural, obj, said.fields, said.conditions, now=now, foreign=foreign)
        if said.event is not None:
            self._events.tell(obj, reason=said.event[0], message=said.event[1], warning=True, action="Reconcile")
        return Result("described", after=said.after)

    def _signer(self, obj: Object, now: int) -> Described:
        try:
            signer = compile_signer(obj)
        except InvalidInputError as error:
            return _broken(error, "SignerBroken")
        fields = {"fingerprints": _fingerprints(signer), "modelsSigned": self._signed_by(signer.name)}
        if signer.not_after is not None and now > signer.not_after:
            message = f"nothing that it signs after {moment(signer.not_after)} counts"
            return Described(ready(reason=_ACCEPTED, message=message), fields)
        return Described(ready(reason=_ACCEPTED, message="its signatures count where policies name it"), fields)

    def _source(self, obj: Object, now: int) -> Described:
        del now
        try:
            source = compile_source(obj)
        except InvalidInputError as error:
            return _broken(error, "SourceBroken")
        if not source.secret:
            return Described(ready(reason=_ACCEPTED, message="read without credentials"))
        path = paths.core("secrets", source.secret, namespace=self._namespace)
        try:
            credentials(self._writes.get_object(path), source.endpoints[0])
        except NotFoundError:
            why = f"the Secret {quote(source.secret)} is not in the release namespace"
            return Described((Condition(READY, FALSE, "SecretMissing", why),), after=_SECRET_SECONDS)
        except InvalidInputError as error:
            return Described((Condition(READY, FALSE, "SecretInvalid", str(error)),), after=_SECRET_SECONDS)
        return Described(ready(reason=_ACCEPTED, message=f"read with the credentials in the Secret {quote(source.secret)}"))

    def _mapping(self, obj: Object, now: int) -> Described:
        del now
        self._intercepts()
        try:
            mapping = check_mapping(obj, self._extractor)
        except InvalidInputError as error:
            why = f"it adds nothing, and what its kinds load counts as UnresolvedReference: {error}"
            return Described(
                ready(why=why, reason="TestsFailed" if isinstance(error, UnprovenError) else _INVALID), event=("MappingBroken", why)
            )
        missing = self._intercepts.missing(mapping.group, mapping.kinds)
        if missing:
            return Described((Condition(READY, FALSE, "NotIntercepted", missing),), after=_INTERCEPTION_SECONDS)
        message = f"its tests hold, and the API server asks about {', '.join(mapping.kinds)}"
        audited = _audited(self._intercepts.unlisted(mapping.group, mapping.kinds))
        return Described((*ready(reason=_ACCEPTED, message=message), audited), after=_INTERCEPTION_RECHECK_SECONDS)


def _audited(unlisted: tuple[str, ...]) -> Condition:
    if not unlisted:
        return Condition(_AUDITED, TRUE, "Listed", "the audit counts what runs")
    why = f"the operator may not list {', '.join(unlisted)}: what runs there is in no count, and no unused attestation is collected"
    return Condition(_AUDITED, FALSE, "NotListed", f"{why}; a ClusterRole with the label {_AUDIT_LABEL} allows it")


def _broken(error: ModelTrustError, event: str, reason: str = _INVALID) -> Described:
    return Described(ready(why=str(error), reason=reason), event=(event, str(error)))


def _policy(obj: Object, now: int) -> Described:
    try:
        check_policy(obj)
    except InvalidInputError as error:
        why = f"it is quarantined and denies what it matches: {error}"
        return Described(ready(why=why, reason=Reason.POLICY_INVALID), {"effectiveRequirements": []}, event=("PolicyBroken", why))
    policy = compile_policy(obj)
    fields = {"effectiveRequirements": list(effective_requirements(policy))}
    if policy.enforce_after is not None and now < policy.enforce_after:
        message = f"it warns until {moment(policy.enforce_after)}"
        return Described(ready(reason=_ACCEPTED, message=message), fields, after=float(policy.enforce_after - now + 1))
    return Described(ready(reason=_ACCEPTED, message=f"in effect, mode {policy.mode.value}"), fields)


def _revocation(obj: Object, now: int) -> Described:
    del now
    try:
        check_revocation(obj)
    except InvalidInputError as error:
        why = f"what can be read of it is revoked, and nothing more: {error}"
        return Described(ready(why=why, reason=_INVALID), event=("RevocationBroken", why))
    return Described(ready(reason="InEffect", message="nothing that it names is admitted"))


def _exemption(obj: Object, now: int) -> Described:
    try:
        check_exemption(obj)
        exemption = compile_exemption(obj)
    except InvalidInputError as error:
        return _broken(error, "ExemptionBroken")
    left = exemption.expires_at - now
    if left <= 0:
        why = f"it ended at {moment(exemption.expires_at)} and excuses nothing"
        return Described((Condition(READY, FALSE, "Expired", why), Condition(STALLED, TRUE, "Expired", why)))
    message = f"it ends at {moment(exemption.expires_at)}"
    said = ready(reason=_ACCEPTED, message=message)
    if left <= limits.EXEMPTION_NOTICE_SECONDS:
        return Described(said, after=float(left + 1), event=("ExemptionEnds", message))
    return Described(said, after=float(left - limits.EXEMPTION_NOTICE_SECONDS))


def _fingerprints(signer: TrustedSigner) -> list[str]:
    trust = signer.trust
    if isinstance(trust, KeyTrust):
        return [trust.fingerprint]
    return sorted(trust.root_fingerprints)[: limits.API_REPORTED]
