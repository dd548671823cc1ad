"""Our own certificate authority: what is issued for how long, and when the next one takes over.

Nothing here is kept or sent; a state goes in, a state comes out. The order of a change of CA is what makes it harmless: the next CA
is believed everywhere first, signs only afterwards, and the one before stays believed for twice a leaf's life (facts/operations.md,
section 10).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Without the key."""
        return "Pair(…)"


@dataclass(frozen=True, slots=True)
class Authorities:
    """Everything that is believed, and what signs.

    Attributes:
        current: signs.
        following: is believed already, and signs next.
        previous: PEM of the one before, believed still; empty when none is.
        promoted: unix seconds at which ``current`` began to sign.
    """

    current: Pair
    following: Pair | None = None
    previous: bytes = b""
    promoted: int = 0

    @property
    def bundle(self) -> bytes:
        """PEM of all that are believed; the one that signs first."""
        following = self.following.certificate if self.following else b""
        return self.current.certificate + following + self.previous


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a certificate is for: a server under its names, or a client."""

    common_name: str
    names: tuple[str, ...]
    client: bool = False


def evolve(state: Authorities | None, now: int, *, published: bool, believed_so_far: bytes = b"") -> Authorities:
    """The state as it should be now; the same object where nothing changes.

    Args:
        state: as it was stored; None where there is none, or none that can be used.
        now: unix seconds.
        published: whether everybody who believes us was seen to believe ``following``, too.
        believed_so_far: PEM of whom everybody believes; where the authority is lost, what it signed serves on.
    """
    if state is None or not usable(state.current, now):
        return Authorities(new_authority(now), previous=_unexpired(believed_so_far, now), promoted=now)
    if state.following is not None and not usable(state.following, now):
        return replace(state, following=None)
    if state.following is None and due(state.current.certificate, now):
        return replace(state, following=new_authority(now))
    if state.following is not None and published and now >= _start(state.following.certificate) + limits.CA_STAGED_SECONDS:
        return Authorities(state.following, previous=state.current.certificate, promoted=now)
    if state.previous and now >= state.promoted + 2 * limits.LEAF_SECONDS:
        return replace(state, previous=b"")
    return state


def new_authority(now: int) -> Pair:
    """A self-signed CA that signs leaves and no further CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"modeltrust {datetime.fromtimestamp(now, UTC):%Y-%m-%d}")
    usage = _usage(signs_certificates=True)
    builder = _builder(name, name, key.public_key(), key.public_key(), now, limits.CA_SECONDS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).add_extension(
        usage, critical=True
    )
    return _signed(builder, key, key)


def issue(authority: Pair, leaf: Leaf, now: int) -> Pair:
    """A certificate by an authority, with a fresh key."""
    signer = _certificate(authority.certificate)
    signing, key = _key(authority.key), ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if leaf.client else ExtendedKeyUsageOID.SERVER_AUTH
    builder = _builder(_name(leaf.common_name), signer.subject, key.public_key(), signing.public_key(), now, limits.LEAF_SECONDS)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs_certificates=False), True),
        (x509.ExtendedKeyUsage([purpose]), False),
        (x509.SubjectAlternativeName([x509.DNSName(name) for name in leaf.names]), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return _signed(builder, key, signing)


def stale(pair: Pair | None, leaf: Leaf, authority: Pair, now: int) -> str:
    """Why a stored leaf must be issued anew; empty when it serves on."""
    if pair is None:
        return "there is none"
    try:
        found, signer = _certificate(pair.certificate), _certificate(authority.certificate)
        matching = _public(found.public_key()) == _public(_key(pair.key).public_key())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        found.verify_directly_issued_by(signer)
    except InvalidSignature:
        return "another authority issued it"
    except (InvalidInputError, x509.ExtensionNotFound, ValueError, TypeError):
        return "it cannot be read, or another authority issued it"
    wanted = ExtendedKeyUsageOID.CLIENT_AUTH if leaf.client else ExtendedKeyUsageOID.SERVER_AUTH
    if not matching:
        return "its key is another"
    if tuple(names) != leaf.names or list(purposes) != [wanted]:
        return "it is for something else"
    return "two thirds of its life are over" if due(pair.certificate, now) else ""


def usable(pair: Pair, now: int) -> bool:
    """Whether an authority can sign now: readable, its key its own, valid for another leaf's life."""
    try:
        found = _certificate(pair.certificate)
        own = _public(found.public_key()) == _public(_key(pair.key).public_key())
    except InvalidInputError:
        return False
    return (
        own
        and _start(pair.certificate) <= now + limits.CERTIFICATE_SKEW_SECONDS
        and ends(pair.certificate) > now + limits.LEAF_SECONDS
    )


def due(certificate: bytes, now: int) -> bool:
    """Whether two thirds of a certificate's life are over, or the clock says that it has not begun."""
    start, end = _start(certificate), ends(certificate)
    return now >= start + (end - start) * 2 // 3 or now < start - limits.CERTIFICATE_SKEW_SECONDS


def ends(certificate: bytes) -> int:
    """The end of a certificate's life in unix seconds.

    Raises:
        InvalidInputError: it cannot be read.
    """
    return int(_certificate(certificate).not_valid_after_utc.timestamp())


def _unexpired(bundle: bytes, now: int) -> bytes:
    kept = []
    for certificate in believed(bundle)[: limits.CA_BELIEVED]:
        try:
            if ends(certificate) > now:
                kept.append(certificate)
        except InvalidInputError:
            continue
    return b"".join(kept)


def _start(certificate: bytes) -> int:
    """When it was issued: clocks of others may be behind, so its life begins a little earlier."""
    return int(_certificate(certificate).not_valid_before_utc.timestamp()) + limits.CERTIFICATE_SKEW_SECONDS


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, signing: ec.EllipticCurvePublicKey, now: int, life: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(now - limits.CERTIFICATE_SKEW_SECONDS, UTC))
        .not_valid_after(datetime.fromtimestamp(now + life, UTC))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signing: ec.EllipticCurvePrivateKey) -> Pair:
    certificate = builder.sign(signing, hashes.SHA256()).public_bytes(Encoding.PEM)
    return Pair(certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise InvalidInputError("got a certificate that cannot be read, expected PEM") from error


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise InvalidInputError("got a private key that cannot be read, expected PEM without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInputError("got a private key of another kind, expected an elliptic curve")
    return key


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise InvalidInputError("got a public key of another kind, expected an elliptic curve")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def believed(bundle: bytes) -> Sequence[bytes]:
    """The certificates of a bundle, each as PEM."""
    end = b"-----END CERTIFICATE-----\n"
    return [part + end for part in bundle.split(end) if part.strip()]
