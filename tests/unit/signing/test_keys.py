import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.signing import keys
from tests.support import oms

SECRET = "secret"
CURVES = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]


def pem_of(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_each_curve_signs_with_its_own_hash(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    public = keys.load_public_key(pem_of(key))
    signature = key.sign(b"message", keys.algorithm(public))
    assert keys.signed_by(public, signature, b"message")
    assert not keys.signed_by(public, signature, b"other")
    assert not keys.signed_by(public, b"no signature", b"message")
    assert keys.algorithm(public).algorithm.digest_size * 8 == {256: 256, 384: 384, 521: 512}[curve.key_size]


def test_the_fingerprint_is_the_hash_of_the_der_key_and_the_hint_of_the_pem_text() -> None:
    key = oms.new_key()
    public = keys.load_public_key(oms.public_pem(key))
    assert keys.fingerprint(public) == oms.fingerprint(key)
    assert keys.hint(public) == hashlib.sha256(oms.public_pem(key)).hexdigest()


def test_an_encrypted_private_key_needs_its_password() -> None:
    key = oms.new_key()
    loaded = keys.load_private_key(oms.private_pem(key, SECRET.encode()), password=SECRET)
    assert keys.fingerprint(loaded.public_key()) == oms.fingerprint(key)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (rsa.generate_private_key(65537, 2048), "RSA"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (ec.generate_private_key(ec.SECP224R1()), "secp224r1"),
    ],
    ids=["ed25519", "rsa", "secp256k1", "secp224r1"],
)
def test_other_keys_are_named_and_refused(
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        keys.load_public_key(pem_of(key))
    with pytest.raises(InvalidInputError, match=says):
        keys.load_private_key(oms.private_pem(key))


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"\x00\xff"])
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    with pytest.raises(InvalidInputError, match="cannot read the public key"):
        keys.load_public_key(pem)
    with pytest.raises(InvalidInputError, match="cannot read the private key"):
        keys.load_private_key(pem)


def test_two_keys_in_one_file_are_refused_since_readers_disagree_which_counts() -> None:
    with pytest.raises(InvalidInputError, match="one PEM block"):
        keys.load_public_key(oms.public_pem(oms.new_key()) * 2)


def test_a_private_key_is_no_public_key() -> None:
    with pytest.raises(InvalidInputError, match="PUBLIC KEY"):
        keys.load_public_key(oms.private_pem(oms.new_key()))


def test_a_missing_superfluous_or_wrong_password_is_said() -> None:
    with pytest.raises(InvalidInputError, match="expected a password"):
        keys.load_private_key(oms.private_pem(oms.new_key(), SECRET.encode()))
    with pytest.raises(InvalidInputError, match="expected no password"):
        keys.load_private_key(oms.private_pem(oms.new_key()), password=SECRET)
    with pytest.raises(InvalidInputError, match="right password"):
        keys.load_private_key(oms.private_pem(oms.new_key(), SECRET.encode()), password=SECRET + "r")


def test_a_huge_file_is_not_parsed() -> None:
    huge = b"-" * (limits.KEY_BYTES + 1)
    with pytest.raises(InvalidInputError, match="at most"):
        keys.load_public_key(huge)
    with pytest.raises(InvalidInputError, match="at most"):
        keys.load_private_key(huge)
