"""Small parts of sentences, so that every message says times and lists alike."""

from collections.abc import Iterable
from datetime import UTC, datetime

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.domain.locator import path_of
from modeltrust.domain.reference import RevisionState
from modeltrust.domain.workload import FoundReference, Role

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the last that datetime can say


def moment(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC; times that no calendar holds are said as a number."""
    if not 0 <= seconds <= _LAST_SECOND:
        return f"{seconds} s"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(found: FoundReference) -> str:
    """A reference and where it stands; long revisions are cut, the finding carries them whole."""
    pin = f"@{found.revision.value[: _SHOWN[found.revision.state]]}…" if found.revision.immutable else ""
    place = path_of(found.locator)
    if found.role is Role.BASE:
        return f"{found.reference}{pin} at {place}"
    return f"{found.reference}{pin} ({found.role.value} at {place})"


_SHOWN = {RevisionState.COMMIT: 8, RevisionState.DIGEST: len("sha256:") + 8}  # characters


def listed(names: Iterable[str], *, quoted: bool = False) -> str:
    """The first few names and how many more there are; "nothing" when there are none."""
    every = list(names)
    if not every:
        return "nothing"
    shown = [quote(name) if quoted else name for name in every[: limits.NAMES_IN_MESSAGE]]
    more = len(every) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
