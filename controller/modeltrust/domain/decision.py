"""What was decided, and everything a person or a program needs to know why."""

from enum import IntEnum, StrEnum

from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.values import value


class Status(StrEnum):
    """Answer of one requirement about one subject."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    PENDING = "pending"
    SKIP = "skip"


class Outcome(IntEnum):
    """Result of the fold, mildest first: the highest wins (design/admission.md, "The answer", step 4)."""

    ADMIT = 0
    WARN = 1
    PENDING = 2
    ERROR = 3
    DENY = 4

    @property
    def label(self) -> str:
        """``admit``, ``warn``, ``pending``, ``error`` or ``deny``."""
        return _LABELS[self]


_LABELS = tuple(outcome.name.lower() for outcome in Outcome)
_ALLOWED = (Outcome.ADMIT, Outcome.WARN)


@value
class Finding:
    """One answer of one requirement, or of the judge itself.

    Attributes:
        requirement: name as in the API, lower camel case (``pinned``, ``servingImage``); empty for the judge's own.
        status: what was found.
        reason: from the one table; None only for pass and skip.
        message: one sentence: what, where, why; "got X, expected Y".
        fix: complete and copyable, in the kind's own grammar; may be empty.
        policy: name of the policy; empty for revocations and what no policy says.
        contact: of the policy.
        reference: canonical text of the model concerned; empty for the workload.
        role: of the reference; empty for the workload.
        locator: JSON Pointer; empty for statement-wide findings.
        advisory: never denying: the policy only warns or audits, or says Warn for this kind of finding.
        silent: advisory and not shown to whoever applies the object: the policy audits. Counted and logged like any other.
        exempted_by: name of the PolicyExemption that excuses it, else empty.
    """

    requirement: str
    status: Status
    reason: Reason | None = None
    message: str = ""
    fix: str = ""
    policy: str = ""
    contact: str = ""
    reference: str = ""
    role: str = ""
    locator: str = ""
    advisory: bool = False
    exempted_by: str = ""
    silent: bool = False


@value
class Decision:
    """The answer about one object.

    Attributes:
        outcome: what follows.
        findings: everything found, worst first; what holds is included where it was asked for.
        wanted: identities to ask evidence for: pinned, from an allowed source, with no statement.
        uncovered: references that no enforcing policy covers, counted whatever follows.
    """

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    wanted: tuple[Identity, ...] = ()
    uncovered: int = 0

    @property
    def allowed(self) -> bool:
        """Whether the object may be created: admitted, perhaps with warnings."""
        return self.outcome in _ALLOWED
