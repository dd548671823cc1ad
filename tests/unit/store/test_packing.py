"""What is packed comes back byte for byte: the signature is over bytes, and verifying again must give the same answer."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrust.domain import dsse
from modeltrust.store import packing
from tests.support.statements import a_statement, an_attestor_key, sealed

ENVELOPE = sealed(a_statement(), an_attestor_key())
DOCUMENT = json.loads(ENVELOPE)
SIGNATURE = DOCUMENT["signatures"][0]


def with_signature(**changes: str) -> bytes:
    return json.dumps({**DOCUMENT, "signatures": [SIGNATURE | changes]}, separators=(",", ":")).encode()


@given(st.binary(max_size=2_000))
def test_any_bytes_come_back(data: bytes) -> None:
    assert packing.unpack(packing.pack(data)) == data


@given(st.text(max_size=20), st.binary(max_size=500), st.binary(max_size=300), st.text(max_size=80))
def test_any_envelope_comes_back(kind: str, payload: bytes, signature: bytes, key: str) -> None:
    data = dsse.dump_envelope(dsse.Envelope(kind, payload, signature, key))
    assert packing.unpack(packing.pack(data)) == data


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(DOCUMENT, indent=1).encode(),
        json.dumps(dict(reversed(DOCUMENT.items()))).encode(),
        b" " + ENVELOPE,
        ENVELOPE + b"\n",
        with_signature(keyid=SIGNATURE["keyid"].upper()),
        with_signature(keyid="no hex"),
        with_signature(keyid="ab" * 300),
        with_signature(sig=base64.b64encode(bytes(300)).decode()),
        with_signature(extra="x"),
        json.dumps({**DOCUMENT, "payloadType": "application/other"}).encode(),
        json.dumps({**DOCUMENT, "signatures": [SIGNATURE, SIGNATURE]}).encode(),
        json.dumps({**DOCUMENT, "signatures": []}).encode(),
        b"[" * 100_000,
        b"\xff",
        b"",
    ],
)
def test_another_spelling_of_an_envelope_comes_back_as_it_was(data: bytes) -> None:
    assert packing.unpack(packing.pack(data)) == data


def test_a_statement_becomes_a_sixth_of_its_size() -> None:
    assert 6 * len(packing.pack(ENVELOPE)) < len(ENVELOPE)


def test_packed_bytes_begin_as_no_json_does() -> None:
    for data in (ENVELOPE, b"x"):
        assert packing.pack(data)[:1] in packing.MARKS
    assert not any(mark.strip() in {b"{", b"["} or mark.isspace() for mark in packing.MARKS)
