"""The image as `make image` builds it: who it runs as, what is in it, and that it starts from files it cannot change."""

import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from image.build import REFERENCE, archive, build
from tests.support.oci_archive import Archive, read

pytestmark = pytest.mark.slow

PACKAGES = "opt/modeltrust/lib/python3.11/site-packages"
COMPRESSED_BYTES = 160 * 1024 * 1024
NOT_INSIDE = ("pip", "setuptools", "hatchling", "editables", "pytest", "mypy", "ruff", "hypothesis", "jax", "xllamacpp", "uv")


@pytest.fixture(scope="module")
def path() -> Path:
    if os.geteuid() != 0 and not archive().exists():
        pytest.skip("NO IMAGE WAS LOOKED AT: building one needs root")
    return build()


@pytest.fixture(scope="module")
def image(path: Path) -> Archive:
    return read(path)


@pytest.fixture(scope="module")
def root(image: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the image, unpacked."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    folder = tmp_path_factory.mktemp("image")
    image.unpack(folder)
    folder.chmod(0o755)  # pytest's own are closed to others
    return folder


def run(root: Path, *arguments: str, user: str = "65532:65532") -> subprocess.CompletedProcess[str]:
    environment = ["/usr/bin/env", "-i", "PATH=/opt/modeltrust/bin:/usr/bin:/bin", "HOME=/tmp", "PYTHONDONTWRITEBYTECODE=1"]
    command = ["chroot", f"--userspec={user}", str(root), *environment, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_it_runs_as_a_number_that_is_not_root_and_its_name_is_known_to_containerd(image: Archive) -> None:
    config = image.config["config"]

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/modeltrust/bin/modeltrust"]
    assert "PYTHONDONTWRITEBYTECODE=1" in config["Env"]
    assert image.name == REFERENCE


def test_nothing_of_the_build_shows(image: Archive) -> None:
    """Where packages came from is nobody's business, and a password in an index' address even less."""
    said = json.dumps(image.config).lower()

    for word in ("pip_index_url", "index-url", "password", "://"):
        assert word not in said
    assert not any(name.startswith(("build/", "root/.cache", "root/.config")) for name in image.members())


def test_it_is_small_enough(image: Archive) -> None:
    assert image.compressed < COMPRESSED_BYTES


def test_tools_that_build_and_test_are_not_inside(image: Archive) -> None:
    names = {name.split("/")[5] for name in image.members() if name.startswith(f"{PACKAGES}/") and len(name.split("/")) > 5}

    assert names & {"modeltrust", "kopf", "sigstore", "uvicorn"} == {"modeltrust", "kopf", "sigstore", "uvicorn"}
    assert not names & set(NOT_INSIDE)


def test_every_module_is_compiled_already(image: Archive) -> None:
    members = image.members()
    sources = [name for name in members if name.startswith(f"{PACKAGES}/modeltrust/") and name.endswith(".py")]

    assert len(sources) > 200
    for name in sources:
        folder, _, file = name.rpartition("/")
        assert f"{folder}/__pycache__/{file[:-3]}.cpython-311.pyc" in members, name


def test_nothing_in_it_can_be_written_by_who_it_runs_as(image: Archive) -> None:
    for name, member in image.members().items():
        if name.startswith("opt/modeltrust") and not member.issym():
            assert member.uid == 0, name
            assert not member.mode & (stat.S_IWGRP | stat.S_IWOTH), name


def test_the_bill_of_materials_is_complete_and_reproducible(image: Archive, root: Path) -> None:
    bom = json.loads((root / "opt/modeltrust/sbom.cdx.json").read_text())
    named = {component["purl"] for component in bom["components"]}

    assert bom["bomFormat"] == "CycloneDX"
    assert "serialNumber" not in bom
    assert any(purl.startswith("pkg:pypi/kopf@") for purl in named)
    assert any(purl.startswith("pkg:deb/debian/libssl3@") for purl in named)
    locked = Path(__file__).parents[2] / "requirements" / "image.txt"
    for line in locked.read_text().splitlines():
        name, separator, version = line.partition(" ")[0].partition("==")
        if separator and not line.startswith(" ") and ";" not in line:
            assert f"pkg:pypi/{name}@{version}" in named
    assert image.compressed


def test_the_bill_of_materials_obeys_the_schema_of_its_components(root: Path) -> None:
    component = {"type": "object", "required": ["type", "name", "version", "purl"], "properties": {"type": {"const": "library"}}}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"components": {"type": "array", "minItems": 100, "items": component}},
    }

    jsonschema.validate(json.loads((root / "opt/modeltrust/sbom.cdx.json").read_text()), schema)


@pytest.mark.parametrize("user", ["65532:65532", "1000680000:0"])
@pytest.mark.parametrize(
    "arguments",
    [("--version",), ("check", "--help"), ("webhook", "--help"), ("operator", "--help"), ("worker", "--help")],
)
def test_f90_f101_every_process_starts_as_anybody_from_files_it_cannot_change(
    root: Path, user: str, arguments: tuple[str, ...]
) -> None:
    result = run(root, "/opt/modeltrust/bin/modeltrust", *arguments, user=user)

    assert result.returncode == 0, result.stderr
    assert "modeltrust" in result.stdout + result.stderr


def test_the_verifier_starts_without_anything_of_its_environment(root: Path) -> None:
    result = run(root, "/opt/modeltrust/bin/modeltrust", "job", "verify-at-load")

    assert result.returncode == 2
    assert "required: DIR, --digest" in result.stdout


def test_the_demo_of_everything_runs_inside(root: Path) -> None:
    """Signing, TLS, the webhook's own process: every compiled library of the image is loaded and used."""
    with devices(root):
        (root / "tmp").chmod(0o1777)
        result = run(root, "/opt/modeltrust/bin/modeltrust", "demo", "--json")

    assert result.returncode == 0, result.stderr[-2_000:]
    scenes = json.loads(result.stdout)["scenes"]
    assert scenes
    assert all(scene["actual"] == scene["expected"] for scene in scenes)


class devices:  # noqa: N801 - reads as what it lends
    """The few devices that a program may expect."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "dev"

    def __enter__(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9), ("random", 8)):
            path = self._folder / name
            if not path.exists():
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
                path.chmod(0o666)

    def __exit__(self, *_: object) -> None:
        for path in self._nodes():
            path.unlink()

    def _nodes(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if stat.S_ISCHR(path.stat().st_mode))
