from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.evidence import SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import (
    CertificateTime,
    CertificateTrust,
    KeylessIdentity,
    KeylessTrust,
    KeyTrust,
    Purpose,
    TrustedSigner,
)
from modeltrust.policy.signers import Counted, NotCounted, described, match
from tests.support.statements import DAY, FINGERPRINT, NOW, a_signature
from tests.support.trust import GUARD, a_signer

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main"
ROOT = frozenset({"01" * 32, "02" * 32, "03" * 32, "04" * 32})
ANCHOR = "05" * 32
SAN = "https://acme.example/signing"


def keyless_evidence(**changes: Any) -> SignatureEvidence:
    fields = {
        "kind": SignerKind.KEYLESS,
        "issuer": ISSUER,
        "subject": SUBJECT,
        "vouched_by": ("PublicGood",),
        "signed_at": NOW - DAY,
    }
    return a_signature(**(fields | changes))


def keyless_signer(*identities: KeylessIdentity, root: frozenset[str] | None = None, **changes: Any) -> TrustedSigner:
    entries = identities or (KeylessIdentity("release", ISSUER, SUBJECT),)
    trust = KeylessTrust(entries) if root is None else KeylessTrust(entries, b"{}", root)
    return a_signer(trust=trust, **changes)


def certificate_evidence(**changes: Any) -> SignatureEvidence:
    fields = {
        "kind": SignerKind.CERTIFICATE,
        "subject": f"uri:{SAN}",
        "vouched_by": (ANCHOR,),
        "not_before": NOW - 10 * DAY,
        "not_after": NOW + 10 * DAY,
    }
    return a_signature(**(fields | changes))


def certificate_signer(
    time: CertificateTime = CertificateTime.AT_VERIFICATION, san: tuple[str, str] = ("uri", SAN), **changes: Any
) -> TrustedSigner:
    return a_signer(trust=CertificateTrust(b"", frozenset({ANCHOR, "06" * 32}), *san, time), **changes)


def approval(**changes: Any) -> SignatureEvidence:
    return a_signature(form=SignatureForm.APPROVAL, not_after=NOW + DAY, ticket="ML-7", **changes)


def reason(evidence: SignatureEvidence, signer: TrustedSigner, reference: str = GUARD, now: int = NOW) -> Reason:
    result = match(evidence, signer, reference, now)
    assert isinstance(result, NotCounted)
    assert result.message
    return result.reason


# --- keys --------------------------------------------------------------------------------------------------------------------


def test_a_signature_by_the_key_of_a_signer_counts_for_its_purposes() -> None:
    signer = a_signer(purposes=frozenset({Purpose.AUTHOR}))
    assert match(a_signature(), signer, GUARD, NOW) == Counted("acme-research", frozenset({Purpose.AUTHOR}))


def test_a_signature_by_another_key_does_not_count() -> None:
    assert reason(a_signature(fingerprint="cc" * 32), a_signer()) is Reason.SIGNER_NOT_TRUSTED


def test_two_empty_fingerprints_are_not_the_same_key() -> None:
    assert reason(a_signature(fingerprint=""), a_signer(trust=KeyTrust(b"", ""))) is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("kind", [SignerKind.KEYLESS, SignerKind.CERTIFICATE])
def test_the_leaf_key_of_another_kind_of_signature_is_no_key_of_a_signer(kind: SignerKind) -> None:
    assert reason(a_signature(kind=kind), a_signer()) is Reason.SIGNER_NOT_TRUSTED


# --- keyless -----------------------------------------------------------------------------------------------------------------


def test_an_exact_identity_counts() -> None:
    assert isinstance(match(keyless_evidence(), keyless_signer(), GUARD, NOW), Counted)


def test_one_of_several_identities_is_enough() -> None:
    signer = keyless_signer(KeylessIdentity("old", ISSUER, "nobody"), KeylessIdentity("release", ISSUER, SUBJECT))
    assert isinstance(match(keyless_evidence(), signer, GUARD, NOW), Counted)


def test_a_pattern_matches_component_by_component() -> None:
    pattern = Glob("https://github.com/acme/*/.github/workflows/release.yml@refs/heads/main")
    signer = keyless_signer(KeylessIdentity("release", ISSUER, subject_pattern=pattern))
    assert isinstance(match(keyless_evidence(), signer, GUARD, NOW), Counted)


@pytest.mark.parametrize(
    "subject",
    [
        "https://github.com/acme/models/.github/workflows/evil.yml@refs/heads/foo@refs/heads/main",
        "https://github.com/acme/models/.github/workflows/a/b.yml@refs/heads/main",
        "https://github.com/acme/evil/models/.github/workflows/release.yml@refs/heads/main",
        "https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main2",
        "https://github.com/acme/models/.github/workflows/release.yml",
        "",
    ],
)
def test_a_star_never_crosses_a_separator(subject: str) -> None:
    pattern = Glob("https://github.com/acme/*/.github/workflows/*@refs/heads/main")
    signer = keyless_signer(KeylessIdentity("release", ISSUER, subject_pattern=pattern))
    assert reason(keyless_evidence(subject=subject), signer) is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": ISSUER + "/"},
        {"issuer": ""},
        {"subject": SUBJECT + "x"},
        {"subject": SUBJECT.upper()},
        {"subject": ""},
        {"vouched_by": ()},
        {"vouched_by": ("01" * 32,)},
        {"vouched_by": ("PublicGood", "01" * 32)},
    ],
)
def test_another_issuer_subject_or_root_does_not_count(changes: dict[str, Any]) -> None:
    assert reason(keyless_evidence(**changes), keyless_signer()) is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize(
    "identity",
    [
        KeylessIdentity("nobody", "", SUBJECT),
        KeylessIdentity("anybody", ISSUER),
        KeylessIdentity("both", ISSUER, "other", Glob("https://github.com/**@refs/heads/main")),
    ],
)
def test_an_identity_that_says_too_little_or_contradicts_itself_is_nobody(identity: KeylessIdentity) -> None:
    assert reason(keyless_evidence(), keyless_signer(identity)) is Reason.SIGNER_NOT_TRUSTED
    assert reason(keyless_evidence(issuer="", subject=""), keyless_signer(identity)) is Reason.SIGNER_NOT_TRUSTED


def test_a_signer_without_identities_matches_nobody() -> None:
    assert reason(keyless_evidence(), a_signer(trust=KeylessTrust(()))) is Reason.SIGNER_NOT_TRUSTED


CLAIM = ("sourceRepositoryURI", "https://github.com/acme/models")


@pytest.mark.parametrize(
    ("claims", "counts"),
    [
        ((CLAIM,), True),
        ((CLAIM, ("other", "x")), True),
        ((), False),
        (((CLAIM[0], "https://github.com/evil/models"),), False),
        ((CLAIM, (CLAIM[0], "https://github.com/evil/models")), False),
        ((("sourcerepositoryuri", CLAIM[1]),), False),
    ],
)
def test_every_claim_of_an_identity_must_hold_and_only_once(claims: tuple[tuple[str, str], ...], counts: bool) -> None:  # noqa: FBT001 - a column
    signer = keyless_signer(KeylessIdentity("release", ISSUER, SUBJECT, claims=(CLAIM,)))
    assert isinstance(match(keyless_evidence(claims=claims), signer, GUARD, NOW), Counted) is counts


def test_fields_of_two_identities_are_never_mixed() -> None:
    signer = keyless_signer(KeylessIdentity("a", ISSUER, "other"), KeylessIdentity("b", "https://other.example", SUBJECT))
    assert reason(keyless_evidence(), signer) is Reason.SIGNER_NOT_TRUSTED


def test_every_key_that_vouched_must_still_stand_in_the_inline_root() -> None:
    evidence = keyless_evidence(vouched_by=tuple(sorted(ROOT)))
    assert isinstance(match(evidence, keyless_signer(root=ROOT | {"09" * 32}), GUARD, NOW), Counted)
    for gone in ROOT:
        assert reason(evidence, keyless_signer(root=ROOT - {gone})) is Reason.SIGNER_NOT_TRUSTED


VOUCHER = min(ROOT)


@pytest.mark.parametrize(
    ("windows", "counts"),
    [
        ((), True),
        (((VOUCHER, 0, None),), True),
        ((("09" * 32, 0, 1),), True),  # of a key that vouched for nothing here
        (((VOUCHER, NOW, NOW + 1),), True),
        (((VOUCHER, 0, NOW),), False),  # the end itself is outside
        (((VOUCHER, NOW + 1, None),), False),
        (((VOUCHER, 0, NOW - 1), (VOUCHER, NOW + 1, None)), False),  # between two windows of one key
        (((VOUCHER, 0, NOW - 1), (VOUCHER, NOW, None)), True),
    ],
)
def test_the_signing_time_lies_in_a_window_of_each_key_that_vouched_as_the_root_is_now(windows: Any, *, counts: bool) -> None:
    """F46: ending ``validFor`` in an inline root is heard at once, with nothing verified again."""
    evidence = keyless_evidence(vouched_by=tuple(sorted(ROOT)), signed_at=NOW)
    signer = keyless_signer(root=ROOT)
    assert isinstance(signer.trust, KeylessTrust)
    result = match(evidence, replace(signer, trust=replace(signer.trust, windows=windows)), GUARD, NOW + 1)
    assert isinstance(result, Counted) is counts
    assert counts or (isinstance(result, NotCounted) and result.reason is Reason.SIGNER_EXPIRED)


def test_without_a_signing_time_no_window_holds() -> None:
    evidence, signer = keyless_evidence(vouched_by=tuple(sorted(ROOT)), signed_at=None), keyless_signer(root=ROOT)
    assert isinstance(signer.trust, KeylessTrust)
    bounded = replace(signer, trust=replace(signer.trust, windows=((VOUCHER, 0, None),)))
    assert reason(evidence, bounded) is Reason.SIGNER_EXPIRED


@pytest.mark.parametrize("vouched", [(), ("PublicGood",)])
def test_the_public_instance_does_not_vouch_for_an_inline_root(vouched: tuple[str, ...]) -> None:
    assert reason(keyless_evidence(vouched_by=vouched), keyless_signer(root=ROOT)) is Reason.SIGNER_NOT_TRUSTED


# --- certificates ------------------------------------------------------------------------------------------------------------


def test_a_certificate_with_the_name_under_a_listed_root_counts() -> None:
    assert isinstance(match(certificate_evidence(), certificate_signer(), GUARD, NOW), Counted)


@pytest.mark.parametrize(
    "changes", [{"subject": f"uri:{SAN}/x"}, {"subject": SAN}, {"subject": ""}, {"vouched_by": ()}, {"vouched_by": ("07" * 32,)}]
)
def test_another_name_or_root_does_not_count(changes: dict[str, Any]) -> None:
    assert reason(certificate_evidence(**changes), certificate_signer()) is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("kind", ["dns", "email", "ip"])
def test_a_name_of_one_kind_never_passes_for_another(kind: str) -> None:
    assert reason(certificate_evidence(subject=f"uri:{SAN}"), certificate_signer(san=(kind, SAN))) is Reason.SIGNER_NOT_TRUSTED


def test_a_signer_without_a_name_is_nobody() -> None:
    assert reason(certificate_evidence(subject="uri:"), certificate_signer(san=("uri", ""))) is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("san", [("dns", "signing.acme.example"), ("email", "ci@acme.example"), ("uri", "spiffe://acme/ci")])
def test_each_kind_of_name_counts(san: tuple[str, str]) -> None:
    assert isinstance(match(certificate_evidence(subject=":".join(san)), certificate_signer(san=san), GUARD, NOW), Counted)


@pytest.mark.parametrize(
    ("changes", "now"),
    [
        ({}, NOW + 11 * DAY),
        ({}, NOW - 11 * DAY),
        ({"not_before": None}, NOW),
        ({"not_after": None}, NOW),
        ({"signed_at": NOW}, NOW + 11 * DAY),
    ],
)
def test_at_verification_the_certificate_must_be_valid_now(changes: dict[str, Any], now: int) -> None:
    assert reason(certificate_evidence(**changes), certificate_signer(), now=now) is Reason.SIGNER_EXPIRED


def test_at_signing_the_certificate_must_have_been_valid_at_the_trusted_time() -> None:
    signer = certificate_signer(CertificateTime.AT_SIGNING)
    later = NOW + 100 * DAY
    assert isinstance(match(certificate_evidence(signed_at=NOW), signer, GUARD, later), Counted)
    assert reason(certificate_evidence(signed_at=NOW + 11 * DAY), signer, now=later) is Reason.SIGNER_EXPIRED
    assert reason(certificate_evidence(signed_at=None), signer) is Reason.SIGNER_EXPIRED


# --- purposes, scope, validity -----------------------------------------------------------------------------------------------


def test_an_approval_counts_for_approval_only() -> None:
    assert match(approval(), a_signer(), GUARD, NOW) == Counted("acme-research", frozenset({Purpose.APPROVAL}))


def test_an_approval_by_an_author_does_not_count() -> None:
    assert reason(approval(), a_signer(purposes=frozenset({Purpose.AUTHOR}))) is Reason.SIGNER_NOT_TRUSTED


def test_an_approval_ends() -> None:
    assert isinstance(match(approval(), a_signer(), GUARD, NOW + DAY), Counted)
    assert reason(approval(), a_signer(), now=NOW + DAY + 1) is Reason.SIGNER_EXPIRED


def test_an_approval_without_end_does_not_count() -> None:
    assert reason(a_signature(form=SignatureForm.APPROVAL, not_after=None), a_signer()) is Reason.SIGNER_EXPIRED


def test_an_approval_by_a_certificate_does_not_count() -> None:
    evidence = certificate_evidence(form=SignatureForm.APPROVAL)
    assert reason(evidence, certificate_signer()) is Reason.SIGNER_NOT_TRUSTED


@pytest.mark.parametrize("form", [SignatureForm.OMS, SignatureForm.COSIGN])
def test_other_forms_count_for_every_purpose(form: SignatureForm) -> None:
    assert match(a_signature(form=form), a_signer(), GUARD, NOW) == Counted("acme-research", frozenset(Purpose))


@pytest.mark.parametrize("scope", ["hf://acme/*", "hf://acme/guard-7b", GUARD, "hf://**", "hf://acme/*@*"])
def test_a_scope_is_compared_without_and_with_the_revision(scope: str) -> None:
    assert isinstance(match(a_signature(), a_signer(scope=(Glob(scope),)), GUARD, NOW), Counted)


@pytest.mark.parametrize(
    "scope",
    ["hf://acme", "hf://*", "hf://acme/guard-7b@" + "0" * 40, "hf+https://hub.acme.example/acme/*", "hf://Acme/*", "oci://**"],
)
def test_outside_its_scope_a_known_signer_is_said_to_be_out_of_scope(scope: str) -> None:
    assert reason(a_signature(), a_signer(scope=(Glob(scope),))) is Reason.SIGNER_OUT_OF_SCOPE


def test_a_signer_without_scope_signs_nothing() -> None:
    assert reason(a_signature(), a_signer(scope=())) is Reason.SIGNER_OUT_OF_SCOPE


@pytest.mark.parametrize(
    ("signed_at", "now", "counts"),
    [
        (NOW, NOW + 100 * DAY, True),
        (None, NOW, True),
        (NOW - 2 * DAY, NOW, False),
        (NOW + 2 * DAY, NOW + 3 * DAY, False),
        (None, NOW + 2 * DAY, False),
        (None, NOW - 2 * DAY, False),
    ],
)
def test_validity_is_judged_at_the_trusted_signing_time_else_now(signed_at: int | None, now: int, counts: bool) -> None:  # noqa: FBT001 - a column
    signer = a_signer(not_before=NOW - DAY, not_after=NOW + DAY)
    result = match(a_signature(signed_at=signed_at), signer, GUARD, now)
    assert isinstance(result, Counted) is counts
    assert counts or reason(a_signature(signed_at=signed_at), signer, now=now) is Reason.SIGNER_EXPIRED


def test_a_signing_time_in_the_future_does_not_count() -> None:
    assert reason(a_signature(signed_at=NOW + DAY), a_signer()) is Reason.SIGNER_EXPIRED


def test_messages_name_who_signed_and_never_hold_control_characters() -> None:
    assert described(keyless_evidence(subject="a\x1b[31m")) == f'"a\\x1b[31m" (issuer "{ISSUER}")'
    assert described(certificate_evidence()) == f'certificate "uri:{SAN}"'
    assert described(a_signature()) == f"key {FINGERPRINT[:16]}"


@settings(max_examples=60)
@given(
    kind=st.sampled_from(SignerKind),
    form=st.sampled_from(SignatureForm),
    text=st.text(max_size=30),
    vouched=st.lists(st.text(max_size=10), max_size=3),
    times=st.tuples(*[st.none() | st.integers(-(2**40), 2**40)] * 3),
    now=st.integers(-(2**40), 2**40),
)
def test_arbitrary_evidence_never_counts_and_never_raises(
    kind: SignerKind, form: SignatureForm, text: str, vouched: list[str], times: tuple[int | None, ...], now: int
) -> None:
    evidence = a_signature(
        kind=kind, form=form, fingerprint=text, issuer=text, subject=text, vouched_by=tuple(vouched),
        signed_at=times[0], not_before=times[1], not_after=times[2],
    )  # fmt: skip
    for signer in (a_signer(), keyless_signer(), keyless_signer(root=ROOT), certificate_signer()):
        assert isinstance(match(evidence, signer, GUARD, now), NotCounted)
