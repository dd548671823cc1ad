"""Two images of one layer: what runs on this machine under the Python of the tests. One is ours, one serves models."""

import io
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from e2e import images
from e2e.node import Node

OURS = "modeltrust.test/modeltrust-evaluation:1"
ENGINE = "modeltrust.test/engine:1"
_ROOT = Path(__file__).parent.parent.parent
_SERVING = ("xllamacpp", "gguf", "tqdm")


def loaded(node: Node) -> tuple[str, str]:
    """Build and import both.

    Returns:
        Ours and the engine's, by digest.
    """
    layer, environment = _layer()
    python = str(Path(sys.executable).resolve())
    found = []
    for number, (name, module) in enumerate(((OURS, "modeltrust"), (ENGINE, "e2e.engine.serve"))):
        config = {"Entrypoint": [python, "-m", module], "Env": environment, "User": "65532:65532"}
        archive = node.folder / f"evaluation-{number}.tar"
        found.append(node.containers.load(archive, name, images.write(archive, name, layer, config)))
        archive.unlink()
    return found[0], found[1]


def _layer() -> tuple[bytes, list[str]]:
    """A tar, and the environment that Python needs to find everything in it."""
    python, library = Path(sys.executable).resolve(), Path(sysconfig.get_paths()["stdlib"])
    packages = Path(sysconfig.get_paths()["purelib"])
    site = f"{library}/site-packages".lstrip("/")  # children of ours are isolated: they heed no PYTHONPATH
    standard = images.standard_library()
    foreign = sorted({path for name in (*_runtime(), *_SERVING) for path in _files(name) if path.is_relative_to(packages)})
    binaries = [python, *(path for path in (*standard, *foreign) if ".so" in path.suffixes)]
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", dereference=True) as archive:
        for path in (python, *images.shared(binaries, besides=packages), *standard):
            archive.add(path, arcname=str(path).lstrip("/"), recursive=False)
        for path in foreign:
            archive.add(path, arcname=f"{site}/{path.relative_to(packages)}", recursive=False)
        for top in (_ROOT / "controller" / "modeltrust", _ROOT / "e2e" / "engine"):
            for path in sorted(path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
                archive.add(path, arcname=f"{site}/{_place(path)}", recursive=False)
    environment = ["PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "HOME=/tmp"]
    return layer.getvalue(), [*environment, f"LD_LIBRARY_PATH={python.parent.parent / 'lib'}"]


def _place(path: Path) -> Path:
    below = path.relative_to(_ROOT)
    return below.relative_to("controller") if below.parts[0] == "controller" else below


def _runtime() -> Iterator[str]:
    """What the product's image installs, as it is locked."""
    for line in (_ROOT / "requirements" / "image.txt").read_text().splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.rstrip("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name


def _files(name: str) -> Iterator[Path]:
    for file in distribution(name).files or ():
        path = Path(str(file.locate()))
        if path.is_file() and "__pycache__" not in path.parts and "tests" not in path.parts:
            yield path
