"""Whom the platform team trusts, about what: compiled TrustedSigner objects.

The same objects tell ``signing`` how to verify a bundle (keys, roots) and ``policy.signers`` whether evidence counts today.
"""

from dataclasses import dataclass
from enum import StrEnum

from modeltrust.domain.evidence import SignerKind
from modeltrust.domain.globs import Glob

# Read for every signature: members of an enumeration are looked up in 100 ns, names of a module in 7 (CPython 3.11).
_KEYLESS, _PUBLIC_KEY, _CERTIFICATE = SignerKind.KEYLESS, SignerKind.PUBLIC_KEY, SignerKind.CERTIFICATE


class Purpose(StrEnum):
    """What a signer may vouch for."""

    AUTHOR = "Author"  # signs its own models
    APPROVAL = "Approval"  # vouches for models of others


class CertificateTime(StrEnum):
    """At which time a certificate chain must be valid."""

    AT_VERIFICATION = "AtVerification"
    AT_SIGNING = "AtSigning"  # needs a trusted timestamp


@dataclass(frozen=True, slots=True)
class KeylessIdentity:
    """One entry of ``keyless.identities``; all of its fields must match.

    Attributes:
        name: of the entry.
        issuer: exact OIDC issuer.
        subject: exact subject, or
        subject_pattern: component-wise glob; exactly one of the two is set.
        claims: Fulcio extension names and exact values.
    """

    name: str
    issuer: str
    subject: str = ""
    subject_pattern: Glob | None = None
    claims: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class KeylessTrust:
    """Keyless signing: whose identities, vouched for by which instance.

    Attributes:
        identities: never empty.
        trusted_root: bytes of an inline trusted_root.json, or None for the public good instance.
        root_fingerprints: key fingerprints (64 hex) of the inline root's CAs, CT logs, logs and TSAs; empty for public good.
        windows: when the inline root trusts them: fingerprint, first second, and the second from which it does not (None: open); a
            key may have several, one without any is not bounded. Judged at admission, so orders do not carry them.
    """

    identities: tuple[KeylessIdentity, ...]
    trusted_root: bytes | None = None
    root_fingerprints: frozenset[str] = frozenset()
    windows: tuple[tuple[str, int, int | None], ...] = ()


@dataclass(frozen=True, slots=True)
class KeyTrust:
    """A public key.

    Attributes:
        pem: SubjectPublicKeyInfo, P-256, P-384 or P-521.
        fingerprint: 64 hex, sha256 of its DER form.
    """

    pem: bytes
    fingerprint: str


@dataclass(frozen=True, slots=True)
class CertificateTrust:
    """Certificates under explicit roots.

    Attributes:
        roots: PEM bytes, at least one certificate.
        root_fingerprints: 64 hex each, sha256 of the roots' DER SubjectPublicKeyInfo.
        san_type: ``uri``, ``email`` or ``dns``.
        san_value: exact value that the leaf must carry.
        time: when the chain must be valid.
    """

    roots: bytes
    root_fingerprints: frozenset[str]
    san_type: str
    san_value: str
    time: CertificateTime = CertificateTime.AT_VERIFICATION


@dataclass(frozen=True, slots=True)
class TrustedSigner:
    """A compiled TrustedSigner.

    Attributes:
        name: metadata.name.
        labels: metadata.labels, for signerSelector.
        purposes: never empty.
        trust: exactly one kind.
        scope: globs over canonical references, never empty.
        not_before: signatures made earlier do not count; None is unbounded.
        not_after: signatures made later do not count; None is unbounded.
    """

    name: str
    labels: tuple[tuple[str, str], ...]
    purposes: frozenset[Purpose]
    trust: KeylessTrust | KeyTrust | CertificateTrust
    scope: tuple[Glob, ...]
    not_before: int | None = None
    not_after: int | None = None

    @property
    def kind(self) -> SignerKind:
        """How its signatures identify it."""
        if isinstance(self.trust, KeylessTrust):
            return _KEYLESS
        return _PUBLIC_KEY if isinstance(self.trust, KeyTrust) else _CERTIFICATE
