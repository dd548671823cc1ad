import json
from typing import Any

import pytest

from modeltrust.api.compile import compile_policy, compile_signer
from modeltrust.domain.decision import Status
from modeltrust.domain.reference import Identity
from modeltrust.policy.fold import fold
from modeltrust.policy.judge import judge
from modeltrust.references.extract import Extractor
from modeltrust.wiring.rows import load_tables
from tests.support.cases import Case, all_cases, statement_of, suites_of
from tests.support.trust import GUARD, TEAM_A, a_trust


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(load_tables())


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_each_case_is_answered_as_expected(case: Case, extractor: Extractor) -> None:
    signers = tuple(compile_signer(obj) for obj in case.trust if obj["kind"] == "TrustedSigner")
    policies = tuple(compile_policy(obj) for obj in case.trust if obj["kind"] == "ModelPolicy")
    suites = suites_of(case.trust)
    statements: dict[Identity | str, Any] = {} if case.statement is None else {GUARD: statement_of(case.statement, signers, suites)}
    workload = extractor.extract(json.dumps(case.workload).encode(), namespace=TEAM_A.name)
    findings = judge(workload, namespace=TEAM_A, policies=policies, trust=a_trust(statements, *signers, suites=suites)).findings
    assert fold(findings).label == case.outcome
    assert {f.reason.value for f in findings if f.status not in {Status.PASS, Status.SKIP} and f.reason} == case.reasons
