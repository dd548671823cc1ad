from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.evidence import LineageClaim
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Role
from modeltrust.policy.policy import Attested, InvalidStatement, Revocation
from modeltrust.policy.requirements.lineage import Lineage
from tests.support.statements import NOW, a_statement, identity_of
from tests.support.trust import GUARD, a_found, a_trust

BASE = "hf://acme/base-7b@" + "3" * 40
A_BASE = a_statement(identity=identity_of(BASE))


def check(*bases: str, statements: Any = None, role: Role = Role.BASE, **more: Any) -> tuple[Finding, ...]:
    fact = more.pop("fact", Known(tuple(LineageClaim("finetune", base) for base in bases)))
    trust = a_trust({BASE: A_BASE} if statements is None else statements, **more)
    findings = Lineage().check(Attested(a_found(role=role), a_statement(lineage=fact)), trust)
    assert all(finding.requirement == "lineage" for finding in findings)
    assert all(finding.reason is Reason.BASE_NOT_ATTESTED for finding in findings if finding.status is not Status.PASS)
    return findings


def test_a_model_whose_base_is_attested_passes() -> None:
    assert [finding.status for finding in check(BASE)] == [Status.PASS]


def test_a_model_that_names_no_base_passes_unless_it_is_an_adapter() -> None:
    assert check()[0].status is Status.PASS
    assert check(role=Role.DRAFT)[0].status is Status.PASS
    assert check(role=Role.ADAPTER)[0].status is Status.FAIL


@pytest.mark.parametrize(
    "base",
    [
        "hf://acme/base-7b",
        "hf://acme/base-7b@main",
        "acme/base-7b",
        "",
        GUARD,
        "hf://acme/base-7b@" + "4" * 40,
        "s3://bucket/base@content:sha256:12",
        "x" * 5000,
        "hf://acme/../base@" + "3" * 40,
    ],
)
def test_a_base_that_is_unpinned_unknown_malformed_or_the_model_itself_fails(base: str) -> None:
    assert [finding.status for finding in check(base)] == [Status.FAIL]


def test_every_base_must_be_attested() -> None:
    assert [finding.status for finding in check(BASE, "hf://acme/x@main", "hf://acme/y@main")] == [Status.FAIL] * 2


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        (Absent(), Status.FAIL),
        (InvalidStatement("wrong key"), Status.FAIL),
        (Unavailable("down"), Status.ERROR),
        (a_statement(), Status.FAIL),
        (a_statement(identity=identity_of(BASE), expires_at=NOW - 1), Status.FAIL),
    ],
)
def test_a_base_without_a_good_current_statement_of_its_own_fails(entry: Any, status: Status) -> None:
    assert [finding.status for finding in check(BASE, statements={BASE: entry})] == [status]


@pytest.mark.parametrize(
    "revocation", [Revocation("r", models=(Glob("hf://ACME/*", fold_case=True),)), Revocation("r", files=frozenset(A_BASE.weights))]
)
def test_a_revoked_base_fails(revocation: Revocation) -> None:
    assert [finding.status for finding in check(BASE, revocations=(revocation,))] == [Status.FAIL]


def test_lineage_that_was_not_recorded_fails_and_one_that_could_not_be_read_is_an_error() -> None:
    assert check(fact=Absent())[0].status is Status.FAIL
    assert check(fact=Unavailable("x"))[0].status is Status.ERROR


def test_more_bases_than_anybody_merges_fail_without_a_look_up() -> None:
    (finding,) = check(*[BASE] * (limits.LINEAGE_CLAIMS + 1))
    assert finding.status is Status.FAIL
