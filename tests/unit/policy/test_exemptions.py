from dataclasses import replace
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Outcome, Status
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Unresolved, Workload
from modeltrust.policy.exemptions import NEVER_EXEMPT, excusing, in_force
from modeltrust.policy.fold import fold
from modeltrust.policy.judge import judge
from modeltrust.policy.policy import Exemption, InvalidStatement, Namespace, Revocation, WorkloadName
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.policy.requirements.signature import Signature
from modeltrust.policy.requirements.sources import Sources
from tests.support.statements import DAY, NOW, a_statement
from tests.support.trust import GUARD, TEAM_A, a_policy, a_trust, a_workload

POD = WorkloadName("", "Pod", "guard")


def an_exemption(**changes: Any) -> Exemption:
    exemption = Exemption(
        name="incident",
        policies=frozenset({"production"}),
        namespaces=frozenset({"team-a"}),
        models=frozenset({GUARD}),
        workloads=frozenset(),
        requirements=frozenset({"signature"}),
        reasons=frozenset(),
        expires_at=NOW + DAY,
    )
    return replace(exemption, **changes)


def answer(workload: Workload, exemption: Exemption, *requirements: Any, **trust: Any) -> tuple[Outcome, tuple[Finding, ...]]:
    statements = trust.pop("statements", {GUARD: a_statement()})
    judgement = judge(
        workload,
        namespace=TEAM_A,
        policies=(a_policy(*requirements),),
        trust=a_trust(statements, exemptions=(exemption,), **trust),
    )
    return fold(judgement.findings), judgement.findings


UNSATISFIED = Signature(())


def test_an_exemption_excuses_a_listed_requirement_and_is_recorded() -> None:
    outcome, findings = answer(a_workload(GUARD), an_exemption(), Pinned(), UNSATISFIED)
    assert outcome is Outcome.ADMIT
    excused = findings[-1]
    assert (excused.status, excused.exempted_by, excused.reason) == (Status.SKIP, "incident", Reason.SIGNER_NOT_TRUSTED)


@pytest.mark.parametrize(
    "changes",
    [
        {"policies": frozenset({"other"})},
        {"policies": frozenset()},
        {"namespaces": frozenset({"team-b"})},
        {"namespaces": frozenset()},
        {"models": frozenset({GUARD.partition("@")[0]})},
        {"models": frozenset({GUARD.upper()})},
        {"models": frozenset({"**"})},
        {"models": frozenset({""})},
        {"models": frozenset()},
        {"requirements": frozenset({"formats"})},
        {"requirements": frozenset({"Signature"})},
        {"requirements": frozenset(), "reasons": frozenset({"SignerNotTrusted"})},
        {"expires_at": NOW},
        {"expires_at": NOW - 1},
        {"expires_at": NOW + limits.EXEMPTION_SECONDS + 1},
    ],
)
def test_an_exemption_covers_only_what_it_names_and_ends(changes: dict[str, Any]) -> None:
    outcome, findings = answer(a_workload(GUARD), an_exemption(**changes), UNSATISFIED)
    assert outcome is Outcome.DENY
    assert all(not finding.exempted_by for finding in findings)


def test_an_exemption_may_name_the_workload_instead() -> None:
    exemption = an_exemption(models=frozenset(), workloads=frozenset({POD}))
    assert answer(a_workload(GUARD), exemption, UNSATISFIED)[0] is Outcome.ADMIT
    assert answer(a_workload(GUARD, name="other"), exemption, UNSATISFIED)[0] is Outcome.DENY
    assert answer(a_workload(GUARD, group="apps"), exemption, UNSATISFIED)[0] is Outcome.DENY


def test_a_reason_of_the_judge_can_be_excused_for_a_workload() -> None:
    workload = a_workload(unresolved=(Unresolved(Reason.UNRESOLVED_REFERENCE, "/x", "x"),))
    exemption = an_exemption(
        models=frozenset(), workloads=frozenset({POD}), requirements=frozenset(), reasons=frozenset({"UnresolvedReference"})
    )
    assert answer(workload, exemption, Pinned())[0] is Outcome.ADMIT
    assert answer(workload, replace(exemption, reasons=frozenset({"OpaqueSource"})), Pinned())[0] is Outcome.DENY
    assert answer(workload, replace(exemption, models=frozenset({GUARD}), workloads=frozenset()), Pinned())[0] is Outcome.DENY


def test_an_excused_source_counts_as_allowed_when_evidence_is_asked_for() -> None:
    exemption = an_exemption(requirements=frozenset({"sources"}))
    policy = a_policy(Sources((Glob("oci://**"),)), UNSATISFIED)
    judgement = judge(a_workload(GUARD), namespace=TEAM_A, policies=(policy,), trust=a_trust({}, exemptions=(exemption,)))
    assert [identity.key for identity in judgement.wanted] == [GUARD]


@pytest.mark.parametrize("reason", sorted(NEVER_EXEMPT))
def test_some_reasons_are_never_excused(reason: Reason) -> None:
    exemption = an_exemption(
        requirements=frozenset({"signature"}), reasons=frozenset(Reason), models=frozenset({GUARD}), workloads=frozenset({POD})
    )
    workload = a_workload(GUARD)
    for requirement in ("", "signature"):
        assert excusing((exemption,), Finding(requirement, Status.FAIL, reason), "production", GUARD, workload) == ""


def test_a_finding_without_reason_is_never_excused() -> None:
    assert excusing((an_exemption(),), Finding("signature", Status.FAIL), "production", GUARD, a_workload(GUARD)) == ""


@pytest.mark.parametrize(
    ("statements", "revocations"),
    [({GUARD: InvalidStatement("x")}, ()), ({}, (Revocation("r", models=(Glob("hf://**", fold_case=True),)),))],
)
def test_no_exemption_excuses_an_invalid_statement_or_a_revocation(statements: Any, revocations: tuple[Revocation, ...]) -> None:
    exemption = an_exemption(requirements=frozenset({"signature", ""}), reasons=frozenset(Reason), workloads=frozenset({POD}))
    outcome, _ = answer(a_workload(GUARD), exemption, UNSATISFIED, statements=statements, revocations=revocations)
    assert outcome is Outcome.DENY


def test_cluster_scoped_objects_have_no_exemptions() -> None:
    assert in_force((an_exemption(namespaces=frozenset({""})),), Namespace(""), NOW) == ()


def test_an_exemption_of_exactly_ninety_days_stands() -> None:
    exemption = an_exemption(expires_at=NOW + limits.EXEMPTION_SECONDS)
    assert in_force((exemption,), TEAM_A, NOW) == (exemption,)
