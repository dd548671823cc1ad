"""Whose statements count, about what: each refusal of a statement, and of a trust file."""

import dataclasses
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.attestation import envelope, predicate
from modeltrust.attestation.attestors import Attestors, parse_attestors, peek_identity
from modeltrust.domain import dsse, limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, UntrustedError
from modeltrust.domain.evidence import Assurance, SignatureFacts, Statement
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reference import parse_identity
from tests.support.statements import (
    AUDIENCE,
    COMMIT,
    DAY,
    IDENTITY,
    NOW,
    a_signature,
    a_statement,
    an_attestor_key,
    attestor_entry,
    attestors_for,
    public_pem,
    sealed,
)

KEY = an_attestor_key()
STRANGER = an_attestor_key()
TRUSTED = attestors_for(KEY, models=["hf://acme/*"])
OTHER = parse_identity(f"hf://acme/other@{COMMIT}")


def refusal(statement: Statement, attestors: Attestors = TRUSTED, *, now: int = NOW, expected: Any = IDENTITY) -> str:
    return refusal_of(sealed(statement, KEY), attestors, now=now, expected=expected)


def refusal_of(data: bytes, attestors: Attestors = TRUSTED, *, now: int = NOW, expected: Any = IDENTITY) -> str:
    with pytest.raises(UntrustedError) as caught:
        attestors.verify(data, now=now, expected=expected)
    assert caught.value.reason == "StatementInvalid"
    return str(caught.value)


def signed_json(document: Any, payload_type: str = dsse.IN_TOTO, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    payload = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
    signature = key.sign(dsse.pae(payload_type, payload), ec.ECDSA(hashes.SHA256()))
    return dsse.dump_envelope(dsse.Envelope(payload_type, payload, signature, envelope.fingerprint(key.public_key())))


def test_a_statement_by_a_trusted_attestor_is_read() -> None:
    assert TRUSTED.verify(sealed(a_statement(), KEY), now=NOW, expected=IDENTITY) == a_statement()
    assert TRUSTED.verify(sealed(a_statement(), KEY), now=NOW) == a_statement()


def test_a_statement_of_another_key_is_refused() -> None:
    assert "no trusted attestor" in refusal_of(sealed(a_statement(), STRANGER))


def test_a_statement_under_a_trusted_key_id_by_another_key_is_refused() -> None:
    forged = json.loads(sealed(a_statement(), STRANGER))
    forged["signatures"][0]["keyid"] = envelope.fingerprint(KEY.public_key())
    assert "does not verify" in refusal_of(json.dumps(forged).encode())


def test_a_statement_without_a_key_id_is_refused() -> None:
    anonymous = json.loads(sealed(a_statement(), KEY))
    del anonymous["signatures"][0]["keyid"]
    assert "no trusted attestor" in refusal_of(json.dumps(anonymous).encode())


def test_a_changed_statement_is_refused() -> None:
    original = dsse.parse_envelope(sealed(a_statement(), KEY), max_bytes=limits.STATEMENT_BYTES)
    better = dataclasses.replace(original, payload=predicate.encode(a_statement(serial=2)))
    assert "does not verify" in refusal_of(dsse.dump_envelope(better))


@pytest.mark.parametrize("payload_type", ["application/json", "application/vnd.dev.sigstore.bundle.v0.3+json", ""])
def test_another_payload_type_signed_by_the_attestor_is_refused(payload_type: str) -> None:
    assert "payload type" in refusal_of(signed_json(predicate.encode(a_statement()), payload_type))


@pytest.mark.parametrize(
    "predicate_type",
    [
        "https://modeltrust.dev/approval/v1",
        "https://modeltrust.dev/statement/v2",
        "https://slsa.dev/verification_summary/v1",
        "https://model_signing/signature/v1.0",
    ],
)
def test_another_statement_type_signed_by_the_attestor_is_refused(predicate_type: str) -> None:
    document = json.loads(predicate.encode(a_statement()))
    assert "predicateType" in refusal_of(signed_json({**document, "predicateType": predicate_type}))


def test_a_signed_statement_in_another_spelling_is_refused() -> None:
    payload = predicate.encode(a_statement())
    assert "spelling" in refusal_of(signed_json(payload.replace(b'"serial":1', b'"serial":0,"serial":1')))


@pytest.mark.parametrize("document", [b"", b"null", b"\xff", {}, [], {"_type": dsse.STATEMENT_TYPE}])
def test_a_signed_payload_that_is_no_statement_is_refused(document: Any) -> None:
    assert "cannot be read" in refusal_of(signed_json(document))


@pytest.mark.parametrize("data", [b"", b"{}", b"\x00", b"[" * 9_999, b" " * (limits.STATEMENT_BYTES + 1)])
def test_bytes_that_are_no_envelope_are_refused(data: bytes) -> None:
    assert "cannot be read" in refusal_of(data)
    with pytest.raises(MalformedError):
        peek_identity(data)


def test_a_statement_for_another_cluster_is_refused() -> None:
    assert "audience" in refusal(a_statement(audience="cluster-2"))
    assert "audience" in refusal(a_statement(audience=AUDIENCE.upper()))


@pytest.mark.parametrize("name", ["hf://evil/guard-7b", "hf+https://hub.acme.example/acme/guard-7b", "hf://ACME/guard-7b"])
def test_a_model_out_of_the_attestors_scope_is_refused(name: str) -> None:
    identity = parse_identity(f"{name}@{COMMIT}")
    assert "may not speak" in refusal(a_statement(identity=identity), expected=identity)


@pytest.mark.parametrize("maximum", ["SignatureOnly", "SourceDigests"])
def test_a_statement_that_claims_more_assurance_than_its_attestor_may_is_refused(maximum: str) -> None:
    modest = attestors_for(KEY, maximumAssurance=maximum)
    assert f"at most {maximum}" in refusal(a_statement(), modest)
    assert "assurance" in refusal(a_statement(signatures=Absent()), modest)


def test_a_signature_that_claims_more_assurance_than_its_attestor_may_is_refused() -> None:
    modest = attestors_for(KEY, maximumAssurance="SourceDigests")
    low, high = a_signature(assurance=Assurance.SOURCE_DIGESTS), a_signature(assurance=Assurance.BYTES_HASHED)
    mild = a_statement(assurance=Assurance.SOURCE_DIGESTS, signatures=Known(SignatureFacts((low,))))
    assert modest.verify(sealed(mild, KEY), now=NOW) == mild
    assert "got assurance BytesHashed" in refusal(dataclasses.replace(mild, signatures=Known(SignatureFacts((low, high)))), modest)


@pytest.mark.parametrize("signatures", [Absent(), Unavailable("no answer"), Known(SignatureFacts())])
def test_a_statement_without_signatures_is_read(signatures: Any) -> None:
    statement = a_statement(signatures=signatures)
    assert TRUSTED.verify(sealed(statement, KEY), now=NOW) == statement


def test_an_attestor_whose_time_is_over_is_refused() -> None:
    ending = attestors_for(KEY, notAfter="2026-09-21T14:13:20Z")
    assert ending.verify(sealed(a_statement(), KEY), now=NOW) == a_statement()
    assert "time of its attestor is over" in refusal(a_statement(), ending, now=NOW + 1)


def test_whoever_keeps_answers_sees_when_the_time_of_an_attestor_ends() -> None:
    both = parse_attestors([attestor_entry(KEY), attestor_entry(STRANGER, notAfter="2026-09-21T14:13:20Z")])
    assert [both.ended(NOW + seconds) for seconds in (-1, 0, 1, DAY)] == [0, 0, 1, 1]


def test_a_restored_statement_from_before_minimum_issued_at_is_refused() -> None:
    mended = attestors_for(KEY, minimumIssuedAt="2026-09-21T14:13:20Z")
    assert mended.verify(sealed(a_statement(), KEY), now=NOW) == a_statement()
    old = a_statement(issued_at=NOW - 1, expires_at=NOW + DAY)
    assert "minimumIssuedAt" in refusal(old, mended)


def test_a_statement_from_the_future_is_refused() -> None:
    early = NOW - limits.CLOCK_SKEW_SECONDS
    assert TRUSTED.verify(sealed(a_statement(), KEY), now=early) == a_statement()
    assert "in the future" in refusal(a_statement(), now=early - 1)


@pytest.mark.parametrize("life", [0, -1, -NOW, limits.STATEMENT_SECONDS + 1, 10 * 365 * DAY])
def test_a_statement_that_ends_before_it_begins_or_lives_too_long_is_refused(life: int) -> None:
    assert "life" in refusal(a_statement(expires_at=NOW + life))


def test_an_expired_statement_is_read_since_a_policy_may_grant_grace() -> None:
    assert TRUSTED.verify(sealed(a_statement(), KEY), now=NOW + 30 * DAY) == a_statement()


def test_a_statement_about_another_model_or_revision_is_refused() -> None:
    assert "expected" in refusal(a_statement(identity=OTHER))
    assert "expected" in refusal(a_statement(identity=parse_identity(f"hf://acme/guard-7b@{'0' * 40}")))


def test_while_keys_rotate_both_count_each_within_its_own_bounds() -> None:
    new = an_attestor_key()
    both = parse_attestors([attestor_entry(KEY), attestor_entry(new, audience="fleet")])
    assert both.verify(sealed(a_statement(), KEY), now=NOW) == a_statement()
    assert both.verify(sealed(a_statement(audience="fleet"), new), now=NOW).audience == "fleet"
    assert "audience" in refusal_of(sealed(a_statement(), new), both)
    assert "audience" in refusal_of(sealed(a_statement(audience="fleet"), KEY), both)


def test_a_removed_key_counts_no_more() -> None:
    assert "no trusted attestor" in refusal(a_statement(), attestors_for(STRANGER))


GOOD = sealed(a_statement(), KEY)  # once: signatures differ in length, and hypothesis wants the same choices each time


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=2))
def test_a_damaged_envelope_is_never_read_as_something_else(at: int, inserted: bytes) -> None:
    try:
        assert TRUSTED.verify(GOOD[:at] + inserted + GOOD[at + 1 :], now=NOW, expected=IDENTITY) == a_statement()
    except UntrustedError as error:
        assert error.reason == "StatementInvalid"  # noqa: PT017 - both ends are fine


def test_the_identity_is_peeked_without_a_signature() -> None:
    assert peek_identity(sealed(a_statement(), STRANGER)) == IDENTITY.key


# --- the trust file ----------------------------------------------------------------------------------------------------------


def entry(**changes: Any) -> dict[str, Any]:
    return {**attestor_entry(KEY), **changes}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in entry().items() if key != name}


def foreign_pem(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def test_a_complete_entry_is_read() -> None:
    compiled = parse_attestors([entry(notAfter="2027-01-15T01:00:00+01:00", minimumIssuedAt="1970-01-01T00:00:07Z")])
    (attestor,) = compiled.by_key.values()
    assert attestor.audience == AUDIENCE
    assert attestor.not_after == 1_800_000_000 - 28_800
    assert attestor.minimum_issued_at == 7
    assert attestor.maximum_assurance is Assurance.BYTES_HASHED


@pytest.mark.parametrize("document", [None, {}, [], "x", 7, entry(), [None], [[]], ["x"], [entry()] * 2, [entry()] * 65])
def test_what_is_no_list_of_distinct_attestors_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInputError):
        parse_attestors(document)


@pytest.mark.parametrize("name", ["keyId", "pem", "audience", "models", "maximumAssurance"])
def test_an_entry_without_a_required_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f'attestor 1: got no "{name}"'):
        parse_attestors([attestor_entry(STRANGER), without(name)])


@pytest.mark.parametrize("changes", [{"keyID": "x"}, {"not_after": "x"}, {"maximumassurance": "BytesHashed"}, {"": 1}])
def test_an_entry_with_an_unknown_key_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="got unknown"):
        parse_attestors([entry(**changes)])


def test_a_key_that_is_no_string_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="got unknown"):
        parse_attestors([{**entry(), 7: "x", None: "y"}])


@pytest.mark.parametrize("name", ["keyId", "pem", "audience", "models", "maximumAssurance", "notAfter", "minimumIssuedAt"])
@pytest.mark.parametrize("value", [None, True, 7, 1.5, {}, [], [7], [[]]])
def test_a_value_of_another_type_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError):
        parse_attestors([entry(**{name: value})])


@pytest.mark.parametrize(
    "changes",
    [
        {"keyId": "0" * 64},
        {"keyId": envelope.fingerprint(KEY.public_key()).upper()},
        {"keyId": ""},
        {"pem": ""},
        {"pem": "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"},
        {"pem": "\ud800"},
        {"pem": foreign_pem(ec.generate_private_key(ec.SECP384R1()))},
        {"pem": foreign_pem(ed25519.Ed25519PrivateKey.generate())},
        {"pem": public_pem(STRANGER)},
        {"audience": ""},
        {"audience": "x" * 254},
        {"models": []},
        {"models": [""]},
        {"models": ["hf://acme/*", "a***b"]},
        {"models": ["hf://ümlaut/*"]},
        {"models": ["**"] * 257},
        {"models": "**"},
        {"maximumAssurance": "VerifiedAtLoad"},
        {"maximumAssurance": "BYTES_HASHED"},
        {"maximumAssurance": ""},
        {"notAfter": ""},
        {"notAfter": "2027-01-15"},
        {"notAfter": "2027-01-15T00:00:00"},
        {"notAfter": "2027-13-15T00:00:00Z"},
        {"notAfter": "2027-01-15T00:00:00.5Z"},
        {"minimumIssuedAt": "tomorrow"},
        {"minimumIssuedAt": "\uff12\uff10\uff12\uff17-01-15T00:00:00Z"},
    ],
)
def test_a_value_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="attestor 0"):
        parse_attestors([entry(**changes)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(entry())) | st.text(max_size=9), inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_no_other_document_is_a_trust_file(document: Any) -> None:
    with pytest.raises(InvalidInputError):
        parse_attestors(document)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(entry(notAfter="", minimumIssuedAt=""))), JSON)
def test_an_arbitrary_value_in_an_entry_is_refused_or_is_one_of_ours(name: str, value: Any) -> None:
    try:
        parse_attestors([entry(**{name: value})])
    except InvalidInputError:
        return
    assert name in {"audience", "models"}
