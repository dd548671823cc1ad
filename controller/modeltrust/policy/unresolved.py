"""What a policy makes of something that is loaded and cannot be named."""

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.locator import path_of
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Unresolved, Workload
from modeltrust.policy.policy import Policy, UnresolvedAction
from modeltrust.policy.requirements.formats import Formats, RemoteCode
from modeltrust.policy.scopes import key_of

GOVERNED = frozenset(
    {Reason.UNRESOLVED_REFERENCE, Reason.UNDECLARED_RESOLVER, Reason.OPAQUE_SOURCE, Reason.DYNAMIC_LOADING},
)


def unresolved_findings(unresolved: Unresolved, policy: Policy, workload: Workload) -> Finding:
    """One finding of one policy.

    ``unresolved`` of the policy governs four reasons (M15); remote code is the requirement Formats' to allow; a limit that was
    reached, and any reason not known here, denies.
    """
    status, advisory = Status.FAIL, False
    if unresolved.reason in GOVERNED:
        advisory = policy.unresolved is UnresolvedAction.WARN
        if policy.unresolved is UnresolvedAction.ALLOW_DECLARED and _declared(workload):
            status = Status.SKIP
    elif unresolved.reason is Reason.REMOTE_CODE and _allows_remote_code(policy):
        status = Status.SKIP
    place = path_of(unresolved.locator)
    message = f"{place}: {unresolved.message}" if place else unresolved.message
    return Finding("", status, unresolved.reason, message, unresolved.fix, advisory=advisory)


def _declared(workload: Workload) -> bool:
    """Whether something is declared, and everything declared is judged like any other reference."""
    judged = {found.reference.text for found in workload.references}
    judged |= {key_of(found) for found in workload.references}
    return bool(workload.declared) and workload.declared <= judged


def _allows_remote_code(policy: Policy) -> bool:
    requirements = [requirement for requirement in policy.on_statement if isinstance(requirement, Formats)]
    return bool(requirements) and all(requirement.remote_code == RemoteCode.ALLOW for requirement in requirements)
