"""The worker's half: one order, one source, one report. Holds no key and no token, and decides nothing.

What the source does not tell becomes Unavailable, never Absent: a hub that is down does not make a model unsigned.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError, UnavailableError, quote
from modeltrust.domain.evidence import (
    Assurance,
    FormatReport,
    LineageClaim,
    RejectedSignature,
    SignatureEvidence,
    SignatureFacts,
)
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.domain.source import RangeReader, Source
from modeltrust.domain.work import Order, Report
from modeltrust.verification import bounds, unknowns
from modeltrust.verification.content import complete, content_of
from modeltrust.verification.ranges import Remembering


class Inspected(Protocol):
    """What the formats say about one model; ``formats.inspect.Inspection`` is one."""

    @property
    def report(self) -> FormatReport:
        """The findings."""
        ...

    @property
    def lineage(self) -> tuple[LineageClaim, ...]:
        """The bases that it names; claims."""
        ...

    @property
    def weights(self) -> tuple[str, ...]:
        """Paths of the files that hold weights."""
        ...


Inspect = Callable[[SourceListing, RangeReader], Inspected]
"""Looks into the files; raises ModelTrustError where it cannot."""


class Verify(Protocol):
    """Verifies one signature document; what is in it makes it raise nothing."""

    def __call__(
        self,
        data: bytes,
        listing: SourceListing,
        *,
        signers: tuple[TrustedSigner, ...],
        now: int,
        content: ContentDigest | None,
        identity: Identity | None,
    ) -> SignatureEvidence | RejectedSignature:
        """The facts, or why there are none.

        Raises:
            UnavailableError: what it takes to judge the document is not known now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Examiner:
    """Examines models.

    Attributes:
        inspect: see ``formats.inspect``.
        verify: see ``signing.verify``.
    """

    inspect: Inspect
    verify: Verify

    def examine(self, order: Order, source: Source, *, evidence: Sequence[RejectedSignature] = ()) -> Report:
        """Find out everything that the order asks about one model.

        Args:
            order: what to examine and how.
            source: the ordered model at the ordered revision; that it is this one is checked as far as its listing says.
            evidence: pieces that are no documents to verify, and why (``verification.unknowns`` where they could not be had).

        Returns:
            The report, bounded; its facts are Unavailable where the source did not answer or answered nonsense.

        Raises:
            LimitExceededError: the model has more weight files than a report may name.
        """
        given = Remembering(source)
        try:
            listing = source.list()
            _check_listing(order.identity, listing)
            inspected = self._inspected(listing, given)
            listing = complete(listing, source, read_bytes=order.read_bytes, given=given.ranges)
            content = _content(listing)
            _check_content(order.identity, content)
        except ModelTrustError as error:
            return nothing(order, str(error))
        return Report(
            identity=order.identity,
            nonce=order.nonce,
            content=content,
            assurance=Assurance.BYTES_HASHED if listing.bytes_read else Assurance.SOURCE_DIGESTS,
            files=len(listing.files),
            bytes=sum(entry.size for entry in listing.files),
            weights=_weights(inspected.value.weights, listing) if isinstance(inspected, Known) else (),
            signatures=self._signatures(order, source, listing, content, evidence),
            formats=Known(bounds.format_report(inspected.value.report)) if isinstance(inspected, Known) else inspected,
            lineage=Known(bounds.lineage(inspected.value.lineage)) if isinstance(inspected, Known) else inspected,
        )

    def _inspected(self, listing: SourceListing, reader: RangeReader) -> Known[Inspected] | Unavailable:
        try:
            inspected = self.inspect(listing, reader)
        except ModelTrustError as error:
            return Unavailable(bounds.text(f"the files cannot be inspected: {error}"))
        return Known(inspected)

    def _signatures(
        self,
        order: Order,
        source: Source,
        listing: SourceListing,
        content: Fact[ContentDigest],
        evidence: Sequence[RejectedSignature],
    ) -> Fact[SignatureFacts]:
        """Of every piece by itself: one that cannot be had, read or judged keeps no other from counting."""
        missing = [piece for piece in evidence if piece.reason is Reason.ATTESTATION_PENDING]
        found: list[SignatureEvidence | RejectedSignature] = [piece for piece in evidence if piece not in missing]
        documents = dict.fromkeys(order.bundles)
        try:
            documents |= dict.fromkeys(source.signatures())
        except MalformedError as error:
            found.append(RejectedSignature(refusal(error), f"the signatures at the source cannot be read: {error}"))
        except ModelTrustError as error:
            missing.append(unknowns.pending(f"the signatures at the source cannot be read: {error}"))
        for document in documents:
            try:
                found.append(self._verified(document, order, listing, content))
            except UnavailableError as error:
                missing.append(unknowns.pending(f"a signature cannot be judged: {error}"))
        return unknowns.beside(Known(bounds.signature_facts(found)) if found else Absent(), missing)

    def _verified(
        self, document: bytes, order: Order, listing: SourceListing, content: Fact[ContentDigest]
    ) -> SignatureEvidence | RejectedSignature:
        known = content.value if isinstance(content, Known) else None
        return self.verify(document, listing, signers=order.signers, now=order.now, content=known, identity=order.identity)


def _content(listing: SourceListing) -> Fact[ContentDigest]:
    try:
        return Known(content_of(listing))
    except ModelTrustError as error:
        return Unavailable(bounds.text(str(error)))


def _weights(paths: tuple[str, ...], listing: SourceListing) -> tuple[str, ...]:
    """Their digests, as far as they are known, sorted."""
    wanted = frozenset(paths)
    digests = sorted({entry.sha256 for entry in listing.files if entry.path in wanted and entry.sha256 is not None})
    if len(digests) > limits.WEIGHT_DIGESTS_PER_STATEMENT:
        # a shorter list would let a copy of what is left out escape a revocation (attack H9)
        raise LimitExceededError(f"got {len(digests)} weight files, expected at most {limits.WEIGHT_DIGESTS_PER_STATEMENT}")
    return tuple(digests)


def _check_listing(identity: Identity, listing: SourceListing) -> None:
    """Refuse a source that lists something else than was ordered: nothing in it is a fact about this identity."""
    if listing.reference is None:
        return  # a folder; whoever ordered says what it is
    if listing.reference != identity.reference:
        raise MalformedError(f"the source lists {quote(listing.reference)}, expected {quote(identity.reference)}")
    if not isinstance(identity.pin, ContentDigest) and listing.revision != identity.pin:
        raise MalformedError(f"the source lists revision {quote(listing.revision)}, expected {quote(identity.pin)}")


def _check_content(identity: Identity, content: Fact[ContentDigest]) -> None:
    """Refuse files that are not those that pin the identity, or that cannot be compared with them."""
    if not isinstance(identity.pin, ContentDigest):
        return
    if isinstance(content, Unavailable):
        raise UnavailableError(f"the content that pins {quote(identity)} cannot be compared: {content.why}")
    if content != Known(identity.pin):
        raise MalformedError(f"the source holds other files than the content digest of {quote(identity)} says")


def nothing(order: Order, why: str) -> Report:
    """What is reported where nothing could be looked at.

    Args:
        order: what was asked.
        why: one sentence, foreign parts quoted.
    """
    unknown = Unavailable(bounds.text(why))
    return Report(order.identity, order.nonce, unknown, Assurance.SIGNATURE_ONLY, 0, 0, (), unknown, unknown, unknown)


def refusal(error: MalformedError) -> Reason:
    """Why a document that makes no sense is rejected."""
    return Reason.LIMIT_EXCEEDED if isinstance(error, LimitExceededError) else Reason.SIGNATURE_INVALID
