"""What model-signing signed before release 1.0: recognised in order to say so, never accepted.

0.2.0 wrote predicates of version 0.1, without a root digest, and signed another encoding than DSSE's; 0.3 wrote today's statement.
The reference library still accepts the predicates and the encoding (facts/signing.md section 4.2).
"""

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.dsse import Envelope
from modeltrust.domain.errors import UntrustedError
from modeltrust.domain.reasons import Reason
from modeltrust.signing import keys

PREDICATE_TYPES = frozenset(
    f"https://model_signing/{name}/v0.1"
    for name in ("Digest", "Digests", "DigestOfDigests", "DigestOfShardDigests", "ShardDigests")
)


def encoding(envelope: Envelope) -> bytes:
    """What 0.2.0 signed: upper-case V, and the payload as Python prints bytes, ``b'…'``, instead of the bytes."""
    kind = envelope.payload_type
    return f"DSSEV1 {len(kind)} {kind} {len(envelope.payload)} {envelope.payload!r}".encode()


def encoded_by(key: ec.EllipticCurvePublicKey, envelope: Envelope) -> bool:
    """Whether the key signed the envelope in this encoding."""
    return keys.signed_by(key, envelope.signature, encoding(envelope))


def refusal(got: str, expected: str) -> UntrustedError:
    """SignatureInvalid, with what to do: sign again."""
    return UntrustedError(
        f"legacy signature: got {got} of model-signing releases before 1.0, expected {expected}; sign again",
        reason=Reason.SIGNATURE_INVALID.value,
    )


def refused_encoding() -> UntrustedError:
    """The signature is one over ``encoding``."""
    return refusal("the DSSEV1 encoding", "DSSEv1")
