"""From the bytes of an AdmissionReview to the bytes of its answer; synchronous, never raises, never allows by accident."""

from collections.abc import Callable
from time import perf_counter

import msgspec

from modeltrust.admission import message
from modeltrust.admission.decide import Admission, Question, refusal
from modeltrust.admission.message import Subject, Summary
from modeltrust.admission.plain import cut
from modeltrust.api import review as reviews
from modeltrust.api.review import Review, Undecodable
from modeltrust.domain.decision import Decision, Outcome, Status
from modeltrust.domain.errors import MalformedError, ModelTrustError, quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.references.tables import Tables
from modeltrust.telemetry import Telemetry

_OURS = "modeltrust.dev"
_JUDGED = frozenset({reviews.CREATE, reviews.UPDATE})
_FORBIDDEN, _INVALID = 403, 422
_LOGGED_CHARACTERS = 256  # of each name in a log line
_LOGGED_MODELS = 16
_REVOKED = "modeltrust: [ModelRevoked] a model of this object is revoked; only changes that load nothing are allowed"
_ADMITTED = Decision(Outcome.ADMIT)


class _Metadata(msgspec.Struct, gc=False, rename="camel"):
    name: str | None = None
    generate_name: str | None = None


class _Named(msgspec.Struct, gc=False):
    metadata: _Metadata | None = None


class _Line(msgspec.Struct, gc=False, rename="camel", tag_field="event", tag="decision"):
    """One line of the log."""

    id: str
    uid: str
    operation: str
    group: str
    kind: str
    namespace: str
    name: str
    dry_run: bool
    outcome: str
    unjudged: str
    reasons: tuple[str, ...]
    policies: tuple[str, ...]
    models: tuple[str, ...]
    wanted: list[str]
    milliseconds: float


_NAMED = msgspec.json.Decoder(_Named)
_OBJECT = msgspec.json.Decoder(dict[str, object])


class _Verdict(msgspec.Struct, frozen=True, gc=False):
    """What to answer.

    Attributes:
        decision: the verdict with everything found.
        code: HTTP status in a denial, as the client sees it.
        warnings: shown beside either verdict.
        unjudged: why nothing was asked: ``unchanged`` or ``delete``; empty where the policies decided.
    """

    decision: Decision
    code: int = _FORBIDDEN
    warnings: tuple[str, ...] = ()
    unjudged: str = ""


def count_only(_namespace: str, _identities: tuple[Identity, ...]) -> None:
    """Ask nobody: a trust folder has nobody to ask."""


class Answerer:
    """Decodes, decides, encodes, counts and logs."""

    def __init__(  # noqa: PLR0913 - the parts of one answer
        self,
        *,
        admission: Admission,
        tables: Tables,
        telemetry: Telemetry,
        identifier: Callable[[], str],
        report: Callable[[Exception], str],
        check: Callable[[dict[str, object]], object],
        ask: Callable[[str, tuple[Identity, ...]], object] = count_only,
    ) -> None:
        """Join the decision with its protocol.

        Args:
            admission: decides.
            tables: name the annotations and labels that matter.
            telemetry: counts and logs.
            identifier: a fresh short id for each answer.
            report: writes an error of ours down; returns the id under which it can be found.
            check: refuses an object of our own kinds that the compiler cannot use; raises ModelTrustError.
            ask: takes a namespace and the models for whose evidence to ask; must return at once.
        """
        self._admission = admission
        self._annotations = tables.watched_annotations
        self._labels = tables.watched_labels
        self._telemetry = telemetry
        self._identifier = identifier
        self._report = report
        self._check = check
        self._ask = ask

    def answer(self, body: bytes, *, now: int, started: float) -> bytes | None:
        """Answer one review.

        Args:
            body: at most ``limits.REVIEW_BYTES``.
            now: unix seconds.
            started: ``perf_counter`` when the call began.

        Returns:
            The answer; None where not even its uid could be read, so that no verdict can be given.
        """
        try:
            review = reviews.decode(body)
        except MalformedError as error:
            self._telemetry.log("review-unreadable", why=str(error))
            return None
        if isinstance(review, Undecodable):
            return self._undecodable(review, Reason.UNRESOLVED_REFERENCE)
        if _other_uid(body, review.uid):
            self._telemetry.log("review-unreadable", why="two uids")
            return None
        return self._say(review, self._safely(review, now), started)

    def too_large(self, start: bytes) -> bytes | None:
        """Answer a review that passed the bound on bytes, from its start; as ``answer``."""
        try:
            return self._undecodable(reviews.recover(start, "the review is too large"), Reason.LIMIT_EXCEEDED)
        except MalformedError as error:
            self._telemetry.log("review-unreadable", why=str(error))
            return None

    def _safely(self, review: Review, now: int) -> _Verdict:
        try:
            return self._judge(review, now)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a denial with an id, never a 500
            text = f"modeltrust failed while reading this review ({type(error).__name__}, id {self._report(error)})"
            return _Verdict(refusal(Reason.INTERNAL_ERROR, text, Status.ERROR))

    def _judge(self, review: Review, now: int) -> _Verdict:
        if review.operation == "DELETE":
            return _Verdict(_ADMITTED, unjudged="delete")  # never matched by our configuration; what goes away loads nothing
        if review.operation not in _JUDGED:
            text = f"got operation {quote(review.operation)}, expected CREATE or UPDATE"
            return _Verdict(refusal(Reason.UNRESOLVED_REFERENCE, text))
        if (
            bytes(memoryview(review.object)[:1]) != b"{"
        ):  # the API server always sends one: whatever this is, nobody's policy can be asked
            return _Verdict(refusal(Reason.UNRESOLVED_REFERENCE, "got a review without an object, expected one"))
        unchanged = reviews.unchanged(review, self._annotations, self._labels)
        if review.kind.group == _OURS:
            return _Verdict(_ADMITTED, unjudged="unchanged") if unchanged else self._check_ours(review)
        if unchanged:
            return self._pass_unchanged(review, now)
        decision = self._decide(review, now)
        return _Verdict(decision, warnings=message.warnings(decision))

    def _check_ours(self, review: Review) -> _Verdict:
        """Refuse of our own kinds what the compiler refuses: the API server prunes unknown fields without a word."""
        try:
            self._check(_OBJECT.decode(review.document))
        except (ModelTrustError, msgspec.DecodeError, RecursionError) as error:
            text = str(error) if isinstance(error, ModelTrustError) else f"the object cannot be read: {quote(error)}"
            return _Verdict(refusal(Reason.POLICY_INVALID, text), code=_INVALID)
        return _Verdict(_ADMITTED, unjudged="ours")

    def _pass_unchanged(self, review: Review, now: int) -> _Verdict:
        # Passes whatever the policies say by now, so that finalizers, labels and status keep working (C2, H9).
        revoked = False
        if self._admission.store.snapshot().revocations:
            findings = self._decide(review, now).findings
            revoked = any(finding.reason is Reason.MODEL_REVOKED for finding in findings)
        return _Verdict(_ADMITTED, warnings=(_REVOKED,) if revoked else (), unjudged="unchanged")

    def _decide(self, review: Review, now: int) -> Decision:
        question = Question(review.document, review.namespace, operation=review.operation, dry_run=bool(review.dry_run))
        return self._admission.decide(question, now)

    def _say(self, review: Review, verdict: _Verdict, started: float) -> bytes:
        decision, identifier = verdict.decision, self._identifier()
        said = message.summary(decision)
        name, text = review.name, ""
        causes: tuple[message.Cause, ...] = ()
        if not decision.allowed:
            name = name or _made_up_name(review.document)
            subject = Subject(review.kind.kind, review.namespace, name)
            text, causes = message.refusal(decision, subject, identifier=identifier)
        answer = reviews.encode(
            review.uid,
            allowed=decision.allowed,
            code=verdict.code,
            message=text,
            causes=causes,
            warnings=verdict.warnings,
            audit=message.audit_annotations(decision, identifier, said),
        )
        self._record(review, verdict, said, name, identifier, perf_counter() - started)
        return answer

    def _record(self, review: Review, verdict: _Verdict, said: Summary, name: str, identifier: str, seconds: float) -> None:
        decision, telemetry = verdict.decision, self._telemetry
        outcome = decision.outcome.label
        telemetry.decided(review.operation, outcome, said.reasons, seconds)
        if decision.uncovered:
            telemetry.uncovered.inc(decision.uncovered)
        if decision.wanted:  # never on a dry-run: the judge leaves it empty there
            telemetry.wanted.inc(len(decision.wanted))
            self._ask(review.namespace, decision.wanted)
        telemetry.write(
            _Line(
                id=identifier,
                uid=review.uid,
                operation=review.operation,
                group=review.kind.group,
                kind=review.kind.kind,
                namespace=review.namespace,
                name=cut(name, _LOGGED_CHARACTERS),
                dry_run=bool(review.dry_run),
                outcome=outcome,
                unjudged=verdict.unjudged,
                reasons=said.reasons,
                policies=said.policies,
                models=said.models[:_LOGGED_MODELS],
                wanted=[identity.key for identity in decision.wanted[:_LOGGED_MODELS]] if decision.wanted else [],
                milliseconds=round(seconds * 1000, 3),
            )
        )

    def _undecodable(self, review: Undecodable, reason: Reason) -> bytes:
        identifier = self._identifier()
        self._telemetry.refused("bad_request")
        self._telemetry.log("review-undecodable", id=identifier, uid=review.uid, why=review.why)
        subject = Subject("AdmissionReview", "", review.uid)
        text, causes = message.refusal(refusal(reason, review.why), subject, identifier=identifier)
        return reviews.encode(review.uid, allowed=False, message=text, causes=causes)


def _other_uid(body: bytes, uid: str) -> bool:
    """Whether the start of the body shows another uid: a duplicate key, which two parsers read differently."""
    return reviews.first_uid(body) not in {"", uid}


def _made_up_name(document: bytes) -> str:
    """The name as its author knows it: generateName with a star, since the API server adds the rest after we answer."""
    try:
        metadata = _NAMED.decode(document).metadata
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    if metadata is None:
        return ""
    return metadata.name or (f"{metadata.generate_name}*" if metadata.generate_name else "")
