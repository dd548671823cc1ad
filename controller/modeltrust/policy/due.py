"""Which suites are to be run for a model: those of policies that match it and whose other requirements hold already.

An evaluation costs a GPU, so nothing is evaluated that would be denied anyway, and nothing that nobody asks for. Namespaces play no
part: a statement is about a model, wherever it may be served.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from modeltrust.domain.decision import Status
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import NO_REVISION, Revision
from modeltrust.domain.workload import AtLoad, Confidence, FoundReference, Role
from modeltrust.policy.policy import Attested, Policy, Trust
from modeltrust.policy.requirement import Requirement
from modeltrust.policy.requirements.evaluation import Evaluation
from modeltrust.policy.revocations import revoked


@dataclass(frozen=True, slots=True)
class Due:
    """A suite that some policy asks of a model.

    Attributes:
        suite: name.
        max_age_seconds: the shortest age that a policy accepts; None sets no age.
        policies: names of those that ask.
    """

    suite: str
    max_age_seconds: int | None
    policies: tuple[str, ...]


def suites_due(statement: Statement, policies: Iterable[Policy], trust: Trust) -> tuple[Due, ...]:
    """What is to be run, or was run and must be kept, for one model; sorted by name.

    Args:
        statement: current, about the model.
        policies: all of them.
        trust: signers, exemptions and revocations as they are now; exemptions play no part.

    Returns:
        Nothing for a revoked model, and nothing for one without immutable revision that no Pod can be bound to.
    """
    identity = statement.identity
    reference, key = identity.reference, identity.key
    if revoked(trust.revocations, reference.text, key, statement) is not None:
        return ()
    subject = Attested(_as_if_loaded(statement), statement)
    asked: dict[str, list[tuple[Policy, Evaluation]]] = {}
    for policy in policies:
        if policy.broken or not policy.match.model(reference.text, key):
            continue
        evaluations = [requirement for requirement in policy.on_statement if isinstance(requirement, Evaluation)]
        if evaluations and _holds(policy, subject, trust):
            for requirement in evaluations:
                for suite in requirement.suites:
                    asked.setdefault(suite, []).append((policy, requirement))
    return tuple(_due(suite, asked[suite]) for suite in sorted(asked))


def _holds(policy: Policy, subject: Attested, trust: Trust) -> bool:
    """Whether everything else that the policy asks about the reference and its statement holds."""
    rest = [requirement for requirement in policy.on_statement if not isinstance(requirement, Evaluation)]
    return all(_passes(requirement, subject.found, trust) for requirement in policy.on_reference) and all(
        _passes(requirement, subject, trust) for requirement in rest
    )


def _passes(requirement: Requirement[FoundReference] | Requirement[Attested], subject: object, trust: Trust) -> bool:
    findings = requirement.check(subject, trust)  # type: ignore[arg-type]  # the caller pairs them
    return bool(findings) and all(finding.status in {Status.PASS, Status.SKIP} or finding.advisory for finding in findings)


def _due(suite: str, asking: list[tuple[Policy, Evaluation]]) -> Due:
    ages = [requirement.max_age_seconds for _, requirement in asking if requirement.max_age_seconds is not None]
    return Due(suite, min(ages) if ages else None, tuple(sorted({policy.name for policy, _ in asking})))


def _as_if_loaded(statement: Statement) -> FoundReference:
    identity = statement.identity
    pin = identity.pin if isinstance(identity.pin, Revision) else NO_REVISION
    digest = statement.content.value if isinstance(statement.content, Known) else None
    at_load = AtLoad(digest)  # whether a Pod carries the verifier is asked of each Pod, not here
    return FoundReference(identity.key, identity.reference, pin, Role.BASE, "", Confidence.DECLARED, at_load=at_load)
