"""Throughput of `modeltrust digest` per CPU second, relative to `openssl dgst -sha256` on the same files.

Prints the ratio (1.0 is openssl; more is faster) as the median of interleaved rounds, since other load shares the machine.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from modeltrust.domain.digest import content_digest
from modeltrust.sources.filesystem import FolderSource

FILES = 4
FILE_BYTES = 128 * 1024 * 1024
ROUNDS = 5


def cpu_seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def ours(folder: Path) -> float:
    before = cpu_seconds(resource.RUSAGE_SELF)
    listing = FolderSource(folder).list()
    content_digest((entry.path, entry.sha256 or "") for entry in listing.files)
    return cpu_seconds(resource.RUSAGE_SELF) - before


def openssl(files: list[Path]) -> float:
    before = cpu_seconds(resource.RUSAGE_CHILDREN)
    subprocess.run(["openssl", "dgst", "-sha256", *files], check=True, stdout=subprocess.DEVNULL)
    return cpu_seconds(resource.RUSAGE_CHILDREN) - before


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [folder / f"model-{number:05d}.safetensors" for number in range(FILES)]
        for path in files:
            path.write_bytes(os.urandom(FILE_BYTES))
        rounds = [(ours(folder), openssl(files)) for _ in range(ROUNDS)]
    gigabytes = FILES * FILE_BYTES / 1e9
    us, them = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"digest: {gigabytes / us:.2f} GB per CPU second, openssl dgst -sha256: {gigabytes / them:.2f}")
    print(f"digest: {statistics.median(b / a for a, b in rounds):.2f} x openssl per CPU second (target 1.00)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
