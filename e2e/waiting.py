"""Waiting for what happens by itself: polling with a deadline, never a fixed sleep."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], *, seconds: float = 10.0, what: str = "") -> None:
    """Return as soon as the condition holds.

    Raises:
        AssertionError: it did not within the time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or 'it'} did not happen within {seconds:.0f} s")
        time.sleep(0.05)
