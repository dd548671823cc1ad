"""Which suites are run for a model: no GPU for what would be denied anyway, or for what nobody asks for."""

from typing import Any

import pytest

from modeltrust.domain.evidence import Assurance, Statement
from modeltrust.domain.facts import Absent, Fact, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.signer import Purpose
from modeltrust.policy.due import Due, suites_due
from modeltrust.policy.policy import Match, Mode, Policy, Revocation, Trust
from modeltrust.policy.requirements.evaluation import Evaluation
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.policy.requirements.signature import Alternative, Signature
from modeltrust.policy.requirements.sources import Sources
from tests.support.statements import a_statement
from tests.support.trust import a_policy, a_trust

AUTHOR = Signature((Alternative(Purpose.AUTHOR, ("acme-research",)),))
AT_LOAD = Signature(AUTHOR.any_of, minimum_assurance=Assurance.VERIFIED_AT_LOAD)


def an_evaluated_policy(*suites: str, age: int | None = 3600, rest: tuple[Any, ...] = (Pinned(), AUTHOR), **changes: Any) -> Policy:
    return a_policy(*rest, Evaluation(suites or ("canary",), age), **changes)


def due(*policies: Policy, statement: Statement | None = None, trust: Trust | None = None) -> tuple[Due, ...]:
    return suites_due(statement or a_statement(), policies, trust or a_trust())


def test_a_suite_runs_for_a_model_that_matches_and_holds_otherwise() -> None:
    assert due(an_evaluated_policy()) == (Due("canary", 3600, ("production",)),)


def test_the_shortest_age_of_all_policies_counts() -> None:
    policies = (
        an_evaluated_policy("canary", age=None, name="a"),
        an_evaluated_policy("canary", "deep", age=900, name="b"),
        an_evaluated_policy("canary", age=9000, name="c"),
    )

    assert due(*policies) == (Due("canary", 900, ("a", "b", "c")), Due("deep", 900, ("b",)))


@pytest.mark.parametrize("signatures", [Absent(), Unavailable("the hub is away")])
def test_no_gpu_for_an_unsigned_model(signatures: Fact[Any]) -> None:
    assert due(an_evaluated_policy(), statement=a_statement(signatures=signatures)) == ()


def test_no_gpu_for_a_source_that_is_not_allowed() -> None:
    assert due(an_evaluated_policy(rest=(Pinned(), Sources((Glob("hf://other/*"),)), AUTHOR))) == ()


def test_nobody_asks() -> None:
    elsewhere = Match(namespaces=frozenset({"team-a"}), models=(Glob("hf://other/*"),))

    assert due() == ()
    assert due(a_policy(Pinned(), AUTHOR)) == ()
    assert due(an_evaluated_policy(match=elsewhere)) == ()
    assert due(an_evaluated_policy(broken="what it says is unclear")) == ()


def test_one_policy_that_fails_does_not_keep_another_from_asking() -> None:
    failing = an_evaluated_policy("deep", rest=(Pinned(), Sources((Glob("hf://other/*"),))), name="other")

    assert due(failing, an_evaluated_policy()) == (Due("canary", 3600, ("production",)),)


@pytest.mark.parametrize("mode", list(Mode))
def test_every_mode_asks_so_that_would_deny_counts_are_true(mode: Mode) -> None:
    assert due(an_evaluated_policy(mode=mode)) != ()


def test_no_gpu_for_a_revoked_model() -> None:
    revocation = Revocation("incident", models=(Glob("hf://ACME/guard-7b", fold_case=True),), reason="backdoor", reference="INC-1")

    assert due(an_evaluated_policy(), trust=a_trust(revocations=(revocation,))) == ()


def test_an_assurance_that_only_a_pod_can_give_does_not_keep_a_model_from_being_evaluated() -> None:
    assert due(an_evaluated_policy(rest=(Pinned(), AT_LOAD))) != ()
