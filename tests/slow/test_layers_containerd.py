"""What we list of an image is what containerd unpacks, in both of its ways, for layers that nobody would write."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.domain.errors import MalformedError
from modeltrust.domain.listing import FileKind
from modeltrust.domain.reference import parse_reference
from modeltrust.sources.http import Client
from modeltrust.sources.oci import OciSource
from tests.support import containerd
from tests.support.images import TAR_GZIP, TAR_ZSTD, Entry, compressed, image, tar
from tests.support.registry import TAR, Registry, serving

pytestmark = pytest.mark.slow

IMAGES = 400
PATHS = ["a", "b", "d", "d/a", "d/e", "d/e/a", "d/e/f/a", "./a", "./d/a", "models", "models/a", "models/d/a"]
WHITEOUTS = [
    ".wh.a",
    ".wh.d",
    "d/.wh.a",
    "d/.wh.e",
    "d/e/.wh..wh..opq",
    "d/.wh..wh..opq",
    ".wh..wh..opq",
    "models/.wh.d",
    ".wh.models",
]


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with serving(Registry()) as registry:
        yield registry


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(plain_http=True, sleep=lambda _: None)
    yield client
    client.close()


def entry(dice: random.Random) -> Entry:
    match dice.randrange(12):
        case 0 | 1 | 2:
            return Entry(f"{dice.choice(PATHS)}/", type=b"5")
        case 3 | 4 | 5 | 6:
            return Entry(dice.choice(PATHS), dice.randbytes(4))
        case 7 | 8:
            return Entry(dice.choice(WHITEOUTS))
        case 9:
            return Entry(dice.choice(PATHS), type=b"1", link=dice.choice(PATHS))
        case 10:
            return Entry(dice.choice(PATHS), type=b"2", link=dice.choice(["d", "../a", "/models", "e"]))
        case _:
            return Entry(dice.choice(PATHS), type=dice.choice([b"6", b"3"]), device=(1, 3))


def layers(dice: random.Random) -> list[bytes]:
    return [tar([entry(dice) for _ in range(dice.randint(1, 5))]) for _ in range(dice.randint(1, 3))]


def ours(registry: Registry, client: Client, tars: list[bytes], media_type: str) -> dict[str, bytes | str]:
    digest = image(registry, tars, media_type=media_type)
    source = OciSource(*parse_reference(f"oci://{registry.address}/models/guard@{digest}"), client)
    found: dict[str, bytes | str] = {}
    for listed in source.list().files:
        if listed.kind is FileKind.FILE:
            found[listed.path] = source.read(listed.path, 0, listed.size)
        else:
            found[listed.path] = containerd.LINK if listed.kind is FileKind.SYMLINK else containerd.SPECIAL
    return found


def below(tree: dict[str, bytes | str]) -> dict[str, bytes | str]:
    """The model in what containerd unpacked: KServe's rule, written a second time."""
    inside = {path.removeprefix("models/"): data for path, data in tree.items() if path.startswith("models/")}
    return inside or {path: data for path, data in tree.items() if path != "models"}


@pytest.mark.parametrize("way", [containerd.naive, containerd.overlay])
def test_what_is_listed_is_what_containerd_unpacks(registry: Registry, client: Client, way: object) -> None:
    accepted = compared = 0
    for seed in range(IMAGES):
        tars = layers(random.Random(seed))  # noqa: S311 - repeatable
        try:
            listed = ours(registry, client, tars, media_type := (TAR, TAR_GZIP, TAR_ZSTD)[seed % 3])
        except MalformedError:
            continue
        accepted += 1
        folder = Path(tempfile.mkdtemp())
        try:
            unpacked = way(folder, [compressed(data, media_type) for data in tars])  # type: ignore[operator]
        finally:
            shutil.rmtree(folder)
        if unpacked is not None:
            compared += 1
            assert listed == below(unpacked), seed
    assert compared > IMAGES / 20, (accepted, compared)
