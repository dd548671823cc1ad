"""Orders and reports: one spelling, and nothing else is read."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.evidence import Assurance, FormatFinding, FormatReport, LineageClaim, RejectedSignature, SignatureFacts
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import CertificateTrust, KeylessIdentity, KeylessTrust, KeyTrust, Purpose, TrustedSigner
from modeltrust.domain.work import Order, RemoteBundle, Report, SourceAccess, SourceType
from tests.support.statements import IDENTITY, NOW, a_signature, a_statement

SCOPE = (Glob("hf://acme/*"),)
KEY = TrustedSigner("key", (("team", "a"),), frozenset(Purpose), KeyTrust(b"pem", "ab" * 32), SCOPE, 1, NOW)
KEYLESS = TrustedSigner(
    "keyless",
    (),
    frozenset({Purpose.AUTHOR}),
    KeylessTrust(
        (
            KeylessIdentity("exact", "https://issuer", subject="https://github.com/a/b", claims=(("name", "value"),)),
            KeylessIdentity("glob", "https://issuer", subject_pattern=Glob("https://github.com/a/*")),
        ),
        b'{"root": "\xff"}',
        frozenset({"cd" * 32, "ab" * 32}),
    ),
    SCOPE,
)
CERTIFICATE = TrustedSigner(
    "c", (), frozenset({Purpose.APPROVAL}), CertificateTrust(b"r", frozenset({"ef" * 32}), "dns", "a.b"), SCOPE
)
SOURCE = SourceAccess(
    SourceType.OCI,
    ("https://registry.example", "https://blobs.example:8443"),
    "me",
    "credential-1",
    ("model.sig", "a/b.json"),
    ("registry.example/signatures",),
    b"-----BEGIN CERTIFICATE-----\n",
    allow_private=True,
    max_bytes=7,
    max_files=3,
)
REMOTE = RemoteBundle(f"registry.example/a@sha256:{'c' * 64}", SourceAccess(SourceType.OCI, ("https://registry.example",)))
ORDER = Order(
    IDENTITY, "0f" * 16, (KEY, KEYLESS, CERTIFICATE), (b"\x00\xff", b""), read_bytes=True, now=NOW, source=SOURCE,
    remote_bundles=(REMOTE,),
)  # fmt: skip
FACTS = a_statement()
FINDING = FormatFinding("config.json", "config.auto_map", Reason.REMOTE_CODE, 'names "code"')
REPORT = Report(
    identity=IDENTITY,
    nonce="0f" * 16,
    content=FACTS.content,
    assurance=Assurance.BYTES_HASHED,
    files=6,
    bytes=28_085,
    weights=FACTS.weights,
    signatures=Known(
        SignatureFacts((a_signature(claims=(("a", "b"),), signed_at=NOW),), (RejectedSignature(Reason.SIGNATURE_INVALID, "x"),))
    ),
    formats=Known(FormatReport((), (FINDING,), "v1", omitted=2)),
    lineage=Known((LineageClaim("adapter", "hf://acme/base"),)),
)
UNKNOWN = dataclasses.replace(REPORT, content=Unavailable("503"), signatures=Absent(), formats=Unavailable(""), lineage=Absent())
READERS: tuple[tuple[bytes, Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
    (work.encode_order(ORDER), work.decode_order, work.encode_order),
    (work.encode_report(REPORT), work.decode_report, work.encode_report),
)


@pytest.mark.parametrize("order", [ORDER, dataclasses.replace(ORDER, signers=(), bundles=(), read_bytes=False, source=None)])
def test_an_order_is_read_as_written(order: Order) -> None:
    assert work.decode_order(work.encode_order(order)) == order


@pytest.mark.parametrize("report", [REPORT, UNKNOWN])
def test_a_report_is_read_as_written(report: Report) -> None:
    assert work.decode_report(work.encode_report(report)) == report


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, child in children for path in paths(child, (*at, key)))]


def parent(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        document = document[key]
    return document


def dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(("data", "read", "write"), READERS)
def test_a_missing_an_unknown_and_a_duplicate_key_are_refused_in_every_object(
    data: bytes, read: Callable[[bytes], Any], write: Callable[[Any], bytes]
) -> None:
    assert write(read(data)) == data
    for path in paths(json.loads(data)):
        document = json.loads(data)
        if not path or not isinstance(path[-1], str):
            continue
        inner = parent(document, path)
        value = inner.pop(path[-1])
        with pytest.raises(MalformedError):
            read(dumped(document))
        inner.update({path[-1]: value, "more": 1})
        with pytest.raises(MalformedError):
            read(dumped(document))
        key = dumped(path[-1]) + b":"
        assert key in data
        with pytest.raises(MalformedError):
            read(data.replace(key, key + b"0," + key, 1))


@pytest.mark.parametrize(("data", "read", "write"), READERS)
@pytest.mark.parametrize("value", [None, True, -1, 1.5, "text", [], {}, [None], {"fact": "known"}])
def test_a_value_of_another_type_is_refused_or_says_exactly_that(
    data: bytes, read: Callable[[bytes], Any], write: Callable[[Any], bytes], value: Any
) -> None:
    for path in paths(json.loads(data))[1:]:
        document = json.loads(data)
        parent(document, path)[path[-1]] = value
        changed = dumped(document)
        try:
            assert write(read(changed)) == changed
        except MalformedError:
            continue


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"nonce":"0f', b'"nonce":"0F'),
        (b'"nonce":"0f', b'"nonce":"0f0f'),
        (b'"identity":"hf://acme/guard-7b@', b'"identity":"hf://acme/guard-7b@x'),
        (b'"identity":"hf:', b'"identity":"HF:'),
        (b'"assurance":3', b'"assurance":5'),
        (b'"assurance":3', b'"assurance":3.0'),
        (b'"known"', b'"Known"'),
        (b'"fact":"known"', b'"fact":"absent"'),
        (b'"reason":"RemoteCode"', b'"reason":"Fine"'),
        (b'"sha256:', b'"sha512:'),
        (b"{", b"{ "),
        (b'"files"', b'"f\\u0069les"'),
    ],
)
def test_a_report_in_another_spelling_is_refused(old: bytes, new: bytes) -> None:
    data = work.encode_report(REPORT)
    assert old in data
    with pytest.raises(MalformedError):
        work.decode_report(data.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"purposes":["Author"]', b'"purposes":[]'),
        (b'"purposes":["Approval","Author"]', b'"purposes":["Author","Approval"]'),
        (b'"purposes":["Author"]', b'"purposes":["Author","Author"]'),
        (b'"scope":["hf://acme/*"]', b'"scope":[]'),
        (b'"scope":["hf://acme/*"]', b'"scope":["a***"]'),
        (b'"subject_pattern":"https://github.com/a/*"', b'"subject_pattern":null'),
        (b'"subject":"https://github.com/a/b"', b'"subject":""'),
        (b'"kind":"publicKey"', b'"kind":"none"'),
        (b'"kind":"publicKey"', b'"kind":"keyless"'),
        (b'"pem":"cGVt"', b'"pem":"cGVt="'),
        (b'"pem":"cGVt"', b'"pem":"cGV"'),
        (b'"time":"AtVerification"', b'"time":"Whenever"'),
        (b"@9f2c", b"@main"),
    ],
)
def test_an_order_that_trusts_nothing_or_everything_is_refused(old: bytes, new: bytes) -> None:
    data = work.encode_order(ORDER)
    assert old in data
    with pytest.raises(MalformedError):
        work.decode_order(data.replace(old, new))


def test_a_keyless_signer_without_identities_is_refused() -> None:
    document = json.loads(work.encode_order(ORDER))
    document["signers"][1]["trust"]["identities"] = []
    with pytest.raises(MalformedError, match="empty is refusal"):
        work.decode_order(dumped(document))


def test_more_than_anybody_would_send_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LimitExceededError):
        work.decode_report(b" " * (limits.REPORT_BYTES + 1))
    with pytest.raises(LimitExceededError):
        work.encode_report(dataclasses.replace(REPORT, content=Unavailable("x" * limits.REPORT_BYTES)))
    with pytest.raises(LimitExceededError):
        work.decode_order(work.encode_order(dataclasses.replace(ORDER, bundles=(b"x",) * (limits.BUNDLES_PER_MODEL + 1))))
    monkeypatch.setattr(limits, "ORDER_BYTES", 10)
    with pytest.raises(LimitExceededError):
        work.decode_order(work.encode_order(ORDER))


@pytest.mark.parametrize("read", [work.decode_order, work.decode_report])
@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
def test_what_is_neither_is_refused(read: Callable[[bytes], Any], data: bytes) -> None:
    with pytest.raises(MalformedError):
        read(data)


DATA = work.encode_report(REPORT)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(DATA) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_damage_is_refused_or_is_another_report_in_our_spelling(at: int, inserted: bytes, removed: int) -> None:
    changed = DATA[:at] + inserted + DATA[at + removed :]
    try:
        assert work.encode_report(work.decode_report(changed)) == changed
    except MalformedError:
        return


@pytest.mark.parametrize(
    "change",
    [
        {"endpoints": ()},
        {"endpoints": ("https://a.example",) * (limits.SOURCE_ENTRIES + 1)},
        {"signature_paths": ("a",) * (limits.SOURCE_ENTRIES + 1)},
        {"signature_repositories": ("a",) * (limits.SOURCE_ENTRIES + 1)},
        {"password": "x" * (limits.SECRET_BYTES + 1)},
        {"ca": b"x" * (limits.ROOTS_CHARACTERS + 1)},
        {"max_bytes": 0},
        {"max_bytes": limits.MODEL_BYTES + 1},
        {"max_files": 0},
        {"max_files": limits.FILES + 1},
    ],
)
def test_a_source_out_of_bounds_is_refused_wherever_it_stands(change: dict[str, Any]) -> None:
    source = dataclasses.replace(SOURCE, **change)
    remote = (RemoteBundle(REMOTE.reference, source),)
    for order in (dataclasses.replace(ORDER, source=source), dataclasses.replace(ORDER, remote_bundles=remote)):
        with pytest.raises(MalformedError):
            work.decode_order(work.encode_order(order))


def test_bundles_and_references_to_bundles_are_counted_together() -> None:
    half = limits.BUNDLES_PER_MODEL // 2
    order = dataclasses.replace(ORDER, bundles=(b"x",) * half, remote_bundles=(REMOTE,) * half)
    assert work.decode_order(work.encode_order(order)) == order
    with pytest.raises(LimitExceededError):
        work.decode_order(work.encode_order(dataclasses.replace(order, bundles=(b"x",) * (half + 1))))


def test_no_message_about_an_order_shows_its_credentials() -> None:
    data = work.encode_order(ORDER)
    for bad in (data[:-1], data.replace(b'"me"', b"1"), data.replace(b'"credential-1"', b'"credential-1" ')):
        with pytest.raises(MalformedError) as error:
            work.decode_order(bad)
        assert "credential-1" not in str(error.value)
    assert "credential-1" not in repr(ORDER)
