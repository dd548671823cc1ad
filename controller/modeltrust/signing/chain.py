"""X.509 chains to explicit roots. cryptography enforces signatures, validity, CA and path length; the rest is added here.

What ``ExtensionPolicy.permit_all()`` lets pass and this does not (facts/signing.md section 5.2): an issuer without keyCertSign,
a CA certificate as leaf, a leaf for another purpose, an authority for other purposes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def load_roots(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the roots of a TrustedSigner.

    Args:
        pem: one or more certificates.

    Raises:
        InvalidInputError: none, too many, or not PEM.
    """
    try:
        roots = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise InvalidInputError("cannot read the roots: expected certificates in PEM") from error
    if not 0 < len(roots) <= limits.KEYS_TRIED:
        raise InvalidInputError(f"got {len(roots)} roots, expected 1 to {limits.KEYS_TRIED}")
    return tuple(roots)


def verify_chain(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    purpose: x509.ObjectIdentifier,
    at: int,
) -> list[x509.Certificate] | None:
    """Build and verify a chain.

    Args:
        leaf: for digital signatures and the purpose, no CA.
        intermediates: offered by the signer, trusted with nothing.
        roots: the only anchors; an intermediate CA may be one.
        purpose: the extended key usage that the leaf must state.
        at: unix seconds at which every certificate, the anchor included, must be valid.

    Returns:
        Leaf to anchor, or None if there is no such chain.
    """
    verifier = (
        PolicyBuilder()
        .store(Store(list(roots)))
        .time(datetime.fromtimestamp(at, UTC))
        .max_chain_depth(limits.CERTIFICATES_IN_CHAIN)
        .extension_policies(ca_policy=_ca_policy(purpose), ee_policy=_leaf_policy(purpose))
        .build_client_verifier()
    )
    try:
        chain = verifier.verify(leaf, list(intermediates)).chain
    except VerificationError:
        return None
    # a leaf that is listed among the roots would be its own anchor; that is a key pin, and TrustedSigner has publicKey for it
    return chain if len(chain) > 1 else None


def usable_leaf(leaf: x509.Certificate, purpose: x509.ObjectIdentifier) -> str:
    """Why a certificate cannot be a leaf for the purpose, whoever issued it; empty if it can."""
    extensions = leaf.extensions
    constraints = _extension(extensions, x509.BasicConstraints)
    usage = _extension(extensions, x509.KeyUsage)
    extended = _extension(extensions, x509.ExtendedKeyUsage)
    if constraints is not None and constraints.ca:
        return "is a CA certificate"
    if usage is None or not usage.digital_signature:
        return "has no key usage digitalSignature"
    if extended is None or purpose not in extended:
        return f"has no extended key usage {purpose._name}"  # noqa: SLF001 - the readable name; cryptography offers no other
    return ""


def _extension(extensions: x509.Extensions, kind: type[_Extension]) -> _Extension | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _ca_policy(purpose: x509.ObjectIdentifier) -> ExtensionPolicy:
    def allows_purpose(_policy: Policy, _certificate: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
        # An authority that was made for TLS alone must not become one for models (nested as by browsers and Go).
        if extension is not None and purpose not in extension and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in extension:
            raise ValueError("an authority for other purposes")

    return (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
        .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, allows_purpose)
    )


def _leaf_policy(purpose: x509.ObjectIdentifier) -> ExtensionPolicy:
    def has_purpose(_policy: Policy, _certificate: x509.Certificate, extension: x509.ExtendedKeyUsage) -> None:
        if purpose not in extension:
            raise ValueError("no such extended key usage")

    return (
        ExtensionPolicy.permit_all()
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_no_ca)
        .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_data)
        .require_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, has_purpose)
    )


def _signs_certificates(_policy: Policy, _certificate: x509.Certificate, extension: x509.KeyUsage) -> None:
    if not extension.key_cert_sign:
        raise ValueError("no key usage keyCertSign")


def _is_no_ca(_policy: Policy, _certificate: x509.Certificate, extension: x509.BasicConstraints | None) -> None:
    if extension is not None and extension.ca:
        raise ValueError("a CA certificate as leaf")


def _signs_data(_policy: Policy, _certificate: x509.Certificate, extension: x509.KeyUsage) -> None:
    if not extension.digital_signature:
        raise ValueError("no key usage digitalSignature")
