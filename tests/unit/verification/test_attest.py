"""The key holder's half: a report is signed only if it answers the order and does not contradict itself."""

import dataclasses
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api import work
from modeltrust.api.attestations import attestation_name
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evidence import (
    Assurance,
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    RejectedSignature,
    SignatureFacts,
    Statement,
    Verdict,
    WeightFormat,
)
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity, parse_identity_key
from modeltrust.domain.work import Order, Report
from modeltrust.verification import bounds
from modeltrust.verification.attest import approval_object, attestation_object, load_attestor_key, seal
from tests.support.statements import AUDIENCE, IDENTITY, NOW, a_signature, a_statement, an_attestor_key, attestors_for

KEY = an_attestor_key()
ORDER = Order(identity=IDENTITY, nonce="0f" * 16, signers=(), bundles=(), read_bytes=True, now=NOW - 60)
FACTS = a_statement()
REPORT = Report(
    identity=IDENTITY,
    nonce=ORDER.nonce,
    content=FACTS.content,
    assurance=FACTS.assurance,
    files=6,
    bytes=28_085,
    weights=FACTS.weights,
    signatures=FACTS.signatures,
    formats=FACTS.formats,
    lineage=FACTS.lineage,
)
CONTENT = ContentDigest("c0" * 32)
EVALUATION = EvaluationVerdict("canary", "5a" * 32, "5b" * 32, Verdict.PASSED, "nothing seen", NOW)
DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def sealed(report: Report = REPORT, **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "order": ORDER,
        "evaluations": (),
        "audience": AUDIENCE,
        "serial": 7,
        "now": NOW,
        "key": KEY,
    }
    return seal(report, **{**arguments, **changes})


def reported(**changes: Any) -> Report:
    return dataclasses.replace(REPORT, **changes)


def read(envelope: bytes) -> Statement:
    return attestors_for(KEY).verify(envelope, now=NOW, expected=IDENTITY)


def test_a_report_that_answers_the_order_becomes_a_statement_of_seven_days() -> None:
    expected = a_statement(serial=7, evaluations=(EVALUATION,), issued_at=NOW, expires_at=NOW + 7 * 24 * 3600)
    assert read(sealed(evaluations=(EVALUATION,))) == expected


def test_an_unsigned_model_gets_a_statement_that_says_so() -> None:
    assert read(sealed(reported(signatures=Absent()))).signatures == Absent()


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": parse_identity(f"hf://acme/guard-7b@{'0' * 40}")},
        {"identity": parse_identity(f"hf+https://hub.example/acme/guard-7b@{IDENTITY.pin}")},
        {"nonce": "0e" * 16},
        {"nonce": ""},
        {"files": -1},
        {"files": limits.FILES + 1},
        {"bytes": -1},
        {"bytes": limits.MODEL_BYTES + 1},
        {"assurance": Assurance.VERIFIED_AT_LOAD},
        {"assurance": Assurance.SOURCE_DIGESTS},
        {"weights": ()},
        {"weights": ("3e" * 32,) * 7},
        {"weights": ("3E" * 32,)},
        {"weights": ("../../etc/passwd",)},
        {"signatures": Known(SignatureFacts((a_signature(assurance=Assurance.VERIFIED_AT_LOAD),)))},
        {"signatures": Known(SignatureFacts((a_signature(signed_at=NOW + limits.CLOCK_SKEW_SECONDS + 1),)))},
        {"signatures": Known(SignatureFacts((a_signature(fingerprint="x"),)))},
        {"signatures": Known(SignatureFacts((a_signature(subject="x" * 2_000),)))},
        {"signatures": Known(SignatureFacts((a_signature(),) * 17))},
        {"formats": Unavailable("x" * 2_000)},
        {"formats": Known(FormatReport((WeightFormat("Safetensors", -1, "w", loadable=True),), (), "v"))},
    ],
)
def test_a_report_that_does_not_answer_or_makes_no_sense_is_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        sealed(reported(**changes))


def test_a_report_that_knows_nothing_replaces_no_statement() -> None:
    unknown = Unavailable("503")
    nothing = reported(content=unknown, signatures=unknown, formats=unknown, lineage=unknown, weights=(), files=0, bytes=0)
    with pytest.raises(UnavailableError, match="503"):
        sealed(nothing)


@pytest.mark.parametrize("known", ["content", "signatures", "formats"])
def test_what_one_part_found_is_signed_though_the_others_saw_nothing(known: str) -> None:
    unknown = Unavailable("503")
    facts = {name: getattr(REPORT, name) if name == known else unknown for name in ("content", "signatures", "formats")}
    statement = read(sealed(reported(**facts)))
    assert {name: getattr(statement, name) for name in facts} == facts


def test_weights_without_digests_are_signed_where_the_content_is_unknown_too() -> None:
    assert read(sealed(reported(content=Unavailable("no sha256"), weights=()))).weights == ()


def test_a_model_without_weights_needs_no_digests_of_any() -> None:
    assert read(sealed(reported(formats=Known(FormatReport((), (), "v")), weights=()))).weights == ()


def test_evaluations_from_the_future_or_twice_are_not_signed() -> None:
    with pytest.raises(MalformedError, match="from the future"):
        sealed(evaluations=(dataclasses.replace(EVALUATION, finished_at=NOW + limits.CLOCK_SKEW_SECONDS + 1),))
    with pytest.raises(MalformedError, match="the latest alone"):
        sealed(evaluations=(EVALUATION, EVALUATION))
    with pytest.raises(LimitExceededError):
        sealed(evaluations=tuple(dataclasses.replace(EVALUATION, suite=f"s{n}") for n in range(65)))


@pytest.mark.parametrize("changes", [{"audience": ""}, {"audience": "x" * 254}, {"serial": -1}, {"serial": 2**63}, {"now": 10**18}])
def test_values_of_our_own_that_no_reader_accepts_are_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        sealed(**changes)


def test_a_key_on_another_curve_signs_nothing() -> None:
    with pytest.raises(InvalidInputError):
        sealed(key=ec.generate_private_key(ec.SECP384R1()))


# --- the key ----------------------------------------------------------------------------------------------------------------


def pem(key: Any, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))


def test_an_attestors_key_is_loaded() -> None:
    assert load_attestor_key(pem(KEY)).public_key() == KEY.public_key()
    traditional = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert load_attestor_key(traditional).public_key() == KEY.public_key()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"secret bytes",
        pem(KEY, b"password"),
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(65_537, 2_048)),
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_any_other_key_is_refused_without_a_word_of_it(data: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        load_attestor_key(data)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# --- the objects ------------------------------------------------------------------------------------------------------------


def test_a_statement_is_printed_as_evidence_of_a_model_attestation() -> None:
    assert attestation_object(IDENTITY, b'{"payload": "x"}') == {
        "apiVersion": "modeltrust.dev/v1alpha1",
        "kind": "ModelAttestation",
        "metadata": {"name": attestation_name(IDENTITY, "statement")},
        "spec": {"model": IDENTITY.key, "evidence": [{"name": "statement", "bundle": {"inline": '{"payload": "x"}'}}]},
    }


def test_a_model_without_revisions_is_named_with_its_content_digest() -> None:
    content = ContentDigest("c0" * 32)
    spec = approval_object(parse_identity("s3://bucket/Guard", content=content), b"{}")["spec"]
    assert spec["model"] == "s3://bucket/Guard"
    assert spec["contentDigest"] == str(content)
    assert spec["evidence"] == [{"name": "approval", "bundle": {"inline": "{}"}}]


def test_the_name_ends_in_128_bits_that_depend_on_everything_that_names_the_model() -> None:
    keys = [
        IDENTITY.key,
        f"hf://acme/guard-7b@{'0' * 40}",
        f"hf+https://hub.example/acme/guard-7b@{IDENTITY.pin}",
        f"hf://acme/Guard-7b@{IDENTITY.pin}",
    ]
    names = {attestation_name(parse_identity_key(key), "statement")[-32:] for key in keys}
    assert len(names) == len(keys)
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)


PATH = st.from_regex(r"[A-Za-z0-9_.~-]{1,80}(/[A-Za-z0-9_.~-]{1,80}){0,3}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(PATH, st.sampled_from(["statement", "approval"]))
def test_the_name_is_a_dns_label_whatever_the_model_is_called(path: str, kind: str) -> None:
    try:
        identity: Identity = parse_identity(f"gs://{path}", content=ContentDigest("c0" * 32))
    except InvalidInputError:
        return
    name = attestation_name(identity, kind)
    assert DNS_1123.fullmatch(name)
    assert len(name) <= 63


def test_the_fullest_report_that_an_examination_makes_fits_a_statement() -> None:
    finding = FormatFinding("\x01" * 900, "names.path", Reason.MALFORMED_FILE, "\x02" * 900)
    full = bounds.format_report(
        FormatReport((WeightFormat("Safetensors", 2_048, "w", loadable=True),), (finding,) * 200, "5a" * 32)
    )
    weights = tuple(f"{number:064x}" for number in range(limits.WEIGHT_DIGESTS_PER_STATEMENT))
    rejected = (RejectedSignature(Reason.SIGNATURE_INVALID, "x" * 1_024),) * limits.SIGNATURES_PER_STATEMENT
    report = reported(
        formats=Known(full),
        weights=weights,
        files=limits.FILES,
        signatures=Known(SignatureFacts((), rejected)),
        content=Known(CONTENT),
    )
    assert read(sealed(report)).weights == weights
    assert work.decode_report(work.encode_report(report)) == report
