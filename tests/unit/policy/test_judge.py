import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Outcome, Status
from modeltrust.domain.facts import Absent, Fact, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import Purpose
from modeltrust.domain.workload import Role, Unresolved, Workload
from modeltrust.policy.fold import fold
from modeltrust.policy.judge import Judgement, judge
from modeltrust.policy.policy import (
    InvalidStatement,
    LabelSelector,
    Match,
    Mode,
    Namespace,
    Pending,
    Policy,
    Revocation,
    Trust,
    Unmatched,
    UnresolvedAction,
)
from modeltrust.policy.requirements.evaluation import Evaluation
from modeltrust.policy.requirements.formats import Formats, RemoteCode
from modeltrust.policy.requirements.pinned import Pinned
from modeltrust.policy.requirements.serving_image import ServingImage
from modeltrust.policy.requirements.signature import Alternative, Signature
from modeltrust.policy.requirements.sources import Sources
from tests.support.statements import DAY, NOW, a_statement, identity_of
from tests.support.trust import GUARD, TEAM_A, a_found, a_policy, a_signer, a_trust, a_workload

SIGNATURE = Signature((Alternative(Purpose.AUTHOR, ("acme-research",)),))
SOURCES = Sources((Glob("hf://acme/*"),))
PRODUCTION = a_policy(Pinned(), SOURCES, SIGNATURE)
BRANCH = "hf://acme/guard-7b@main"
OTHER = "hf://acme/draft@" + "7" * 40


def judged(workload: Workload, *policies: Policy, trust: Trust | None = None, **more: Any) -> Judgement:
    namespace = more.pop("namespace", TEAM_A)
    return judge(workload, namespace=namespace, policies=policies, trust=trust or a_trust(), **more)


def outcome(judgement: Judgement) -> Outcome:
    return fold(judgement.findings)


def problems(judgement: Judgement) -> list[Reason | None]:
    return [finding.reason for finding in judgement.findings if finding.status not in {Status.PASS, Status.SKIP}]


@dataclasses.dataclass(frozen=True, slots=True)
class Stub:
    """A requirement that answers as it is told."""

    answer: Callable[[], tuple[Finding, ...]]
    name: str = "stub"

    def check(self, subject: object, trust: Trust) -> tuple[Finding, ...]:  # noqa: ARG002 - the one shape
        return self.answer()


# --- without what holds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "workload",
    [
        a_workload(GUARD),
        a_workload(BRANCH, OTHER, accelerators=True),
        a_workload(unresolved=(Unresolved(Reason.DYNAMIC_LOADING, "/spec", "loads anything"),), declared=frozenset({"hf://a/b"})),
    ],
)
@pytest.mark.parametrize("mode", Mode)
def test_without_passes_the_answer_is_the_same_and_tells_only_what_does_not_hold(workload: Workload, mode: Mode) -> None:
    policy = dataclasses.replace(a_policy(Pinned(), SOURCES, SIGNATURE, ServingImage(())), mode=mode)
    trust = a_trust({GUARD: a_statement()})
    every = judged(workload, policy, trust=trust)
    short = judged(workload, policy, trust=trust, passes=False)
    assert short.findings == tuple(finding for finding in every.findings if finding.status not in {Status.PASS, Status.SKIP})
    assert (short.wanted, outcome(short)) == (every.wanted, outcome(every))


def test_without_passes_a_model_that_no_policy_covers_is_counted_and_not_told_where_that_is_allowed() -> None:
    assert judged(a_workload(GUARD), passes=False) == Judgement((), uncovered=1)
    assert problems(judged(a_workload(GUARD), passes=False, unmatched=Unmatched.DENY)) == [Reason.NO_POLICY]


# --- the ordinary ways -------------------------------------------------------------------------------------------------------


def test_a_pinned_signed_model_from_an_allowed_source_is_admitted() -> None:
    judgement = judged(a_workload(GUARD), PRODUCTION, trust=a_trust({GUARD: a_statement()}))
    assert outcome(judgement) is Outcome.ADMIT
    assert [(finding.requirement, finding.status) for finding in judgement.findings] == [
        ("pinned", Status.PASS),
        ("sources", Status.PASS),
        ("signature", Status.PASS),
    ]
    assert judgement.wanted == ()


def test_a_finding_says_what_where_why_by_whom_and_how_to_mend_it() -> None:
    (finding, *_) = judged(a_workload(BRANCH), a_policy(Pinned())).findings
    assert finding.message == 'hf://acme/guard-7b at spec.containers[0].args[1] names tag "main"; expected a 40-hex commit'
    assert (finding.policy, finding.contact, finding.reference) == ("production", "#ml-platform", "hf://acme/guard-7b")
    assert (finding.role, finding.locator) == ("base", "/spec/containers/0/args/1")
    assert "<40-hex commit>" in finding.fix


def test_a_finding_on_another_role_names_it_and_cuts_the_commit() -> None:
    draft = a_found(OTHER, role=Role.DRAFT, locator="/spec/args/5")
    (finding,) = judged(a_workload(draft), a_policy(Sources((Glob("s3://**"),)))).findings
    assert finding.message.startswith("hf://acme/draft@77777777… (draft at spec.args[5]) ")
    assert finding.reference == OTHER


def test_every_reference_is_judged_whatever_its_role() -> None:
    found = [a_found(f"hf://acme/{role.value}", role=role) for role in Role]
    assert problems(judged(a_workload(*found), a_policy(Pinned()))) == [Reason.UNPINNED_REFERENCE] * len(Role)


def test_a_workload_without_models_is_admitted_without_a_finding() -> None:
    assert judged(a_workload(), PRODUCTION).findings == ()


# --- statements --------------------------------------------------------------------------------------------------------------


def test_an_unknown_pinned_model_is_pending_and_asked_for() -> None:
    judgement = judged(a_workload(GUARD), PRODUCTION)
    assert outcome(judgement) is Outcome.PENDING
    assert judgement.wanted == (identity_of(GUARD),)


def test_an_identity_is_asked_for_once() -> None:
    workload = a_workload(GUARD, a_found(GUARD, locator="/spec/x"))
    assert judged(workload, PRODUCTION, dataclasses.replace(PRODUCTION, name="second")).wanted == (identity_of(GUARD),)


@pytest.mark.parametrize("text", [BRANCH, "hf://acme/guard-7b", "s3://acme/guard", "hf://evil/guard@" + "1" * 40])
def test_what_fails_without_evidence_is_not_attested_and_never_asked_for(text: str) -> None:
    judgement = judged(a_workload(text), PRODUCTION)
    assert outcome(judgement) is Outcome.DENY
    assert problems(judgement)[-1] is Reason.NOT_ATTESTED
    assert judgement.wanted == ()


def test_what_another_enforced_policy_refuses_is_not_asked_for() -> None:
    strict = a_policy(Sources((Glob("oci://**"),)), name="strict")
    judgement = judged(a_workload(GUARD), a_policy(SIGNATURE), strict)
    assert problems(judgement) == [Reason.SOURCE_NOT_ALLOWED, Reason.NOT_ATTESTED] or problems(judgement) == [
        Reason.NOT_ATTESTED,
        Reason.SOURCE_NOT_ALLOWED,
    ]
    assert judgement.wanted == ()


def test_what_only_an_audited_policy_refuses_is_asked_for() -> None:
    audit = a_policy(Sources((Glob("oci://**"),)), name="audit", mode=Mode.AUDIT)
    assert judged(a_workload(GUARD), a_policy(SIGNATURE), audit).wanted == (identity_of(GUARD),)


def test_a_policy_that_needs_no_statement_asks_for_none() -> None:
    judgement = judged(a_workload(GUARD), a_policy(Pinned()))
    assert outcome(judgement) is Outcome.ADMIT
    assert judgement.wanted == ()


def test_pending_may_be_a_warning() -> None:
    assert outcome(judged(a_workload(GUARD), dataclasses.replace(PRODUCTION, pending=Pending.WARN))) is Outcome.WARN


def test_on_a_dry_run_pending_is_a_warning_and_nothing_is_asked_for() -> None:
    judgement = judged(a_workload(GUARD), PRODUCTION, dry_run=True)
    assert outcome(judgement) is Outcome.WARN
    assert judgement.wanted == ()


def test_a_dry_run_softens_nothing_else() -> None:
    assert outcome(judged(a_workload(BRANCH), PRODUCTION, dry_run=True)) is Outcome.DENY


def test_a_missing_evaluation_is_pending_like_a_missing_statement() -> None:
    policy, trust = a_policy(Evaluation(("canary",))), a_trust({GUARD: a_statement()})
    assert outcome(judged(a_workload(GUARD), policy, trust=trust)) is Outcome.PENDING
    assert outcome(judged(a_workload(GUARD), policy, trust=trust, dry_run=True)) is Outcome.WARN
    assert outcome(judged(a_workload(GUARD), dataclasses.replace(policy, pending=Pending.WARN), trust=trust)) is Outcome.WARN


@pytest.mark.parametrize("entry", [InvalidStatement("wrong key"), a_statement(identity=identity_of(OTHER))])
def test_a_statement_that_does_not_verify_or_is_about_another_model_denies(entry: Any) -> None:
    judgement = judged(a_workload(GUARD), PRODUCTION, trust=a_trust({GUARD: entry}))
    assert problems(judgement) == [Reason.STATEMENT_INVALID]
    assert outcome(judgement) is Outcome.DENY
    assert judgement.wanted == ()


def test_a_statement_that_could_not_be_looked_up_is_an_error_and_never_absence() -> None:
    judgement = judged(a_workload(GUARD), PRODUCTION, trust=a_trust({GUARD: Unavailable("not synced")}))
    assert outcome(judgement) is Outcome.ERROR
    assert judgement.wanted == ()


def test_a_look_up_that_raises_is_an_error() -> None:
    def broken(identity: Identity) -> Fact[Any]:
        raise KeyError(identity)

    judgement = judged(a_workload(GUARD), PRODUCTION, trust=msgspec.structs.replace(a_trust(), statements=broken))
    assert outcome(judgement) is Outcome.ERROR
    assert "KeyError" in judgement.findings[-1].message


@pytest.mark.parametrize(("grace", "expected"), [(0, Outcome.DENY), (-1, Outcome.DENY), (59, Outcome.DENY), (60, Outcome.ADMIT)])
def test_an_expired_statement_counts_for_the_grace_and_no_longer(grace: int, expected: Outcome) -> None:
    trust = a_trust({GUARD: a_statement(expires_at=NOW - 60)})
    judgement = judged(a_workload(GUARD), dataclasses.replace(PRODUCTION, grace_seconds=grace), trust=trust)
    assert outcome(judgement) is expected
    assert problems(judgement) == ([] if expected is Outcome.ADMIT else [Reason.ATTESTATION_EXPIRED])


def test_a_statement_is_looked_up_once_for_all_policies() -> None:
    asked: list[Identity] = []

    def look_up(identity: Identity) -> Fact[Any]:
        asked.append(identity)
        return Absent()

    judged(
        a_workload(GUARD),
        PRODUCTION,
        dataclasses.replace(PRODUCTION, name="second"),
        trust=msgspec.structs.replace(a_trust(), statements=look_up),
    )
    assert asked == [identity_of(GUARD)]


# --- modes and strictness ----------------------------------------------------------------------------------------------------


def test_the_strictest_of_all_matching_policies_wins_and_each_finding_names_its_policy() -> None:
    lenient, strict = a_policy(Pinned(), name="lenient"), a_policy(Sources((Glob("oci://**"),)), name="strict")
    for policies in ((lenient, strict), (strict, lenient)):
        judgement = judged(a_workload(GUARD), *policies)
        assert outcome(judgement) is Outcome.DENY
        assert {finding.policy for finding in judgement.findings} == {"lenient", "strict"}


@pytest.mark.parametrize(
    ("mode", "expected"), [(Mode.ENFORCE, Outcome.DENY), (Mode.WARN, Outcome.WARN), (Mode.AUDIT, Outcome.ADMIT)]
)
def test_the_mode_decides_what_follows(mode: Mode, expected: Outcome) -> None:
    judgement = judged(a_workload(BRANCH), a_policy(Pinned(), mode=mode))
    assert outcome(judgement) is expected
    assert problems(judgement) == [Reason.UNPINNED_REFERENCE]
    assert judgement.findings[-1].silent is (mode is Mode.AUDIT)


@pytest.mark.parametrize(("after", "expected"), [(None, Outcome.DENY), (NOW, Outcome.DENY), (NOW + 1, Outcome.WARN)])
def test_a_policy_warns_until_its_enforcement_date(after: int | None, expected: Outcome) -> None:
    assert outcome(judged(a_workload(BRANCH), a_policy(Pinned(), enforce_after=after))) is expected


def test_a_date_in_the_past_does_not_make_a_warning_policy_enforce() -> None:
    assert outcome(judged(a_workload(BRANCH), a_policy(Pinned(), mode=Mode.WARN, enforce_after=NOW - DAY))) is Outcome.WARN


@pytest.mark.parametrize(
    ("mode", "expected"), [(Mode.ENFORCE, Outcome.DENY), (Mode.WARN, Outcome.WARN), (Mode.AUDIT, Outcome.ADMIT)]
)
def test_a_broken_policy_denies_what_it_matches_in_its_own_mode(mode: Mode, expected: Outcome) -> None:
    broken = a_policy(broken="spec.requirements[0].type", mode=mode, match=Match(everything=True))
    judgement = judged(a_workload(GUARD), broken)
    assert outcome(judgement) is expected
    assert problems(judgement) == [Reason.POLICY_INVALID]


def test_a_broken_policy_leaves_other_namespaces_and_plain_pods_alone() -> None:
    broken = a_policy(broken="spec", match=Match(namespaces=frozenset({"team-b"}), models=(Glob("**"),)))
    assert Reason.POLICY_INVALID not in problems(judged(a_workload(GUARD), broken))
    assert judged(a_workload(), a_policy(broken="spec")).findings == ()


@pytest.mark.parametrize(
    "workload", [a_workload(inference=True), a_workload(unresolved=(Unresolved(Reason.UNRESOLVED_REFERENCE, "/spec", "x"),))]
)
def test_a_broken_policy_denies_what_may_load_a_model(workload: Workload) -> None:
    assert Reason.POLICY_INVALID in problems(judged(workload, a_policy(broken="spec")))


def test_a_broken_policy_beside_a_good_one_is_a_reason_not_to_ask_for_evidence() -> None:
    assert judged(a_workload(GUARD), PRODUCTION, a_policy(broken="spec", name="b")).wanted == ()


# --- coverage ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unmatched", "expected"), [(Unmatched.ALLOW, Outcome.ADMIT), (Unmatched.WARN, Outcome.WARN), (Unmatched.DENY, Outcome.DENY)]
)
@pytest.mark.parametrize("mode", [None, Mode.WARN, Mode.AUDIT])
def test_only_an_enforcing_policy_covers(unmatched: Unmatched, expected: Outcome, mode: Mode | None) -> None:
    policies = () if mode is None else (a_policy(Pinned(), mode=mode),)
    judgement = judged(a_workload(GUARD), *policies, unmatched=unmatched)
    assert outcome(judgement) is expected
    assert [finding.reason for finding in judgement.findings if finding.status is not Status.PASS] == [Reason.NO_POLICY]


def test_an_enforcing_policy_before_its_date_does_not_cover_yet() -> None:
    judgement = judged(a_workload(GUARD), a_policy(Pinned(), enforce_after=NOW + 1), unmatched=Unmatched.DENY)
    assert outcome(judgement) is Outcome.DENY


def test_each_reference_must_be_covered_by_itself() -> None:
    policy = a_policy(Pinned(), match=Match(frozenset({"team-a"}), models=(Glob("hf://acme/*"),)))
    judgement = judged(a_workload(GUARD, "s3://evil/model"), policy, unmatched=Unmatched.DENY)
    assert problems(judgement) == [Reason.NO_POLICY]
    assert judgement.findings[-1].reference == "s3://evil/model"


def test_the_same_policy_name_in_another_namespace_does_not_match() -> None:
    judgement = judged(a_workload(BRANCH), PRODUCTION, namespace=Namespace("team-b", {}))
    assert [finding.reason for finding in judgement.findings] == [Reason.NO_POLICY]


def test_a_namespace_whose_labels_are_unknown_is_enforced() -> None:
    policy = a_policy(Pinned(), match=Match(selector=LabelSelector((("tier", "prod"),)), models=(Glob("**"),)))
    assert outcome(judged(a_workload(BRANCH), policy, namespace=Namespace("new"))) is Outcome.DENY
    assert outcome(judged(a_workload(BRANCH), policy, namespace=Namespace("new", {}))) is Outcome.ADMIT


def test_a_cluster_scoped_object_is_judged_by_policies_that_ask_for_it() -> None:
    scoped = a_policy(Pinned(), match=Match(cluster_scoped=True, models=(Glob("**"),)))
    workload = a_workload(BRANCH, namespace="")
    assert outcome(judged(workload, scoped, namespace=Namespace(""))) is Outcome.DENY
    assert problems(judged(workload, PRODUCTION, namespace=Namespace(""))) == []


# --- unresolved --------------------------------------------------------------------------------------------------------------

GOVERNED = [Reason.UNRESOLVED_REFERENCE, Reason.UNDECLARED_RESOLVER, Reason.OPAQUE_SOURCE, Reason.DYNAMIC_LOADING]


def unnamed(reason: Reason, *references: str, **changes: Any) -> Workload:
    found = Unresolved(reason, "/spec/containers/0/args/2", "is computed when the Pod starts", fix="state it")
    return a_workload(*references, unresolved=(found,), **changes)


@pytest.mark.parametrize("reason", GOVERNED)
@pytest.mark.parametrize(
    ("action", "declared", "expected"),
    [
        (UnresolvedAction.DENY, True, Outcome.DENY),
        (UnresolvedAction.DENY, False, Outcome.DENY),
        (UnresolvedAction.WARN, False, Outcome.WARN),
        (UnresolvedAction.ALLOW_DECLARED, False, Outcome.DENY),
        (UnresolvedAction.ALLOW_DECLARED, True, Outcome.ADMIT),
    ],
)
def test_the_policy_says_what_an_unnamed_model_means(
    reason: Reason,
    action: UnresolvedAction,
    declared: bool,  # noqa: FBT001 - a column
    expected: Outcome,
) -> None:
    workload = unnamed(reason, GUARD, declared=frozenset({GUARD} if declared else ()))
    judgement = judged(workload, a_policy(Pinned(), unresolved=action))
    assert outcome(judgement) is expected
    (finding,) = [finding for finding in judgement.findings if finding.reason is reason]
    assert finding.message == "spec.containers[0].args[2]: is computed when the Pod starts"
    assert (finding.locator, finding.fix, finding.policy) == ("/spec/containers/0/args/2", "state it", "production")


def test_a_declaration_that_is_not_judged_itself_satisfies_nothing() -> None:
    workload = unnamed(Reason.UNRESOLVED_REFERENCE, GUARD, declared=frozenset({GUARD, OTHER}))
    assert outcome(judged(workload, a_policy(Pinned(), unresolved=UnresolvedAction.ALLOW_DECLARED))) is Outcome.DENY


@pytest.mark.parametrize("action", list(UnresolvedAction))
@pytest.mark.parametrize("reason", [Reason.LIMIT_EXCEEDED, Reason.REMOTE_CODE, Reason.INTERNAL_ERROR])
def test_a_limit_remote_code_and_the_unknown_are_denied_whatever_the_policy_says(action: UnresolvedAction, reason: Reason) -> None:
    workload = unnamed(reason, GUARD, declared=frozenset({GUARD}))
    assert outcome(judged(workload, a_policy(Pinned(), unresolved=action))) is Outcome.DENY


@pytest.mark.parametrize(("remote_code", "expected"), [(RemoteCode.ALLOW, Outcome.ADMIT), (RemoteCode.DENY, Outcome.DENY)])
def test_remote_code_is_the_requirement_formats_to_allow(remote_code: RemoteCode, expected: Outcome) -> None:
    formats = Formats(frozenset({"Safetensors"}), remote_code)
    judgement = judged(unnamed(Reason.REMOTE_CODE, GUARD), a_policy(formats), trust=a_trust({GUARD: a_statement()}))
    assert outcome(judgement) is expected


def test_what_cannot_be_named_matches_every_policy_of_the_namespace() -> None:
    narrow = a_policy(Pinned(), match=Match(frozenset({"team-a"}), models=(Glob("oci://nothing.example/x"),)))
    assert outcome(judged(unnamed(Reason.UNRESOLVED_REFERENCE), narrow)) is Outcome.DENY


@pytest.mark.parametrize(
    ("unmatched", "expected"), [(Unmatched.ALLOW, Outcome.ADMIT), (Unmatched.WARN, Outcome.WARN), (Unmatched.DENY, Outcome.DENY)]
)
def test_what_cannot_be_named_and_no_policy_covers_follows_the_chart(unmatched: Unmatched, expected: Outcome) -> None:
    judgement = judged(unnamed(Reason.UNRESOLVED_REFERENCE), unmatched=unmatched)
    assert outcome(judgement) is expected
    assert [finding.reason for finding in judgement.findings] == [Reason.NO_POLICY]


def test_a_model_that_reaches_running_pods_must_be_pinned_even_without_the_requirement() -> None:
    workload = a_workload("s3://acme/guard", runtime_loaded=True)
    assert problems(judged(workload, a_policy(Sources((Glob("s3://**"),))))) == [Reason.UNPINNED_REFERENCE]
    assert problems(judged(workload, a_policy(Pinned()))) == [Reason.UNPINNED_REFERENCE]
    assert problems(judged(a_workload(GUARD, runtime_loaded=True), a_policy(SOURCES))) == []


# --- the workload as a whole -------------------------------------------------------------------------------------------------

IMAGE = ServingImage((Glob("registry.acme.example/vllm@sha256:*"),))


def test_a_requirement_on_the_workload_applies_where_any_reference_or_nothing_nameable_matches() -> None:
    narrow = a_policy(IMAGE, match=Match(frozenset({"team-a"}), models=(Glob("hf://acme/*"),)))
    assert problems(judged(a_workload(accelerators=True), narrow)) == [Reason.UNRESOLVED_REFERENCE]
    assert Reason.UNRESOLVED_REFERENCE in problems(judged(unnamed(Reason.OPAQUE_SOURCE, accelerators=True), narrow))
    elsewhere = judged(a_workload("hf://other/model@" + "1" * 40, accelerators=True), narrow)
    assert [finding.requirement for finding in elsewhere.findings] == [""]


# --- revocations -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policies", [(), (a_policy(Pinned(), mode=Mode.AUDIT),), (PRODUCTION,)])
def test_a_revocation_beats_modes_missing_policies_and_good_statements(policies: tuple[Policy, ...]) -> None:
    trust = a_trust({GUARD: a_statement()}, revocations=(Revocation("r", models=(Glob("hf://acme/guard-7b", fold_case=True),)),))
    judgement = judged(a_workload(GUARD), *policies, trust=trust)
    assert problems(judgement) == [Reason.MODEL_REVOKED]
    assert outcome(judgement) is Outcome.DENY
    assert judgement.findings[0].reference == GUARD
    assert judgement.wanted == ()


def test_an_expired_statement_still_reveals_a_revoked_content() -> None:
    statement = a_statement(expires_at=NOW - DAY)
    trust = a_trust({GUARD: statement}, revocations=(Revocation("r", files=frozenset(statement.weights)),))
    assert problems(judged(a_workload(GUARD), dataclasses.replace(PRODUCTION, grace_seconds=9 * DAY), trust=trust)) == [
        Reason.MODEL_REVOKED
    ]


def test_one_revoked_model_denies_beside_good_ones() -> None:
    trust = a_trust({GUARD: a_statement()}, revocations=(Revocation("r", models=(Glob("hf://acme/draft", fold_case=True),)),))
    assert outcome(judged(a_workload(GUARD, OTHER), a_policy(Pinned()), trust=trust)) is Outcome.DENY


# --- failures of ours --------------------------------------------------------------------------------------------------------


def fails() -> tuple[Finding, ...]:
    raise RuntimeError("secret")


@pytest.mark.parametrize("answer", [fails, lambda: ()])
@pytest.mark.parametrize("place", ["on_workload", "on_reference", "on_statement"])
def test_a_requirement_that_raises_or_says_nothing_is_an_error(answer: Callable[[], tuple[Finding, ...]], place: str) -> None:
    policy = a_policy(**{place: (Stub(answer),)})
    judgement = judged(a_workload(GUARD), policy, trust=a_trust({GUARD: a_statement()}))
    assert problems(judgement) == [Reason.INTERNAL_ERROR]
    assert outcome(judgement) is Outcome.ERROR
    assert "secret" not in judgement.findings[-1].message


@pytest.mark.parametrize("mode", list(Mode))
def test_an_object_too_involved_to_judge_is_refused_in_the_mode_of_each_policy(mode: Mode) -> None:
    workload = a_workload(*(f"hf://acme/m{number}@{'1' * 40}" for number in range(limits.EXTRACT_REFERENCES)))
    policies = [a_policy(Pinned(), SOURCES, name=f"p{number}", mode=mode) for number in range(32)]
    judgement = judged(workload, *policies)
    limited = [finding for finding in judgement.findings if finding.reason is Reason.LIMIT_EXCEEDED]
    assert {finding.policy for finding in limited} == {policy.name for policy in policies}
    assert outcome(judgement) is {Mode.ENFORCE: Outcome.DENY, Mode.WARN: Outcome.WARN, Mode.AUDIT: Outcome.ADMIT}[mode]


def test_many_unnamed_models_under_many_policies_are_bounded_too() -> None:
    unresolved = tuple(Unresolved(Reason.UNRESOLVED_REFERENCE, f"/spec/{number}", "x") for number in range(64))
    policies = [a_policy(Pinned(), name=f"p{number}") for number in range(100)]
    judgement = judged(a_workload(unresolved=unresolved), *policies)
    assert len(judgement.findings) <= limits.JUDGE_STEPS + len(policies)
    assert Reason.LIMIT_EXCEEDED in problems(judgement)


# --- properties --------------------------------------------------------------------------------------------------------------

POLICIES = st.lists(
    st.builds(
        a_policy,
        st.sampled_from([Pinned(), SOURCES, SIGNATURE, Formats(frozenset()), IMAGE]),
        st.sampled_from([Pinned(), Sources(()), SIGNATURE, Evaluation(("canary",))]),
        name=st.sampled_from(["a", "b", "c"]),
        mode=st.sampled_from(Mode),
        pending=st.sampled_from(Pending),
        unresolved=st.sampled_from(UnresolvedAction),
        enforce_after=st.sampled_from([None, NOW - 1, NOW + 1]),
        broken=st.sampled_from(["", "", "", "x"]),
    ),
    max_size=4,
)
WORKLOADS = st.builds(
    lambda references, reasons, accelerators: a_workload(
        *references, unresolved=tuple(Unresolved(reason, "/x", "x") for reason in reasons), accelerators=accelerators
    ),
    st.lists(st.sampled_from([GUARD, BRANCH, OTHER, "s3://acme/guard"]), max_size=3),
    st.lists(st.sampled_from([*GOVERNED, Reason.REMOTE_CODE, Reason.LIMIT_EXCEEDED]), max_size=2),
    st.booleans(),
)
STATEMENTS = st.dictionaries(
    st.sampled_from([GUARD, OTHER]),
    st.sampled_from([a_statement(), InvalidStatement("x"), Unavailable("x"), Absent()]),
    max_size=2,
)


@settings(max_examples=80, deadline=None)
@given(workload=WORKLOADS, policies=POLICIES, extra=POLICIES, statements=STATEMENTS)
def test_another_policy_never_makes_the_answer_milder(
    workload: Workload, policies: list[Policy], extra: list[Policy], statements: dict[Any, Any]
) -> None:
    trust = a_trust(statements)
    fewer, more = judged(workload, *policies, trust=trust), judged(workload, *policies, *extra, trust=trust)
    assert outcome(more) >= outcome(fewer)


@settings(max_examples=60, deadline=None)
@given(workload=WORKLOADS, policies=POLICIES, statements=STATEMENTS, unmatched=st.sampled_from(Unmatched))
def test_every_pair_of_policy_and_reference_that_matches_is_answered(
    workload: Workload, policies: list[Policy], statements: dict[Any, Any], unmatched: Unmatched
) -> None:
    judgement = judged(workload, *policies, trust=a_trust(statements), unmatched=unmatched)
    answered = {(finding.policy, finding.locator) for finding in judgement.findings}
    for found in workload.references:
        assert all(
            (policy.name, found.locator) in answered or not (policy.on_reference or policy.on_statement) for policy in policies
        )
    assert {identity.key for identity in judgement.wanted} <= {GUARD, OTHER}
    assert all(finding.reason is not None for finding in judgement.findings if finding.status not in {Status.PASS, Status.SKIP})


def test_signers_are_read_as_they_are_now() -> None:
    trust = a_trust({GUARD: a_statement()}, a_signer(scope=(Glob("hf://acme/other"),)))
    assert problems(judged(a_workload(GUARD), PRODUCTION, trust=trust)) == [Reason.SIGNER_OUT_OF_SCOPE]
