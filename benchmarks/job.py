"""Rate at which a job reads and hashes every byte of a model, relative to `openssl dgst -sha256` on the same files.

Medians of interleaved rounds, 1.0 is openssl, more is faster; by the clock, and by CPU seconds, which a busy machine changes less.
First the step over files on this machine; then the whole `modeltrust job examine`, from its start to its report, against a registry
over TLS on loopback that shares the processors with it, and what of that is its own: a job that hashes nothing to speak of.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeltrust.api.output import report_of
from modeltrust.api.work import encode_order
from modeltrust.domain.evidence import Assurance
from modeltrust.domain.facts import Known
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import NO_REVISION, Identity
from modeltrust.verification.content import complete
from tests.support.worker import order_of, push_model, running_registry

GIBIBYTES = 2
FILES = 2
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Files:
    folder: Path

    def read(self, path: str, start: int, length: int) -> bytes:
        with (self.folder / path).open("rb", buffering=0) as stream:
            stream.seek(start)
            return stream.read(length)


@dataclass(frozen=True, slots=True)
class _Took:
    """Seconds by the clock, and of CPU: of this thread's process, or of the processes that it waited for."""

    clock: float
    cpu: float


def measured(work: Callable[[], object], who: int) -> _Took:
    """How long something takes."""
    began, used = time.perf_counter(), _cpu(who)
    work()
    return _Took(time.perf_counter() - began, _cpu(who) - used)


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def openssl(files: list[Path]) -> _Took:
    command = ["openssl", "dgst", "-sha256", *map(str, files)]
    return measured(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), resource.RUSAGE_CHILDREN)


def whole_job(identity: Identity, ca: bytes) -> _Took:
    order = encode_order(order_of(identity, ca, read_bytes=True))
    command = [sys.executable, "-I", "-m", "modeltrust", "job", "examine", "--allow-loopback"]
    answers = []

    def work() -> None:
        answers.append(subprocess.run(command, input=order, capture_output=True, check=True, env={}).stdout)

    took = measured(work, resource.RUSAGE_CHILDREN)
    report = report_of(answers[0])
    if report.assurance is not Assurance.BYTES_HASHED or not isinstance(report.content, Known):
        raise RuntimeError(f"the job did not read every byte: {report.content}")
    return took


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = GIBIBYTES * 1024**3 // FILES
        files = [folder / f"model-{number:05d}.safetensors" for number in range(FILES)]
        for path in files:
            with path.open("wb") as stream:
                for _ in range(size // (64 * 1024**2)):
                    stream.write(os.urandom(64 * 1024**2))
        listing = SourceListing(None, NO_REVISION, tuple(FileEntry(path.name, size) for path in files))
        local = []
        for _ in range(ROUNDS):
            mine = measured(lambda: complete(listing, _Files(folder), read_bytes=True), resource.RUSAGE_SELF)
            local.append((mine, openssl(files)))
        told("hashed by the job, from files", local)
        with running_registry(folder) as (registry, ca):
            identity = push_model(registry, {path.name: path.read_bytes() for path in files})
            small = push_model(registry, {"config.json": b"{}"})
            whole = [(whole_job(identity, ca), openssl(files)) for _ in range(ROUNDS)]
            told("the whole job over TLS", whole)
            start = [whole_job(small, ca) for _ in range(ROUNDS)]
    clock, cpu = (statistics.median(getattr(each, of) for each in start) for of in ("clock", "cpu"))
    print(f"the whole job about two bytes: {clock:.2f} s, {cpu:.2f} s of CPU")
    return 0


def told(what: str, rounds: list[tuple[_Took, _Took]]) -> None:
    """Print the rates and ratios of one way."""
    gigabytes = GIBIBYTES * 1.024**3
    for name, of in (("by the clock", "clock"), ("per CPU second", "cpu")):
        us, them = ([getattr(each[side], of) for each in rounds] for side in (0, 1))
        ratio = statistics.median(theirs / mine for mine, theirs in zip(us, them, strict=True))
        mine, theirs = gigabytes / statistics.median(us), gigabytes / statistics.median(them)
        print(
            f"{what}, {name}: {mine:.2f} GB/s, openssl dgst -sha256 {theirs:.2f}, {ratio:.2f} x openssl (target 0.95)", flush=True
        )
    print(f"  (load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
