"""Signatures by a certificate under explicit roots.

The reference library checks certificates at their own notBefore, pins no subject and takes any leaf (facts/signing.md section 4.2);
none of that is repeated here. Time: now, or that of an RFC 3161 timestamp over the signature whose authority's chain ends in
the same roots — a private PKI with a timestamp authority of its own. Timestamps of other authorities prove nothing and are
ignored; then an expired certificate is SignerExpired, since nothing says when it signed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from modeltrust.domain import limits
from modeltrust.domain.dsse import Envelope
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, MalformedError, UntrustedError, quote
from modeltrust.domain.evidence import SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import CertificateTrust, TrustedSigner
from modeltrust.signing import keys, legacy
from modeltrust.signing.bundle import Bundle
from modeltrust.signing.chain import load_roots, usable_leaf, verify_chain
from modeltrust.signing.content import signed_by
from modeltrust.signing.interface import Verified
from modeltrust.signing.timestamp import trusted_time
from modeltrust.signing.trust_root import fingerprint

_PURPOSE = ExtendedKeyUsageOID.CODE_SIGNING
_NAME_KINDS: dict[type[x509.GeneralName], str] = {
    x509.UniformResourceIdentifier: "uri",
    x509.RFC822Name: "email",
    x509.DNSName: "dns",
}


@dataclass(frozen=True, slots=True)
class _Signed:
    """What the bundle holds, read once.

    Attributes:
        leaf: the signer's certificate.
        key: of the leaf.
        subject: its one subject alternative name, as ``uri:…``, ``email:…`` or ``dns:…``.
        intermediates: the other certificates of the bundle.
        signature: raw, which a timestamp is about.
        token: the RFC 3161 response, if there is one.
    """

    leaf: x509.Certificate
    key: ec.EllipticCurvePublicKey
    subject: str
    intermediates: tuple[x509.Certificate, ...]
    signature: bytes
    token: bytes | None


class CertificateMethod:
    """Tries the roots of all certificate TrustedSigners."""

    def verify(self, bundle: Bundle, signers: tuple[TrustedSigner, ...], now: int) -> Verified:
        """See ``interface.Method``.

        The evidence holds the subject alternative name with its type, the key fingerprints of the anchors (the chain's, and the
        timestamp's where one counts), and the time in which the whole chain is valid: policy compares that with the time it wants.

        Raises:
            UntrustedError: SignatureInvalid: the signature is not the leaf's, or the leaf is not one for signing code;
                SignerNotTrusted: no chain to a trusted root; SignerExpired: a chain, but not at this time.
            MalformedError: the certificates cannot be read.
        """
        signed = _read(bundle)
        content = bundle.content
        if not signed_by(signed.key, content):
            if isinstance(content, Envelope) and legacy.encoded_by(signed.key, content):
                raise legacy.refused_encoding()
            raise UntrustedError("the signature is not one of the certificate's key", reason=Reason.SIGNATURE_INVALID.value)
        all_roots = tuple(_roots(signers))
        for roots in all_roots:
            evidence = _evidence(signed, roots, now)
            if evidence is not None:
                return Verified(content, evidence)
        raise _no_chain(signed, all_roots, now)


def _read(bundle: Bundle) -> _Signed:
    try:
        leaf, *intermediates = (x509.load_der_x509_certificate(der) for der in bundle.certificates)
        key = keys.check_key(leaf.public_key())
    except (ValueError, InvalidInputError) as error:
        raise MalformedError(f"cannot read the signer's certificates: {quote(error)}") from error
    if len(bundle.timestamps) > 1:
        raise MalformedError(f"got {len(bundle.timestamps)} timestamps, expected at most one")
    wrong = usable_leaf(leaf, _PURPOSE)
    if wrong:
        raise UntrustedError(f"the signer's certificate {wrong}", reason=Reason.SIGNATURE_INVALID.value)
    token = bundle.timestamps[0] if bundle.timestamps else None
    return _Signed(leaf, key, _subject(leaf), tuple(intermediates), bundle.content.signature, token)


def _subject(leaf: x509.Certificate) -> str:
    """With several names nobody could say which one signed, so exactly one is expected."""
    try:
        names = list(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound as error:
        raise MalformedError("got a certificate without subject alternative name, expected a URI, e-mail or DNS name") from error
    if len(names) != 1 or type(names[0]) not in _NAME_KINDS:
        raise MalformedError(f"got {len(names)} subject alternative names, expected one URI, e-mail or DNS name")
    value = str(names[0].value)
    if not 0 < len(value) <= limits.CLAIM_CHARACTERS:
        raise MalformedError(f"got a subject of {len(value)} characters, expected 1 to {limits.CLAIM_CHARACTERS}")
    return f"{_NAME_KINDS[type(names[0])]}:{value}"


def _roots(signers: tuple[TrustedSigner, ...]) -> Iterable[tuple[x509.Certificate, ...]]:
    pems = sorted({signer.trust.roots for signer in signers if isinstance(signer.trust, CertificateTrust)})
    if len(pems) > limits.KEYS_TRIED:
        raise LimitExceededError(f"got {len(pems)} sets of roots, expected at most {limits.KEYS_TRIED}")
    for pem in pems:
        try:
            yield load_roots(pem)
        except InvalidInputError:
            continue  # a signer whose roots cannot be read trusts nobody; it must not break the others


def _evidence(signed: _Signed, roots: Sequence[x509.Certificate], now: int) -> SignatureEvidence | None:
    stamped = None if signed.token is None else trusted_time(signed.token, signed.signature, roots)
    at = now if stamped is None else stamped[0]
    chain = verify_chain(signed.leaf, signed.intermediates, roots, purpose=_PURPOSE, at=at)
    if chain is None:
        return None
    stamping = [] if stamped is None else stamped[1]
    anchors = {fingerprint(certificate) for certificate in (*chain[-1:], *stamping[-1:])}
    authorities = {fingerprint(certificate) for certificate in (*chain[1:], *stamping)}
    return SignatureEvidence(
        SignatureForm.OMS,
        SignerKind.CERTIFICATE,
        keys.fingerprint(signed.key),
        subject=signed.subject,
        vouched_by=tuple(sorted(anchors)),
        authorities=tuple(sorted(authorities)),
        signed_at=None if stamped is None else at,
        not_before=max(int(certificate.not_valid_before_utc.timestamp()) for certificate in chain),
        not_after=min(int(certificate.not_valid_after_utc.timestamp()) for certificate in chain),
    )


def _no_chain(signed: _Signed, all_roots: Iterable[Sequence[x509.Certificate]], now: int) -> UntrustedError:
    """Whether it is a matter of time only: is there a chain at the leaf's own start or end?"""
    ends = (int(signed.leaf.not_valid_before_utc.timestamp()), int(signed.leaf.not_valid_after_utc.timestamp()))
    for roots in all_roots:
        if any(verify_chain(signed.leaf, signed.intermediates, roots, purpose=_PURPOSE, at=at) for at in ends):
            when = "" if signed.token is None else ", and no timestamp of a trusted authority says when it signed"
            return UntrustedError(
                f"the certificate of {quote(signed.subject)} or its chain is not valid at {now}{when}",
                reason=Reason.SIGNER_EXPIRED.value,
            )
    return UntrustedError(
        f"no trusted root vouches for the certificate of {quote(signed.subject)}", reason=Reason.SIGNER_NOT_TRUSTED.value
    )
