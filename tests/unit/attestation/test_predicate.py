"""The statement's JSON: one spelling per letter, and nothing else is read."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.attestation import predicate
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.evidence import (
    Assurance,
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    LineageClaim,
    RejectedSignature,
    Severity,
    SignatureFacts,
    SignatureForm,
    SignerKind,
    Statement,
    Verdict,
    WeightFormat,
)
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity, parse_identity_key
from tests.support.statements import COMMIT, DAY, IDENTITY, NOW, a_signature, a_statement

KEYLESS = a_signature(
    form=SignatureForm.COSIGN,
    kind=SignerKind.KEYLESS,
    issuer="https://token.actions.githubusercontent.com",
    subject="https://github.com/acme/models/.github/workflows/release.yml@refs/heads/main",
    claims=(("sourceRepositoryURI", "https://github.com/acme/models"), ("runnerEnvironment", "github-hosted")),
    vouched_by=("PublicGood",),
    authorities=("cd" * 32,),
    signed_at=NOW - DAY,
    unsigned_paths=("README.md", "ünïcode \u202e.md"),
)
APPROVAL = a_signature(form=SignatureForm.APPROVAL, not_before=NOW - 1, not_after=NOW + DAY, ticket="SEC-42")
FINDING = FormatFinding("config.json", "config.auto_map", Reason.REMOTE_CODE, 'names "code"', Severity.ERROR, loadable=True)
EVALUATION = EvaluationVerdict(
    "canary", "5a" * 32, "5b" * 32, Verdict.PASSED, "nothing seen", NOW - DAY, NOW + DAY, external=False, spec_hash="5c" * 32
)
FULL = a_statement(
    signatures=Known(SignatureFacts((KEYLESS, APPROVAL), (RejectedSignature(Reason.SIGNATURE_INVALID, "differs"),))),
    formats=Known(FormatReport((WeightFormat("GGUF", 2, "a.gguf", loadable=False),), (FINDING,), "v1", omitted=3)),
    lineage=Known((LineageClaim("finetune", "hf://acme/base"), LineageClaim("adapter", f"hf://acme/base@{COMMIT}", verified=True))),
    evaluations=(EVALUATION,),
)
NOTHING_KNOWN = a_statement(
    content=Unavailable("the source states no sha256"),
    signatures=Absent(),
    formats=Unavailable("no answer"),
    lineage=Absent(),
    weights=(),
)


def changed(change: Callable[[Any], None], statement: Statement = FULL) -> bytes:
    document = json.loads(predicate.encode(statement))
    change(document)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("statement", [a_statement(), FULL, NOTHING_KNOWN])
def test_what_is_written_is_read(statement: Statement) -> None:
    assert predicate.decode(predicate.encode(statement)) == statement


@pytest.mark.parametrize(
    ("identity", "digests"),
    [
        (IDENTITY, {"gitCommit": COMMIT, "modeltrustContent": "c0" * 32}),
        (parse_identity(f"oci://reg.example/a/b@sha256:{'d' * 64}"), {"sha256": "d" * 64, "modeltrustContent": "c0" * 32}),
        (parse_identity("s3://bucket/key", content=ContentDigest("c0" * 32)), {"modeltrustContent": "c0" * 32}),
    ],
)
def test_the_subject_names_what_pins_the_model_and_its_content(identity: Identity, digests: dict[str, str]) -> None:
    payload = predicate.encode(a_statement(identity=identity))
    assert json.loads(payload)["subject"] == [{"name": identity.key, "digest": digests}]
    assert predicate.peek_subject(payload) == identity.key
    assert predicate.decode(payload).identity == identity


def test_without_content_the_subject_names_the_pin_alone() -> None:
    assert json.loads(predicate.encode(NOTHING_KNOWN))["subject"][0]["digest"] == {"gitCommit": COMMIT}


def test_times_are_rfc_3339_outside() -> None:
    document = json.loads(predicate.encode(a_statement(issued_at=0, expires_at=1)))
    assert document["predicate"]["issuedAt"] == "1970-01-01T00:00:00Z"
    assert document["predicate"]["expiresAt"] == "1970-01-01T00:00:01Z"


TYPES = [None, True, 7, 7.5, "text", [], {}, [None], {"known": None}]


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, child in children for path in paths(child, (*at, key)))]


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


ALL_PATHS = paths(json.loads(predicate.encode(FULL)))


def reads_as_something_else(payload: bytes, path: tuple[Any, ...]) -> None:
    """Nothing comes of it, or a letter whose one spelling is exactly this: never a guess, never an exception of another kind."""
    try:
        statement = predicate.decode(payload)
    except MalformedError:
        return
    assert predicate.encode(statement) == payload, path


def test_a_value_of_another_type_is_refused_wherever_it_stands() -> None:
    for path in ALL_PATHS:
        for value in TYPES:
            document = put(json.loads(predicate.encode(FULL)), path, value)
            reads_as_something_else(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), path)


def test_a_missing_key_is_refused_wherever_it_stands() -> None:
    keys = [path for path in ALL_PATHS if path and isinstance(path[-1], str) and "claims" not in path[:-1]]
    keys.remove(("predicate", "evaluations", 0, "specHash"))  # see below
    assert len(keys) > 60
    for path in keys:

        def drop(document: Any, path: tuple[Any, ...] = path) -> None:
            for key in path[:-1]:
                document = document[key]
            del document[path[-1]]

        with pytest.raises(MalformedError):
            predicate.decode(changed(drop))


def test_h15_a_verdict_from_before_suites_were_told_apart_reads_as_one_of_a_suite_that_nobody_knows() -> None:
    def drop(document: Any) -> None:
        del document["predicate"]["evaluations"][0]["specHash"]

    assert predicate.decode(changed(drop)) == replace(FULL, evaluations=(replace(EVALUATION, spec_hash=""),))


@pytest.mark.parametrize("value", ["", "5c", "5C" * 32, "x" * 64, None, 5])
def test_a_spec_hash_that_is_none_is_refused(value: Any) -> None:
    def put_it(document: Any) -> None:
        document["predicate"]["evaluations"][0]["specHash"] = value

    with pytest.raises(MalformedError):
        predicate.decode(changed(put_it))


def test_an_unknown_key_is_refused_in_every_object() -> None:
    document = json.loads(predicate.encode(FULL))
    for path in ALL_PATHS:
        inner = document
        for key in path:
            inner = inner[key]
        if isinstance(inner, dict) and path[-1:] != ("claims",):
            extended = put(json.loads(predicate.encode(FULL)), path, {**inner, "more": 1})
            with pytest.raises(MalformedError):
                predicate.decode(json.dumps(extended, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize("key", [b'"serial":1', b'"audience":"cluster-1"', b'"assurance":"BytesHashed"', b'"omitted":3'])
def test_a_duplicate_key_is_refused(key: bytes) -> None:
    payload = predicate.encode(FULL)
    assert key in payload
    with pytest.raises(MalformedError, match="another spelling"):
        predicate.decode(payload.replace(key, key + b"," + key))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"serial":1', b'"serial": 1'),
        (b'"serial":1', b'"serial":1.0'),
        (b'"serial":1', b'"serial":1e0'),
        (b'"serial":1', b'"s\\u0065rial":1'),
        (b'"cluster-1"', b'"cluster\\u002d1"'),
        (b"20Z", b"20.000Z"),
        (b"20Z", b"20.5Z"),
        (b"20Z", b"20+00:00"),
        (b"20Z", b"20z"),
        (b"20Z", b"20"),
        (b"T14:13:20Z", b" 14:13:20Z"),
        (b"T14:13:20Z", b"T15:13:20+01:00"),
        (b'"sha256:c0', b'"sha256:C0'),
        (b'"gitCommit":"9f', b'"gitCommit":"8f'),
        (b'"gitCommit"', b'"gitcommit"'),
        (b'"gitCommit"', b'"sha1"'),
        (b'"modeltrustContent":"c0', b'"modeltrustContent":"c1'),
    ],
)
def test_another_spelling_is_refused(old: bytes, new: bytes) -> None:
    payload = predicate.encode(a_statement())
    assert old in payload
    with pytest.raises(MalformedError):
        predicate.decode(payload.replace(old, new))


@pytest.mark.parametrize("wrapped", [b"%s ", b" %s", b"%s\n", b"\xef\xbb\xbf%s", b"[%s]", b"%s%s", b"%s,"])
def test_bytes_around_a_statement_are_refused(wrapped: bytes) -> None:
    payload = predicate.encode(a_statement())
    with pytest.raises(MalformedError):
        predicate.decode(wrapped.replace(b"%s", payload))


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"\x00"])
def test_what_is_no_statement_is_refused(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        predicate.decode(payload)
    with pytest.raises(MalformedError):
        predicate.peek_subject(payload)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("_type",), ""),
        (("predicateType",), "https://modeltrust.dev/statement/v2"),
        (("predicateType",), "https://modeltrust.dev/statement/v1/"),
        (("predicateType",), "https://modeltrust.dev/approval/v1"),
        (("predicateType",), "https://slsa.dev/verification_summary/v1"),
        (("subject",), []),
        (("subject", 0, "name"), "hf://acme/guard-7b"),
        (("subject", 0, "name"), "hf://acme/guard-7b@main"),
        (("subject", 0, "name"), f"hf://acme/../guard-7b@{COMMIT}"),
        (("subject", 0, "name"), f"hf://acme/guard-7b@{COMMIT}@content:sha256:{'0' * 64}"),
        (("subject", 0, "name"), ""),
        (("predicate", "assurance"), "VerifiedAtLoad"),
        (("predicate", "assurance"), "bytesHashed"),
        (("predicate", "content"), {}),
        (("predicate", "content"), {"known": f"sha256:{'c0' * 32}", "absent": {}}),
        (("predicate", "content"), {"absent": {}, "unavailable": "why"}),
        (("predicate", "content"), {"absent": {"known": 1}}),
        (("predicate", "content"), {"absent": None}),
        (("predicate", "content"), {"known": f"sha512:{'c0' * 32}"}),
        (("predicate", "content"), {"known": "c0" * 32}),
        (("predicate", "signatures", "known", "valid", 0, "fingerprint"), "AB" * 32),
        (("predicate", "signatures", "known", "valid", 0, "fingerprint"), ""),
        (("predicate", "signatures", "known", "valid", 0, "form"), "OMS"),
        (("predicate", "signatures", "known", "valid", 0, "kind"), "key"),
        (("predicate", "signatures", "known", "valid", 0, "assurance"), "VerifiedAtLoad"),
        (("predicate", "signatures", "known", "rejected", 0, "reason"), "Fine"),
        (("predicate", "formats", "known", "findings", 0, "severity"), "info"),
        (("predicate", "formats", "known", "omitted"), -1),
        (("predicate", "evaluations", 0, "verdict"), "passed"),
        (("predicate", "evaluations", 0, "suite"), ""),
        (("predicate", "evaluations", 0, "suiteHash"), "5a"),
        (("predicate", "weights", 0), "3E" * 32),
        (("predicate", "audience"), ""),
        (("predicate", "audience"), "x" * 254),
        (("predicate", "serial"), -1),
        (("predicate", "serial"), 2**63),
        (("predicate", "serial"), 2**80),
        (("predicate", "issuedAt"), "1969-12-31T23:59:59Z"),
        (("predicate", "issuedAt"), "2026-02-30T00:00:00Z"),
        (("predicate", "issuedAt"), NOW),
    ],
)
def test_a_value_out_of_its_range_is_refused(path: tuple[Any, ...], value: Any) -> None:
    with pytest.raises(MalformedError):
        predicate.decode(changed(lambda document: put(document, path, value)))


def test_two_subjects_are_refused() -> None:
    def double(document: Any) -> None:
        document["subject"] *= 2

    with pytest.raises(MalformedError, match="2 subjects"):
        predicate.decode(changed(double))
    with pytest.raises(MalformedError, match="2 subjects"):
        predicate.peek_subject(changed(double))


def test_a_signed_commit_of_a_store_without_commits_is_no_statement() -> None:
    statement = a_statement(identity=Identity(parse_identity_key(f"s3://b/k@sha256:{'d' * 64}").reference, IDENTITY.pin))
    with pytest.raises(MalformedError):
        predicate.encode(statement)


def test_content_other_than_the_pin_is_refused() -> None:
    with pytest.raises(MalformedError, match="the digest that pins it"):
        predicate.encode(a_statement(identity=parse_identity("s3://bucket/key", content=ContentDigest("d0" * 32))))


def test_unknown_content_of_a_model_pinned_by_content_can_be_said() -> None:
    statement = a_statement(identity=parse_identity("s3://b/k", content=ContentDigest("d0" * 32)), content=Unavailable("why"))
    assert predicate.decode(predicate.encode(statement)) == statement


MANY = {
    "signatures": Known(SignatureFacts(tuple([a_signature()] * 17))),
    "rejected": Known(SignatureFacts((), tuple([RejectedSignature(Reason.UNSIGNED, "")] * 17))),
    "both": Known(SignatureFacts((a_signature(),), tuple([RejectedSignature(Reason.UNSIGNED, "")] * 16))),
    "claims": Known(SignatureFacts((a_signature(claims=tuple((str(n), "") for n in range(33))),))),
    "vouchers": Known(SignatureFacts((a_signature(vouched_by=("x",) * 33),))),
    "authorities": Known(SignatureFacts((a_signature(authorities=("cd" * 32,) * 65),))),
    "paths": Known(SignatureFacts((a_signature(unsigned_paths=("x",) * 65),))),
    "long": Known(SignatureFacts((a_signature(subject="x" * 1_025),))),
}


@pytest.mark.parametrize("signatures", MANY.values(), ids=MANY.keys())
def test_more_about_signatures_than_a_statement_may_hold_is_refused(signatures: Known[SignatureFacts]) -> None:
    with pytest.raises(LimitExceededError):
        predicate.encode(a_statement(signatures=signatures))


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": ("3e" * 32,) * (limits.WEIGHT_DIGESTS_PER_STATEMENT + 1)},
        {"lineage": Known((LineageClaim("merge", "hf://a/b"),) * (limits.LINEAGE_CLAIMS + 1))},
        {"formats": Known(FormatReport((), (FINDING,) * (limits.FINDINGS_PER_MODEL + 1), "v"))},
        {"formats": Known(FormatReport((WeightFormat("a", 1, "a", loadable=True),) * (limits.FORMATS_PER_MODEL + 1), (), "v"))},
        {"evaluations": tuple(dataclasses.replace(EVALUATION, suite=str(n)) for n in range(limits.EVALUATIONS_PER_STATEMENT + 1))},
        {"formats": Known(FormatReport((), (dataclasses.replace(FINDING, path="x" * 1_024, message="y" * 1_024),) * 200, "v"))},
        {"formats": Unavailable("x" * 1_025)},
    ],
)
def test_more_than_a_statement_may_hold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(LimitExceededError):
        predicate.encode(a_statement(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_at": 10**18},
        {"issued_at": -1},
        {"serial": 2**70},
        {"audience": "\ud800"},
        {"evaluations": (EVALUATION, EVALUATION)},
        {"signatures": Known(SignatureFacts((a_signature(claims=(("a", "1"), ("a", "2"))),)))},
        {"assurance": Assurance.VERIFIED_AT_LOAD},
    ],
)
def test_what_cannot_be_said_is_refused_when_writing(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        predicate.encode(a_statement(**changes))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
TIME = st.integers(0, 4_000_000_000)
ASSURANCE = st.sampled_from([Assurance.SIGNATURE_ONLY, Assurance.SOURCE_DIGESTS, Assurance.BYTES_HASHED])


def fact(known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(known.map(Known), st.just(Absent()), TEXT.map(Unavailable))


SIGNATURE = st.builds(
    a_signature,
    form=st.sampled_from(SignatureForm),
    kind=st.sampled_from(SignerKind),
    fingerprint=HEX,
    issuer=TEXT,
    subject=TEXT,
    claims=st.dictionaries(TEXT, TEXT, max_size=3).map(lambda claims: tuple(claims.items())),
    vouched_by=st.lists(HEX, max_size=3).map(tuple),
    authorities=st.lists(HEX, max_size=3).map(tuple),
    signed_at=st.none() | TIME,
    assurance=ASSURANCE,
    unsigned_paths=st.lists(TEXT, max_size=3).map(tuple),
    not_before=st.none() | TIME,
    not_after=st.none() | TIME,
    ticket=TEXT,
)
STATEMENT = st.builds(
    a_statement,
    content=fact(HEX.map(ContentDigest)),
    assurance=ASSURANCE,
    signatures=fact(st.builds(SignatureFacts, st.lists(SIGNATURE, max_size=3).map(tuple))),
    formats=fact(
        st.builds(
            FormatReport,
            st.lists(st.builds(WeightFormat, TEXT, st.integers(0, 9), TEXT, st.booleans()), max_size=2).map(tuple),
            st.lists(
                st.builds(FormatFinding, TEXT, TEXT, st.sampled_from(Reason), TEXT, st.sampled_from(Severity), st.booleans()),
                max_size=2,
            ).map(tuple),
            TEXT,
            st.integers(0, 9),
        )
    ),
    lineage=fact(st.lists(st.builds(LineageClaim, TEXT, TEXT, st.booleans()), max_size=2).map(tuple)),
    weights=st.lists(HEX, max_size=3).map(tuple),
    serial=st.integers(0, 2**63 - 1),
    issued_at=TIME,
    expires_at=TIME,
)


@settings(max_examples=60, deadline=None)
@given(STATEMENT)
def test_every_statement_is_read_as_it_was_written(statement: Statement) -> None:
    assert predicate.decode(predicate.encode(statement)) == statement


PAYLOAD = predicate.encode(FULL)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(PAYLOAD) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_damage_is_refused_or_is_another_canonical_letter(at: int, inserted: bytes, removed: int) -> None:
    reads_as_something_else(PAYLOAD[:at] + inserted + PAYLOAD[at + removed :], (at,))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_by_our_own_error(data: bytes) -> None:
    with pytest.raises(MalformedError):
        predicate.decode(data)
