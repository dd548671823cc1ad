import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.admission.message import Subject, audit_annotations, causes, denial, problems, warnings
from modeltrust.admission.plain import cut, plain
from modeltrust.domain import limits
from modeltrust.domain.decision import Decision, Finding, Outcome, Status
from modeltrust.domain.reasons import Reason

SUBJECT = Subject("InferenceService", "team-a", "guard")
UNPINNED = Finding(
    requirement="pinned",
    status=Status.FAIL,
    reason=Reason.UNPINNED_REFERENCE,
    message='hf://acme/guard-7b at spec.predictor.model.storageUri names branch "main"; expected a 40-hex commit.',
    fix=f"storageUri: hf://acme/guard-7b:{'9f2c41d0a6' * 4}",
    policy="production",
    contact="#ml-platform",
    reference="hf://acme/guard-7b",
    role="base",
    locator="/spec/predictor/model/storageUri",
)
SIGNER = Finding(
    requirement="signature",
    status=Status.FAIL,
    reason=Reason.SIGNER_NOT_TRUSTED,
    message=f"hf://acme/draft@{'77ab' * 10} (draft model, args[5]) is signed by ci@other.example (issuer https://token.example); "
    "expected acme-research.",
    fix="sign with a trusted identity, or ask for an approval.",
    policy="production",
    contact="#ml-platform",
    reference=f"hf://acme/draft@{'77ab' * 10}",
    role="draft",
    locator="/spec/predictor/model/args/5",
)


def denied(*findings: Finding) -> Decision:
    return Decision(Outcome.DENY, findings)


def test_a_denial_reads_as_the_design_shows_it() -> None:
    text = denial(denied(UNPINNED, SIGNER), SUBJECT, identifier="7f3a91")
    assert text.split("\n") == [
        "modeltrust: 2 problems in InferenceService team-a/guard (policy production, ask #ml-platform)",
        '[UnpinnedReference] hf://acme/guard-7b at spec.predictor.model.storageUri names branch "main"; expected a 40-hex commit.',
        f"  Fix: storageUri: hf://acme/guard-7b:{'9f2c41d0a6' * 4}",
        f"[SignerNotTrusted] {SIGNER.message}",
        "  Fix: sign with a trusted identity, or ask for an approval.",
        "  https://modeltrust.dev/requirements#pinned  id=7f3a91",
    ]


def test_a_fix_keeps_its_lines_and_a_cluster_scoped_object_has_no_slash() -> None:
    finding = Finding(
        "pinned", Status.FAIL, Reason.UNPINNED_REFERENCE, "x", fix="- name: HF_ENDPOINT\n  value: https://huggingface.co"
    )
    text = denial(denied(finding), Subject("ClusterServingRuntime", "", "vllm"), identifier="1")
    assert text.startswith("modeltrust: 1 problem in ClusterServingRuntime vllm\n")
    assert "  Fix: - name: HF_ENDPOINT\n      value: https://huggingface.co\n" in text


def test_the_same_problem_of_two_policies_is_said_once_and_names_both() -> None:
    text = denial(denied(UNPINNED, _with(UNPINNED, policy="baseline")), SUBJECT, identifier="1")
    assert text.startswith(
        "modeltrust: 1 problem in InferenceService team-a/guard (policies production, baseline, ask #ml-platform)\n"
    )


def test_advice_passes_and_what_an_exemption_excuses_are_no_problems() -> None:
    decision = denied(_with(UNPINNED, advisory=True), _with(SIGNER, exempted_by="incident"), Finding("formats", Status.PASS))
    assert problems(decision) == ()
    assert causes(decision) == ()


def test_ten_problems_at_most_are_shown_then_counted() -> None:
    many = [_with(UNPINNED, message=f"m{number}", fix="") for number in range(25)]
    text = denial(denied(*many), SUBJECT, identifier="1")
    assert text.startswith("modeltrust: 25 problems in ")
    assert text.count("[UnpinnedReference]") == limits.DENIAL_PROBLEMS
    assert "\nand 15 more: UnpinnedReference (15)\n" in text


def test_problems_that_do_not_fit_are_counted_by_reason() -> None:
    long = "long " * 60
    others = [_with(SIGNER, message=f"{number} {long}") for number in range(4)]
    text = denial(denied(_with(UNPINNED, message=long), *others), SUBJECT, identifier="1")
    assert "more: SignerNotTrusted" in text
    assert len(text.encode()) <= limits.DENIAL_BYTES


def test_half_a_fix_is_left_out() -> None:
    text = denial(denied(_with(UNPINNED, fix="x" * 2000)), SUBJECT, identifier="1")
    assert "Fix" not in text


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("a\nb", "a\\x0ab"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("https://user:secret@host/x", "https://…@host/x"),
        ("https://token@host/x", "https://…@host/x"),
        ("s3://key:secret@host/x", "s3://…@host/x"),
        ("https://host/x?X-Amz-Signature=abc&y=z end", "https://host/x?… end"),
        ("https://host/x#token=abc", "https://host/x?…"),
        (f"hf://gpt2@{'a' * 40}", f"hf://gpt2@{'a' * 40}"),
        ("what? hf://acme/x", "what? hf://acme/x"),
    ],
)
def test_control_characters_and_secrets_never_reach_a_terminal(foreign: str, shown: str) -> None:
    assert plain(foreign) == shown
    assert shown in denial(denied(_with(UNPINNED, message=foreign)), SUBJECT, identifier="1")


def test_an_object_without_a_name_and_one_with_a_hostile_name_are_named_safely() -> None:
    assert str(Subject("Pod", "a", "")) == "Pod a/(unnamed)"
    assert "\x1b" not in str(Subject("Pod", "a", "\x1b[2J" + "x" * 500))


def test_warnings_are_few_and_short_and_speak_only_of_what_warns() -> None:
    many = tuple(_with(UNPINNED, message=f"{number} " + "m" * 200, advisory=True) for number in range(12))
    audited = _with(SIGNER, advisory=True, silent=True)
    lines = warnings(Decision(Outcome.WARN, (audited, *many)))
    assert len(lines) == limits.WARNINGS
    assert all(len(line) <= limits.WARNING_CHARACTERS for line in lines)
    assert lines[0].startswith("modeltrust: [UnpinnedReference] 0 mmm")
    assert lines[-1] == "modeltrust: and 5 more"
    assert not any("SignerNotTrusted" in line for line in lines)
    assert warnings(Decision(Outcome.ADMIT, (audited,))) == ()
    assert warnings(denied(UNPINNED)) == ()


def test_machines_get_reason_field_and_message_of_each_problem() -> None:
    (first, second) = causes(denied(UNPINNED, SIGNER))
    assert (first.reason, first.field) == ("UnpinnedReference", "spec.predictor.model.storageUri")
    assert (second.reason, second.field) == ("SignerNotTrusted", "spec.predictor.model.args[5]")


def test_the_audit_log_keeps_advice_too() -> None:
    annotations = audit_annotations(Decision(Outcome.ADMIT, (_with(UNPINNED, advisory=True, silent=True),)), "7f")
    assert annotations == {
        "outcome": "admit",
        "id": "7f",
        "reasons": "UnpinnedReference",
        "policies": "production",
        "models": "hf://acme/guard-7b",
    }
    assert audit_annotations(Decision(Outcome.ADMIT), "7f") == {"outcome": "admit", "id": "7f"}


def test_cutting_keeps_the_start() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            Finding,
            requirement=st.sampled_from(["", "pinned", "servingImage"]),
            status=st.sampled_from(list(Status)),
            reason=st.none() | st.sampled_from(list(Reason)),
            message=st.text(max_size=600),
            fix=st.text(max_size=600),
            policy=st.text(max_size=80),
            contact=st.text(max_size=300),
        ),
        max_size=30,
    ),
    st.text(max_size=300),
)
def test_no_denial_is_too_long_or_unprintable(findings: list[Finding], name: str) -> None:
    decision = denied(*findings)
    text = denial(decision, Subject("Pod", name, name), identifier="7f3a91")
    assert len(text.encode()) <= limits.DENIAL_BYTES
    assert text.replace("\n", "").isprintable()
    assert text.endswith("id=7f3a91")
    assert all(len(line) <= limits.WARNING_CHARACTERS for line in warnings(Decision(Outcome.WARN, decision.findings)))
    assert len(problems(decision)) >= text.count("\n[")


def _with(finding: Finding, **changes: Any) -> Finding:
    return dataclasses.replace(finding, **changes)


def test_not_attested_is_not_said_beside_the_problem_that_it_follows_from() -> None:
    unpinned = Finding("pinned", Status.FAIL, Reason.UNPINNED_REFERENCE, "names a branch", reference="hf://a/b")
    follows = Finding("", Status.FAIL, Reason.NOT_ATTESTED, "there is no statement", reference="hf://a/b")
    alone = Finding("", Status.FAIL, Reason.NOT_ATTESTED, "there is no statement", reference="hf://c/d")

    assert problems(Decision(Outcome.DENY, (unpinned, follows, alone))) == (unpinned, alone)
