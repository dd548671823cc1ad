"""Size of the image and start-up of its processes, as printed in docs/performance.md.

Needs root, and the image that `make image` builds. Start-up is what a chroot shows: the kubelet's own work comes on top.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from image.build import archive
from tests.support.oci_archive import read

REPEATS = 5
COMMANDS = (
    ("--version",),
    ("webhook", "--help"),
    ("operator", "--help"),
    ("worker", "--help"),
    ("job", "verify-at-load", "--help"),
    ("check", "--help"),
)


def seconds(root: str, arguments: tuple[str, ...]) -> tuple[float, float]:
    """Of processor, and by the clock."""
    command = [
        "chroot",
        "--userspec=65532:65532",
        root,
        "/usr/bin/env",
        "-i",
        "HOME=/tmp",
        "/opt/modeltrust/bin/modeltrust",
        *arguments,
    ]
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "modeltrust" in result.stdout or "usage" in result.stdout, result.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - started


def main() -> int:
    path = archive()
    if not path.exists() or os.geteuid() != 0:
        print("no image is there, or this is not root: run `make image` first")
        return 0
    image = read(path)
    print(f"compressed {image.compressed / 1e6:.0f} MB, unpacked {image.unpacked / 1e6:.0f} MB, {len(image.layers)} layers")
    with tempfile.TemporaryDirectory() as root:
        image.unpack(Path(root))
        Path(root).chmod(0o755)
        for arguments in COMMANDS:
            processor, clock = min(seconds(root, arguments) for _ in range(REPEATS))
            print(f"modeltrust {' '.join(arguments):32} {processor * 1000:6.0f} ms of processor, {clock * 1000:6.0f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
