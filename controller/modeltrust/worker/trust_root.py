"""Keeps the public good instance's trust root fresh in the background: no order waits, each child reads what is there (F71)."""

import threading
from collections.abc import Callable

from modeltrust.domain import limits


def keep_fresh(update: Callable[[int], bool], *, clock: Callable[[], float], stop: threading.Event) -> threading.Thread:
    """Start a thread that refreshes until told to stop.

    Args:
        update: takes unix seconds, and says whether it succeeded; ``signing.tuf_root.FreshRoot.update``.
        clock: unix seconds.
        stop: ends the thread, once a refresh under way is over.
    """

    def run() -> None:
        while True:
            fresh = update(int(clock()))
            if stop.wait(limits.TUF_REFRESH_SECONDS if fresh else limits.TUF_RETRY_SECONDS):
                return

    thread = threading.Thread(target=run, name="trust-root", daemon=True)
    thread.start()
    return thread
