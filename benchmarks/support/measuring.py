"""CPU of a process tree, memory of a process, a built Go program, pinned children: how the benchmarks measure."""

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

GO = Path(__file__).resolve().parents[1] / "go"
SERVER_CPU, CLIENT_CPU = 0, 1


def built(program: str) -> Path:
    """A Go program of benchmarks/go, built once by content with Go's faster JSON engine."""
    sources = [*sorted(GO.rglob("*.go")), GO / "go.mod"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "modeltrust" / "benchmarks" / key
    binary = folder / program
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "GOEXPERIMENT": "jsonv2", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
        subprocess.run(["go", "build", "-trimpath", "-o", str(binary), f"./{program}"], cwd=GO, env=environment, check=True)
    return binary


def pinned(command: Sequence[str], cpu: int, **options: Any) -> "subprocess.Popen[bytes]":
    """Start a program on one processor."""
    return subprocess.Popen(["taskset", "-c", str(cpu), *command], **options)


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def starved_seconds(pid: int) -> float:
    """How long all threads of a process were ready to run and had no processor, so far; beside others, or beside each other."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[1])
    return total / 1e9


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def verdict(met: object) -> str:
    """For people."""
    return "met" if met else "MISSED"


def load(port: int, ca: Path, bodies: Sequence[Path], *, rate: float = 0, seconds: float = 3) -> dict[str, float]:
    """Ask a webhook: open loop at a rate, else closed loop with 16 at once."""
    command = [str(built("load")), "-url", f"https://127.0.0.1:{port}/validate?timeout=3s", "-ca", str(ca)]
    command += ["-bodies", ",".join(map(str, bodies)), "-rate", str(rate), "-seconds", str(seconds)]
    said = subprocess.run(["taskset", "-c", str(CLIENT_CPU), *command], check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(said.stdout)
    return result
