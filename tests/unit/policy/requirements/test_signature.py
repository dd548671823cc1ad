import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import (
    Assurance,
    RejectedSignature,
    SignatureEvidence,
    SignatureFacts,
    SignatureForm,
    SignerKind,
)
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeylessIdentity, KeylessTrust, KeyTrust, Purpose, TrustedSigner
from modeltrust.domain.workload import AtLoad
from modeltrust.policy.policy import Attested, LabelSelector
from modeltrust.policy.requirements.signature import Alternative, Signature, distinct_signers, may_stay_unsigned
from tests.support.statements import DAY, NOW, a_signature, a_statement
from tests.support.trust import a_found, a_signer, a_trust

AUTHOR = Alternative(Purpose.AUTHOR, ("acme-research",))
APPROVER = Alternative(Purpose.APPROVAL, ("approver",))
OTHER_KEY = "0c" * 32
THIRD_KEY = "0d" * 32
SECOND = a_signer("second", trust=KeyTrust(b"", OTHER_KEY))
THIRD = a_signer("third", trust=KeyTrust(b"", THIRD_KEY))


def check(
    *valid: SignatureEvidence,
    requirement: Signature | None = None,
    signers: tuple[TrustedSigner, ...] = (),
    rejected: tuple[RejectedSignature, ...] = (),
    signatures: Any = None,
    at_load: AtLoad | None = None,
    content: Any = None,
    **trust: Any,
) -> Finding:
    statement = a_statement(signatures=Known(SignatureFacts(valid, rejected)) if signatures is None else signatures)
    if content is not None:
        statement = dataclasses.replace(statement, content=content)
    subject = Attested(a_found(at_load=at_load), statement)
    (finding,) = (requirement or Signature((AUTHOR,))).check(subject, a_trust({}, *signers, **trust))
    assert finding.requirement == "signature"
    return finding


def keyless(subject: str, **changes: Any) -> SignatureEvidence:
    fields = {"kind": SignerKind.KEYLESS, "issuer": "https://i.example", "subject": subject, "vouched_by": ("PublicGood",)}
    return a_signature(**(fields | changes))


# --- one alternative ---------------------------------------------------------------------------------------------------------


def test_one_trusted_signature_is_enough() -> None:
    assert check(a_signature()).status is Status.PASS


def test_a_trusted_signature_beside_a_stranger_and_a_rejected_one_is_enough() -> None:
    rejected = (RejectedSignature(Reason.SIGNATURE_INVALID, "x"),)
    assert check(a_signature(fingerprint=OTHER_KEY), a_signature(), rejected=rejected).status is Status.PASS


@pytest.mark.parametrize("signatures", [Absent(), Known(SignatureFacts())])
def test_a_model_that_nobody_signed_is_unsigned(signatures: Any) -> None:
    finding = check(signatures=signatures)
    assert (finding.status, finding.reason) == (Status.FAIL, Reason.UNSIGNED)


def test_signatures_that_could_not_be_looked_up_are_an_error() -> None:
    finding = check(signatures=Unavailable("registry down"))
    assert (finding.status, finding.reason) == (Status.ERROR, Reason.UNSIGNED)
    assert "registry down" in finding.message


def test_a_signature_that_does_not_verify_says_why() -> None:
    rejected = (RejectedSignature(Reason.SIGNATURE_INVALID, "one file differs"), RejectedSignature(Reason.UNSIGNED_FILES, "x"))
    finding = check(rejected=rejected)
    assert (finding.status, finding.reason) == (Status.FAIL, Reason.SIGNATURE_INVALID)
    assert finding.message == "has a signature that does not verify: one file differs (and 1 more)"


def test_no_alternative_is_never_satisfied() -> None:
    assert check(a_signature(), requirement=Signature(())).reason is Reason.SIGNER_NOT_TRUSTED


def test_an_alternative_without_signers_is_never_satisfied() -> None:
    assert check(a_signature(), requirement=Signature((Alternative(Purpose.AUTHOR),))).reason is Reason.SIGNER_NOT_TRUSTED


def test_a_key_that_is_trusted_but_not_named_does_not_count() -> None:
    finding = check(a_signature(fingerprint=OTHER_KEY), signers=(a_signer(), SECOND))
    assert finding.reason is Reason.SIGNER_NOT_TRUSTED
    assert "expected acme-research" in finding.message


# --- which signers -----------------------------------------------------------------------------------------------------------


def test_a_missing_signer_disables_its_alternative_and_no_other() -> None:
    broken = Alternative(Purpose.AUTHOR, ("acme-research", "gone"))
    finding = check(a_signature(), requirement=Signature((broken,)))
    assert (finding.reason, finding.message) == (Reason.SIGNER_NOT_TRUSTED, 'the TrustedSigner "gone" does not exist')
    assert check(a_signature(), requirement=Signature((broken, AUTHOR))).status is Status.PASS


def test_a_broken_signer_disables_its_alternative_with_its_reason() -> None:
    finding = check(a_signature(), requirement=Signature((Alternative(Purpose.AUTHOR, ("b",)),)), broken_signers={"b": "bad pem"})
    assert finding.message == 'the TrustedSigner "b" cannot be used: bad pem'


@pytest.mark.parametrize(("value", "status"), [("platform", Status.PASS), ("other", Status.FAIL)])
def test_signers_can_be_selected_by_label(value: str, status: Status) -> None:
    alternative = Alternative(Purpose.AUTHOR, selector=LabelSelector((("team", value),)))
    assert check(a_signature(), requirement=Signature((alternative,))).status is status


def test_an_empty_selector_selects_nobody() -> None:
    alternative = Alternative(Purpose.AUTHOR, selector=LabelSelector())
    assert check(a_signature(), requirement=Signature((alternative,))).status is Status.FAIL


@pytest.mark.parametrize(
    ("granted", "asked", "status"),
    [
        (Purpose.AUTHOR, Purpose.AUTHOR, Status.PASS),
        (Purpose.APPROVAL, Purpose.APPROVAL, Status.PASS),
        (Purpose.AUTHOR, Purpose.APPROVAL, Status.FAIL),
        (Purpose.APPROVAL, Purpose.AUTHOR, Status.FAIL),
    ],
)
def test_a_signer_counts_only_for_its_purposes(granted: Purpose, asked: Purpose, status: Status) -> None:
    signer = a_signer(purposes=frozenset({granted}))
    requirement = Signature((Alternative(asked, ("acme-research",)),))
    assert check(a_signature(), requirement=requirement, signers=(signer,)).status is status


def test_an_approval_satisfies_approval_and_never_author() -> None:
    evidence = a_signature(form=SignatureForm.APPROVAL, not_after=NOW + DAY)
    approver = a_signer("approver")
    assert check(evidence, requirement=Signature((APPROVER,)), signers=(approver,)).status is Status.PASS
    finding = check(evidence)
    assert finding.reason is Reason.SIGNER_NOT_TRUSTED
    assert "does not count for purpose Author" in finding.message


# --- threshold ---------------------------------------------------------------------------------------------------------------

TWO = Signature((Alternative(Purpose.AUTHOR, ("acme-research", "second", "third"), threshold=2),))
THREE_SIGNERS = (a_signer(), SECOND, THIRD)


def test_two_keys_meet_a_threshold_of_two() -> None:
    assert check(a_signature(), a_signature(fingerprint=OTHER_KEY), requirement=TWO, signers=THREE_SIGNERS).status is Status.PASS


def test_one_key_twice_is_one_signer() -> None:
    finding = check(a_signature(), a_signature(signed_at=NOW), requirement=TWO, signers=THREE_SIGNERS)
    assert (finding.reason, finding.message) == (Reason.THRESHOLD_NOT_MET, "has 1 distinct signers that count, expected 2")


def test_one_key_under_two_names_is_one_signer() -> None:
    twin = a_signer("second")
    assert check(a_signature(), requirement=TWO, signers=(a_signer(), twin, THIRD)).reason is Reason.THRESHOLD_NOT_MET


def test_a_threshold_is_not_met_across_alternatives() -> None:
    requirement = Signature(
        (Alternative(Purpose.AUTHOR, ("acme-research",), threshold=2), Alternative(Purpose.AUTHOR, ("second",), threshold=2))
    )
    finding = check(a_signature(), a_signature(fingerprint=OTHER_KEY), requirement=requirement, signers=THREE_SIGNERS)
    assert finding.reason is Reason.THRESHOLD_NOT_MET


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_below_one_still_needs_a_signer(threshold: int) -> None:
    requirement = Signature((Alternative(Purpose.AUTHOR, ("acme-research",), threshold=threshold),))
    assert check(a_signature(fingerprint=OTHER_KEY), requirement=requirement).status is Status.FAIL


def test_a_signature_that_covers_too_little_does_not_help_the_threshold() -> None:
    loose = a_signature(fingerprint=OTHER_KEY, assurance=Assurance.SIGNATURE_ONLY)
    assert check(a_signature(), loose, requirement=TWO, signers=THREE_SIGNERS).reason is Reason.THRESHOLD_NOT_MET


@pytest.mark.parametrize(
    ("signatures", "distinct"),
    [
        ([], 0),
        ([keyless("a@x.example"), keyless("b@x.example")], 2),
        ([keyless("a@x.example"), keyless("A@x.example")], 1),
        ([keyless("a@x.example", fingerprint="1" * 64), keyless("a@x.example", fingerprint="2" * 64)], 1),
        ([keyless("a@x.example"), keyless("a@x.example", issuer="https://j.example")], 2),
        ([keyless("https://g/w.yml@refs/tags/v1"), keyless("https://g/w.yml@refs/tags/v2")], 1),
        ([a_signature(), a_signature(kind=SignerKind.CERTIFICATE, subject="s")], 1),
        ([a_signature(kind=SignerKind.CERTIFICATE, subject="s"), a_signature(kind=SignerKind.CERTIFICATE, subject="t")], 1),
        ([a_signature(fingerprint="1"), a_signature(kind=SignerKind.CERTIFICATE, subject="s", fingerprint="2")], 2),
    ],
)
def test_signers_that_share_a_key_or_an_identity_are_one(signatures: list[SignatureEvidence], distinct: int) -> None:
    assert distinct_signers(signatures) == distinct


def test_a_signature_that_links_two_others_makes_all_three_one() -> None:
    by_key = a_signature(fingerprint="1")
    by_name = a_signature(kind=SignerKind.CERTIFICATE, subject="s", fingerprint="2")
    link = a_signature(kind=SignerKind.CERTIFICATE, subject="s", fingerprint="1")
    assert distinct_signers([by_key, by_name]) == 2
    assert distinct_signers([by_key, by_name, link]) == 1


@settings(max_examples=40)
@given(st.permutations([a_signature(fingerprint=f) for f in "1123"] + [keyless(s) for s in ("a", "b", "A")]))
def test_the_number_of_signers_does_not_depend_on_their_order(signatures: list[SignatureEvidence]) -> None:
    assert distinct_signers(signatures) == 5


# --- assurance and coverage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minimum", list(Assurance)[:3])
@pytest.mark.parametrize("got", list(Assurance)[:3])
def test_the_assurance_of_the_signature_must_reach_the_minimum(got: Assurance, minimum: Assurance) -> None:
    finding = check(a_signature(assurance=got), requirement=Signature((AUTHOR,), minimum))
    assert finding.status is (Status.PASS if got >= minimum else Status.FAIL)
    if got < minimum:
        assert (finding.reason, finding.message) == (
            Reason.ASSURANCE_TOO_LOW,
            f"has assurance {got.label}, expected at least {minimum.label}",
        )


CONTENT = ContentDigest("c0" * 32)
AT_LOAD = Signature((AUTHOR,), Assurance.VERIFIED_AT_LOAD)


@pytest.mark.parametrize("at_load", [AtLoad(CONTENT), AtLoad()])
def test_verified_at_load_holds_where_the_pod_compares_with_what_was_attested(at_load: AtLoad) -> None:
    assert check(a_signature(), requirement=AT_LOAD, at_load=at_load).status is Status.PASS


@pytest.mark.parametrize(
    ("at_load", "content", "said"),
    [
        (None, Known(CONTENT), "nothing looked at how"),
        (AtLoad(why="the server loads it by itself"), Known(CONTENT), "the server loads it by itself"),
        (AtLoad(CONTENT, "the volume is written later"), Known(CONTENT), "the volume is written later"),
        (AtLoad(ContentDigest("c1" * 32)), Known(CONTENT), "expected the attested"),
        (AtLoad(CONTENT), Absent(), "without a content digest"),
        (AtLoad(CONTENT), Unavailable("too large"), "without a content digest"),
    ],
)
def test_verified_at_load_fails_where_the_pod_compares_nothing_or_something_else(
    at_load: AtLoad | None, content: Any, said: str
) -> None:
    finding = check(a_signature(), requirement=AT_LOAD, at_load=at_load, content=content)
    assert (finding.status, finding.reason) == (Status.FAIL, Reason.ASSURANCE_TOO_LOW)
    assert said in finding.message


@pytest.mark.parametrize("got", [Assurance.SIGNATURE_ONLY, Assurance.SOURCE_DIGESTS, Assurance.BYTES_HASHED])
def test_at_load_the_content_must_be_what_was_signed(got: Assurance) -> None:
    finding = check(a_signature(assurance=got), requirement=AT_LOAD, at_load=AtLoad(CONTENT))
    assert finding.status is (Status.FAIL if got is Assurance.SIGNATURE_ONLY else Status.PASS)


@pytest.mark.parametrize(
    ("allowed", "uncovered", "status"),
    [
        (("README.md",), ("README.md",), Status.PASS),
        ((), (), Status.PASS),
        ((), ("README.md",), Status.FAIL),
        (("README.md",), ("docs/README.md",), Status.FAIL),
        (("README.md",), ("readme.md",), Status.FAIL),
        (("README.md",), ("README.md", "model.safetensors"), Status.FAIL),
        (("model.safetensors",), ("model.safetensors",), Status.FAIL),
        (("config.json",), ("config.json",), Status.FAIL),
        (("merges.txt",), ("merges.txt",), Status.FAIL),
    ],
)
def test_only_named_documentation_may_stay_unsigned(allowed: tuple[str, ...], uncovered: tuple[str, ...], status: Status) -> None:
    finding = check(a_signature(unsigned_paths=uncovered), requirement=Signature((AUTHOR,), unsigned_paths=allowed))
    assert finding.status is status
    assert status is Status.PASS or finding.reason is Reason.UNSIGNED_FILES


@pytest.mark.parametrize("path", ["README.md", "docs/figure.png", "LICENSE", "a/NOTICE.txt", "paper.PDF"])
def test_documentation_and_images_may_stay_unsigned(path: str) -> None:
    assert may_stay_unsigned(path)


@pytest.mark.parametrize(
    "path",
    [
        "model.safetensors",
        "config.json",
        "vocab.txt",
        "merges.txt",
        "chat_template.jinja",
        "modeling.py",
        ".md",
        "x.md/config.json",
        "",
    ],
)
def test_what_a_loader_may_read_never_stays_unsigned(path: str) -> None:
    assert not may_stay_unsigned(path)


# --- the most helpful reason -------------------------------------------------------------------------------------------------

EXPIRED = a_signer("acme-research", not_after=NOW - DAY)
NARROW = a_signer("acme-research", scope=(Glob("hf://acme/other"),))


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        ((NARROW, SECOND), Reason.SIGNER_OUT_OF_SCOPE),
        ((EXPIRED, SECOND), Reason.SIGNER_EXPIRED),
        ((a_signer(trust=KeyTrust(b"", THIRD_KEY)), SECOND), Reason.SIGNER_NOT_TRUSTED),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_recognised_signer_is_a_better_reason_than_a_stranger(
    signers: tuple[TrustedSigner, ...],
    reason: Reason,
    first: bool,  # noqa: FBT001 - a column
) -> None:
    names = ("acme-research", "second") if first else ("second", "acme-research")
    one = Signature((Alternative(Purpose.AUTHOR, names),))
    several = Signature(tuple(Alternative(Purpose.AUTHOR, (name,)) for name in names))
    for requirement in (one, several):
        assert check(a_signature(), requirement=requirement, signers=signers).reason is reason


def test_a_keyless_signer_of_another_instance_is_not_trusted() -> None:
    signer = a_signer(trust=KeylessTrust((KeylessIdentity("a", "https://i.example", "s"),), b"{}", frozenset({"1" * 64})))
    assert check(keyless("s"), signers=(signer,)).reason is Reason.SIGNER_NOT_TRUSTED
