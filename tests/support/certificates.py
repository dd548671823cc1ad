"""Certificates for tests: one builder, every extension can be left out or spoilt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.sigstore_ca import DAY, NOW, moment, usage

CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
URI = "https://acme.example/release"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def authority(
    name: str,
    issuer: Pair | None = None,
    *,
    start: int = NOW - 30 * DAY,
    end: int = NOW + 30 * DAY,
    path_length: int | None = None,
    cert_sign: bool = True,
    ca: bool = True,
    purposes: Sequence[x509.ObjectIdentifier] = (),
) -> Pair:
    """A CA certificate, self-signed without an issuer."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), True),
        (usage(key_cert_sign=cert_sign, crl_sign=True), True),
    ]
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    return build(name, issuer, extensions, start=start, end=end)


def leaf(
    issuer: Pair | None,
    *,
    names: Sequence[x509.GeneralName] = (x509.UniformResourceIdentifier(URI),),
    purposes: Sequence[x509.ObjectIdentifier] = (CODE_SIGNING,),
    critical_purpose: bool = False,
    digital_signature: bool = True,
    ca: bool | None = None,
    start: int = NOW - DAY,
    end: int = NOW + DAY,
    key: Key | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Pair:
    """A certificate for signing; empty sequences leave an extension out."""
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (usage(digital_signature=digital_signature, key_encipherment=not digital_signature), True)
    ]
    if names:
        extensions.append((x509.SubjectAlternativeName(names), False))
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), critical_purpose))
    if ca is not None:
        extensions.append((x509.BasicConstraints(ca=ca, path_length=None), True))
    return build("leaf", issuer, [*extensions, *extra], start=start, end=end, key=key)


def build(
    name: str,
    issuer: Pair | None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    *,
    start: int,
    end: int,
    key: Key | None = None,
) -> Pair:
    """Any certificate."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signing_key = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment(start))
        .not_valid_after(moment(end))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Pair(builder.sign(signing_key, None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()), key)
