import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as Oracle

from modeltrust.domain.dsse import Envelope, decode_base64, dump_envelope, envelope_from, pae, parse_envelope
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError

ENVELOPE = Envelope("application/vnd.in-toto+json", b'{"a":1}', b"signature", "key-1")


def document(**changes: Any) -> dict[str, Any]:
    signature = {"sig": base64.b64encode(b"signature").decode(), "keyid": "key-1"}
    return {"payloadType": "t", "payload": base64.b64encode(b"p").decode(), "signatures": [signature]} | changes


@given(st.text(max_size=30), st.binary(max_size=60))
@settings(max_examples=150)
def test_what_is_signed_is_what_the_reference_library_signs(payload_type: str, payload: bytes) -> None:
    assert pae(payload_type, payload) == Oracle(payload, payload_type, {}).pae()


def test_the_example_of_the_specification_holds() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_type_and_payload_cannot_be_shifted_against_each_other() -> None:
    assert pae("a", b"b c") != pae("a b", b"c")
    assert pae("a 1 b", b"") != pae("a", b" 1 b")


@given(st.text(max_size=20), st.binary(max_size=40), st.binary(max_size=40), st.text(max_size=8))
@settings(max_examples=100, deadline=None)
def test_an_envelope_is_read_as_it_was_written(payload_type: str, payload: bytes, signature: bytes, key_id: str) -> None:
    envelope = Envelope(payload_type, payload, signature, key_id)
    assert parse_envelope(dump_envelope(envelope), max_bytes=10_000) == envelope


def test_the_reference_library_reads_what_is_written() -> None:
    oracle = Oracle.from_dict(json.loads(dump_envelope(ENVELOPE)))
    assert (oracle.payload, oracle.payload_type) == (ENVELOPE.payload, ENVELOPE.payload_type)
    assert [signature.signature for signature in oracle.signatures.values()] == [b"signature".hex()]


@pytest.mark.parametrize("key_id", [{}, {"keyid": None}, {"keyid": ""}])
def test_a_key_id_is_optional(key_id: dict[str, Any]) -> None:
    assert envelope_from(document(signatures=[{"sig": "AA=="} | key_id])).key_id == ""


BAD: list[Any] = [
    None,
    [],
    "x",
    {},
    document(extra=1),
    {key: value for key, value in document().items() if key != "payload"},
    {key: value for key, value in document().items() if key != "payloadType"},
    {key: value for key, value in document().items() if key != "signatures"},
    document(payloadType=5),
    document(payloadType=None),
    document(payload=None),
    document(payload=5),
    document(payload=["AA=="]),
    document(payload="AA"),
    document(payload="AA=\n="),
    document(payload=" AA=="),
    document(payload="AB=="),
    document(payload="A-_="),
    document(payload="é"),
    document(payload="AA==AA=="),
    document(signatures=None),
    document(signatures={}),
    document(signatures=[]),
    document(signatures=[{"sig": "AA=="}, {"sig": "AA=="}]),
    document(signatures=["AA=="]),
    document(signatures=[{}]),
    document(signatures=[{"keyid": "k"}]),
    document(signatures=[{"sig": None}]),
    document(signatures=[{"sig": "AA==", "keyid": 5}]),
    document(signatures=[{"sig": "AA==", "cert": "x"}]),
]


@pytest.mark.parametrize("value", BAD)
def test_an_envelope_of_another_form_is_refused(value: Any) -> None:
    with pytest.raises(MalformedError):
        envelope_from(value)
    with pytest.raises(MalformedError):
        parse_envelope(json.dumps(value).encode(), max_bytes=10_000)


def test_duplicate_keys_and_sizes_are_refused() -> None:
    data = json.dumps(document()).encode()
    with pytest.raises(MalformedError, match="duplicate"):
        parse_envelope(data[:-1] + b',"payload":"AA=="}', max_bytes=10_000)
    with pytest.raises(LimitExceededError):
        parse_envelope(data, max_bytes=len(data) - 1)


@given(st.text(max_size=12) | st.integers() | st.none())
@settings(max_examples=200)
def test_base64_has_one_spelling(value: Any) -> None:
    try:
        decoded = decode_base64(value, "x")
    except ModelTrustError:
        return
    assert base64.b64encode(decoded).decode() == value
