"""One signature document against one model: who signed, what was signed, and how closely the bytes were compared.

Facts only. Whether the signer counts today is ``policy.signers``' question. Offline, and a fresh context per call: nothing is
carried from one model to the next (facts/signing.md section 4.2, first row).
"""

from dataclasses import dataclass, replace

from modeltrust.domain import limits, simple_signing
from modeltrust.domain.digest import ContentDigest, content_digest
from modeltrust.domain.dsse import IN_TOTO, Envelope
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError, UntrustedError, quote
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.signing import approval, cosign, legacy, manifest
from modeltrust.signing.bundle import Bundle, parse_bundle
from modeltrust.signing.certificate import CertificateMethod
from modeltrust.signing.content import Message
from modeltrust.signing.interface import Method, Verified
from modeltrust.signing.public_key import PublicKeyMethod


@dataclass(frozen=True, slots=True)
class Verifier:
    """``verify`` with a trust root of the public good instance.

    Attributes:
        public_good: trusted_root.json, or why it is not known now; None is the copy in the sigstore wheel.
    """

    public_good: bytes | Unavailable | None = None

    def __call__(
        self,
        data: bytes,
        listing: SourceListing,
        *,
        signers: tuple[TrustedSigner, ...],
        now: int,
        content: ContentDigest | None,
        identity: Identity | None = None,
    ) -> SignatureEvidence | RejectedSignature:
        """Verify a signature document over a model and compare it with what the source lists.

        Args:
            data: a Sigstore bundle as JSON, or cosign's old form (``domain.simple_signing``).
            listing: every file of the model.
            signers: keys and trust roots to verify with.
            now: unix seconds.
            content: the content digest of the listing, None where the source states too few digests.
            identity: of the model; without it neither an approval nor a cosign signature can be checked.

        Returns:
            The facts, or why there are none. Anything unexpected is a refusal (facts/signing.md section 4.3 lists twelve kinds of
            exception that libraries raise for bad input).

        Raises:
            UnavailableError: the trust root that it takes is not known now (F71), or this machine failed: neither valid nor
                rejected.
            MemoryError: there is not enough; a signature must not be called bad because something else took it.
        """
        try:
            bundle = _checked(_parsed(data))
            verified = self._method(bundle.kind).verify(bundle, signers, now)
            return _facts(verified, listing, content=content, identity=identity, now=now)
        except (UnavailableError, MemoryError):
            raise
        except OSError as error:
            raise UnavailableError(f"a signature cannot be judged: {type(error).__name__}") from error
        except UntrustedError as error:
            return RejectedSignature(Reason(error.reason), str(error))
        except LimitExceededError as error:
            return RejectedSignature(Reason.LIMIT_EXCEEDED, str(error))
        except MalformedError as error:
            return RejectedSignature(Reason.SIGNATURE_INVALID, str(error))
        except Exception as error:  # noqa: BLE001 - the one place where anything at all becomes a refusal
            return RejectedSignature(Reason.SIGNATURE_INVALID, f"cannot be verified: {type(error).__name__}")

    def _method(self, kind: SignerKind) -> Method:
        if kind is SignerKind.PUBLIC_KEY:
            return PublicKeyMethod()
        if kind is SignerKind.CERTIFICATE:
            return CertificateMethod()
        # sigstore takes 0.4 s to import; keys need none of it
        from modeltrust.signing.keyless import KeylessMethod  # noqa: PLC0415 - see above
        from modeltrust.signing.tuf_root import embedded_root  # noqa: PLC0415 - see above

        return KeylessMethod(embedded_root() if self.public_good is None else self.public_good)


verify = Verifier()
"""With the public good instance's root as the sigstore wheel has it."""


def _checked(bundle: Bundle) -> Bundle:
    if isinstance(bundle.content, Envelope):
        _check_payload_type(bundle.content.payload_type)
        _refuse_legacy(bundle.content.payload)
    return bundle


def _facts(
    verified: Verified, listing: SourceListing, *, content: ContentDigest | None, identity: Identity | None, now: int
) -> SignatureEvidence:
    signed = verified.content
    if not isinstance(signed, Message):
        _check_payload_type(signed.payload_type)  # sigstore-python does not
    if isinstance(signed, Message) or cosign.is_cosign(signed):
        cosign.check_subject(cosign.named_digest(signed), identity, listing)
        return replace(verified.evidence, form=SignatureForm.COSIGN, assurance=_compared_as(listing))
    if manifest.predicate_type(signed.payload) == approval.PREDICATE_TYPE:
        approved = _approved(signed, verified.evidence, content=content, identity=identity, now=now)
        return replace(approved, assurance=_compared_as(listing))
    return _compared(signed, verified.evidence, listing, content)


def _parsed(data: bytes) -> Bundle:
    if simple_signing.is_document(data):
        return Bundle(data, simple_signing.MEDIA_TYPE, SignerKind.PUBLIC_KEY, cosign.parse_document(data))
    return parse_bundle(data)


def _check_payload_type(payload_type: str) -> None:
    if payload_type != IN_TOTO:
        raise MalformedError(f"got payload type {quote(payload_type)}, expected {IN_TOTO}")


def _refuse_legacy(payload: bytes) -> None:
    """Before the signature: releases before 1.0 also signed another encoding, and the reader should hear why, not that."""
    if manifest.predicate_type(payload) in legacy.PREDICATE_TYPES:
        manifest.parse_manifest(payload)


def _compared(
    signed: Envelope, evidence: SignatureEvidence, listing: SourceListing, content: ContentDigest | None
) -> SignatureEvidence:
    resources = manifest.parse_manifest(signed.payload)
    comparison = manifest.compare(resources, listing)
    _check_comparison(comparison)
    assurance = _assurance(comparison, listing)
    if assurance > Assurance.SIGNATURE_ONLY and content is not None and not comparison.unsigned:
        _check_content(resources, content)
    return replace(
        evidence,
        form=SignatureForm.OMS,
        assurance=assurance,
        unsigned_paths=comparison.unsigned,
    )


def _approved(
    signed: Envelope, evidence: SignatureEvidence, *, content: ContentDigest | None, identity: Identity | None, now: int
) -> SignatureEvidence:
    approved = approval.parse_approval(signed.payload)
    approval.check_subject(approved, identity=identity, content=content, now=now)
    leaf_end = evidence.not_after
    end = approved.expires_at if leaf_end is None else min(leaf_end, approved.expires_at)
    return replace(evidence, form=SignatureForm.APPROVAL, not_after=end, ticket=approved.ticket)


def _check_comparison(comparison: manifest.Comparison) -> None:
    wrong = (
        ("differ from what was signed", comparison.mismatched),
        ("are signed and missing", comparison.missing),
    )
    for what, paths in wrong:
        if paths:
            raise UntrustedError(f"{len(paths)} files {what}: {_named(paths)}", reason=Reason.SIGNATURE_INVALID.value)
    if not comparison.matched and not comparison.unknown_digest:
        raise UntrustedError("the signature covers no file that counts", reason=Reason.SIGNATURE_INVALID.value)
    if len(comparison.unsigned) > limits.UNSIGNED_PATHS:
        # recorded in part they would be judged in part
        raise UntrustedError(
            f"got {len(comparison.unsigned)} files that are not signed, expected at most {limits.UNSIGNED_PATHS}",
            reason=Reason.UNSIGNED_FILES.value,
        )


def _assurance(comparison: manifest.Comparison, listing: SourceListing) -> Assurance:
    if comparison.unknown_digest:
        return Assurance.SIGNATURE_ONLY
    return _compared_as(listing)


def _compared_as(listing: SourceListing) -> Assurance:
    """What equality of every digest in the listing is worth."""
    return Assurance.BYTES_HASHED if listing.bytes_read else Assurance.SOURCE_DIGESTS


def _check_content(signed: manifest.Manifest, content: ContentDigest) -> None:
    """The same answer on two ways: from the signed manifest and from the listing."""
    found = content_digest((resource.path, resource.digest) for resource in signed.resources)
    if found != content:
        raise UntrustedError(f"the signed files make {found}, expected content {content}", reason=Reason.SIGNATURE_INVALID.value)


def _named(paths: tuple[str, ...]) -> str:
    shown = ", ".join(quote(path) for path in paths[: limits.PATHS_NAMED])
    return shown if len(paths) <= limits.PATHS_NAMED else f"{shown} and {len(paths) - limits.PATHS_NAMED} more"
