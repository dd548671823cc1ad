"""The Prometheus operator's kinds, out of its Go module, pinned by the checksum that Go itself computes of a module."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
_SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
_FILES = ("monitoring.coreos.com_prometheusrules.yaml", "monitoring.coreos.com_servicemonitors.yaml")


def monitoring() -> Path | None:
    """The folder of its CRDs for rules and service monitors; None where there is no Go to fetch them (once, 4 MB).

    Raises:
        RuntimeError: what the proxy gave is not what is pinned.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "modeltrust" / "crds" / _SUM.removeprefix("h1:").replace("/", "_").rstrip("=")
    if folder.exists():
        return folder
    if shutil.which("go") is None:
        return None
    with tempfile.TemporaryDirectory() as empty:  # outside any module: nothing but this is resolved
        result = subprocess.run(["go", "mod", "download", "-json", _MODULE], cwd=empty, capture_output=True, text=True, check=True)
    said = json.loads(result.stdout)
    if said["Sum"] != _SUM:
        raise RuntimeError(f"{_MODULE} has checksum {said['Sum']}, expected {_SUM}")
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    for name in _FILES:
        shutil.copyfile(Path(said["Dir"]) / "example" / "prometheus-operator-crd" / name, part / name)
    part.rename(folder)
    return folder
