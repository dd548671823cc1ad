"""Waiting for what happens by itself: polling with a deadline, never a fixed sleep.

A deadline is for an idle machine. On a busy one a look takes longer than it should, and what is waited for is as slow: of each
look, no more is counted than it takes where nothing else runs.
"""

import time
from collections.abc import Callable

_FIRST, _LONGEST = 0.05, 1.0  # seconds between two looks
_PART = 20  # a look each twentieth of what was waited: more would take a busy machine's time from what is waited for
_LOOK = 0.3  # seconds that a look takes on an idle machine, kubectl included
_AT_MOST = 900.0  # seconds on the clock, whatever moves


def eventually(
    condition: Callable[[], object], *, seconds: float = 10.0, what: str = "", progress: Callable[[], object] | None = None
) -> None:
    """Return as soon as the condition holds.

    Args:
        condition: asked again and again.
        seconds: until it must hold; with ``progress``, since that was last seen to change: slow is not stuck.
        what: is waited for, in words.
        progress: what changes while it comes nearer; stands in the error.

    Raises:
        AssertionError: it did not within the time.
    """
    begun = looked = time.monotonic()
    counted, pause, seen = 0.0, 0.0, None
    while not condition():
        found = None if progress is None else progress()
        now = time.monotonic()
        counted += min(now - looked, pause + _LOOK)
        looked = now
        if found != seen:
            seen, counted = found, 0.0
        if counted > seconds or now - begun > _AT_MOST:
            told = f"{what or 'it'} did not happen within {seconds:.0f} s ({now - begun:.0f} s on the clock)"
            raise AssertionError(told if seen is None else f"{told}; last seen: {seen}")
        pause = min(_LONGEST, max(_FIRST, (now - begun) / _PART))
        time.sleep(pause)
