"""What every way of verifying a bundle looks like."""

from dataclasses import dataclass
from typing import Protocol

from modeltrust.domain.evidence import SignatureEvidence
from modeltrust.domain.signer import TrustedSigner
from modeltrust.signing.bundle import Bundle
from modeltrust.signing.content import Content


@dataclass(frozen=True, slots=True)
class Verified:
    """Bytes that were really signed, and by whom.

    Attributes:
        content: what was really signed; only this is read from here on.
        evidence: who signed, as facts; what was compared is filled in by ``signing.verify``.
    """

    content: Content
    evidence: SignatureEvidence


class Method(Protocol):
    """One way of verifying: a key, a certificate chain, a Sigstore instance. Implementations do not know each other."""

    def verify(self, bundle: Bundle, signers: tuple[TrustedSigner, ...], now: int) -> Verified:
        """Verify the signature, offline.

        Args:
            bundle: of this method's kind.
            signers: the source of keys and roots; their identities, scopes and validities are judged elsewhere.
            now: unix seconds.

        Raises:
            UntrustedError: with the reason; the signature does not verify, or nothing trusted can check it.
            MalformedError: the material is not what it should be.
        """
        ...
