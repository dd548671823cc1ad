import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.api.evaluation_work import (
    decode_evaluation_order,
    decode_evaluation_report,
    encode_evaluation_order,
    encode_evaluation_report,
)
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.evaluation import Dialect, EvaluationOrder, Served
from tests.support.evaluations import IDENTITY, a_report, a_suite

SUITE = a_suite()
REPORT = a_report(SUITE, triggered=["Date"])
SERVED = Served("http://127.0.0.1:8000", "guard", Dialect.VLLM, token="hidden")  # noqa: S106 - shows that it stays hidden
ORDER = EvaluationOrder(IDENTITY, "sha256:" + "c" * 64, REPORT.nonce, SUITE, SERVED, None, 600)


def test_what_is_written_is_read() -> None:
    assert decode_evaluation_report(encode_evaluation_report(REPORT)) == REPORT
    assert decode_evaluation_order(encode_evaluation_order(ORDER)) == ORDER


def changed(document: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(document), **changes}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "ab"},
        {"nonce": "AB" * 16},
        {"identity": "hf://acme/guard-7b"},
        {"identity": "hf://acme/guard-7b@main"},
        {"identity": {}},
        {"requests": "1"},
        {"requests": 1.5},
        {"verdict": "Passed"},
        {"preflight": [{"name": "x", "problem": "", "more": 1}]},
        {"bank": None},
        {"finished_at": None},
    ],
)
def test_c6_a_report_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        decode_evaluation_report(changed(encode_evaluation_report(REPORT), **changes))


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 5000, b'{"nonce":1,"nonce":2}'])
def test_what_is_no_document_is_refused(document: bytes) -> None:
    for decode in (decode_evaluation_report, decode_evaluation_order):
        with pytest.raises(MalformedError):
            decode(document)


def test_a_second_spelling_is_refused() -> None:
    document = encode_evaluation_report(REPORT)
    for other in (b" " + document, document + b"\n", document.replace(b'"requests":', b'"requests" :')):
        with pytest.raises(MalformedError, match=r"spelling|shape"):
            decode_evaluation_report(other)


def test_more_than_anybody_reads_is_neither_written_nor_read() -> None:
    long = replace(REPORT, problem="x" * limits.EVALUATION_REPORT_BYTES)

    with pytest.raises(LimitExceededError):
        encode_evaluation_report(long)
    with pytest.raises(LimitExceededError):
        decode_evaluation_report(b" " * (limits.EVALUATION_REPORT_BYTES + 1))
    with pytest.raises(LimitExceededError):
        decode_evaluation_order(b" " * (limits.EVALUATION_ORDER_BYTES + 1))


@pytest.mark.parametrize("seconds", [0, -1, limits.EVALUATION_SECONDS + 1])
def test_an_order_without_a_reasonable_deadline_is_refused(seconds: int) -> None:
    with pytest.raises(MalformedError, match="deadline"):
        decode_evaluation_order(encode_evaluation_order(replace(ORDER, deadline_seconds=seconds)))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 20_000), st.binary(max_size=3))
def test_a_report_with_any_bytes_changed_is_itself_or_refused(place: int, noise: bytes) -> None:
    document = bytearray(encode_evaluation_report(REPORT))
    document[place : place + len(noise)] = noise
    try:
        report = decode_evaluation_report(bytes(document))
    except (MalformedError, LimitExceededError):
        return
    assert encode_evaluation_report(report) == bytes(document)


def test_the_token_of_an_endpoint_is_never_shown() -> None:
    assert "hidden" not in repr(ORDER)
