"""Seconds to judge a safetensors header of 25 MB, and the ratio to `json.loads` of the same bytes, which judges nothing.

Prints the median of interleaved rounds of this thread's CPU time for each shape of header (target: below 2 s, facts/formats.md).
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeltrust.formats.safetensors import check_safetensors
from tests.support.safetensors_large import LARGE

ROUNDS = 5
LENGTH_BYTES = 8


def seconds(task: Callable[[], object]) -> float:
    started = time.thread_time()
    task()
    return time.thread_time() - started


def main() -> int:
    for name, build in LARGE.items():
        data = build()
        header = data[LENGTH_BYTES : LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")]
        rounds = [
            (
                seconds(lambda data=data: check_safetensors(lambda start, length: data[start : start + length], len(data))),
                seconds(lambda header=header: json.loads(header)),
            )
            for _ in range(ROUNDS)
        ]
        ours, ratio = statistics.median(us for us, _ in rounds), statistics.median(us / them for us, them in rounds)
        print(f"header of {len(header) / 1e6:.1f} MB, {name}: {ours:.2f} s (target 2), {ratio:.1f} x json.loads")
    return 0


if __name__ == "__main__":
    sys.exit(main())
