"""The envelope around a statement: DSSE, ECDSA on P-256 with SHA-256, one signature."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain import dsse, limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, UntrustedError, quote
from modeltrust.domain.reasons import Reason

_ALGORITHM = ec.ECDSA(hashes.SHA256())


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """64 hex: sha256 of the DER SubjectPublicKeyInfo; the ``keyid`` of our envelopes."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def sign(payload: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign the JSON of an in-toto statement.

    Args:
        payload: the bytes, as ``predicate.encode`` writes them.
        key: of an attestor, on P-256.

    Returns:
        The envelope as JSON bytes.

    Raises:
        InvalidInputError: the key is on another curve.
        LimitExceededError: the envelope would be larger than any reader accepts.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInputError(f"got a key on {key.curve.name}, expected P-256")
    signature = key.sign(dsse.pae(dsse.IN_TOTO, payload), _ALGORITHM)
    envelope = dsse.Envelope(dsse.IN_TOTO, payload, signature, fingerprint(key.public_key()))
    data = dsse.dump_envelope(envelope)
    if len(data) > limits.STATEMENT_BYTES:
        raise LimitExceededError(f"got an envelope of {len(data)} bytes, expected at most {limits.STATEMENT_BYTES}")
    return data


def verify(envelope: dsse.Envelope, key: ec.EllipticCurvePublicKey) -> None:
    """Check the payload type and the one signature.

    Raises:
        UntrustedError: another payload type (attack H4), or the key did not sign these bytes.
    """
    if envelope.payload_type != dsse.IN_TOTO:
        raise UntrustedError(
            f"got payload type {quote(envelope.payload_type)}, expected {dsse.IN_TOTO}", reason=Reason.STATEMENT_INVALID
        )
    try:
        key.verify(envelope.signature, dsse.pae(envelope.payload_type, envelope.payload), _ALGORITHM)
    except InvalidSignature as error:
        raise UntrustedError("the signature of the statement does not verify", reason=Reason.STATEMENT_INVALID) from error
