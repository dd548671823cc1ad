"""An index of manifests: the node that pulls chooses one, so all that it may choose must be one model."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.listing import FileKind
from modeltrust.domain.reference import parse_reference
from modeltrust.sources.http import Client
from modeltrust.sources.oci import OciSource
from tests.support.images import Entry, attestation, child, files, folder, image, index
from tests.support.registry import INDEX, Registry

WEIGHTS = os.urandom(10_000)
MODEL = [folder("models"), *files(models__config_dot_json=b"{}", models__model_dot_safetensors=WEIGHTS)]
Opened = Callable[[str], OciSource]


@pytest.fixture
def opened(registry: Registry) -> Iterator[Opened]:
    client = Client(plain_http=True, sleep=lambda _: None)
    yield lambda digest: OciSource(*parse_reference(f"oci://{registry.address}/models/guard@{digest}"), client)
    client.close()


def system(architecture: str) -> list[Entry]:
    return [folder("bin"), Entry("bin/sh", architecture.encode() * 100)]


def plain(registry: Registry, **contents: bytes) -> str:
    return registry.push([registry.layer(entry.data, title=str(entry.name)) for entry in files(**contents)])


def test_platforms_that_share_the_model_are_one_model(registry: Registry, opened: Opened) -> None:
    found = {architecture: image(registry, [system(architecture), MODEL]) for architecture in ("amd64", "arm64")}
    one, *_ = (opened(digest).list() for digest in found.values())
    several = opened(index(registry, *(child(digest, name) for name, digest in found.items()))).list()
    assert several.files == one.files
    assert several.bytes_read
    assert several.revision != one.revision


def test_a_layer_that_platforms_share_is_read_once(registry: Registry, opened: Opened) -> None:
    children = [child(image(registry, [system(name), MODEL]), name) for name in ("amd64", "arm64", "s390x")]
    opened(index(registry, *children)).list()
    blobs = [request.path for request in registry.requests if "/blobs/" in request.path]
    assert len(blobs) == len(set(blobs)) == 3 + 3 + 1  # configurations, systems, and the model


def test_its_files_can_be_read(registry: Registry, opened: Opened) -> None:
    children = [child(image(registry, [system(name), MODEL]), name) for name in ("amd64", "arm64")]
    assert opened(index(registry, *children)).read("model.safetensors", 5, 10) == WEIGHTS[5:15]


def test_platforms_of_plain_files_are_one_model_if_their_files_are(registry: Registry, opened: Opened) -> None:
    first, second = plain(registry, a=b"1", b=b"2"), plain(registry, b=b"2", a=b"1")
    assert first != second
    listing = opened(index(registry, child(first), child(second, "arm64"))).list()
    assert [entry.path for entry in listing.files] == ["a", "b"]
    assert not listing.bytes_read


def test_a_packed_and_a_plain_manifest_may_hold_one_model(registry: Registry, opened: Opened) -> None:
    both = child(plain(registry, a=b"1")), child(image(registry, [files(models__a=b"1")]), "arm64")
    assert len(opened(index(registry, *both)).list().files) == len(opened(index(registry, *reversed(both))).list().files) == 1


DIFFERENT: list[tuple[str, list[Entry]]] = [
    ("other bytes", files(models__config_dot_json=b"[]", models__model_dot_safetensors=WEIGHTS)),
    ("a file more", [*MODEL, *files(models__modeling_dot_py=b"evil")]),
    ("a file less", files(models__config_dot_json=b"{}")),
    ("another name", files(models__config_dot_json=b"{}", models__weights_dot_safetensors=WEIGHTS)),
    ("a link more", [*MODEL, Entry("models/s", type=b"2", link="x")]),
    ("another signature", [*MODEL, *files(models__model_dot_sig=b"x")]),
    ("another folder", files(config_dot_json=b"{}", evil=b"1")),
]


@pytest.mark.parametrize("other", [pytest.param(layer, id=name) for name, layer in DIFFERENT])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_platforms_with_different_models_are_refused(registry: Registry, opened: Opened, other: list[Entry], place: int) -> None:
    children = [child(image(registry, [system(name), MODEL]), name) for name in ("amd64", "arm64")]
    children.insert(place, child(image(registry, [system("riscv64"), other]), "riscv64"))
    with pytest.raises(MalformedError, match=r"name the manifest of one platform by its digest|beside /models"):
        opened(index(registry, *children)).list()


def test_attestations_of_buildkit_are_no_models(registry: Registry, opened: Opened) -> None:
    model, about = image(registry, [MODEL]), plain(registry, provenance=b"{}")
    listing = opened(index(registry, child(model), attestation(about, model))).list()
    assert {entry.path for entry in listing.files} == {"config.json", "model.safetensors"}
    assert not any(about in request.path for request in registry.requests)


PULLED: list[dict[str, Any]] = [
    {"platform": {"os": "linux", "architecture": "arm64"}},
    {"platform": {"os": "unknown", "architecture": "arm64"}},
    {"platform": {"os": "linux", "architecture": "unknown"}},
    {"platform": None},
    {"platform": {}},
    {"annotations": {}},
    {"annotations": {"vnd.docker.reference.type": "attestation-manifest "}},
    {"annotations": {"vnd.docker.reference.type": "Attestation-Manifest"}},
    {"annotations": {"vnd.docker.reference.digest": "x"}},
]


@pytest.mark.parametrize("changes", PULLED)
def test_a_model_that_only_half_claims_to_be_an_attestation_counts(
    registry: Registry, opened: Opened, changes: dict[str, Any]
) -> None:
    # Marked, and yet some node would pull it.
    model, evil = image(registry, [MODEL]), image(registry, [files(models__evil=b"x")])
    with pytest.raises(MalformedError, match="different models"):
        opened(index(registry, child(model), attestation(evil, model) | changes)).list()


def test_one_manifest_listed_for_several_platforms_is_one(registry: Registry, opened: Opened) -> None:
    model = image(registry, [MODEL])
    assert len(opened(index(registry, child(model), child(model, "arm64"), child(model, "amd64", variant="v2"))).list().files) == 2


def test_an_index_of_nothing_that_is_a_model_is_refused(registry: Registry, opened: Opened) -> None:
    about = plain(registry, a=b"1")
    for children in ([], [attestation(about, about)]):
        with pytest.raises(MalformedError, match="none of which is a model"):
            opened(index(registry, *children)).list()


@pytest.mark.parametrize("media_type", [INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"])
def test_an_index_in_an_index_is_refused(registry: Registry, opened: Opened, media_type: str) -> None:
    model = image(registry, [MODEL])
    inner = index(registry, child(model))
    with pytest.raises(MalformedError, match="inside an index"):
        opened(index(registry, child(model), child(inner, "arm64", mediaType=media_type))).list()


def test_an_index_that_calls_itself_a_manifest_in_an_index_is_refused(registry: Registry, opened: Opened) -> None:
    inner = index(registry, child(image(registry, [MODEL])))
    with pytest.raises(MalformedError, match="inside an index"):
        opened(index(registry, child(inner))).list()


def test_a_child_of_another_kind_is_refused(registry: Registry, opened: Opened) -> None:
    with pytest.raises(MalformedError, match="of type"):
        opened(index(registry, child(image(registry, [MODEL]), mediaType="text/plain"))).list()


def test_a_child_that_is_missing_is_no_fact(registry: Registry, opened: Opened) -> None:
    model, other = image(registry, [MODEL]), image(registry, [system("arm64"), MODEL])
    digest = index(registry, child(model), child(other, "arm64"))
    del registry.manifests[other]
    with pytest.raises(UnavailableError):
        opened(digest).list()


def test_too_many_platforms_are_refused(registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OCI_PLATFORMS", 1)
    children = [child(plain(registry, a=b"1", b=str(number).encode()), str(number)) for number in range(2)]
    with pytest.raises(LimitExceededError, match="index of 2"):
        opened(index(registry, *children)).list()


def test_platforms_of_archives_are_compared_by_their_bytes(registry: Registry, opened: Opened) -> None:
    def packed(data: bytes) -> str:
        return registry.push([registry.layer(data, title="m.zip", media_type="application/zip")])

    listing = opened(index(registry, child(packed(b"1")), child(packed(b"1"), "arm64"))).list()
    assert [entry.kind for entry in listing.files] == [FileKind.ARCHIVE]
    with pytest.raises(MalformedError, match="different models"):
        opened(index(registry, child(packed(b"1")), child(packed(b"2"), "arm64"))).list()


SPELLED = ["Layers", "LAYERS", "layer\u017f", "Config", "mediatype", "MediaType", "Manifests"]


@pytest.mark.parametrize("field", SPELLED)
def test_a_field_that_only_go_reads_is_refused(registry: Registry, opened: Opened, field: str) -> None:
    # containerd takes the last of "layers" and "Layers"; a signature would be over layers that nobody runs.
    document = registry.document([registry.layer(b"good", title="a")])
    with pytest.raises(MalformedError, match="some readers"):
        opened(registry.push_manifest(document | {field: [registry.layer(b"evil", title="a")]})).list()


@pytest.mark.parametrize("field", ["Digest", "Platform", "URLs", "Annotations"])
def test_a_field_of_a_child_that_only_go_reads_is_refused(registry: Registry, opened: Opened, field: str) -> None:
    with pytest.raises(MalformedError, match="some readers"):
        opened(index(registry, child(image(registry, [MODEL]), **{field: "x"}))).list()
