from modeltrust.domain.decision import Outcome, Status
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import Purpose
from modeltrust.policy.fold import fold
from modeltrust.policy.judge import judge
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.policy.requirements.signature import Alternative, Signature
from modeltrust.policy.requirements.sources import Sources
from tests.support.statements import a_statement
from tests.support.trust import GUARD, TEAM_A, a_policy, a_trust, a_workload

SIGNATURE = Signature((Alternative(Purpose.AUTHOR, ("acme-research",)),))
SOURCES = Sources((Glob("hf://acme/*"),))
POLICIES = (a_policy(Pinned(), SOURCES, SIGNATURE),)


def test_a_pinned_signed_model_from_an_allowed_source_is_admitted() -> None:
    judgement = judge(a_workload(GUARD), namespace=TEAM_A, policies=POLICIES, trust=a_trust({GUARD: a_statement()}))
    assert fold(judgement.findings) is Outcome.ADMIT
    assert [finding.status for finding in judgement.findings] == [Status.PASS] * 3


def test_a_branch_is_denied() -> None:
    judgement = judge(a_workload("hf://acme/guard-7b@main"), namespace=TEAM_A, policies=POLICIES, trust=a_trust())
    assert fold(judgement.findings) is Outcome.DENY
    assert {finding.reason for finding in judgement.findings} >= {Reason.UNPINNED_REFERENCE, Reason.NOT_ATTESTED}


def test_an_unknown_pinned_model_is_pending_and_wanted() -> None:
    judgement = judge(a_workload(GUARD), namespace=TEAM_A, policies=POLICIES, trust=a_trust())
    assert fold(judgement.findings) is Outcome.PENDING
    assert [str(identity) for identity in judgement.wanted] == [GUARD]
