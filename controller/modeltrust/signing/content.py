"""What a signature is over: a DSSE envelope, or bytes that are elsewhere and known by their sha256 (cosign)."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain import dsse
from modeltrust.domain.errors import MalformedError
from modeltrust.signing import keys

_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class Message:
    """A signature over bytes by their sha256; nothing in it is verified yet.

    Attributes:
        sha256: 32 bytes.
        signature: raw bytes of the one signature.
        statement: the bytes themselves where the document carries them (cosign's simple signing), else None.
    """

    sha256: bytes
    signature: bytes
    statement: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.sha256) != _SHA256_BYTES:
            raise MalformedError(f"got a message digest of {len(self.sha256)} bytes, expected {_SHA256_BYTES}")


Content = dsse.Envelope | Message


def signed_by(key: ec.EllipticCurvePublicKey, content: Content) -> bool:
    """Whether the key made the signature over this content.

    An envelope is hashed as its key's curve demands. Of a message only the sha256 is known, so only P-256 can have signed it.
    """
    if isinstance(content, Message):
        return keys.signed_digest(key, content.signature, content.sha256)
    return keys.signed_by(key, content.signature, dsse.pae(content.payload_type, content.payload))
