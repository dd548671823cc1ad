"""Work beside the requests, in slices: who keeps the interpreter makes each request wait at each of its system calls."""

import time
from collections.abc import Callable

from modeltrust.domain import limits


class Pace:
    """How one thread gives way: a slice of its own CPU time, then a pause. Used by that thread alone."""

    def __init__(
        self, pause_seconds: float, *, wait: Callable[[float], object] = time.sleep, hurry: Callable[[], bool] = lambda: False
    ) -> None:
        """Begin a slice.

        Args:
            pause_seconds: after each slice.
            wait: pauses for so many seconds.
            hurry: whether there is nobody to give way to; asked at the end of a slice.
        """
        self._pause_seconds = pause_seconds
        self._wait = wait
        self._hurry = hurry
        self._began = 0.0  # of a thread that begins later, the earliest there is

    def rest(self) -> None:
        """Called after each small step; pauses where the slice is over."""
        if time.thread_time() - self._began < limits.SLICE_SECONDS:
            return
        if not self._hurry():
            self._wait(self._pause_seconds)
        self._began = time.thread_time()
