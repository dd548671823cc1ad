from dataclasses import replace
from typing import Any

import pytest

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import SignatureEvidence, SignatureFacts, SignerKind, Statement
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.policy.policy import Revocation, RevokedSigner
from modeltrust.policy.revocations import revoked
from tests.support.statements import DAY, FINGERPRINT, NOW, a_signature, a_statement
from tests.support.trust import GUARD

TEXT = GUARD.partition("@")[0]
KEYLESS = a_signature(
    kind=SignerKind.KEYLESS,
    issuer="https://i.example",
    subject="ci@acme.example",
    vouched_by=("1" * 64, "2" * 64),
    authorities=("7" * 64,),
    signed_at=NOW,
)


def is_revoked(revocation: Revocation, statement: Statement | None = None, *, text: str = TEXT, key: str = GUARD) -> bool:
    return revoked((Revocation("other"), revocation), text, key, statement) is not None


def by_signer(signer: RevokedSigner, *signatures: SignatureEvidence) -> bool:
    return is_revoked(Revocation("r", signers=(signer,)), a_statement(signatures=Known(SignatureFacts(signatures))))


@pytest.mark.parametrize(
    "pattern", ["hf://acme/guard-7b", "hf://acme/*", "hf://ACME/Guard-7B", GUARD, "hf://acme/guard-7b@*", "hf://**"]
)
def test_a_model_is_revoked_by_name_with_and_without_revision_whatever_the_case(pattern: str) -> None:
    assert is_revoked(Revocation("r", models=(Glob(pattern, fold_case=True),)))
    assert is_revoked(
        Revocation("r", models=(Glob(pattern, fold_case=True),)),
        text=TEXT.replace("acme", "AcmE"),
        key=GUARD.replace("acme", "AcmE"),
    )


def test_long_lists_of_names_cost_one_look_each() -> None:
    # 256 references times thousands of revoked models would cost seconds where each name was compared by itself.
    names = tuple(Glob(f"hf://acme/bad-{number}", fold_case=True) for number in range(256))
    revocation = Revocation("r", models=(*names, Glob("hf://ACME/guard*", fold_case=True)))
    assert (len(revocation.exact), [glob.pattern for glob in revocation.patterns]) == (256, ["hf://ACME/guard*"])
    assert is_revoked(revocation, text="hf://Acme/BAD-255", key="hf://Acme/BAD-255")
    assert is_revoked(revocation, text="hf://acme/guard-7b", key="hf://acme/guard-7b")
    assert not is_revoked(revocation, text="hf://acme/bad-256", key="hf://acme/bad-256@main")


@pytest.mark.parametrize("pattern", ["hf://acme/guard", "hf://acme/guard-7b@" + "0" * 40, "s3://**"])
def test_another_name_or_revision_is_not_revoked(pattern: str) -> None:
    assert not is_revoked(Revocation("r", models=(Glob(pattern, fold_case=True),)), a_statement())


def test_a_copy_under_another_name_is_revoked_by_its_content_and_by_any_weight_file() -> None:
    statement = a_statement(content=Known(ContentDigest("1" * 64)), weights=("2" * 64, "3" * 64))
    assert is_revoked(Revocation("r", contents=frozenset({"1" * 64})), statement)
    assert is_revoked(Revocation("r", files=frozenset({"3" * 64})), statement)
    assert not is_revoked(Revocation("r", contents=frozenset({"3" * 64}), files=frozenset({"1" * 64})), statement)


@pytest.mark.parametrize("content", [Absent(), Unavailable("x")])
def test_an_unknown_content_matches_no_digest(content: Any) -> None:
    assert not is_revoked(Revocation("r", contents=frozenset({"1" * 64})), a_statement(content=content))


def test_nothing_known_matches_by_name_only() -> None:
    assert not is_revoked(
        Revocation("r", contents=frozenset({"1" * 64}), files=frozenset({"1" * 64}), signers=(RevokedSigner(FINGERPRINT),))
    )


@pytest.mark.parametrize(
    ("signer", "expected"),
    [
        (RevokedSigner("1" * 64), True),
        (RevokedSigner("7" * 64), True),  # an intermediate of the chain
        (RevokedSigner(KEYLESS.fingerprint), True),
        (RevokedSigner(issuer="https://i.example", subject="ci@acme.example"), True),
        (RevokedSigner(issuer="https://I.example", subject="CI@acme.example"), True),
        (RevokedSigner(issuer="https://i.example"), True),
        (RevokedSigner(subject="ci@acme.example"), True),
        (RevokedSigner(issuer="https://i.example", subject="other@acme.example"), False),
        (RevokedSigner(issuer="https://j.example", subject="ci@acme.example"), False),
        (RevokedSigner("9" * 64), False),
        (RevokedSigner(), False),
    ],
)
def test_a_signer_is_revoked_by_its_key_identity_or_who_vouched(signer: RevokedSigner, expected: bool) -> None:  # noqa: FBT001 - a column
    assert by_signer(signer, KEYLESS) is expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("https://github.com/acme/models/.github/workflows/release.yml", True),
        ("https://github.com/acme/models/.github/workflows/Release.yml@refs/heads/main", True),
        ("https://github.com/acme/models/.github/workflows/release.yml@refs/heads/other", False),
        ("https://github.com/acme/models/.github/workflows/release", False),
        ("https://github.com/acme/models", False),
    ],
)
def test_a_workflow_is_revoked_at_one_ref_or_named_without_one_at_all(subject: str, expected: bool) -> None:  # noqa: FBT001 - a column
    workflow = replace(KEYLESS, subject="https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main")
    assert by_signer(RevokedSigner(issuer="https://i.example/", subject=subject), workflow) is expected


@pytest.mark.parametrize(
    ("signed_at", "signed_after", "expected"),
    [(NOW, None, True), (NOW, NOW - 1, True), (NOW, NOW, False), (NOW - DAY, NOW, False), (None, NOW, True)],
)
def test_signatures_before_the_loss_still_count_when_their_time_is_proved(
    signed_at: int | None,
    signed_after: int | None,
    expected: bool,  # noqa: FBT001 - a column
) -> None:
    assert by_signer(RevokedSigner(FINGERPRINT, signed_after=signed_after), a_signature(signed_at=signed_at)) is expected


def test_one_revoked_signature_beside_a_good_one_revokes() -> None:
    assert by_signer(RevokedSigner(FINGERPRINT), a_signature(fingerprint="9" * 64), a_signature())


@pytest.mark.parametrize("signatures", [Absent(), Unavailable("x"), Known(SignatureFacts())])
def test_without_signatures_no_signer_is_revoked(signatures: Any) -> None:
    assert not is_revoked(Revocation("r", signers=(RevokedSigner(FINGERPRINT),)), a_statement(signatures=signatures))


def test_the_finding_names_the_revocation_the_incident_and_the_reason() -> None:
    revocation = Revocation("bad-guard", models=(Glob("hf://**", fold_case=True),), reason="backdoor\x1b[0m", reference="INC-1")
    finding = revoked((revocation,), TEXT, GUARD, None)
    assert finding is not None
    assert finding.reason is Reason.MODEL_REVOKED
    assert finding.message == 'is revoked by name in ModelRevocation bad-guard, "INC-1": "backdoor\\x1b[0m"'
    assert revoked((Revocation("r", contents=frozenset({"c0" * 32})),), TEXT, GUARD, a_statement()) is not None
