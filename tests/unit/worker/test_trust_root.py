import threading
from pathlib import Path

import pytest

from modeltrust.domain import limits
from modeltrust.signing.tuf_root import FreshRoot, Repository, last_good
from modeltrust.worker.trust_root import keep_fresh
from tests.support.sigstore_ca import TestSigstore
from tests.support.tuf_repository import TufRepository, serving

SECONDS = 10.0


def test_the_folder_is_filled_in_the_background_and_the_thread_ends_when_told(tmp_path: Path) -> None:
    root, stop, done = TestSigstore().trusted_root(), threading.Event(), threading.Event()
    with serving(TufRepository(root)) as served:
        fresh = FreshRoot(tmp_path, Repository(served.address, served.root))

        def update(now: int) -> bool:
            try:
                return fresh.update(now)
            finally:
                done.set()

        thread = keep_fresh(update, clock=lambda: 1_760_000_000.5, stop=stop)
        assert done.wait(SECONDS)
    assert last_good(tmp_path, 1_760_000_000) == root
    stop.set()
    thread.join(SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("answers", "waits"), [([True], limits.TUF_REFRESH_SECONDS), ([False], limits.TUF_RETRY_SECONDS)], ids=["fresh", "failed"]
)
def test_a_refresh_that_failed_is_repeated_sooner(answers: list[bool], waits: float) -> None:
    waited: list[float | None] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return True

    keep_fresh(lambda _now: answers[0], clock=lambda: 0.0, stop=Stop()).join(SECONDS)
    assert waited == [waits]
