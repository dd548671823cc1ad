"""A whole decision, bytes to bytes, as a ratio to ``json.loads`` of the same body.

Decode, extract, judge against three policies and a store with attestations, encode; nothing is kept between two requests but what
the store holds. Both sides run interleaved in one process, in batches, on thread CPU; the ratio of the best batches is printed,
since ratios of one run are stable where microseconds are not (facts/performance.md section 9). Metric and log line included.
"""

import gc
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeltrust.telemetry import Telemetry
from modeltrust.webhook.answer import Answerer
from tests.support import reviews, trusted
from tests.support.statements import NOW

BATCHES = 25
BATCH_SECONDS = 0.01
GOALS = {"Deployment CREATE": 1.5, "InferenceService UPDATE": 0.8}


def main() -> int:
    """Print one line for each body; 1 when a goal is missed."""
    answer = answerer()
    bodies = {
        "Deployment CREATE": reviews.deployment_create(),
        "InferenceService UPDATE": reviews.inference_service_update(),
        "Pod CREATE": reviews.pod_create(),
    }
    missed = 0
    for name, body in bodies.items():
        gc.collect()
        allowed = json.loads(answer(body))["response"]["allowed"]
        ours, theirs = interleaved(lambda body=body: answer(body), lambda body=body: json.loads(body))
        goal = GOALS.get(name)
        ratio = ours / theirs
        verdict = "" if goal is None else f"  goal <= {goal}: {'met' if ratio <= goal else 'MISSED'}"
        missed += goal is not None and ratio > goal
        print(
            f"{name:24} {len(body):6} bytes  allowed {allowed!s:5}  decision {ours * 1e6:6.1f} us  "
            f"json.loads {theirs * 1e6:5.1f} us  ratio {ratio:.2f}{verdict}"
        )
    return int(missed > 0)


def answerer() -> Callable[[bytes], bytes]:
    """The webhook's own path from body to answer, over a store with three policies and two attested models."""
    store = trusted.a_store()
    built = Answerer(
        admission=trusted.an_admission(store),
        tables=trusted.TABLES,
        check=trusted.check,
        telemetry=Telemetry(sink=len),
        identifier=lambda: "7f3a91",
        report=lambda error: type(error).__name__,
    )

    def answer(body: bytes) -> bytes:
        return built.answer(body, now=NOW, started=time.perf_counter()) or b""

    return answer


def interleaved(*pieces: Callable[[], object]) -> tuple[float, ...]:
    """The best seconds of thread CPU for one call of each piece."""
    counts = [max(1, int(BATCH_SECONDS / once(piece, 20))) for piece in pieces]
    best = [float("inf")] * len(pieces)
    order = list(range(len(pieces)))
    for _ in range(BATCHES):
        random.shuffle(order)
        for index in order:
            best[index] = min(best[index], once(pieces[index], counts[index]))
    return tuple(best)


def once(piece: Callable[[], object], count: int) -> float:
    """Seconds of thread CPU for one call, the mean of some."""
    started = time.thread_time_ns()
    for _ in range(count):
        piece()
    return (time.thread_time_ns() - started) / count / 1e9


if __name__ == "__main__":
    sys.exit(main())
