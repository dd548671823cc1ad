import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, content_digest
from modeltrust.domain.errors import InvalidInputError, MalformedError
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.signing.approval import Approval, build_approval, parse_approval
from modeltrust.signing.sign import sign_approval
from modeltrust.signing.verify import verify
from tests.support import oms
from tests.support.sigstore_ca import DAY, NOW

KEY = oms.new_key()
MODEL = parse_identity("hf://acme/guard-7b@" + "9f" * 20)
CONTENT = content_digest((path, oms.sha256(data)) for path, data in oms.FILES.items())
END = NOW + 90 * DAY
PAYLOAD = build_approval(MODEL, CONTENT, "SEC-42", NOW, END)
Change = Callable[[dict[str, Any]], None]


def judged(
    payload: bytes,
    *,
    identity: Identity | None = MODEL,
    content: ContentDigest | None = CONTENT,
    now: int = NOW,
    bytes_read: bool = False,
) -> SignatureEvidence | RejectedSignature:
    bundle = sign_approval(payload, oms.private_pem(KEY))
    listing = oms.listing(bytes_read=bytes_read)
    return verify(bundle, listing, signers=(oms.key_signer(KEY),), now=now, content=content, identity=identity)


def refused(payload: bytes, says: str, **options: Any) -> None:
    result = judged(payload, **options)
    assert isinstance(result, RejectedSignature), result
    assert (result.reason, says in result.message) == (Reason.SIGNATURE_INVALID, True), result.message


def test_an_approval_reads_back_as_built() -> None:
    assert parse_approval(PAYLOAD) == Approval(MODEL, CONTENT, "SEC-42", NOW, END)


def test_an_approval_of_a_model_without_revisions_reads_back() -> None:
    identity = parse_identity("s3://bucket/guard", content=CONTENT)
    assert parse_approval(build_approval(identity, CONTENT, "SEC-42", NOW, END)).identity == identity


def test_an_approval_is_a_fact_about_this_content_and_ends() -> None:
    assert judged(PAYLOAD) == SignatureEvidence(
        SignatureForm.APPROVAL,
        SignerKind.PUBLIC_KEY,
        oms.fingerprint(KEY),
        assurance=Assurance.SOURCE_DIGESTS,
        not_after=END,
        ticket="SEC-42",
    )


def test_an_approval_of_bytes_that_we_hashed_is_worth_that() -> None:
    result = judged(PAYLOAD, bytes_read=True)
    assert isinstance(result, SignatureEvidence)
    assert result.assurance is Assurance.BYTES_HASHED


def test_an_ended_approval_is_recorded_and_judged_at_admission() -> None:
    assert isinstance(judged(PAYLOAD, now=END + 1), SignatureEvidence)


def test_another_model_other_files_or_nobody_who_knows_is_refused() -> None:
    refused(PAYLOAD, "is about", identity=parse_identity("hf://acme/guard-7b@" + "ab" * 20))
    refused(PAYLOAD, "is about", identity=parse_identity("hf://acme/other@" + "9f" * 20))
    refused(PAYLOAD, "is about", identity=None)
    refused(PAYLOAD, "is about content", content=ContentDigest("0" * 64))
    uncompared = judged(PAYLOAD, content=None)  # no sign that anything is wrong: nothing may be revoked for it (H3)
    assert isinstance(uncompared, RejectedSignature)
    assert (uncompared.reason, "cannot be compared" in uncompared.message) == (Reason.ASSURANCE_TOO_LOW, True)


def test_an_approval_from_the_future_is_refused() -> None:
    refused(PAYLOAD, "in the future", now=NOW - limits.CLOCK_SKEW_SECONDS - 1)
    assert isinstance(judged(PAYLOAD, now=NOW - limits.CLOCK_SKEW_SECONDS), SignatureEvidence)


def test_an_approval_by_an_unknown_key_is_not_trusted() -> None:
    bundle = sign_approval(PAYLOAD, oms.private_pem(oms.new_key()))
    result = verify(bundle, oms.listing(), signers=(oms.key_signer(KEY),), now=NOW, content=CONTENT, identity=MODEL)
    assert isinstance(result, RejectedSignature)
    assert result.reason is Reason.SIGNER_NOT_TRUSTED


def top(name: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document[name] = value

    return change


def predicate(name: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["predicate"][name] = value

    return change


def subject(value: Any) -> Change:
    return top("subject", [value])


DIGEST = {"sha256": CONTENT.hex}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (top("_type", "x"), "predicate type"),
        (top("extra", 1), "extra"),
        (top("subject", []), "0 subjects"),
        (top("subject", [{"name": "x", "digest": DIGEST}] * 2), "2 subjects"),
        (subject({"name": "hf://acme/other", "digest": DIGEST}), "subject"),
        (subject({"digest": DIGEST}), "name"),
        (subject({"name": "hf://acme/guard-7b", "digest": {"sha256": "0"}}), "64"),
        (subject({"name": "hf://acme/guard-7b", "digest": {**DIGEST, "sha512": ""}}), "sha512"),
        (subject({"name": "hf://acme/guard-7b", "digest": {"sha256": 1}}), "sha256"),
        (top("predicate", []), "approval"),
        (predicate("extra", 1), "extra"),
        (predicate("identity", "hf://acme/guard-7b"), "identity"),
        (predicate("identity", "hf://acme/guard-7b@main"), "identity"),
        (predicate("identity", 1), "identity"),
        (predicate("ticket", ""), "ticket"),
        (predicate("ticket", "  "), "ticket"),
        (predicate("ticket", "a\nb"), "ticket"),
        (predicate("ticket", "x" * (limits.TICKET_CHARACTERS + 1)), "ticket"),
        (predicate("ticket", None), "ticket"),
        (predicate("issuedAt", NOW), "issuedAt"),
        (predicate("issuedAt", "2025-10-09"), "issuedAt"),
        (predicate("issuedAt", "2025-10-9T08:53:20Z"), "issuedAt"),
        (predicate("issuedAt", "2025-10-09T08:53:20+00:00"), "issuedAt"),
        (predicate("expiresAt", "2025-10-09T08:53:20Z"), "0 seconds"),
        (predicate("expiresAt", "2024-10-09T08:53:20Z"), "seconds"),
        (predicate("expiresAt", "2027-10-09T08:53:20Z"), "366 days"),
        (predicate("expiresAt", None), "expiresAt"),
    ],
)
def test_each_deviation_is_refused(change: Change, says: str) -> None:
    value = json.loads(PAYLOAD)
    change(value)
    payload = json.dumps(value).encode()
    with pytest.raises(MalformedError, match=says):
        parse_approval(payload)
    refused(payload, "")


@pytest.mark.parametrize(
    ("ticket", "issued_at", "expires_at"),
    [("", NOW, END), ("a\x00", NOW, END), ("x", NOW, NOW), ("x", END, NOW), ("x", NOW, NOW + limits.APPROVAL_SECONDS + 1)],
)
def test_what_could_not_be_read_is_not_built(ticket: str, issued_at: int, expires_at: int) -> None:
    with pytest.raises(InvalidInputError):
        build_approval(MODEL, CONTENT, ticket, issued_at, expires_at)


def test_an_approval_is_signed_with_an_ec_key_only() -> None:
    with pytest.raises(InvalidInputError, match="Ed25519"):
        sign_approval(PAYLOAD, oms.private_pem(ed25519.Ed25519PrivateKey.generate()))


@settings(max_examples=40, deadline=None)
@given(st.text("SEC-42 é!", min_size=1, max_size=20), st.integers(0, 4_000_000_000), st.integers(1, limits.APPROVAL_SECONDS))
def test_whatever_is_built_reads_back(ticket: str, issued_at: int, life: int) -> None:
    try:
        payload = build_approval(MODEL, CONTENT, ticket, issued_at, issued_at + life)
    except InvalidInputError:
        return
    assert parse_approval(payload) == Approval(MODEL, CONTENT, ticket, issued_at, issued_at + life)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_approval(data)
