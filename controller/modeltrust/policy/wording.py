"""Small parts of sentences, so that every message says times and lists alike."""

from collections.abc import Iterable
from datetime import UTC, datetime

from modeltrust.domain import limits
from modeltrust.domain.errors import quote

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime can say


def moment(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC; times that no calendar holds are said as a number."""
    if not 0 <= seconds <= _LAST_SECOND:
        return f"{seconds} s"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(names: Iterable[str], *, quoted: bool = False) -> str:
    """The first few names and how many more there are; "nothing" when there are none."""
    every = list(names)
    if not every:
        return "nothing"
    shown = [quote(name) if quoted else name for name in every[: limits.NAMES_IN_MESSAGE]]
    more = len(every) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
