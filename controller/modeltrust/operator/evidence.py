"""Which pieces of evidence are handed on to who examines a model, and which are not and why: each by itself.

Evidence is worth what its signatures are worth, and whoever may add a piece must not be able to keep the others from counting.
"""

from collections.abc import Callable
from dataclasses import dataclass

from modeltrust.api.compile.sources import SourceSettings
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, NotFoundError, UntrustedError, quote
from modeltrust.domain.evidence import RejectedSignature
from modeltrust.domain.reasons import Reason
from modeltrust.domain.work import RemoteBundle, SourceAccess
from modeltrust.operator.sources import Sources, remote_bundle
from modeltrust.verification import unknowns


@dataclass(frozen=True, slots=True)
class Gap:
    """Why nobody may be asked.

    Attributes:
        reason: of the table.
        why: one sentence.
        retry: a Secret is missing or spoiled, and nobody tells when it is mended: it is looked for again.
    """

    reason: Reason
    why: str
    retry: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one model.

    Attributes:
        inline: documents.
        remote: documents that registries keep.
        missing: what is not handed on, as ``unknowns.refused`` makes it.
        retry: see ``Gap``.
    """

    inline: tuple[bytes, ...]
    remote: tuple[RemoteBundle, ...] = ()
    missing: tuple[RejectedSignature, ...] = ()
    retry: bool = False


def gap_of(error: UntrustedError | InvalidInputError) -> Gap:
    """What ``Sources.covering`` and ``access`` raise."""
    if isinstance(error, UntrustedError):
        return Gap(Reason(error.reason), str(error), retry=isinstance(error.__cause__, NotFoundError))
    return Gap(Reason.SOURCE_NOT_ALLOWED, str(error), retry=True)


def gather(
    inline: tuple[bytes, ...],
    references: tuple[str, ...],
    *,
    sources: Sources,
    read: Callable[[SourceSettings], SourceAccess],
    in_job: bool,
) -> Evidence:
    """What may be handed on.

    Args:
        inline: documents.
        references: ``host/repository@sha256:…`` of those that registries keep.
        sources: where anything may be looked up.
        read: how one source may be read; raises as ``operator.sources.access``.
        in_job: whether the order goes to a Job, which holds less.
    """
    fitting, left_out = _fitting(inline) if in_job else (inline, ())
    missing = [unknowns.refused(f"evidence of {len(piece)} bytes does not fit the order of a Job") for piece in left_out]
    remote, retry = [], False
    for reference in references:
        try:
            remote.append(remote_bundle(reference, sources, read))
        except (UntrustedError, InvalidInputError) as error:
            gap = gap_of(error)
            retry |= gap.retry
            missing.append(unknowns.refused(f"evidence in {quote(reference)} is not fetched: {gap.why}"))
    return Evidence(fitting, tuple(remote), tuple(missing), retry)


def _fitting(pieces: tuple[bytes, ...]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Those that fit the order of a Job, and the others: the largest, so that nobody pushes one out with a larger one."""
    left, kept = limits.JOB_EVIDENCE_BYTES, set()
    for place, piece in sorted(enumerate(pieces), key=lambda entry: len(entry[1])):
        left -= len(piece)
        if left < 0:
            break
        kept.add(place)
    fit = tuple(piece for place, piece in enumerate(pieces) if place in kept)
    return fit, tuple(piece for place, piece in enumerate(pieces) if place not in kept)
