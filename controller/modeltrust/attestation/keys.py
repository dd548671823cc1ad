"""Keys of an attestor: made, and shown to those who believe them. Nothing here writes, logs or names a private key."""

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.attestation.envelope import fingerprint
from modeltrust.domain.evidence import Assurance


def new_key() -> bytes:
    """A fresh private key on P-256, as unencrypted PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """64 hex, under which the trust file lists the key."""
    return fingerprint(key.public_key())


def attestor_entry(key: ec.EllipticCurvePrivateKey, *, audience: str) -> dict[str, Any]:
    """The entry of the trust file for one key of ours: every model, and no more assurance than a worker can give.

    Args:
        key: private; only its public half is read.
        audience: UID of the namespace kube-system, or a fleet id.
    """
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {
        "keyId": key_id(key),
        "pem": pem.decode("ascii"),
        "audience": audience,
        "models": ["**"],
        "maximumAssurance": Assurance.BYTES_HASHED.label,
    }
