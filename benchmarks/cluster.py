"""Against Go, and at size: CPU per request, latency in an open loop, memory and start-up with 100,000 signed statements.

The webhook is the real process with its reflectors, fed by a local API server; Go is benchmarks/go/webhook, which makes the same
decision. Fresh processes in every round, in shuffled order; server and client on different processors; ratios of one run.

    python benchmarks/cluster.py [--attestations N] [--rounds N] [--quick] [--size | --latency]
"""

import argparse
import hashlib
import json
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.measuring import (
    CLIENT_CPU,
    SERVER_CPU,
    built,
    cpu_seconds,
    load,
    pinned,
    resident_megabytes,
    starved_seconds,
    verdict,
)
from modeltrust.attestation.envelope import fingerprint
from tests.support import reviews, trusted
from tests.support.statements import attestor_entry
from tests.support.tls import write_certificate

ROOT = Path(__file__).resolve().parents[1]
KUBECONFIG = """current-context: b
contexts: [{name: b, context: {cluster: b, user: b}}]
clusters: [{name: b, cluster: {server: "https://127.0.0.1:%d", certificate-authority: "%s"}}]
users: [{name: b, user: {tokenFile: "%s"}}]
"""
CHANGING = 1_000  # models whose statement is replaced, again and again
READY_SECONDS = 120
SWEEP_SECONDS = 1_200
IDLE_SHARE = 0.02  # of one processor


@dataclass(frozen=True)
class Server:
    """A webhook under test."""

    pid: int
    port: int


def main() -> int:
    """Print the table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--attestations", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--size", action="store_true", help="start-up and memory alone")
    only.add_argument("--latency", action="store_true", help="the open loop alone; a third of one processor, so it may go first")
    parser.add_argument("--quick", action="store_true", help="short loops: shows that it works, measures little")
    options = parser.parse_args()
    seconds = 1.0 if options.quick else 4.0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        print(f"preparing {options.attestations} signed statements", flush=True)
        bodies = prepare(root, options.attestations)
        if not (options.size or options.latency):
            cpu(root, bodies, options.rounds, seconds)
        if not options.size:
            latency(root, bodies, options.rounds, 5 * seconds)
        if not options.latency:
            size(root, options.attestations)
    return 0


def prepare(root: Path, count: int) -> dict[str, Path]:
    """Write the API server's lists, Go's index, certificates and bodies."""
    write_certificate(root)
    (root / "token").write_text("t")
    models = [trusted.GUARD, trusted.ADAPTER]
    models += [f"hf://acme/m{number}@{hashlib.sha256(b'%d' % number).hexdigest()[:40]}" for number in range(count - len(models))]
    now = int(time.time())
    key = fingerprint(trusted.SIGNER_KEY.public_key())
    with (root / "modelattestations.jsonl").open("w") as ours, (root / "index.jsonl").open("w") as go:
        for number, model in enumerate(models):
            ours.write(attested(number, model, now))
            go.write(json.dumps({"key": model, "fingerprint": key, "formats": ["Safetensors"], "expires": now + 86400}) + "\n")
    changed = [*enumerate(models)][:: max(1, len(models) // CHANGING)]
    (root / "changes.jsonl").write_text("".join(attested(*each, now, serial=serial) for serial in (2, 3) for each in changed))
    lists = {
        "modelpolicies": [trusted.policy(), trusted.audit_policy(), trusted.other_policy()],
        "trustedsigners": [trusted.signer()],
        "policyexemptions": [],
        "modelrevocations": [],
        "evaluationsuites": [],
        "modelreferencemappings": [],
        "namespaces": [trusted.namespace("team-a"), trusted.namespace("team-b", "dev")],
    }
    for resource, values in lists.items():
        (root / f"{resource}.jsonl").write_text("".join(json.dumps(versioned(value)) + "\n" for value in values))
    (root / "attestors.yaml").write_text(yaml.safe_dump([attestor_entry(trusted.ATTESTOR_KEY)]))
    bodies = {"Deployment": reviews.deployment_create(), "InferenceService": reviews.inference_service_update()}
    for name, body in bodies.items():
        (root / f"{name}.json").write_bytes(body)
    return {name: root / f"{name}.json" for name in bodies}


def attested(number: int, model: str, now: int, **said: int) -> str:
    """One line: a ModelAttestation with a signed statement."""
    statement = trusted.statement(model, issued_at=now - 60, expires_at=now + 6 * 24 * 3600, **said)
    return json.dumps(versioned(trusted.attestation(f"a{number}", statement))) + "\n"


def versioned(value: dict) -> dict:
    """With a resourceVersion, as every object of an API server has."""
    return {**value, "metadata": {**value["metadata"], "resourceVersion": "7"}}


def cpu(root: Path, bodies: dict[str, Path], rounds: int, seconds: float) -> None:
    """CPU per request, closed loop with 16 at once."""
    ratios: dict[str, list[float]] = {name: [] for name in bodies}
    spent: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        seen: dict[tuple[str, str], float] = {}
        for server in random.sample(["ours", "go"], 2):
            with serving(server, root, changes=0) as running:
                for name, body in bodies.items():
                    load(running.port, root / "tls.crt", [body], seconds=0.5)
                    before = cpu_seconds(running.pid)
                    result = load(running.port, root / "tls.crt", [body], seconds=seconds)
                    assert result["errors"] == 0, result
                    seen[server, name] = (cpu_seconds(running.pid) - before) / result["requests"] * 1e6
                    spent.setdefault((server, name), []).append(seen[server, name])
        for name in bodies:
            ratios[name].append(seen["go", name] / seen["ours", name])
    print("\nCPU per request, microseconds (median); ratio: more than 1 is better than Go")
    for name, goal in (("Deployment", 1.0), ("InferenceService", 1.3)):
        ours, go = (statistics.median(spent[server, name]) for server in ("ours", "go"))
        ratio = statistics.median(ratios[name])
        span = f"{min(ratios[name]):.2f}-{max(ratios[name]):.2f}"
        print(f"  {name:18} ours {ours:6.0f}  go {go:6.0f}  ratio {ratio:.2f} [{span}]  goal {goal}: {verdict(ratio >= goal)}")


def latency(root: Path, bodies: dict[str, Path], rounds: int, seconds: float) -> None:
    """Open loop at 50 and 200 requests a second, with 100 changes a second."""
    print("\nOpen loop with 100 changes/s, milliseconds (median of rounds; max of all); starved: ready to run without a processor")
    for rate in (50, 200):
        results: dict[str, list[dict[str, float]]] = {"ours": [], "go": []}
        for _ in range(rounds):
            for server in random.sample(["ours", "go"], 2):
                with serving(server, root, changes=100) as running:
                    load(running.port, root / "tls.crt", list(bodies.values()), rate=rate, seconds=1)
                    before = starved_seconds(running.pid)
                    result = load(running.port, root / "tls.crt", list(bodies.values()), rate=rate, seconds=seconds)
                    starved = (starved_seconds(running.pid) - before) / result["requests"] * 1_000
                    results[server].append({**result, "starved": starved})
        for server, found in results.items():
            middle = {key: statistics.median(result[key] for result in found) for key in ("p50", "p95", "p99", "starved")}
            worst, errors = max(result["max"] for result in found), sum(result["errors"] for result in found)
            told = "  ".join(f"{key} {value:5.2f}" for key, value in middle.items())
            print(f"  {rate:4}/s {server:5} {told}  max {worst:6.1f}  errors {errors:.0f}")


def size(root: Path, count: int) -> None:
    """Start-up and memory with every attestation."""
    started = time.perf_counter()
    with serving("ours", root, changes=0) as running:
        ready = time.perf_counter() - started
        at_once = resident_megabytes(running.pid)
        idle(running.pid)
        settled = resident_megabytes(running.pid)
    print(f"\n{count} signed statements: ready in {ready:.1f} s (goal 5: {verdict(ready <= 5)})")
    print(f"  resident {at_once:.0f} MB when ready, {settled:.0f} MB later (goal 180 once verified, 400 before)")


def idle(pid: int) -> None:
    """Wait until the sweep is through: it takes about a tenth of a processor."""
    before, deadline = cpu_seconds(pid), time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < deadline:
        time.sleep(5)
        now = cpu_seconds(pid)
        if now - before < IDLE_SHARE * 5:
            return
        before = now


@contextmanager
def serving(server: str, root: Path, *, changes: float) -> Iterator[Server]:
    """A fresh process that is ready."""
    with ours(root, changes) if server == "ours" else go(root) as (process, port):
        yield Server(process.pid, port)


@contextmanager
def go(root: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The Go webhook with the whole index."""
    key = fingerprint(trusted.SIGNER_KEY.public_key())
    command = [str(built("webhook")), "-index", str(root / "index.jsonl"), "-fingerprint", key]
    command += ["-tls-cert", str(root / "tls.crt"), "-tls-key", str(root / "tls.key"), "-log", str(root / "go.log")]
    process = pinned(command, SERVER_CPU, stdout=subprocess.PIPE, env={"GOMAXPROCS": "1", "PATH": "/usr/bin:/bin"})
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())["port"]
    finally:
        end(process)


@contextmanager
def ours(root: Path, changes: float) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Our webhook, synchronised with a local API server."""
    command = [sys.executable, "-m", "benchmarks.support.api_server", str(root), str(changes)]
    server = pinned(command, CLIENT_CPU, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT)
    assert server.stdout is not None
    kubeconfig = root / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG % (json.loads(server.stdout.readline())["port"], root / "tls.crt", root / "token"))
    command = [sys.executable, "-m", "modeltrust", "webhook", "--kubeconfig", str(kubeconfig)]
    command += [
        "--attestors",
        str(root / "attestors.yaml"),
        "--tls-cert",
        str(root / "tls.crt"),
        "--tls-key",
        str(root / "tls.key"),
    ]
    command += ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--drain-seconds", "0"]
    with (root / "ours.log").open("wb") as log:
        process = pinned(command, SERVER_CPU, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["port"]
        wait(port, root / "tls.crt")
        yield process, port
    finally:
        end(process)
        end(server)


def wait(port: int, ca: Path) -> None:
    """Wait for /readyz."""
    context = ssl.create_default_context(cafile=str(ca))
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=context, timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "not ready"
            time.sleep(0.02)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a child and forget it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
