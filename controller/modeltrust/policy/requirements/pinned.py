"""Pinned: every reference names content that can never change.

A branch or tag can be moved after it was checked, so each reference (base, adapter, draft, tokenizer, code, configuration, image)
must name a 40-hex commit of the hub or a sha256 digest of a registry. Buckets, volumes and web servers have no such revisions: a
content digest counts there only where the Pod's own verifier demands it when the bytes are loaded (attack C4).
"""

from dataclasses import dataclass
from typing import ClassVar

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import RevisionState
from modeltrust.domain.workload import FoundReference
from modeltrust.policy import fixes
from modeltrust.policy.pinning import expected_pin, is_pinned, verified_digest
from modeltrust.policy.policy import Trust

_PASS = (Finding("pinned", Status.PASS),)


@dataclass(frozen=True, slots=True)
class Pinned:
    """Every reference names an immutable revision."""

    name: ClassVar[str] = "pinned"

    def check(self, subject: FoundReference, trust: Trust) -> tuple[Finding, ...]:  # noqa: ARG002 - the one shape
        """Pass, or UnpinnedReference with the fix in the field's own grammar."""
        if is_pinned(subject) or verified_digest(subject) is not None:
            return _PASS
        return (Finding("pinned", Status.FAIL, Reason.UNPINNED_REFERENCE, _message(subject), fixes.pin(subject)),)


def _message(found: FoundReference) -> str:
    scheme = found.reference.scheme
    expected = expected_pin(scheme)
    if not expected:
        text = f"{scheme}:// has no revisions that stay; a content digest counts only when the bytes are verified at load"
        why = "no policy here demands that" if found.at_load is None else found.at_load.why
        return f"{text}: {why}" if why else text
    if found.revision.value:
        return f"names {found.revision.state.value} {quote(found.revision)}; expected {expected}"
    return f"{_WITHOUT.get(found.revision.state, 'names no revision')}; expected {expected}"


_WITHOUT = {
    RevisionState.LIVE: "follows its source after admission",
    RevisionState.OPAQUE: "names a revision that cannot be read from the manifest",
}
