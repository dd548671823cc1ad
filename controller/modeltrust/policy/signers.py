"""Whether a recorded signature counts today: facts in a statement, matched against the signers as they are now (H5).

``signing`` says who signed and ``attestation`` keeps it; nothing here verifies a signature, and nothing there knows the scope or
validity of a TrustedSigner. So removing an identity or ending a validity takes effect at once, and adding one stales nothing.
"""

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.domain.evidence import PUBLIC_GOOD, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import (
    CertificateTime,
    CertificateTrust,
    KeylessIdentity,
    KeylessTrust,
    KeyTrust,
    Purpose,
    TrustedSigner,
)
from modeltrust.policy.scopes import within
from modeltrust.policy.wording import moment

_APPROVAL_ONLY = frozenset({Purpose.APPROVAL})
_APPROVAL, _PUBLIC_KEY = SignatureForm.APPROVAL, SignerKind.PUBLIC_KEY


class Counted(msgspec.Struct, frozen=True, gc=False):
    """The signature counts.

    Attributes:
        signer: name of the TrustedSigner.
        purposes: for which it counts; an approval counts for Approval only.
    """

    signer: str
    purposes: frozenset[Purpose]


class NotCounted(msgspec.Struct, frozen=True, gc=False):
    """The signature does not count for this signer.

    Attributes:
        reason: SignerNotTrusted, SignerOutOfScope or SignerExpired; the later ones mean that the signer itself was recognised.
        message: one sentence, lower case.
    """

    reason: Reason
    message: str


def match(evidence: SignatureEvidence, signer: TrustedSigner, reference_text: str, now: int) -> Counted | NotCounted:
    """Match one recorded signature against one signer.

    Args:
        evidence: a signature that verified, as facts.
        signer: whom to match.
        reference_text: canonical reference of the model, with or without ``@revision``; scopes are compared with both forms.
        now: unix seconds.
    """
    trust = signer.trust
    if isinstance(trust, KeyTrust) and evidence.kind is _PUBLIC_KEY and evidence.fingerprint == trust.fingerprint != "":
        stranger = ""
    else:
        stranger = _stranger(evidence, signer)
    if stranger:
        return NotCounted(Reason.SIGNER_NOT_TRUSTED, stranger)
    purposes = signer.purposes & _APPROVAL_ONLY if evidence.form is _APPROVAL else signer.purposes
    if not purposes:
        return NotCounted(Reason.SIGNER_NOT_TRUSTED, f"has an approval, and {signer.name} is not trusted for purpose Approval")
    text = reference_text.partition("@")[0]
    if not within(signer.scope, text, reference_text):
        return NotCounted(Reason.SIGNER_OUT_OF_SCOPE, f"is signed by {signer.name}, whose scope does not hold {quote(text)}")
    expired = _expired(evidence, signer, now)
    return NotCounted(Reason.SIGNER_EXPIRED, expired) if expired else Counted(signer.name, purposes)


def _stranger(evidence: SignatureEvidence, signer: TrustedSigner) -> str:
    """Why the evidence is not by this signer; empty when it is."""
    if evidence.kind is not signer.kind:
        return f"is signed by {described(evidence)}, expected {signer.name}, which signs with {signer.kind.value}"
    if isinstance(signer.trust, KeylessTrust):
        return _keyless_stranger(evidence, signer.name, signer.trust)
    if isinstance(signer.trust, CertificateTrust):
        return _certificate_stranger(evidence, signer.name, signer.trust)
    return f"is signed by {described(evidence)}, expected {signer.name}"


def _keyless_stranger(evidence: SignatureEvidence, name: str, trust: KeylessTrust) -> str:
    if not any(_is_identity(evidence, identity) for identity in trust.identities):
        return f"is signed by {described(evidence)}, expected {name}"
    if trust.trusted_root is None:
        vouched = evidence.vouched_by == (PUBLIC_GOOD,)
    else:
        vouched = bool(evidence.vouched_by) and trust.root_fingerprints.issuperset(evidence.vouched_by)
    return (
        "" if vouched else f"is signed by {described(evidence)}, vouched for by keys that do not stand in the trust root of {name}"
    )


def _is_identity(evidence: SignatureEvidence, identity: KeylessIdentity) -> bool:
    """All fields of one entry; an entry without issuer or subject is nobody."""
    if not identity.issuer or evidence.issuer != identity.issuer or not evidence.subject:
        return False
    if identity.subject_pattern is None:
        subject = identity.subject == evidence.subject
    else:
        subject = identity.subject in {"", evidence.subject} and identity.subject_pattern.matches(evidence.subject)
    return subject and all(_claims(evidence, name) == {value} for name, value in identity.claims)


def _claims(evidence: SignatureEvidence, name: str) -> set[str]:
    # A set, so that a claim stated twice with different values matches neither.
    return {value for claim, value in evidence.claims if claim == name}


def _certificate_stranger(evidence: SignatureEvidence, name: str, trust: CertificateTrust) -> str:
    if evidence.form is SignatureForm.APPROVAL:
        return f"has an approval by a certificate, whose validity is not recorded; expected a key or a keyless identity of {name}"
    # The kind of name is part of the evidence, so that an e-mail address never passes for a URI of the same spelling.
    if not trust.san_value or evidence.subject != f"{trust.san_type}:{trust.san_value}":
        return f"is signed by {described(evidence)}, expected {name}"
    if evidence.vouched_by and trust.root_fingerprints.issuperset(evidence.vouched_by):
        return ""
    return f"is signed by {described(evidence)}, under a root that {name} does not list"


def _expired(evidence: SignatureEvidence, signer: TrustedSigner, now: int) -> str:
    """Why the time does not count; empty when it does. Without a trusted signing time, the signature is as old as now."""
    if evidence.signed_at is not None and evidence.signed_at > now + limits.CLOCK_SKEW_SECONDS:
        return f"says that it was signed at {moment(evidence.signed_at)}, which has not come yet"
    if evidence.form is _APPROVAL and (evidence.not_after is None or now > evidence.not_after):
        end = "it states no end" if evidence.not_after is None else f"it ended at {moment(evidence.not_after)}"
        return f"has an approval by {signer.name} that does not count: {end}"
    at = now if evidence.signed_at is None else evidence.signed_at
    bounded = signer.not_before is not None or signer.not_after is not None
    if bounded and not _within(at, signer.not_before, signer.not_after):
        return f"was signed at {moment(at)}, outside the validity of {signer.name} ({_span(signer.not_before, signer.not_after)})"
    if isinstance(signer.trust, CertificateTrust):
        return _certificate_expired(evidence, signer.name, signer.trust, now)
    return _root_expired(evidence, signer.name, signer.trust.windows) if isinstance(signer.trust, KeylessTrust) else ""


def _root_expired(evidence: SignatureEvidence, name: str, windows: tuple[tuple[str, int, int | None], ...]) -> str:
    """Ending ``validFor`` in an inline root is heard as fast as removing the key: the signing time must lie within, live (H5)."""
    for voucher in evidence.vouched_by if windows else ():
        spans = [(start, end) for fingerprint, start, end in windows if fingerprint == voucher]
        at = evidence.signed_at
        if spans and (at is None or not any(start <= at and (end is None or at < end) for start, end in spans)):
            when = "at an unknown time" if at is None else f"at {moment(at)}"
            return f"was signed {when}, when the trust root of {name} does not trust the key {voucher[:16]} that vouched for it"
    return ""


def _certificate_expired(evidence: SignatureEvidence, name: str, trust: CertificateTrust, now: int) -> str:
    if evidence.not_before is None or evidence.not_after is None:
        return f"is signed by a certificate of {name} whose validity is not recorded"
    at_signing = trust.time is CertificateTime.AT_SIGNING
    at = evidence.signed_at if at_signing else now
    if at is None:
        return f"is signed by a certificate of {name} without a trusted timestamp, which validity AtSigning needs"
    if _within(at, evidence.not_before, evidence.not_after):
        return ""
    return (
        f"is signed by a certificate of {name} that is not valid at {moment(at)} ({_span(evidence.not_before, evidence.not_after)})"
    )


def _within(at: int, start: int | None, end: int | None) -> bool:
    return (start is None or start <= at) and (end is None or at <= end)


def _span(start: int | None, end: int | None) -> str:
    return f"{'always' if start is None else moment(start)} to {'always' if end is None else moment(end)}"


def described(evidence: SignatureEvidence) -> str:
    """Who signed, for people."""
    if evidence.kind is SignerKind.KEYLESS:
        return f"{quote(evidence.subject)} (issuer {quote(evidence.issuer)})"
    if evidence.kind is SignerKind.CERTIFICATE:
        return f"certificate {quote(evidence.subject)}"
    return f"key {evidence.fingerprint[:16]}"
