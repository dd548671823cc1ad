"""Evidence that could not be looked at, beside evidence that could. Pure.

More evidence only ever adds, so a piece that nobody can have keeps no other from counting: whoever may add one could otherwise deny
a model. But what it would have said is not known, so without a signature that verifies nothing is known of signatures at all, and
what was known of others before stands on (``keeping``).
"""

from collections.abc import Sequence

from modeltrust.domain.evidence import RejectedSignature, SignatureFacts
from modeltrust.domain.facts import Fact, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.verification import bounds

_REASONS = frozenset(
    {Reason.ATTESTATION_PENDING, Reason.SOURCE_NOT_ALLOWED}
)  # no document that was looked at is rejected with these


def pending(why: str) -> RejectedSignature:
    """A piece that could not be had or judged now, and may be another time.

    Args:
        why: one sentence.
    """
    return RejectedSignature(Reason.ATTESTATION_PENDING, why)


def refused(why: str) -> RejectedSignature:
    """A piece that may not be fetched as things stand.

    Args:
        why: one sentence.
    """
    return RejectedSignature(Reason.SOURCE_NOT_ALLOWED, why)


def beside(fact: Fact[SignatureFacts], pieces: Sequence[RejectedSignature]) -> Fact[SignatureFacts]:
    """What is known of signatures, where these pieces could not be looked at.

    Args:
        fact: of the documents that could.
        pieces: as ``pending`` and ``refused`` make them.
    """
    if not pieces or isinstance(fact, Unavailable):
        return fact
    if not isinstance(fact, Known) or not fact.value.valid:
        return Unavailable(bounds.text(pieces[0].message))
    return Known(bounds.signature_facts([*fact.value.valid, *pieces, *fact.value.rejected]))


def some_pending(fact: Fact[SignatureFacts]) -> bool:
    """Whether a piece could not be had and may be another time: then the model is looked at again."""
    return isinstance(fact, Known) and any(piece.reason is Reason.ATTESTATION_PENDING for piece in fact.value.rejected)


def some_unknown(facts: SignatureFacts) -> bool:
    """Whether any piece was not looked at."""
    return any(map(is_unknown, facts.rejected))


def is_unknown(piece: RejectedSignature) -> bool:
    """Whether it was not looked at, rather than found bad."""
    return piece.reason in _REASONS
