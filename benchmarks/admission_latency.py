"""What admission adds at the API server, by its own histogram: 50 Pod creates a second, dry-run, on a real node with the chart.

Half of the Pods name a model that is denied, half name none; all are asked about in a namespace that fails closed. API server,
webhook, node and this client share the machine. Needs root and what `make e2e` builds: MODELTRUST_KUBERNETES, MODELTRUST_IMAGE.

    python benchmarks/admission_latency.py [--seconds N] [--rate N]
"""

import argparse
import concurrent.futures
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e.calls import Calls
from e2e.containers import missing
from e2e.load import bad_pod, closed_namespace, good_pod, pinned
from e2e.node import Node, running_node
from e2e.release import Release, built, fresh_namespace
from e2e.waiting import eventually

METRIC = "apiserver_admission_webhook_admission_duration_seconds_bucket"
P99_GOAL, FAST, FAST_GOAL = 0.1, 0.005, 0.9
SPACE, WARM_SECONDS = "latency", 5
ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Print what was measured; 1 when a goal is missed or nothing could be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0, help="creates a second")
    options = parser.parse_args()
    unset = [name for name in ("MODELTRUST_KUBERNETES", "MODELTRUST_IMAGE") if not Path(os.environ.get(name, "")).is_absolute()]
    why = f"{' and '.join(unset)} unset; `make e2e` builds both" if unset else missing()
    if why:
        print(f"not measured: {why}")
        return 1
    with tempfile.TemporaryDirectory() as folder, running_node(Path(folder)) as node:
        node.kubectl("apply", "-f", str(ROOT / "crds"))
        fresh_namespace(node)
        Release(node, built(node) | {"webhook.replicas": "2", "operator.replicas": "1", "worker.replicas": "1"}).install()
        node.apply(closed_namespace(SPACE), pinned(SPACE))
        with Calls(node) as calls:
            eventually(lambda: "[UnpinnedReference]" in calls.create(bad_pod(SPACE), dry_run=True)[1], seconds=150, what="a denial")
            load(calls, options.rate, WARM_SECONDS)
            before = buckets(node)
            sent, wrong = load(calls, options.rate, options.seconds)
            after = buckets(node)
    counted = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    return report(counted, sent, wrong)


def load(calls: Calls, rate: float, seconds: float) -> tuple[int, int]:
    """Creates in an open loop; returns how many were sent, and how many were answered wrongly."""

    def call(number: int) -> bool:
        status, said = calls.create(good_pod(SPACE) if number % 2 else bad_pod(SPACE), dry_run=True)
        return status == 201 if number % 2 else "[UnpinnedReference]" in said

    begun, futures = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        while time.monotonic() - begun < seconds:
            time.sleep(max(0.0, begun + len(futures) / rate - time.monotonic()))
            futures.append(pool.submit(call, len(futures)))
    return len(futures), sum(not future.result() for future in futures)


def buckets(node: Node) -> dict[float, float]:
    """Cumulative counts of our webhooks by upper bound in seconds."""
    found: dict[float, float] = {}
    for line in node.kubectl("get", "--raw", "/metrics").stdout.splitlines():
        if line.startswith(METRIC) and ".admission.modeltrust.dev" in line:
            bound = float(line.partition('le="')[2].partition('"')[0])
            found[bound] = found.get(bound, 0.0) + float(line.rpartition(" ")[2])
    return found


def report(counted: Mapping[float, float], sent: int, wrong: int) -> int:
    """Print the distribution against its goals."""
    total = counted[float("inf")]
    for bound, count in sorted(counted.items()):
        print(f"  within {bound * 1000:6.0f} ms: {count:6.0f}  {100 * count / total:6.2f} %")
    p99, fast = quantile(counted, 0.99), counted[FAST] / total
    print(f"{sent} creates, {wrong} answered wrongly, {total:.0f} questions")
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"p99 {p99 * 1000:.1f} ms (goal {P99_GOAL * 1000:.0f}), within 5 ms {100 * fast:.1f} % (goal {100 * FAST_GOAL:.0f} %)")
    return int(p99 > P99_GOAL or fast < FAST_GOAL or wrong > 0)


def quantile(counted: Mapping[float, float], share: float) -> float:
    """Seconds below which a share lies, even within a bucket, as histogram_quantile of Prometheus says it."""
    wanted, below, lower = share * counted[float("inf")], 0.0, 0.0
    for bound, count in sorted(counted.items()):
        if count >= wanted:
            return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / max(count - below, 1.0)
        below, lower = count, bound
    return lower


if __name__ == "__main__":
    sys.exit(main())
