"""Exemptions: exceptions that name exactly what they excuse, and end (M2)."""

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Workload
from modeltrust.policy.policy import Exemption, Namespace, WorkloadName

NEVER_EXEMPT = frozenset({Reason.MODEL_REVOKED, Reason.STATEMENT_INVALID, Reason.INTERNAL_ERROR})


def in_force(exemptions: tuple[Exemption, ...], namespace: Namespace, now: int) -> tuple[Exemption, ...]:
    """The exemptions that stand now in this namespace.

    One that would still stand in more than 90 days was given for longer than any may be, and is ignored whatever the compiler said.
    """
    if not exemptions:
        return ()
    latest = now + limits.EXEMPTION_SECONDS
    return tuple(
        exemption
        for exemption in exemptions
        if now < exemption.expires_at <= latest and namespace.name and namespace.name in exemption.namespaces
    )


def excusing(exemptions: tuple[Exemption, ...], finding: Finding, policy: str, key: str, workload: Workload) -> str:
    """Name of the exemption that excuses a finding, empty when none does.

    Args:
        exemptions: as ``in_force`` gives them.
        finding: neither pass nor skip.
        policy: name of the policy that it belongs to.
        key: canonical reference with ``@revision``; empty for findings about the workload.
        workload: the object.
    """
    if finding.reason is None or finding.reason in NEVER_EXEMPT:
        return ""
    name = WorkloadName(workload.group, workload.kind, workload.name)
    for exemption in exemptions:
        about = (key and key in exemption.models) or name in exemption.workloads
        if about and policy in exemption.policies and _lists(exemption, finding):
            return exemption.name
    return ""


def _lists(exemption: Exemption, finding: Finding) -> bool:
    if finding.requirement:
        return finding.requirement in exemption.requirements
    return finding.reason in exemption.reasons
