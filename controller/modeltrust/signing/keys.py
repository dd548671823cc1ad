"""EC keys, read strictly: what OMS signs with (facts/signing.md section 5.1), and nothing else."""

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_EXPECTED = "expected an EC key on P-256, P-384 or P-521"


def load_public_key(pem: bytes) -> ec.EllipticCurvePublicKey:
    """Read a public key.

    Args:
        pem: one SubjectPublicKeyInfo block.

    Raises:
        InvalidInputError: not PEM, or another kind of key.
    """
    _check_one_block(pem, b"-----BEGIN PUBLIC KEY-----")
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(f"cannot read the public key: {_EXPECTED} in PEM") from error
    return check_key(key)


def load_private_key(pem: bytes, *, password: str | None = None) -> ec.EllipticCurvePrivateKey:
    """Read a private key.

    Args:
        pem: one block.
        password: of an encrypted key.

    Raises:
        InvalidInputError: not PEM, another kind of key, or a password missing, wrong or superfluous.
    """
    if len(pem) > limits.KEY_BYTES:
        raise InvalidInputError(f"got a key file of {len(pem)} bytes, expected at most {limits.KEY_BYTES}")
    try:
        key = serialization.load_pem_private_key(pem, None if password is None else password.encode())
    except TypeError as error:  # cryptography's way to say that a password is missing or superfluous
        wanted = "a password" if password is None else "no password"
        raise InvalidInputError(f"cannot read the private key: expected {wanted}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(f"cannot read the private key: {_EXPECTED} in PEM, and the right password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInputError(f"got a private key of another kind ({_kind(key)}), {_EXPECTED}")
    check_key(key.public_key())
    return key


def check_key(key: object) -> ec.EllipticCurvePublicKey:
    """Refuse a public key that OMS does not sign with: RSA, Ed25519, ML-DSA, other curves.

    Raises:
        InvalidInputError: with what it is.
    """
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInputError(f"got a key of another kind ({_kind(key)}), {_EXPECTED}")
    if key.curve.name not in _HASHES:
        raise InvalidInputError(f"got a key on curve {key.curve.name}, {_EXPECTED}")
    return key


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """64 hex: sha256 of the DER SubjectPublicKeyInfo."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def hint(key: ec.EllipticCurvePublicKey) -> str:
    """64 hex: sha256 of the PEM text, newlines included, as model-signing writes into ``publicKey.hint``."""
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def algorithm(key: ec.EllipticCurvePublicKey) -> ec.ECDSA:
    """ECDSA with the hash that belongs to the curve; the key was checked."""
    return ec.ECDSA(_HASHES[key.curve.name])


def signed_by(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether the key made the signature over the message."""
    try:
        key.verify(signature, message, algorithm(key))
    except InvalidSignature:
        return False
    return True


def signed_digest(key: ec.EllipticCurvePublicKey, signature: bytes, sha256: bytes) -> bool:
    """Whether the key, on P-256, made the signature over a message with this sha256; other curves sign another hash."""
    if not isinstance(key.curve, ec.SECP256R1):
        return False
    try:
        key.verify(signature, sha256, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True


def _kind(key: object) -> str:
    return type(key).__name__.strip("_").removesuffix("PublicKey").removesuffix("PrivateKey")


def _check_one_block(pem: bytes, marker: bytes) -> None:
    if len(pem) > limits.KEY_BYTES:
        raise InvalidInputError(f"got a key file of {len(pem)} bytes, expected at most {limits.KEY_BYTES}")
    if pem.count(b"-----BEGIN ") != 1 or marker not in pem:
        raise InvalidInputError(f"cannot read the public key: {_EXPECTED} in one PEM block of type PUBLIC KEY")
