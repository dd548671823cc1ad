"""Rate at which a job reads and hashes every byte of a model, relative to `openssl dgst -sha256` on the same files.

Medians of interleaved rounds by the clock, 1.0 is openssl, more is faster. First the step over files on this machine, which
is what the goal is about; then the whole `modeltrust job examine`, from its start to its report, against a registry over TLS on
loopback that shares the processors with it.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from modeltrust.api.output import report_of
from modeltrust.api.work import encode_order
from modeltrust.domain.evidence import Assurance
from modeltrust.domain.facts import Known
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import NO_REVISION
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


def ours(folder: Path, listing: SourceListing) -> float:
    before = time.perf_counter()
    complete(listing, _Files(folder), read_bytes=True)
    return time.perf_counter() - before


def openssl(files: list[Path]) -> float:
    before = time.perf_counter()
    subprocess.run(["openssl", "dgst", "-sha256", *files], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - before


def whole_job(folder: Path, files: list[Path]) -> float:
    with running_registry(folder) as (registry, ca):
        identity = push_model(registry, {path.name: path.read_bytes() for path in files})
        order = encode_order(order_of(identity, ca, read_bytes=True))
        before = time.perf_counter()
        command = [sys.executable, "-I", "-m", "modeltrust", "job", "examine", "--allow-loopback"]
        done = subprocess.run(command, input=order, capture_output=True, check=True, env={})
        seconds = time.perf_counter() - before
    report = report_of(done.stdout)
    if report.assurance is not Assurance.BYTES_HASHED or not isinstance(report.content, Known):
        raise RuntimeError(f"the job did not read every byte: {report.content}")
    return seconds


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
        rounds = [(ours(folder, listing), openssl(files)) for _ in range(ROUNDS)]
        whole = whole_job(folder, files)
    us, them = (statistics.median(column) for column in zip(*rounds, strict=True))
    gigabytes = GIBIBYTES * 1.024**3
    print(f"job: {gigabytes / us:.2f} GB/s hashed by the job, openssl dgst -sha256: {gigabytes / them:.2f} GB/s")
    print(f"job: {statistics.median(b / a for a, b in rounds):.2f} x openssl (target 0.95)")
    print(f"job: {gigabytes / whole:.2f} GB/s from start to report over TLS, {them / whole:.2f} x openssl")
    return 0


if __name__ == "__main__":
    sys.exit(main())
