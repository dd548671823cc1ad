"""Whether this replica gives verdicts: everything synchronised and fresh, and nobody told it to stop."""

from collections.abc import Callable


class Health:
    """Read for every request; the answer is computed at most once a second."""

    def __init__(self, reasons: Callable[[float], tuple[str, ...]]) -> None:
        """Begin as not draining.

        Args:
            reasons: why no verdict may be given at a time in unix seconds; empty when ready.
        """
        self._reasons = reasons
        self._known: tuple[str, ...] = ("starting",)
        self._known_at = 0.0
        self.draining = False

    def reasons(self, now: float) -> tuple[str, ...]:
        """Why no verdict may be given; empty when ready. A replica that drains still gives verdicts."""
        if self._known or not 0 <= now - self._known_at < 1:
            self._known, self._known_at = self._reasons(now), now
        return self._known

    def ready(self, now: float) -> tuple[str, ...]:
        """Why the endpoints should not send new connections here; empty when they may."""
        return ("draining",) if self.draining else self.reasons(now)
