"""What ``spec.evidence`` supplies counts exactly as design/api.md says: statements of other attestors, within their entry."""

from typing import Any

import pytest

from modeltrust.api.compile.attestations import envelopes
from modeltrust.attestation.attestors import parse_attestors
from modeltrust.domain.evidence import Assurance, SignatureFacts, SignatureForm, Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.globs import Glob
from modeltrust.domain.signer import Purpose
from modeltrust.policy.policy import InvalidStatement
from modeltrust.policy.signers import Counted, match
from modeltrust.store.statements import Statements
from tests.support.statements import (
    DAY,
    IDENTITY,
    NOW,
    a_signature,
    a_statement,
    an_attestor_key,
    attestor_entry,
    identity_of,
    sealed,
)
from tests.support.trust import a_signer

OPERATOR, PIPELINE, STRANGER = an_attestor_key(), an_attestor_key(), an_attestor_key()
ATTESTORS = parse_attestors(
    [
        attestor_entry(OPERATOR),
        attestor_entry(PIPELINE, models=("hf://acme/*",), maximumAssurance="SourceDigests"),
    ]
)
MODEST = Known(SignatureFacts((a_signature(assurance=Assurance.SOURCE_DIGESTS),)))


def letter(**changes: Any) -> Statement:
    return a_statement(**{"assurance": Assurance.SOURCE_DIGESTS, "signatures": MODEST, "serial": 5} | changes)


def looked_up(*supplied: bytes, status: bytes | None = None, identity: Any = IDENTITY) -> Statement | InvalidStatement:
    obj: dict[str, Any] = {
        "spec": {"evidence": [{"name": f"e{n}", "bundle": {"inline": data.decode()}} for n, data in enumerate(supplied)]},
        "status": {} if status is None else {"statement": status.decode()},
    }
    statements = Statements(envelopes)
    statements.trust(ATTESTORS)
    statements.replace([("guard", obj)])
    found = statements.look_up(identity, NOW)
    assert isinstance(found, Known)
    return found.value


def test_a_statement_of_another_attestor_counts_alone() -> None:
    assert looked_up(sealed(letter(), PIPELINE)) == letter()


def test_what_its_entry_does_not_allow_does_not_count() -> None:
    """F43, F46, H4: another audience, more assurance than it may claim, or a key that nobody listed."""
    closer = Known(SignatureFacts((a_signature(assurance=Assurance.BYTES_HASHED),)))
    for changes in ({"audience": "fleet-b"}, {"assurance": Assurance.BYTES_HASHED}, {"signatures": closer}):
        assert isinstance(looked_up(sealed(letter(**changes), PIPELINE)), InvalidStatement)
    assert isinstance(looked_up(sealed(letter(), STRANGER)), InvalidStatement)


def test_a_model_out_of_its_scope_is_not_its_to_speak_of() -> None:
    other = identity_of("hf://other/guard@" + "1" * 40)
    assert isinstance(looked_up(sealed(letter(identity=other), PIPELINE), identity=other), InvalidStatement)


@pytest.mark.parametrize("bad", [sealed(letter(serial=99), STRANGER), sealed(letter(serial=99, audience="x"), PIPELINE)])
def test_bad_evidence_hides_nothing_of_the_operator(bad: bytes) -> None:
    assert looked_up(bad, status=sealed(letter(serial=2), OPERATOR)) == letter(serial=2)


def test_an_older_letter_in_the_evidence_never_beats_the_newer_one() -> None:
    """F48, H3."""
    old = letter(serial=2, issued_at=NOW - DAY, expires_at=NOW + DAY)
    assert looked_up(sealed(old, OPERATOR), status=sealed(letter(serial=3), OPERATOR)) == letter(serial=3)


def test_an_approval_counts_for_approval_alone_and_until_it_ends() -> None:
    """F46: the last second counts, the next one does not."""
    approval = a_signature(form=SignatureForm.APPROVAL, not_after=NOW, ticket="SEC-1")
    signer = a_signer(scope=(Glob("hf://acme/*"),))
    assert match(approval, signer, IDENTITY.key, NOW) == Counted(signer.name, frozenset({Purpose.APPROVAL}))
    assert not isinstance(match(approval, signer, IDENTITY.key, NOW + 1), Counted)
