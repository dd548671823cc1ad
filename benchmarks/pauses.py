"""How long a full collection stops everything, at size: what it looks at is what the store keeps of answers.

    python benchmarks/pauses.py [--attestations N]

In one process and without a server: N signed statements are listed and swept without a pause, then everything is collected.
"""

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.measuring import verdict
from modeltrust.store.sink import Kind
from modeltrust.wiring.admission import new_store
from tests.support import trusted
from tests.support.statements import attestors_for

GOAL_MILLISECONDS = 5.0
DAY = 24 * 3600


def main() -> int:
    """Print the figures; 1 when the goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--attestations", type=int, default=100_000)
    count = parser.parse_args().attestations
    store = new_store(lambda *_: None, trusted.EXTRACTOR)
    store.believe(attestors_for(trusted.ATTESTOR_KEY))
    gc.collect()
    gc.freeze()
    store.replace(Kind.ATTESTATIONS, attestations(count))
    listed = collection()
    for look in store.statements.unswept():
        look(int(time.time()))
    swept = collection()
    pause = max(listed, swept)
    print(f"{count} signed statements: a full collection takes {listed:.1f} ms when listed, {swept:.1f} ms when swept")
    print(f"goal: at most {GOAL_MILLISECONDS:.0f} ms: {verdict(pause <= GOAL_MILLISECONDS)} (load {os.getloadavg()[0]:.1f})")
    return 0 if pause <= GOAL_MILLISECONDS else 1


def attestations(count: int) -> Iterator[Any]:
    """Objects as an API server gives them, each parsed for itself."""
    now = int(time.time())
    for number in range(count):
        said = trusted.statement(f"hf://acme/m{number}@{number:040x}", issued_at=now - 60, expires_at=now + 6 * DAY)
        yield msgspec.json.decode(msgspec.json.encode(trusted.attestation(f"a{number}", said)))


def collection() -> float:
    """Milliseconds of a full collection."""
    began = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - began) * 1_000


if __name__ == "__main__":
    sys.exit(main())
