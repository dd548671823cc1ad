"""Answers of the mutating webhook: patches, and never a verdict.

Whatever goes wrong the Pod stays as it is, allowed here: ``/validate`` sees it afterwards and demands what is missing.
"""

from modeltrust.admission.decide import Admission, Question
from modeltrust.admission.mutate import Operation
from modeltrust.api import review as reviews
from modeltrust.api.review import Review, Undecodable
from modeltrust.domain.errors import MalformedError
from modeltrust.telemetry import Telemetry

_PODS = ("", "pods", "")  # group, resource, sub resource


class Mutator:
    """Decodes, asks how to change a Pod, encodes and counts."""

    def __init__(self, *, admission: Admission, telemetry: Telemetry) -> None:
        """Join the decision with its protocol.

        Args:
            admission: says how to change a Pod.
            telemetry: counts and logs.
        """
        self._admission = admission
        self._telemetry = telemetry

    def answer(self, body: bytes, *, now: int, started: float) -> bytes | None:  # noqa: ARG002 - one shape for both endpoints
        """Answer one review.

        Args:
            body: at most ``limits.REVIEW_BYTES``.
            now: unix seconds.
            started: ``perf_counter`` when the call began.

        Returns:
            The answer; None where not even its uid could be read.
        """
        try:
            review = reviews.decode(body)
        except MalformedError as error:
            return self._unreadable(str(error))
        if isinstance(review, Undecodable):
            return self._unreadable(review.why, review.uid)
        try:
            operations = self._operations(review, now)
            answer = reviews.encode_patch(review.uid, operations)
        except Exception as error:  # noqa: BLE001 - the Pod stays as it is; a 500 would say no more
            self._telemetry.failed("mutation-failed", error, uid=review.uid)
            self._telemetry.mutated("failed")
            return reviews.encode_patch(review.uid, ())
        self._telemetry.mutated("patched" if operations else "unpatched")
        return answer

    def too_large(self, start: bytes) -> bytes | None:
        """Answer a review that passed the bound on bytes, from its start; as ``answer``."""
        return self._unreadable("the review is too large", reviews.first_uid(start))

    def _operations(self, review: Review, now: int) -> tuple[Operation, ...]:
        about = (review.resource.group, review.resource.resource, review.sub_resource)
        if about != _PODS or review.operation != reviews.CREATE:
            return ()
        question = Question(review.document, review.namespace, operation=review.operation, dry_run=bool(review.dry_run))
        return self._admission.mutate(question, now)

    def _unreadable(self, why: str, uid: str = "") -> bytes | None:
        self._telemetry.mutated("unreadable")
        self._telemetry.log("review-unreadable", why=why)
        return reviews.encode_patch(uid, ()) if uid else None
