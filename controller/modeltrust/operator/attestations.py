"""One ModelAttestation: from what is written to a signed statement and a status that people understand.

Level-based: looks at what is, does what is missing, keeps nothing between two calls. A wait keeps the last facts (promises.md 2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from modeltrust.api.attestations import attestation_name
from modeltrust.api.compile import attestation_identity
from modeltrust.api.compile.reading import read
from modeltrust.api.compile.sources import SourceSettings
from modeltrust.api.v1alpha1 import model_attestation as api
from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.domain import dsse, limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, MalformedError, NotFoundError, UntrustedError
from modeltrust.domain.evidence import EvaluationVerdict, Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.domain.work import SourceAccess
from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.kube.events import Events
from modeltrust.operator import findings, judging
from modeltrust.operator.conditions import Condition
from modeltrust.operator.describing import describe
from modeltrust.operator.evaluations import Looked, Run, runs_of
from modeltrust.operator.evaluations import described as described_runs
from modeltrust.operator.evidence import Evidence, Gap, gap_of, gather
from modeltrust.operator.revoking import Revoked, not_revoked, revoke
from modeltrust.operator.sources import Sources, access, missing_secret
from modeltrust.operator.statuses import described
from modeltrust.operator.writes import Writes
from modeltrust.policy.policy import Policy, Trust
from modeltrust.verification.attesting import Attested, Waiting, Wanted

PLURAL = "modelattestations"
FOREIGN = frozenset({"usage"})  # written by the audit
_SECRET_SECONDS = 60.0  # F72: a Secret that was missing is used this soon
_KEPT = (
    "contentDigest",
    "files",
    "assurance",
    "signatures",
    "formatFindings",
    "lineage",
    "evaluations",
    "policies",
    "statement",
    "evaluationRuns",
)


class Attests(Protocol):
    """Who gets a statement about a model; ``verification.attesting.Attesting`` is the real one."""

    def attest(self, wanted: Wanted, *, now: int) -> Attested | Waiting:
        """A statement, new or still good, or what is waited for.

        Raises:
            UnavailableError: it cannot be said now.
        """
        ...


class State(Protocol):
    """What the operator knows besides the object itself."""

    def trust(self, now: int) -> tuple[Trust, tuple[Policy, ...]]:
        """Signers, revocations and policies of one moment."""
        ...

    def ours(self, key: str) -> bool:
        """Whether a signing key is one that we hold."""
        ...

    def evaluations(self, identity: Identity) -> tuple[EvaluationVerdict, ...] | None:
        """The verdicts that are to be stated about a model; None: those of the last statement."""
        ...


class Evaluates(Protocol):
    """Who runs evaluations; ``operator.evaluations.Evaluations`` is the real one."""

    def look(self, letter: Statement, runs: Iterable[Run], policies: Iterable[Policy], trust: Trust) -> Looked:
        """What is due for one model, begun or polled."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one look.

    Attributes:
        outcome: for metrics: attested, waiting, refused or gone.
        after: seconds until the next look; None: when something changes.
        retry: the next look comes after the back-off, and not before ``after``; waiting without it leaves the back-off as it is.
        signed: whether a new statement was written.
        signed_by: names of the signers that count for it.
    """

    outcome: str
    after: float | None = None
    retry: bool = False
    signed: bool = False
    signed_by: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class _Case:
    """One object, read."""

    obj: Object
    identity: Identity
    inline: tuple[bytes, ...]
    remote: tuple[str, ...]
    policies: tuple[Policy, ...]
    trust: Trust

    @property
    def status(self) -> Mapping[str, Any]:
        return self.obj.get("status") or {}


class Attestations:
    """Reconciles ModelAttestations."""

    def __init__(  # noqa: PLR0913 - joins the parts
        self,
        writes: Writes,
        *,
        namespace: str,
        sources: Sources,
        attesting: Attests,
        state: State,
        events: Events,
        evaluates: Evaluates | None = None,
    ) -> None:
        """Join the parts.

        Args:
            writes: to the API server.
            namespace: of the release, where credentials are.
            sources: where models may be looked up.
            attesting: gets statements.
            state: signers, policies, keys and evaluations.
            events: for people.
            evaluates: runs what policies ask for; None: nothing is run, and what is asked for stays missing.
        """
        self._evaluates = evaluates
        self._writes = writes
        self._namespace = namespace
        self._sources = sources
        self._attesting = attesting
        self._state = state
        self._events = events

    def reconcile(self, name: str, now: int) -> Result:
        """Look at one object.

        Raises:
            ModelTrustError: the API server could not be asked, or somebody else wrote at the same time; look again later.
        """
        try:
            obj = self._writes.get_object(paths.ours(PLURAL, name))
        except NotFoundError:
            return Result("gone")
        if obj["metadata"].get("deletionTimestamp"):
            return Result("gone")
        trust, policies = self._state.trust(now)
        try:
            case = _case(obj, trust, policies)
        except (InvalidInputError, MalformedError) as error:
            return self._refuse(obj, Reason.UNRESOLVED_REFERENCE, str(error), now)
        return self._attest(case, now)

    def _attest(self, case: _Case, now: int) -> Result:
        try:
            source = self._access(self._sources.covering(case.identity.reference.text))
        except (UntrustedError, InvalidInputError) as error:  # no source covers it, or its credentials are none
            return self._unasked(case, gap_of(error), now)
        in_job = judging.needs_every_byte(case.policies)
        evidence = gather(case.inline, case.remote, sources=self._sources, read=self._access, in_job=in_job)
        answer = self._attesting.attest(self._from(case, source, evidence), now=now)
        if isinstance(answer, Waiting):
            return self._wait(case, answer, now)
        result = self._settle(case, answer, now)
        return replace(result, after=min(result.after or _SECRET_SECONDS, _SECRET_SECONDS)) if evidence.retry else result

    def _unasked(self, case: _Case, gap: Gap, now: int) -> Result:
        """A statement of ours is renewed from what is known; without one the model is refused."""
        wanted = self._from(case, None, Evidence(case.inline))
        answer = None if wanted.previous is None else self._attesting.attest(wanted, now=now)
        if isinstance(answer, Attested):
            return self._settle(case, answer, now, gap)
        return self._refuse(case.obj, gap.reason, gap.why, now, retry=gap.retry)

    def _from(self, case: _Case, source: SourceAccess | None, evidence: Evidence) -> Wanted:
        """What is wanted, from a source; from None, what is known is renewed and nobody is asked (promises.md 2)."""
        return Wanted(
            identity=case.identity,
            bundles=evidence.inline,
            remote_bundles=evidence.remote,
            missing=evidence.missing,
            source=source,
            signers=_signers(case.trust),
            previous=self._previous(case.status),
            read_bytes=judging.needs_every_byte(case.policies),
            evaluations=self._state.evaluations(case.identity),
        )

    def _access(self, source: SourceSettings) -> SourceAccess:
        if not source.secret:
            return access(source, None)
        try:
            secret = self._writes.get_object(paths.core("secrets", source.secret, namespace=self._namespace))
        except NotFoundError as error:
            raise missing_secret(source) from error
        return access(source, secret)

    def _previous(self, status: Mapping[str, Any]) -> bytes | None:
        """The last statement, if a key that we hold signed it; otherwise the model is verified anew."""
        stated = status.get("statement")
        if not isinstance(stated, str) or not stated:
            return None
        data = stated.encode("utf-8", "replace")
        try:
            envelope = dsse.parse_envelope(data, max_bytes=limits.STATEMENT_BYTES)
        except MalformedError:
            return None
        return data if self._state.ours(envelope.key_id) else None

    def _settle(self, case: _Case, answer: Attested, now: int, gap: Gap | None = None) -> Result:
        letter = answer.letter
        if answer.negative:
            self._revoke(case, answer.negative)
        outcomes = judging.outcomes(case.policies, letter, case.trust)
        size = None if answer.report is None else (answer.report.files, answer.report.bytes)
        status: Object = described(letter, signers=case.trust.signers.values(), now=now, size=size)
        if size is None and "files" in case.status:
            status["files"] = case.status["files"]
        status |= {"policies": outcomes, "statement": answer.statement.decode("utf-8")}
        looked = self._evaluated(case, letter)
        if looked is not None:
            status["evaluationRuns"] = described_runs(looked.runs)
        found = findings.of_statement(letter, trust=case.trust, suites=judging.suites(case.policies), now=now)
        if gap is not None:
            found = findings.unasked(found, gap.reason, gap.why)
        fresh = status["statement"] != case.status.get("statement")
        self._write(case.obj, status, found, now)
        self._tell(case, letter, outcomes, news=answer.report is not None and fresh)
        signed_by = frozenset(
            entry["message"].removeprefix("by ") for entry in status["signatures"] if entry["reason"] == "Trusted"
        )
        after = float(answer.due - now)
        if looked is not None and looked.after is not None:
            after = min(after, float(looked.after))
        if gap is not None and gap.retry:
            after = min(after, _SECRET_SECONDS)
        return Result("attested", after=max(1.0, after), signed=fresh, signed_by=signed_by)

    def _evaluated(self, case: _Case, letter: Statement) -> Looked | None:
        """Evaluations of a model whose statement stands; what ended is stated with the next look, which comes at once."""
        if self._evaluates is None:
            return None
        return self._evaluates.look(letter, runs_of(case.status), case.policies, case.trust)

    def _wait(self, case: _Case, answer: Waiting, now: int) -> Result:
        self._write(case.obj, _kept(case.status), findings.waiting(case.status, answer.reason, answer.why, now), now)
        return Result("waiting", after=float(answer.again_after), retry=not answer.running)

    def _refuse(self, obj: Object, reason: Reason, why: str, now: int, *, retry: bool = False) -> Result:
        status = obj.get("status") or {}
        self._write(obj, _kept(status), findings.refused(status, reason, why, now), now)
        self._events.tell(obj, reason="ModelRefused", message=f"[{reason}] {why}", warning=True)
        return Result("refused", after=_SECRET_SECONDS if retry else None)

    def _write(self, obj: Object, status: Object, found: tuple[Condition, ...], now: int) -> None:
        describe(self._writes, PLURAL, obj, status, found, now=now, foreign=FOREIGN)

    def _revoke(self, case: _Case, why: tuple[str, ...]) -> None:
        body = revocation(case.identity, name=case.obj["metadata"]["name"], why=why)
        outcome, message = revoke(self._writes, body), f"verified again, and it no longer holds: {'; '.join(why)}"
        if outcome is Revoked.NOW:
            self._events.tell(case.obj, reason="ModelRevoked", message=message, warning=True, action="Revoke")
        elif outcome is Revoked.NOT:
            message = f"{message}; {not_revoked(body)}"
            self._events.tell(case.obj, reason="RevocationProposed", message=message, warning=True, action="Revoke")

    def _tell(self, case: _Case, letter: Statement, outcomes: list[Object], *, news: bool) -> None:
        denied = [outcome for outcome in outcomes if outcome["outcome"] in ("Deny", "Error")]
        if news:
            content = letter.content.value if isinstance(letter.content, Known) else "content unknown"
            self._events.tell(case.obj, reason="ModelVerified", message=f"{letter.assurance.label}, {content}")
        for outcome in denied[: limits.NAMES_IN_MESSAGE] if news else ():
            message = f"policy {outcome['name']} would deny it: {', '.join(outcome['reasons'])}"
            self._events.tell(case.obj, reason="ModelRefused", message=message, warning=True)


def revocation(identity: Identity, *, name: str, why: tuple[str, ...]) -> Object:
    """The ModelRevocation of a model that no longer is what it was; its name follows from the model, so there is one.

    Args:
        identity: of the model.
        name: of its ModelAttestation.
        why: what no longer holds.
    """
    if isinstance(identity.pin, ContentDigest):
        spec: Object = {"contentDigests": [str(identity.pin)]}
    else:
        spec = {"models": [identity.key]}
    reason = f"verified again, and it no longer holds: {'; '.join(why)}"[: limits.API_TEXT_CHARACTERS]
    spec |= {"reason": reason, "reference": f"modelattestation/{name}"[: limits.API_NAME_CHARACTERS], "action": "DenyNew"}
    return {
        "apiVersion": API_VERSION,
        "kind": "ModelRevocation",
        "metadata": {"name": f"negative-{attestation_name(identity)[-32:]}", "labels": {"modeltrust.dev/created-by": "operator"}},
        "spec": spec,
    }


def _case(obj: Object, trust: Trust, policies: tuple[Policy, ...]) -> _Case:
    identity = attestation_identity(obj)
    bundles = [entry.bundle for entry in read(api.KIND, obj).spec.evidence or ()]
    return _Case(
        obj=obj,
        identity=identity,
        inline=tuple(bundle.inline.encode("utf-8") for bundle in bundles if bundle.inline is not None),
        remote=tuple(bundle.oci for bundle in bundles if bundle.oci is not None),
        policies=judging.covering(policies, identity),
        trust=trust,
    )


def _signers(trust: Trust) -> tuple[TrustedSigner, ...]:
    return tuple(signer for _, signer in sorted(trust.signers.items()))


def _kept(status: Mapping[str, Any]) -> Object:
    return {key: status[key] for key in _KEPT if key in status}
