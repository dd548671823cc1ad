"""Keeps the public good instance's trust root fresh in the background: no order waits, each child reads what is there (F71)."""

import threading
from collections.abc import Callable
from pathlib import Path

from modeltrust.domain import limits


def keep_fresh(folder: Path, *, clock: Callable[[], float], report: Callable[[str], None], stop: threading.Event) -> None:
    """Start a thread that refreshes until told to stop.

    Args:
        folder: writable, of this process alone; children read it.
        clock: unix seconds.
        report: told why a refresh failed.
        stop: ends the thread.
    """

    def run() -> None:
        # imported here: who only takes orders needs nothing of it
        from modeltrust.signing.tuf_root import FreshRoot, public_good  # noqa: PLC0415 - see above

        root = FreshRoot(folder, public_good(), report=report)
        while True:
            fresh = root.update(int(clock()))
            if stop.wait(limits.TUF_REFRESH_SECONDS if fresh else limits.TUF_RETRY_SECONDS):
                return

    threading.Thread(target=run, name="trust-root", daemon=True).start()
