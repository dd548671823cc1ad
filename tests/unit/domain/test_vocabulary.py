"""The nouns that hold no rule of their own: facts, evidence, decisions, reasons, workloads, signers, bounds."""

import dataclasses
import inspect
import re
from typing import Any

import pytest

from modeltrust.domain import decision, digest, evidence, facts, limits, listing, signer, work, workload
from modeltrust.domain.decision import Decision, Outcome, Status
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.evidence import Assurance
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import EXPLANATIONS, Reason
from modeltrust.domain.reference import NO_REVISION, Revision, RevisionState, model_reference
from modeltrust.domain.signer import CertificateTrust, KeylessTrust, KeyTrust, Purpose, TrustedSigner
from modeltrust.domain.workload import Confidence, FoundReference, Role, Workload

# --- facts -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fact", [Known(1), Known(None), Known(False), Absent(), Unavailable("no answer")])
def test_a_fact_is_never_tested_for_truth(fact: Any) -> None:
    for use in (bool, lambda value: not value, lambda value: value and 1, lambda value: 1 if value else 0):
        with pytest.raises(TypeError, match="no truth value"):
            use(fact)


def test_known_absent_and_unavailable_are_three_different_things() -> None:
    found = [Known(()), Absent(), Unavailable("x"), Known(Absent())]
    assert all((one == other) is (one is other) for one in found for other in found)
    assert Known(1) == Known(1)
    assert Unavailable("x") != Unavailable("y")


def test_each_fact_has_its_own_branch() -> None:
    def kind(fact: facts.Fact[int]) -> str:
        match fact:
            case Known(value):
                return f"known {value}"
            case Absent():
                return "absent"
            case Unavailable(why):
                return why

    assert [kind(fact) for fact in (Known(3), Absent(), Unavailable("no answer"))] == ["known 3", "absent", "no answer"]


# --- reasons -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_in_sentences(reason: Reason) -> None:
    explanation = EXPLANATIONS[reason]
    for sentence in (explanation.meaning, explanation.cause, explanation.fix):
        assert re.fullmatch(r"\S.{8,}\S\.", sentence)


def test_reasons_are_camel_case_and_their_names_say_the_same() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    for reason in Reason:
        assert re.fullmatch(r"([A-Z][a-z]+)+", reason.value)
        assert reason.name.replace("_", "").lower() == reason.value.lower()


def test_explanations_are_not_copied_from_each_other() -> None:
    meanings = [explanation.meaning for explanation in EXPLANATIONS.values()]
    assert len(set(meanings)) == len(meanings)


# --- evidence and decisions --------------------------------------------------------------------------------------------------


def test_assurances_are_ordered_from_weak_to_close_and_named_as_everywhere() -> None:
    labels = ["SignatureOnly", "SourceDigests", "BytesHashed", "VerifiedAtLoad"]
    assert [assurance.label for assurance in sorted(Assurance)] == labels
    assert [Assurance.parse(label) for label in labels] == sorted(Assurance)


@pytest.mark.parametrize("label", ["", "signatureonly", "SIGNATURE_ONLY", "BytesHashed ", "1"])
def test_another_word_is_no_assurance(label: str) -> None:
    with pytest.raises(KeyError):
        Assurance.parse(label)


def test_outcomes_are_ordered_from_mild_to_strict() -> None:
    assert [outcome.label for outcome in sorted(Outcome)] == ["admit", "warn", "pending", "error", "deny"]
    assert {outcome for outcome in Outcome if Decision(outcome).allowed} == {Outcome.ADMIT, Outcome.WARN}
    assert [status.value for status in Status] == ["pass", "fail", "error", "pending", "skip"]


# --- workloads and signers ---------------------------------------------------------------------------------------------------

COMMIT = Revision(RevisionState.COMMIT, "0" * 40)


def found(revision: Revision) -> FoundReference:
    return FoundReference("raw", model_reference("hf", "acme/guard"), revision, Role.BASE, "/spec", Confidence.DECLARED)


def test_only_an_immutable_reference_has_facts_of_its_own() -> None:
    identity = found(COMMIT).identity()
    assert identity is not None
    assert identity.key == f"hf://acme/guard@{COMMIT}"
    for state in set(RevisionState) - {RevisionState.COMMIT, RevisionState.DIGEST}:
        assert found(Revision(state, "x")).identity() is None
    assert found(NO_REVISION).identity() is None


def test_a_state_that_its_value_belies_has_no_identity() -> None:
    with pytest.raises(InvalidReferenceError):
        found(Revision(RevisionState.COMMIT, "main")).identity()


def test_workloads_do_not_share_their_declarations() -> None:
    one = Workload("", "v1", "Pod", "team-a", "x")
    with pytest.raises(TypeError):
        one.content_digests["hf://acme/guard"] = ContentDigest("a" * 64)  # type: ignore[index] # read-only on purpose
    assert not Workload("", "v1", "Pod", "team-a", "y").content_digests


TRUSTS = [
    (KeylessTrust(()), "keyless"),
    (KeyTrust(b"", "a" * 64), "publicKey"),
    (CertificateTrust(b"", frozenset(), "uri", "x"), "certificate"),
]


@pytest.mark.parametrize(("trust", "kind"), TRUSTS)
def test_a_signer_says_how_its_signatures_identify_it(trust: KeylessTrust | KeyTrust | CertificateTrust, kind: str) -> None:
    assert TrustedSigner("a", (), frozenset({Purpose.AUTHOR}), trust, (Glob("**"),)).kind == kind


# --- all of them -------------------------------------------------------------------------------------------------------------

MODULES = [decision, digest, evidence, facts, listing, signer, work, workload]
CLASSES = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if inspect.isclass(kind) and kind.__module__ == module.__name__ and dataclasses.is_dataclass(kind)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_noun_is_hashable_slotted_and_explained(kind: type) -> None:
    parameters = kind.__dataclass_params__  # type: ignore[attr-defined] # what dataclass leaves behind
    assert parameters.frozen or parameters.unsafe_hash  # the latter: domain.values, frozen by mypy
    assert "__slots__" in vars(kind)
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")


# --- bounds ------------------------------------------------------------------------------------------------------------------

BOUNDS = {name: value for name, value in vars(limits).items() if name.isupper()}


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, tuple) else [value]


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_is_a_positive_number(name: str) -> None:
    for number in numbers(BOUNDS[name]):
        assert isinstance(number, (int, float))
        assert not isinstance(number, bool)
        assert 0 < number < 2**63


def test_bounds_that_depend_on_each_other_fit() -> None:
    assert limits.CREATE_OBJECT_BYTES * 2 <= limits.REVIEW_BYTES
    assert limits.GLOB_CHARACTERS <= limits.REFERENCE_CHARACTERS
    assert limits.SIDECAR_BYTES <= limits.TOKENIZER_BYTES
    assert limits.SAFETENSORS_HEADER_WARNING_BYTES < limits.SAFETENSORS_HEADER_BYTES
    assert limits.BUNDLE_BYTES <= limits.OCI_UNRANGED_BYTES
    assert limits.SAFETENSORS_HEADER_BYTES + 8 <= limits.OCI_UNRANGED_BYTES
    assert limits.OCI_TOKEN_BYTES < limits.OCI_MANIFEST_BYTES
    assert limits.HTTP_BACKOFF_SECONDS * 2**limits.HTTP_RETRIES <= limits.HTTP_WAIT_SECONDS
    assert limits.MANIFEST_RESOURCES == limits.FILES
    assert limits.ANSWER_MARGIN_SECONDS < limits.ANSWER_SECONDS
