"""The one table of exit codes (design/cli.md); other people's scripts rely on it."""

from collections.abc import Iterable
from enum import IntEnum

from modeltrust.domain.decision import Outcome


class Exit(IntEnum):
    """What the program says by its exit code."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    NOTHING = 3
    WARNED = 10  # only with --strict
    DENIED = 11
    UNDECIDED = 12
    PENDING = 13


_WORST_FIRST = (Exit.INTERNAL, Exit.USAGE, Exit.DENIED, Exit.UNDECIDED, Exit.PENDING, Exit.WARNED)

_OUTCOMES = {
    Outcome.ADMIT: Exit.OK,
    Outcome.WARN: Exit.WARNED,
    Outcome.PENDING: Exit.PENDING,
    Outcome.ERROR: Exit.UNDECIDED,
    Outcome.DENY: Exit.DENIED,
}


def of_outcomes(outcomes: Iterable[Outcome], *, strict: bool) -> Exit:
    """The exit code for several decisions; NOTHING where there are none.

    Args:
        outcomes: one per object.
        strict: whether warnings count.
    """
    codes = [_OUTCOMES[outcome] for outcome in outcomes]
    if not codes:
        return Exit.NOTHING
    return worst(code for code in codes if strict or code is not Exit.WARNED)


def worst(codes: Iterable[Exit]) -> Exit:
    """The code that wins when several apply: 1, then 2, 11, 12, 13, 10."""
    present = set(codes)
    return next((code for code in _WORST_FIRST if code in present), Exit.OK)
