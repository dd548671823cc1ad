"""Where findings are collected: each gets its policy, its mode and its exemption in one place."""

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.reference import Identity
from modeltrust.domain.workload import FoundReference, Workload
from modeltrust.policy.exemptions import excusing
from modeltrust.policy.policy import Exemption, Mode, Namespace, Pending, Policy, Trust, Unmatched
from modeltrust.policy.scopes import key_of
from modeltrust.policy.wording import named

# Members of an enumeration are looked up in 100 ns, names of a module in 7 (CPython 3.11).
_PASS, _SKIP, _PENDING = Status.PASS, Status.SKIP, Status.PENDING
_AUDIT, _WARNS_PENDING = Mode.AUDIT, Pending.WARN


class Applied(msgspec.Struct, frozen=True, gc=False):
    """A policy as it applies now.

    Attributes:
        policy: whose namespaces hold this one.
        advisory: it only warns or audits, or is not to be enforced yet.
        silent: it audits.
    """

    policy: Policy
    advisory: bool
    silent: bool


class Subject(msgspec.Struct, frozen=True, gc=False):
    """What a finding is about.

    Attributes:
        text: canonical reference without revision; empty for the workload.
        key: the same with ``@revision`` where one is stated.
        locator: JSON Pointer.
        found: the reference itself.
    """

    text: str = ""
    key: str = ""
    locator: str = ""
    found: FoundReference | None = None

    @classmethod
    def of(cls, found: FoundReference) -> "Subject":
        """The subject of findings about one reference."""
        return cls(found.reference.text, key_of(found), found.locator, found)

    @property
    def shown(self) -> str:
        """What findings carry: with the revision where it is immutable."""
        return self.key if self.found is not None and self.found.revision.immutable else self.text

    @property
    def role(self) -> str:
        """Of the reference."""
        return "" if self.found is None else str(self.found.role)

    def sentence(self, message: str) -> str:
        """A message with what it is about in front, so that each finding can be read alone."""
        return message if self.found is None or not message else f"{named(self.found)} {message}"


WORKLOAD = Subject()


def applied(policies: tuple[Policy, ...], namespace: Namespace, now: int) -> tuple[Applied, ...]:
    """The policies whose namespaces hold this one, in their mode of now."""
    return tuple(
        [
            Applied(policy, not policy.enforced(now), policy.mode is _AUDIT)
            for policy in policies
            if policy.match.namespace(namespace)
        ]
    )


class Court(msgspec.Struct, gc=False):
    """One judgement under way.

    Attributes:
        workload: about what.
        trust: what may be read.
        applied: the policies of the namespace.
        exemptions: those in force here and now.
        unmatched: what follows where no enforcing policy covers.
        dry_run: nothing may be asked for, and pending is a warning.
        passes: whether what holds is recorded, too; an admitted object then costs a tenth less.
        findings: collected so far.
        wanted: identities to ask evidence for, in order.
        covered: names of the policies that cover a reference.
        steps: left of the budget.
        uncovered: references that no enforcing policy covers.
    """

    workload: Workload
    trust: Trust
    applied: tuple[Applied, ...]
    exemptions: tuple[Exemption, ...]
    unmatched: Unmatched
    dry_run: bool
    passes: bool
    findings: list[Finding] = []
    wanted: dict[Identity, None] = {}
    covered: set[str] = set()
    steps: int = limits.JUDGE_STEPS
    uncovered: int = 0

    def add(self, finding: Finding, under: Applied, subject: Subject) -> bool:
        """Record what a policy finds.

        Returns:
            Whether it holds: passed, not asked or excused.
        """
        if finding.status is _PASS or finding.status is _SKIP:
            if self.passes:
                self._append(finding, under, subject)
            return True
        exempted = ""
        if self.exemptions:
            exempted = excusing(self.exemptions, finding, under.policy.name, subject.key, self.workload)
        self._append(finding, under, subject, exempted)
        return bool(exempted)

    def _append(self, finding: Finding, under: Applied, subject: Subject, exempted: str = "") -> None:
        policy, status = under.policy, finding.status
        softened = status is _PENDING and (self.dry_run or policy.pending is _WARNS_PENDING)
        self.findings.append(
            Finding(
                finding.requirement,
                _SKIP if exempted else status,
                finding.reason,
                subject.sentence(finding.message),
                finding.fix,
                policy.name,
                policy.contact,
                subject.shown,
                subject.role,
                finding.locator or subject.locator,
                under.advisory or finding.advisory or softened,
                exempted,
                under.silent,
            )
        )

    def add_own(self, finding: Finding, subject: Subject, *, advisory: bool = False) -> None:
        """Record what no policy says: a revocation, or that no policy covers."""
        self.findings.append(
            Finding(
                finding.requirement,
                finding.status,
                finding.reason,
                subject.sentence(finding.message),
                finding.fix,
                reference=subject.shown,
                role=subject.role,
                locator=subject.locator,
                advisory=advisory,
            )
        )

    def spend(self, steps: int) -> bool:
        """Take from the budget; False once it is used up."""
        self.steps -= steps
        return self.steps >= 0
