"""checkov, for tests: in a virtual environment of its own, outside the checkout, since it brings a hundred packages of its own.

Complete and pinned by digest in requirements/checkov.txt, and cached by that. `make lock` resolves it again.
"""

import hashlib
import json
import os
import shutil
import subprocess
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LOCK = Path(__file__).parent.parent.parent / "requirements" / "checkov.txt"
_SECONDS = 300


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """One check that one object does not pass.

    Attributes:
        check: its number, for example CKV_K8S_8.
        about: what it asks for, one sentence.
        resource: kind, namespace and name.
    """

    check: str
    about: str
    resource: str


def failures(text: str, folder: Path) -> tuple[int, tuple[Failure, ...]]:
    """What checkov finds wrong with rendered objects.

    Args:
        text: YAML.
        folder: an empty one, for the file.

    Returns:
        How many checks passed, and the failures.
    """
    (folder / "rendered.yaml").write_text(text)
    command = [str(_program()), "--framework", "kubernetes", "--file", str(folder / "rendered.yaml"), "--output", "json"]
    command += ["--compact", "--quiet", "--skip-download", "--soft-fail"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LOG_LEVEL": "ERROR"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_SECONDS, env=environment)
    report = json.loads(done.stdout)
    return report["summary"]["passed"], tuple(sorted(_read(report["results"]["failed_checks"])))


def _read(found: Iterable[dict[str, str]]) -> Iterable[Failure]:
    for each in found:
        yield Failure(each["check_id"], each["check_name"], each["resource"])


def _program() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "modeltrust" / "checkov" / hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*command, "--no-deps", "--require-hashes", "-r", str(_LOCK)], check=True)
        (folder / "complete").touch()
    return folder / "bin" / "checkov"
