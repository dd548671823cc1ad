"""The one decision: webhook, command line, audit and operator ask here, and nothing else answers."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from modeltrust.admission.mutate import Operation, is_pod, judge_at_load, patch
from modeltrust.domain import limits
from modeltrust.domain.decision import Decision, Finding, Outcome, Status
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.workload import FoundReference, Unresolved, Workload
from modeltrust.policy.fold import fold, order
from modeltrust.policy.judge import judge
from modeltrust.policy.pinning import is_pinned
from modeltrust.policy.policy import Namespace, Unmatched
from modeltrust.policy.scopes import key_of
from modeltrust.store.store import Store

CREATE = "CREATE"
_ADMIT = Outcome.ADMIT
_ADMITTED = Decision(_ADMIT)


class Extractor(Protocol):
    """Who says what an object loads."""

    def extract(self, document: bytes, *, namespace: str = "") -> Workload:
        """Everything that matters about one object, as JSON bytes.

        Raises:
            MalformedError: the bytes are no object, or more than can be looked at.
        """
        ...


class Question(msgspec.Struct, frozen=True, gc=False):
    """May this object be created or changed?

    Attributes:
        document: the object, JSON.
        namespace: where it goes; empty for a cluster-scoped object.
        operation: ``CREATE`` or ``UPDATE``.
        dry_run: nothing may be requested, so a pending model is a warning.
        passes: whether the findings tell what holds, too.
    """

    document: bytes
    namespace: str
    operation: str = CREATE
    dry_run: bool = False
    passes: bool = False


class Admission:
    """Answers questions from the store and from nothing else: no network, no disk, no clock."""

    def __init__(
        self,
        *,
        extractor: Extractor,
        store: Store,
        unmatched: Unmatched = Unmatched.ALLOW,
        report: Callable[[Exception], str] = lambda error: type(error).__name__,
        inject_image: str | None = None,
    ) -> None:
        """Join who reads objects with what is trusted.

        Args:
            extractor: reads objects.
            store: what is trusted.
            unmatched: what follows where no enforcing policy covers a model.
            report: writes an error of ours down; returns the id under which it can be found.
            inject_image: of the verifier in Pods, by digest; empty where none is configured, None where Pods are asked about before
                anything is injected (``mutate.judge_at_load``).
        """
        self.extractor = extractor
        self.store = store
        self._unmatched = unmatched
        self._report = report
        self._inject_image = inject_image

    def decide(self, question: Question, now: int) -> Decision:
        """The answer; never raises.

        An object that cannot be looked at is judged as one that loads something unnameable, so that a policy in mode Audit still
        denies nothing; an error of ours denies whatever the policies say.

        Args:
            question: about what.
            now: unix seconds.
        """
        try:
            return self._decide(question, now)
        except Exception as error:  # noqa: BLE001 - fail closed: whatever went wrong, nothing is admitted by it
            identifier = self._report(error)
            message = f"modeltrust failed while judging this object ({type(error).__name__}, id {identifier})"
            return refusal(Reason.INTERNAL_ERROR, message, Status.ERROR)

    def _decide(self, question: Question, now: int) -> Decision:
        size = len(question.document)
        if question.operation == CREATE and size > limits.CREATE_OBJECT_BYTES:
            # An update carries the object twice: what is larger could be created and then neither changed nor deleted (H10).
            message = f"got an object of {size} bytes of JSON, expected at most {limits.CREATE_OBJECT_BYTES}"
            return refusal(Reason.LIMIT_EXCEEDED, message)
        snapshot = self.store.snapshot()
        workload = self._extract(question)
        namespace = Namespace(question.namespace, snapshot.namespaces.get(question.namespace))
        demanding = [policy for policy in snapshot.policies if policy.at_load and policy.match.namespace(namespace)]
        if demanding:
            strict = any(policy.enforced(now) for policy in demanding)
            workload = judge_at_load(workload, question.document, image=self._inject_image, strict=strict)
        judgement = judge(
            workload,
            namespace=namespace,
            policies=snapshot.policies,
            trust=self.store.trust(snapshot, now),
            unmatched=self._unmatched,
            dry_run=question.dry_run,
            passes=question.passes,
        )
        if not judgement.findings:
            return Decision(_ADMIT, uncovered=judgement.uncovered) if judgement.uncovered else _ADMITTED
        return Decision(fold(judgement.findings), order(judgement.findings), judgement.wanted, judgement.uncovered)

    def mutate(self, question: Question, now: int) -> tuple[Operation, ...]:
        """How to change a Pod so that what enforced policies want compared at load is; never raises, never a verdict.

        Where nothing can be said the Pod stays as it is: ``decide`` demands what is missing.

        Args:
            question: about a Pod; for anything else there is nothing to change.
            now: unix seconds.

        Returns:
            Operations of a JSON patch, without those that would change nothing.
        """
        try:
            return self._mutate(question, now)
        except MalformedError:
            return ()
        except Exception as error:  # noqa: BLE001 - the Pod stays as it is, and is denied for that
            self._report(error)
            return ()

    def _mutate(self, question: Question, now: int) -> tuple[Operation, ...]:
        snapshot = self.store.snapshot()
        namespace = Namespace(question.namespace, snapshot.namespaces.get(question.namespace))
        policies = [policy for policy in snapshot.policies if policy.at_load and policy.enforced(now)]
        demanding = [policy for policy in policies if policy.match.namespace(namespace)]
        if not demanding or not self._inject_image or len(question.document) > limits.CREATE_OBJECT_BYTES:
            return ()
        workload = self.extractor.extract(question.document, namespace=question.namespace)
        if not is_pod(workload):
            return ()
        statements = self.store.trust(snapshot, now).statements

        def digest_of(found: FoundReference) -> ContentDigest | None:
            text = found.reference.text
            if not any(policy.match.model(text, key_of(found)) for policy in demanding):
                return None
            if not is_pinned(found):
                return workload.content_digests.get(text)
            fact = statements(Identity(found.reference, found.revision))
            known = fact.value if isinstance(fact, Known) else None
            return known.content.value if isinstance(known, Statement) and isinstance(known.content, Known) else None

        return patch(workload, question.document, image=self._inject_image, digest_of=digest_of)

    def _extract(self, question: Question) -> Workload:
        try:
            return self.extractor.extract(question.document, namespace=question.namespace)
        except LimitExceededError as error:
            return _unreadable(question, Reason.LIMIT_EXCEEDED, error)
        except MalformedError as error:
            return _unreadable(question, Reason.UNRESOLVED_REFERENCE, error)


def _unreadable(question: Question, reason: Reason, error: MalformedError) -> Workload:
    found = Unresolved(reason=reason, locator="", message=f"the object cannot be read: {quote(error, 300)}")
    return Workload(
        group="",
        version="",
        kind="",
        namespace=question.namespace,
        name="",
        unresolved=(found,),
        runtime_loaded=True,
        inference=True,
    )


def refusal(reason: Reason, message: str, status: Status = Status.FAIL) -> Decision:
    """A denial by nobody's policy: the object, or the question about it, is such that no policy can be asked."""
    outcome = Outcome.ERROR if status is Status.ERROR else Outcome.DENY
    return Decision(outcome, (Finding(requirement="", status=status, reason=reason, message=message),))
