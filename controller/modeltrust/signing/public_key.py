"""Signatures by a public key that a TrustedSigner states."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain import limits
from modeltrust.domain.dsse import Envelope
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, UntrustedError, quote
from modeltrust.domain.evidence import SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeyTrust, TrustedSigner
from modeltrust.signing import keys, legacy
from modeltrust.signing.bundle import Bundle
from modeltrust.signing.content import signed_by
from modeltrust.signing.interface import Verified


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A trusted key with the names that a signer may give it."""

    key: ec.EllipticCurvePublicKey
    fingerprint: str
    hint: str

    def named(self, hint: str) -> bool:
        """Whether the bundle's hint means this key."""
        cosign = base64.b64encode(bytes.fromhex(self.fingerprint)).decode("ascii")
        return hint in {self.hint, self.fingerprint, cosign}


class PublicKeyMethod:
    """Tries the keys of all TrustedSigners; the bundle's hint orders them and words the denial, the signature decides."""

    def verify(self, bundle: Bundle, signers: tuple[TrustedSigner, ...], now: int) -> Verified:  # noqa: ARG002 - a key has no time
        """See ``interface.Method``. A key proves no signing time: ``signed_at`` is None.

        Raises:
            UntrustedError: SignerNotTrusted where no trusted key fits, since a signature cannot be checked without its key;
                SignatureInvalid where the hint names a trusted key and the signature is not its own, or is a legacy one.
        """
        candidates = _candidates(signers)
        for candidate in sorted(candidates, key=lambda item: not item.named(bundle.hint)):
            if signed_by(candidate.key, bundle.content):
                evidence = SignatureEvidence(SignatureForm.OMS, SignerKind.PUBLIC_KEY, candidate.fingerprint)
                return Verified(bundle.content, evidence)
        raise _refusal(bundle, candidates)


def _refusal(bundle: Bundle, candidates: tuple[_Candidate, ...]) -> UntrustedError:
    content = bundle.content
    if isinstance(content, Envelope) and any(legacy.encoded_by(candidate.key, content) for candidate in candidates):
        return legacy.refused_encoding()
    for candidate in candidates:
        if candidate.named(bundle.hint):
            return UntrustedError(
                f"the signature is not one of the key {candidate.fingerprint} that it names",
                reason=Reason.SIGNATURE_INVALID.value,
            )
    named = f"names key {quote(bundle.hint)}" if bundle.hint else "names no key"
    return UntrustedError(
        f"the signature {named} and fits none of the {len(candidates)} keys of the trusted signers",
        reason=Reason.SIGNER_NOT_TRUSTED.value,
    )


def _candidates(signers: Iterable[TrustedSigner]) -> tuple[_Candidate, ...]:
    pems = {signer.trust.pem for signer in signers if isinstance(signer.trust, KeyTrust)}
    if len(pems) > limits.KEYS_TRIED:
        raise LimitExceededError(f"got {len(pems)} keys of trusted signers, expected at most {limits.KEYS_TRIED}")
    found = {candidate.fingerprint: candidate for pem in pems for candidate in _candidate(pem)}
    return tuple(found[fingerprint] for fingerprint in sorted(found))


def _candidate(pem: bytes) -> tuple[_Candidate, ...]:
    try:
        key = keys.load_public_key(pem)
    except InvalidInputError:
        return ()  # a signer whose key cannot be read trusts nothing; it must not break the others
    return (_Candidate(key, keys.fingerprint(key), keys.hint(key)),)
