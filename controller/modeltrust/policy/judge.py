"""The judgement: every policy that matches, about every reference, the strictest answer wins (design/admission.md, "The answer").

Per (namespace, reference): revocations first, which nothing softens; then what can be decided without evidence; then the statement.
Nothing is looked up twice, nothing is fetched, nothing reads a clock.
"""

from typing import TypeVar

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.workload import FoundReference, Workload
from modeltrust.policy import fixes
from modeltrust.policy.court import WORKLOAD, Applied, Court, Subject, applied
from modeltrust.policy.exemptions import in_force
from modeltrust.policy.pinning import is_pinned, pinned_identity
from modeltrust.policy.policy import Attested, InvalidStatement, Namespace, Policy, Trust, Unmatched
from modeltrust.policy.requirement import Requirement
from modeltrust.policy.revocations import revoked
from modeltrust.policy.scopes import key_of
from modeltrust.policy.unresolved import unresolved_findings
from modeltrust.policy.wording import moment

__all__ = ["Judgement", "Namespace", "Unmatched", "judge"]

S = TypeVar("S")
_PASS, _ALLOW = Status.PASS, Unmatched.ALLOW
_ABSENT = Absent()


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """Everything found about one object.

    Attributes:
        findings: in the order of judging; ``fold.order`` sorts them.
        wanted: identities to ask evidence for: pinned, from an allowed source, with no statement; empty on a dry-run.
        uncovered: references that no enforcing policy covers; where that is allowed, nothing else tells.
    """

    findings: tuple[Finding, ...]
    wanted: tuple[Identity, ...] = ()
    uncovered: int = 0


def judge(  # noqa: PLR0913 - one parameter per part of the question
    workload: Workload,
    *,
    namespace: Namespace,
    policies: tuple[Policy, ...],
    trust: Trust,
    unmatched: Unmatched = Unmatched.ALLOW,
    dry_run: bool = False,
    passes: bool = True,
) -> Judgement:
    """Judge one workload.

    Args:
        workload: everything that it loads and runs.
        namespace: where; with unknown labels it is treated as matched by every selector.
        policies: all of them, broken ones included.
        trust: signers, statements, exemptions and revocations, as of one moment.
        unmatched: what follows where no enforcing policy covers.
        dry_run: nothing may be asked for, and pending is a warning.
        passes: whether the findings tell what holds, too.

    Returns:
        With ``passes`` at least one finding for every (policy, reference) pair that matches, and for every reference that no
        policy covers.
    """
    here = applied(policies, namespace, trust.now)
    court = Court(workload, trust, here, in_force(trust.exemptions, namespace, trust.now), unmatched, dry_run, passes)
    covered = False
    for found in workload.references:
        covered |= _judge_reference(court, found)
    if workload.unresolved:
        _judge_unresolved(court)
    if workload.unresolved or covered or not workload.references:
        _judge_workload(court)
    if court.steps < 0:
        _limit_exceeded(court)
    return Judgement(tuple(court.findings), tuple(court.wanted), court.uncovered)


def _judge_reference(court: Court, found: FoundReference) -> bool:
    """Judge one reference; returns whether any policy covers it."""
    if not court.spend(len(court.applied)):
        return False
    text, key = found.reference.text, key_of(found)
    covering, enforced, reads = [], False, bool(court.trust.revocations)
    for under in court.applied:
        policy = under.policy
        if policy.match.model(text, key):
            covering.append(under)
            court.covered.add(policy.name)
            enforced = enforced or not under.advisory
            reads = reads or bool(policy.on_statement)
    identity = pinned_identity(found)
    fact = _statement(court, identity) if reads and identity is not None else _ABSENT
    if court.trust.revocations and _judge_revocations(court, found, fact):
        return bool(covering)
    if not enforced:
        _uncovered(court, Subject.of(found))
    failing = [under for under in covering if not _judge_static(court, under, found)]
    if reads:
        evidence = Evidence(found, identity, fact, failing)
        for under in covering:
            if under.policy.on_statement and not under.policy.broken:
                _judge_evidence(court, under, evidence)
    return bool(covering)


def _judge_revocations(court: Court, found: FoundReference, fact: Fact[Statement | InvalidStatement]) -> bool:
    """Whether a revocation concerns the model; nothing else is said of it then."""
    known = fact.value if isinstance(fact, Known) and isinstance(fact.value, Statement) else None
    revocation = revoked(court.trust.revocations, found.reference.text, key_of(found), known)
    if revocation is not None:
        court.add_own(revocation, Subject.of(found))
    return revocation is not None


def _statement(court: Court, identity: Identity) -> Fact[Statement | InvalidStatement]:
    """What is known about a reference, looked up once, and only where something reads it."""
    try:
        fact = court.trust.statements(identity)
    except Exception as error:  # noqa: BLE001 - whatever fails while looking is never read as absence
        return Unavailable(f"the look-up failed with {type(error).__name__}")
    if isinstance(fact, Known) and isinstance(fact.value, Statement) and fact.value.identity.key != identity.key:
        # M4: the key of the index must come from the signed identity; a cache that mixes two up must not vouch for either.
        return Known(InvalidStatement(f"it is about {quote(fact.value.identity)}"))
    return fact


def _uncovered(court: Court, subject: Subject) -> None:
    court.uncovered += 1
    if court.unmatched is _ALLOW and not court.passes:
        return
    status = Status.SKIP if court.unmatched is _ALLOW else Status.FAIL
    finding = Finding("", status, Reason.NO_POLICY, "no enforcing policy covers it in this namespace")
    court.add_own(finding, subject, advisory=court.unmatched is not Unmatched.DENY)


def _judge_static(court: Court, under: Applied, found: FoundReference) -> bool:
    """What needs no evidence; returns whether all of it holds."""
    policy = under.policy
    if policy.broken:
        return court.add(_broken(policy), under, Subject.of(found))
    holds = _ask(court, policy.on_reference, found, under, found)
    if holds and court.workload.runtime_loaded and not is_pinned(found) and not _requires(policy, "pinned"):
        # C4: no Pod will carry a verifier for it, and this object is the only gate.
        message = "reaches running Pods without a new Pod, and its content can change; expected an immutable revision"
        finding = Finding("", Status.FAIL, Reason.UNPINNED_REFERENCE, message, fixes.pin(found))
        holds = court.add(finding, under, Subject.of(found))
    return holds


def _requires(policy: Policy, name: str) -> bool:
    return any(requirement.name == name for requirement in policy.on_reference)


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One reference and what is known about it.

    Attributes:
        found: the reference.
        identity: its key, None where its content can change.
        fact: the statement.
        failing: policies that it fails without evidence.
    """

    found: FoundReference
    identity: Identity | None
    fact: Fact[Statement | InvalidStatement]
    failing: list[Applied]

    def asking(self, under: Applied) -> bool:
        """Whether nothing that is decided without evidence speaks against asking for some (H1)."""
        return self.identity is not None and all(other.advisory and other is not under for other in self.failing)


def _judge_evidence(court: Court, under: Applied, evidence: Evidence) -> None:
    """What the statement says."""
    found, fact = evidence.found, evidence.fact
    if isinstance(fact, Known):
        known = fact.value
        if isinstance(known, InvalidStatement):
            message = f"has no statement that verifies: {known.why}"
            court.add(Finding("", Status.FAIL, Reason.STATEMENT_INVALID, message), under, Subject.of(found))
        elif court.trust.now > known.expires_at + max(0, under.policy.grace_seconds):
            message = f"has a statement that ended at {moment(known.expires_at)}"
            court.add(Finding("", Status.FAIL, Reason.ATTESTATION_EXPIRED, message), under, Subject.of(found))
        else:
            _ask(court, under.policy.on_statement, Attested(found, known), under, found)
    elif isinstance(fact, Absent):
        finding = _not_attested(court, evidence.identity, asking=evidence.asking(under))
        court.add(finding, under, Subject.of(found))
    else:
        finding = Finding("", Status.ERROR, Reason.NOT_ATTESTED, f"has a statement that could not be looked up: {fact.why}")
        court.add(finding, under, Subject.of(found))


def _not_attested(court: Court, identity: Identity | None, *, asking: bool) -> Finding:
    if asking and identity is not None:
        if court.dry_run:
            message = "has not been verified yet; nothing is asked for on a dry-run"
        else:
            court.wanted[identity] = None
            message = "has not been verified yet; verification is asked for, and controllers retry by themselves"
        return Finding("", Status.PENDING, Reason.ATTESTATION_PENDING, message)
    why = "names nothing immutable" if identity is None else "fails what is decided first"
    return Finding("", Status.FAIL, Reason.NOT_ATTESTED, f"has no statement, and none is asked for: it {why}")


def _judge_unresolved(court: Court) -> None:
    """What cannot be named may be anything, so it matches every policy of the namespace (H8)."""
    if all(under.advisory for under in court.applied):
        _uncovered(court, WORKLOAD)
    for unresolved in court.workload.unresolved:
        if not court.spend(len(court.applied)):
            return
        subject = Subject(locator=unresolved.locator)
        for under in court.applied:
            if not under.policy.broken:
                court.add(unresolved_findings(unresolved, under.policy, court.workload), under, subject)


def _judge_workload(court: Court) -> None:
    """What concerns the whole object; a policy whose models none of several nameable references match does not apply."""
    unresolved = bool(court.workload.unresolved)
    anything = unresolved or not court.workload.references
    for under in court.applied:
        policy = under.policy
        if not court.spend(1):
            return
        if policy.broken and anything and (unresolved or court.workload.inference):
            court.add(_broken(policy), under, WORKLOAD)
        if policy.on_workload and (anything or policy.name in court.covered):
            _ask(court, policy.on_workload, court.workload, under, None)


def _broken(policy: Policy) -> Finding:
    message = f"the policy cannot be understood, so it denies: {policy.broken}"
    return Finding("", Status.FAIL, Reason.POLICY_INVALID, message, "mend the ModelPolicy; its conditions say what is wrong")


def _limit_exceeded(court: Court) -> None:
    message = f"got more references and policies than {limits.JUDGE_STEPS} steps can judge"
    for under in court.applied:
        court.add(Finding("", Status.FAIL, Reason.LIMIT_EXCEEDED, message, "split the object"), under, WORKLOAD)


def _ask(court: Court, requirements: tuple[Requirement[S], ...], asked: S, under: Applied, found: FoundReference | None) -> bool:
    """Ask the requirements of one policy; returns whether all of them hold.

    Args:
        court: the judgement.
        requirements: what is asked.
        asked: about what.
        under: by whom.
        found: what the findings are about, None for the whole object.
    """
    court.steps -= len(requirements)
    holds = True
    for requirement in requirements:
        try:
            findings = requirement.check(asked, court.trust) or _wrong(requirement, "found nothing to say")
        except Exception as error:  # noqa: BLE001 - a bug in one requirement is a denial by it, not an answer 500
            findings = _wrong(requirement, f"failed with {type(error).__name__}")
        for finding in findings:
            if finding.status is not _PASS or court.passes:
                holds &= court.add(finding, under, WORKLOAD if found is None else Subject.of(found))
    return holds


def _wrong(requirement: Requirement[S], problem: str) -> tuple[Finding, ...]:
    """Nothing found and an exception are both errors: neither is ever read as success."""
    return (Finding(requirement.name, Status.ERROR, Reason.INTERNAL_ERROR, f"the requirement {requirement.name} {problem}"),)
