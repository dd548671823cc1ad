"""The turns that the operator's signing keys take. Pure: a ring goes in, a ring comes out.

A new key is listed first and signs only after every replica of the webhook could have read it; the old one stays listed for as long
as a statement of it can live. A compromised key is out at once, and every model is verified again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modeltrust.domain import limits


class Request(StrEnum):
    """What somebody asks for, in the annotation on the Secret."""

    NONE = ""
    PLANNED = "Planned"
    COMPROMISED = "Compromised"


@dataclass(frozen=True, slots=True)
class Ring:
    """Private keys, PEM; never shown.

    Attributes:
        current: signs.
        upcoming: is listed, and will sign; empty for none.
        previous: is still listed; empty for none.
        listed_at: when ``upcoming`` was first listed, unix seconds; 0 while it is not.
        signing_at: since when ``current`` signs.
    """

    current: bytes = field(repr=False)
    upcoming: bytes = field(default=b"", repr=False)
    previous: bytes = field(default=b"", repr=False)
    listed_at: int = 0
    signing_at: int = 0

    @property
    def listed(self) -> tuple[bytes, ...]:
        """Every key that is to be believed."""
        return tuple(key for key in (self.current, self.upcoming, self.previous) if key)


def turn(ring: Ring, *, request: Request, now: int, new_key: Callable[[], bytes]) -> Ring:
    """The ring as it should be now.

    Args:
        ring: as it is.
        request: what somebody asks for; while one key is on its way, another is not begun.
        now: unix seconds.
        new_key: makes one, PEM.
    """
    if request is Request.COMPROMISED:
        return Ring(current=new_key(), signing_at=now)
    if ring.previous and now >= ring.signing_at + limits.STATEMENT_SECONDS + limits.CLOCK_SKEW_SECONDS:
        ring = replace(ring, previous=b"")
    if ring.upcoming and ring.listed_at and now >= ring.listed_at + limits.KEY_SETTLE_SECONDS:
        return Ring(current=ring.upcoming, previous=ring.current, signing_at=now)
    if request is Request.PLANNED and not ring.upcoming:
        ring = replace(ring, upcoming=new_key(), listed_at=0)
    return ring
