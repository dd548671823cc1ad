"""What policies would say of a model, for people, and what they make necessary to find out. The verdict is the webhook's."""

from collections.abc import Iterable

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.evidence import Assurance, Statement
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import NO_REVISION, Identity, Revision
from modeltrust.domain.workload import AtLoad, Confidence, FoundReference, Role
from modeltrust.kube.client import Object
from modeltrust.policy.policy import Attested, Mode, Pending, Policy, Trust
from modeltrust.policy.requirements.evaluation import Evaluation
from modeltrust.policy.revocations import revoked

_RANKS = {Status.FAIL: "Deny", Status.ERROR: "Error", Status.PENDING: "Pending"}
_ORDER = ("Deny", "Error", "Pending", "Warn", "Admit")


def covering(policies: Iterable[Policy], identity: Identity) -> tuple[Policy, ...]:
    """The policies that match a model, in whatever namespace."""
    return tuple(policy for policy in policies if policy.match.model(identity.reference.text, identity.key))


def needs_every_byte(policies: Iterable[Policy]) -> bool:
    """Whether one of them demands that a worker of ours hashed every byte."""
    return any(
        getattr(requirement, "minimum_assurance", None) is Assurance.BYTES_HASHED
        for policy in policies
        for requirement in policy.on_statement
    )


def suites(policies: Iterable[Policy]) -> tuple[str, ...]:
    """The evaluation suites that they name."""
    named = (
        suite
        for policy in policies
        for requirement in policy.on_statement
        if isinstance(requirement, Evaluation)
        for suite in requirement.suites
    )
    return tuple(dict.fromkeys(named))


def outcomes(policies: Iterable[Policy], letter: Statement, trust: Trust) -> list[Object]:
    """What each policy says about a model with this statement, bounded, by name."""
    said = [_outcome(policy, letter, trust) for policy in sorted(policies, key=lambda policy: policy.name)]
    return said[: limits.API_REPORTED]


def _outcome(policy: Policy, letter: Statement, trust: Trust) -> Object:
    worst, reasons = _said(policy, letter, trust)
    if worst in ("Deny", "Error", "Pending") and not _enforced(policy, trust.now) and reasons != [Reason.MODEL_REVOKED]:
        worst = "Warn"
    return {"name": policy.name, "outcome": worst, "reasons": [str(reason) for reason in reasons[: limits.DENIAL_PROBLEMS]]}


def _said(policy: Policy, letter: Statement, trust: Trust) -> tuple[str, list[Reason]]:
    if policy.broken:
        return "Deny", [Reason.POLICY_INVALID]
    identity = letter.identity
    if revoked(trust.revocations, identity.reference.text, identity.key, letter) is not None:
        return "Deny", [Reason.MODEL_REVOKED]
    findings = _findings(policy, letter, trust)
    worst = min((_rank(finding, policy) for finding in findings), key=_ORDER.index, default="Deny")
    failing = [finding.reason for finding in findings if finding.reason is not None and _rank(finding, policy) != "Admit"]
    return worst, list(dict.fromkeys(failing))


def _findings(policy: Policy, letter: Statement, trust: Trust) -> list[Finding]:
    found = _found(letter.identity)
    subject, pinned = Attested(found, letter), isinstance(letter.identity.pin, Revision)
    findings: list[Finding] = []
    try:
        for requirement in policy.on_reference:
            if pinned or requirement.name != "pinned":  # a content digest pins in the Pod alone (C4)
                findings += requirement.check(found, trust)
        for judged in policy.on_statement:
            findings += judged.check(subject, trust)
    except Exception as error:  # noqa: BLE001 - a bug in one requirement must not keep the statement from being written
        findings.append(Finding("", Status.ERROR, Reason.INTERNAL_ERROR, type(error).__name__))
    if not policy.on_reference and not policy.on_statement:
        findings.append(Finding("", Status.PASS))  # it judges workloads alone
    return findings


def _rank(finding: Finding, policy: Policy) -> str:
    rank = _RANKS.get(finding.status, "Admit")
    if rank != "Admit" and finding.advisory:
        return "Warn"
    return "Warn" if rank == "Pending" and policy.pending is Pending.WARN else rank


def _enforced(policy: Policy, now: int) -> bool:
    return policy.mode is Mode.ENFORCE and (policy.enforce_after is None or now >= policy.enforce_after)


def _found(identity: Identity) -> FoundReference:
    return FoundReference(
        raw=identity.key,
        reference=identity.reference,
        revision=identity.pin if isinstance(identity.pin, Revision) else NO_REVISION,
        role=Role.BASE,
        locator="/spec/model",
        confidence=Confidence.DECLARED,
        at_load=AtLoad(),  # what is compared in a Pod cannot be said here
    )
