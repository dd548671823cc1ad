"""The envelope: one algorithm, one payload type, one signature."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer._key import SSlibKey

from modeltrust.attestation import envelope, predicate
from modeltrust.domain import dsse, limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, UntrustedError
from tests.support.statements import a_statement, an_attestor_key

KEY = an_attestor_key()
PAYLOAD = predicate.encode(a_statement())
SIGNED = envelope.sign(PAYLOAD, KEY)


def parsed(data: bytes = SIGNED) -> dsse.Envelope:
    return dsse.parse_envelope(data, max_bytes=limits.STATEMENT_BYTES)


def with_parts(**changes: Any) -> bytes:
    return json.dumps({**json.loads(SIGNED), **changes}).encode()


def signed_as(payload_type: str, payload: bytes, key: ec.EllipticCurvePrivateKey = KEY) -> dsse.Envelope:
    signature = key.sign(dsse.pae(payload_type, payload), ec.ECDSA(hashes.SHA256()))
    return dsse.Envelope(payload_type, payload, signature, envelope.fingerprint(key.public_key()))


def test_what_is_signed_verifies() -> None:
    envelope.verify(parsed(), KEY.public_key())
    assert parsed().payload == PAYLOAD
    assert parsed().key_id == envelope.fingerprint(KEY.public_key())


def test_the_bytes_under_the_signature_are_those_of_dsse() -> None:
    # The example of the DSSE protocol document, so that other implementations read what we sign.
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    key, plain = KEY.public_key(), parsed()
    kind = dsse.IN_TOTO.encode()
    framed = b"DSSEv1 " + str(len(kind)).encode() + b" " + kind + b" " + str(len(PAYLOAD)).encode() + b" " + PAYLOAD
    key.verify(plain.signature, framed, ec.ECDSA(hashes.SHA256()))


def test_another_key_is_refused() -> None:
    with pytest.raises(UntrustedError, match="does not verify") as caught:
        envelope.verify(parsed(), an_attestor_key().public_key())
    assert caught.value.reason == "StatementInvalid"


@pytest.mark.parametrize("payload_type", ["", "application/json", "application/vnd.in-toto+json ", "Application/vnd.in-toto+json"])
def test_another_payload_type_is_refused_though_properly_signed(payload_type: str) -> None:
    with pytest.raises(UntrustedError, match="payload type"):
        envelope.verify(signed_as(payload_type, PAYLOAD), KEY.public_key())


def test_a_payload_type_changed_after_signing_is_refused() -> None:
    foreign = signed_as("application/json", PAYLOAD)
    with pytest.raises(UntrustedError, match="does not verify"):
        envelope.verify(dsse.Envelope(dsse.IN_TOTO, PAYLOAD, foreign.signature), KEY.public_key())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(PAYLOAD) - 1), st.integers(1, 255))
def test_a_changed_payload_never_verifies(at: int, flip: int) -> None:
    changed = bytearray(PAYLOAD)
    changed[at] ^= flip
    signed = parsed()
    with pytest.raises(UntrustedError):
        envelope.verify(dsse.Envelope(signed.payload_type, bytes(changed), signed.signature, signed.key_id), KEY.public_key())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80))
def test_an_invented_signature_never_verifies(signature: bytes) -> None:
    with pytest.raises(UntrustedError):
        envelope.verify(dsse.Envelope(dsse.IN_TOTO, PAYLOAD, signature), KEY.public_key())


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()])
def test_a_key_on_another_curve_does_not_sign(curve: ec.EllipticCurve) -> None:
    with pytest.raises(InvalidInputError, match="P-256"):
        envelope.sign(PAYLOAD, ec.generate_private_key(curve))


def test_an_envelope_that_nobody_would_read_is_not_made() -> None:
    with pytest.raises(LimitExceededError):
        envelope.sign(b"x" * limits.STATEMENT_BYTES, KEY)


SIGNATURES = json.loads(SIGNED)["signatures"]


@pytest.mark.parametrize(
    "data",
    [
        with_parts(signatures=[]),
        with_parts(signatures=SIGNATURES * 2),
        with_parts(signatures=SIGNATURES[0]),
        with_parts(signatures=[{"keyid": "a"}]),
        with_parts(signatures=[{**SIGNATURES[0], "cert": "x"}]),
        with_parts(signatures=[{**SIGNATURES[0], "sig": "not base64!"}]),
        with_parts(payload=base64.urlsafe_b64encode(b"\xff\xfe\xfd" * 5).decode()),
        with_parts(payload=json.loads(SIGNED)["payload"] + "\n"),
        with_parts(payload="QR=="),
        with_parts(payload=None),
        with_parts(payloadType=7),
        with_parts(more=1),
        SIGNED.replace(b'"payload":', b'"payload":"","payload":'),
        SIGNED + b"x",
        b"[]",
        b"",
    ],
)
def test_what_is_no_envelope_with_one_signature_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parsed(data)


def test_securesystemslib_reads_and_verifies_it() -> None:
    read = Envelope.from_dict(json.loads(SIGNED))
    key = SSlibKey.from_crypto(KEY.public_key(), keyid=SIGNATURES[0]["keyid"])
    assert read.payload == PAYLOAD
    assert read.verify([key], 1)
