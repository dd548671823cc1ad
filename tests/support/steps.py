"""What a call costs without a clock: calls made on the way, the same number on every machine, under load and under coverage."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(task: Callable[[], object]) -> int:
    """Calls of functions, Python's and the standard library's, until ``task`` returns. Coverage uses another hook.

    A loop that calls nothing and a regular expression that backtracks are not seen: tests/slow measures seconds.
    """
    count = 0

    def seen(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        if event in {"call", "c_call"}:
            count += 1

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        task()
    finally:
        sys.setprofile(before)
    return count
