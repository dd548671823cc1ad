"""Whether what the store holds may still be believed: complete once, and confirmed recently (M14)."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from modeltrust.domain import limits


class Freshness:
    """When each part of the store was last confirmed by whoever feeds it.

    Written by feeds, read by everybody; single assignments to a dict, so nothing is locked.
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        """Begin with nothing confirmed.

        Args:
            kinds: all that must be complete before anything may be decided.
        """
        self._confirmed: dict[str, float | None] = dict.fromkeys(kinds)

    @property
    def ages(self) -> Mapping[str, float | None]:
        """Unix seconds of the last confirmation by kind; None: never complete."""
        return MappingProxyType(self._confirmed)

    def confirm(self, kind: str, now: float) -> None:
        """The kind is complete and current as of now."""
        self._confirmed[kind] = now

    def reasons(self, now: float) -> tuple[str, ...]:
        """Why nothing may be decided now; empty when everything is fresh.

        Where the clock was set back, the age counts from now on: a feed that stopped must not stay fresh until the old time comes.
        """
        for kind, at in list(self._confirmed.items()):
            if at is not None and at > now:
                self._confirmed[kind] = now
        return tuple(why for kind, at in list(self._confirmed.items()) if (why := _why(kind, at, now)))


def _why(kind: str, confirmed: float | None, now: float) -> str:
    if confirmed is None:
        return f"{kind}: not synchronised yet"
    bound = limits.STALE_SECONDS.get(kind, limits.STALE_SECONDS_DEFAULT)
    age = now - confirmed
    return f"{kind}: last confirmed {age:.0f} s ago, expected at most {bound}" if age > bound else ""
