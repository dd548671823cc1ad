"""Models packed in layers: modelcars, ModelKits, ModelPacks. What is listed is what a container sees, read byte by byte."""

import gzip
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.image_folders import SYSTEM_FOLDERS
from modeltrust.domain.listing import FileKind
from modeltrust.domain.reference import parse_reference
from modeltrust.sources.http import Client
from modeltrust.sources.oci import OciSource
from modeltrust.verification.content import content_of
from tests.support.images import (
    FILEPATH,
    KIT_CONFIG,
    TAR_GZIP,
    TAR_ZSTD,
    Entry,
    compressed,
    files,
    folder,
    image,
    kit,
    pack,
    packed,
    push,
    sha256,
    tar,
)
from tests.support.registry import IMAGE_CONFIG, TAR, Answer, Registry

WEIGHTS = os.urandom(3 * limits.OCI_CHUNK_BYTES + 4_321)
BASE = [folder("bin"), Entry("bin/sh", b"#!"), Entry("lib", type=b"2", link="usr/lib"), folder("usr"), folder("usr/lib")]
MODEL = [folder("models"), *files(models__config_dot_json=b"{}", models__model_dot_safetensors=WEIGHTS)]
NONE = "sha256:" + "0" * 64


@pytest.fixture
def opened(registry: Registry, client: Client) -> Callable[..., OciSource]:
    def source(digest: str, **more: Any) -> OciSource:
        return OciSource(*parse_reference(f"oci://{registry.address}/models/guard@{digest}"), client, **more)

    return source


Opened = Callable[..., OciSource]


def listed(source: OciSource) -> dict[str, str]:
    return {entry.path: entry.sha256 or entry.kind.value for entry in source.list().files}


def expected(**contents: bytes) -> dict[str, str]:
    return {entry.name: sha256(entry.data) for entry in files(**contents) if isinstance(entry.name, str)}


# --- images ------------------------------------------------------------------------------------------------------------------


def test_a_modelcar_is_what_lies_in_its_folder_models(registry: Registry, opened: Opened) -> None:
    source = opened(image(registry, [BASE, MODEL]))
    assert listed(source) == expected(config_dot_json=b"{}", model_dot_safetensors=WEIGHTS)
    assert source.list().bytes_read
    assert {entry.kind for entry in source.list().files} == {FileKind.FILE}


def test_its_content_digest_is_that_of_the_same_files_elsewhere(registry: Registry, opened: Opened) -> None:
    layers = [registry.layer(b"{}", title="config.json"), registry.layer(WEIGHTS, title="model.safetensors")]
    plain = opened(registry.push(layers)).list()
    for other in (
        image(registry, [BASE, MODEL]),
        image(registry, [files(config_dot_json=b"{}", model_dot_safetensors=WEIGHTS)]),
        kit(registry, [("model", files(model_dot_safetensors=WEIGHTS)), ("code", files(config_dot_json=b"{}"))]),
    ):
        assert content_of(opened(other).list()) == content_of(plain)


def test_an_image_without_a_folder_models_is_the_model(registry: Registry, opened: Opened) -> None:
    assert listed(opened(image(registry, [files(a=b"1", d__b=b"2")]))) == expected(a=b"1", d__b=b"2")


def test_layers_and_whiteouts_are_applied(registry: Registry, opened: Opened) -> None:
    layers = [
        BASE,
        [*files(models__old=b"1", models__kept=b"2", models__d__x=b"3")],
        files(models__old=b"new"),
        [Entry("models/.wh.d")],
    ]
    assert listed(opened(image(registry, layers))) == expected(old=b"new", kept=b"2")


def test_a_file_that_a_whiteout_hides_is_not_attested(registry: Registry, opened: Opened) -> None:
    evil = files(models__modeling_evil_dot_py=b"import os", models__config_dot_json=b"{}")
    source = opened(image(registry, [evil, [Entry("models/.wh.modeling_evil.py")]]))
    assert listed(source) == expected(config_dot_json=b"{}")
    with pytest.raises(NotFoundError):
        source.read("modeling_evil.py", 0, 1)


def test_a_whiteout_of_the_whole_folder_leaves_another_model(registry: Registry, opened: Opened) -> None:
    layers = [files(models__a=b"good"), [Entry(".wh.models")], files(models__b=b"evil")]
    assert listed(opened(image(registry, layers))) == expected(b=b"evil")


def test_links_in_the_folder_are_listed_as_links(registry: Registry, opened: Opened) -> None:
    layer = [*MODEL, Entry("models/s", type=b"2", link="../usr/evil"), Entry("models/h", type=b"1", link="models/config.json")]
    source = opened(image(registry, [BASE, layer]))
    assert listed(source) == expected(config_dot_json=b"{}", model_dot_safetensors=WEIGHTS, h=b"{}") | {"s": "symlink"}
    with pytest.raises(MalformedError, match="symlink"):
        content_of(source.list())
    with pytest.raises(NotFoundError):
        source.read("s", 0, 1)


@pytest.mark.parametrize("media_type", [TAR, "application/vnd.docker.image.rootfs.diff.tar"])
def test_layers_may_be_plain_tars(registry: Registry, opened: Opened, media_type: str) -> None:
    source = opened(image(registry, [BASE, MODEL], media_type=media_type))
    assert source.read("model.safetensors", 1_000_000, 2_000_000) == WEIGHTS[1_000_000:3_000_000]


def test_docker_names_its_layers_otherwise(registry: Registry, opened: Opened) -> None:
    media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    assert len(listed(opened(image(registry, [MODEL], media_type=media_type)))) == 2


@pytest.mark.parametrize("name", sorted(SYSTEM_FOLDERS))
def test_folders_and_links_of_the_system_may_lie_beside_the_model(registry: Registry, opened: Opened, name: str) -> None:
    assert len(listed(opened(image(registry, [[folder(name), Entry(f"{name}/x", b"x")], MODEL])))) == 2
    assert len(listed(opened(image(registry, [[Entry(name, type=b"2", link="usr")], MODEL])))) == 2


BESIDE = [folder("evil"), Entry("evil.gguf", b"x"), Entry("config.json", b"{}"), Entry("Models", b""), Entry("usr", b"x")]


@pytest.mark.parametrize("entry", [*BESIDE, Entry("m", type=b"2", link="models"), folder("models2")])
def test_nothing_else_may_lie_beside_the_model_where_a_pod_could_load_it(registry: Registry, opened: Opened, entry: Entry) -> None:
    with pytest.raises(MalformedError, match="beside /models"):
        opened(image(registry, [MODEL, [entry]])).list()


FOUND = ["opt/evil.gguf", "usr/share/x/EVIL.GGUF", "opt/config.pbtxt", "opt/1/model.onnx", "srv/a/b/model-settings.json"]


@pytest.mark.parametrize("path", FOUND)
def test_nothing_beside_the_model_is_a_model_for_a_server_that_is_given_the_whole_image(
    registry: Registry, opened: Opened, path: str
) -> None:
    with pytest.raises(MalformedError, match="take for a model"):
        opened(image(registry, [MODEL, [Entry(path, b"x")]])).list()


@pytest.mark.parametrize("entry", [Entry("models", b"x"), Entry("models", type=b"2", link="usr"), Entry("models", type=b"6")])
def test_a_folder_models_that_is_none_is_refused(registry: Registry, opened: Opened, entry: Entry) -> None:
    with pytest.raises(MalformedError, match="no folder"):
        opened(image(registry, [BASE, [entry]])).list()


def test_an_empty_folder_models_holds_no_model(registry: Registry, opened: Opened) -> None:
    with pytest.raises(MalformedError, match="no files"):
        content_of(opened(image(registry, [BASE, [folder("models")]])).list())


def test_a_layer_under_another_diff_id_is_refused(registry: Registry, opened: Opened) -> None:
    # A node that has a snapshot of that name uses it, and never sees what is in this layer.
    other = f"sha256:{sha256(tar(files(models__evil=b'x')))}"
    with pytest.raises(MalformedError, match="as configured"):
        opened(image(registry, [MODEL], diff_ids=[other])).list()


CONFIGS: list[tuple[str, Any]] = [
    ("no JSON", b"<html>"),
    ("no object", b"[]"),
    ("no rootfs", {}),
    ("no layers", {"rootfs": {"type": "layers"}}),
    ("another type", {"rootfs": {"type": "windows", "diff_ids": [NONE]}}),
    ("too few", {"rootfs": {"type": "layers", "diff_ids": []}}),
    ("too many", {"rootfs": {"type": "layers", "diff_ids": [NONE, NONE]}}),
    ("another algorithm", {"rootfs": {"type": "layers", "diff_ids": ["sha512:" + "0" * 128]}}),
    ("no digest", {"rootfs": {"type": "layers", "diff_ids": [5]}}),
    ("a second rootfs for Go", {"rootfs": {"type": "layers", "diff_ids": [NONE]}, "RootFS": {"type": "layers", "diff_ids": []}}),
    ("second diff_ids for Go", {"rootfs": {"type": "layers", "diff_ids": [NONE], "DIFF_IDS": []}}),
]


@pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in CONFIGS])
def test_an_image_without_a_good_configuration_is_refused(registry: Registry, opened: Opened, config: Any) -> None:
    with pytest.raises(MalformedError):
        opened(image(registry, [MODEL], config=config)).list()


def test_a_configuration_that_is_missing_is_no_fact(registry: Registry, opened: Opened) -> None:
    digest = image(registry, [MODEL])
    config = json.loads(registry.manifests[digest])["config"]["digest"]
    del registry.blobs[config]
    with pytest.raises(UnavailableError):
        opened(digest).list()


LAZY = ["containerd.io/snapshot/stargz/toc.digest", "io.github.containers.zstd-chunked.manifest-checksum"]


@pytest.mark.parametrize("annotation", LAZY)
def test_a_layer_whose_files_some_nodes_take_from_an_index_is_refused(registry: Registry, opened: Opened, annotation: str) -> None:
    with pytest.raises(MalformedError, match="from an index"):
        opened(image(registry, [MODEL], **{annotation: NONE})).list()


def test_an_index_of_a_lazy_snapshotter_in_a_layer_is_refused(registry: Registry, opened: Opened) -> None:
    with pytest.raises(MalformedError, match="stargz"):
        opened(image(registry, [[*MODEL, Entry("stargz.index.json", b"{}")]])).list()


@pytest.mark.parametrize(
    "above", [[Entry(".wh.stargz.index.json")], [Entry("stargz.index.json/", type=b"5"), Entry("stargz.index.json/a", b"x")]]
)
def test_an_index_that_a_later_layer_hides_is_refused_since_each_layer_is_mounted_by_its_own(
    registry: Registry, opened: Opened, above: list[Entry]
) -> None:
    with pytest.raises(MalformedError, match="stargz"):
        opened(image(registry, [[*MODEL, Entry("stargz.index.json", b"{}")], above])).list()


def test_a_layer_of_two_sizes_is_refused_before_any_of_it_is_read(registry: Registry, opened: Opened) -> None:
    layer = registry.layer(packed(MODEL), media_type=TAR_GZIP)
    both = [layer | {"size": 1 << 49}, layer]  # the bound on what is read would have seen the second alone
    with pytest.raises(MalformedError, match="two sizes"):
        opened(push(registry, {"rootfs": {"type": "layers", "diff_ids": [NONE, NONE]}}, both)).list()


OTHERS = [
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar+lz4",
    "application/vnd.oci.image.layer.v1.squashfs",
    "application/vnd.erofs.layer.v1",
    "text/plain",
]


@pytest.mark.parametrize("media_type", OTHERS)
def test_an_image_with_a_layer_of_another_kind_is_refused(registry: Registry, opened: Opened, media_type: str) -> None:
    data = tar(MODEL)
    config = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(data)}", NONE]}}
    layers = [registry.layer(packed(data), media_type=TAR_GZIP), registry.layer(b"x", media_type=media_type)]
    with pytest.raises(MalformedError, match="of type"):
        opened(push(registry, config, layers)).list()


WRONG = [("gzip as a plain tar", packed(MODEL), TAR), ("a plain tar as gzip", tar(MODEL), TAR_GZIP), ("no tar", b"x" * 600, TAR)]


@pytest.mark.parametrize(("data", "media_type"), [pytest.param(d, m, id=name) for name, d, m in WRONG])
def test_a_layer_that_is_not_what_its_type_says_is_refused(
    registry: Registry, opened: Opened, data: bytes, media_type: str
) -> None:
    config = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(tar(MODEL))}"]}}
    with pytest.raises(MalformedError):
        opened(push(registry, config, [registry.layer(data, media_type=media_type)])).list()


# --- ModelKits ---------------------------------------------------------------------------------------------------------------

PARTS = [("model", files(m__model_dot_safetensors=WEIGHTS)), ("modelpart", files(m__extra=b"1")), ("docs", files(README=b"2"))]


@pytest.mark.parametrize("suffix", ["", "+gzip"])
def test_a_model_kit_is_the_files_of_all_its_layers(registry: Registry, opened: Opened, suffix: str) -> None:
    source = opened(kit(registry, PARTS, suffix=suffix))
    assert listed(source) == expected(m__model_dot_safetensors=WEIGHTS, m__extra=b"1", README=b"2")
    assert source.read("m/model.safetensors", 1_234_567, 1_000_000) == WEIGHTS[1_234_567:2_234_567]


BAD_KITS: list[tuple[str, list[tuple[str, list[Entry]]]]] = [
    ("a path twice", [("model", files(a=b"1")), ("code", files(a=b"1"))]),
    ("a path twice in a layer", [("model", [*files(a=b"1"), *files(a=b"2")])]),
    ("a file in place of a folder", [("model", files(a__b=b"1")), ("code", files(a=b"1"))]),
    ("a folder in place of a file", [("model", files(a=b"1")), ("code", files(a__b=b"1"))]),
    ("an empty folder in place of a file", [("model", files(a=b"1")), ("code", [folder("a")])]),
    ("a link", [("model", [Entry("a", type=b"2", link="b")])]),
    ("a hard link", [("model", [*files(a=b"1"), Entry("b", type=b"1", link="a")])]),
    ("a device", [("model", [Entry("a", type=b"6")])]),
    ("a whiteout", [("model", files(a=b"1")), ("code", [Entry(".wh.a")])]),
    ("a Kitfile of its own", [("model", files(Kitfile=b"1"))]),
    ("a path that climbs", [("model", [Entry("../a", b"1")])]),
    ("an absolute path", [("model", [Entry("/a", b"1")])]),
]


@pytest.mark.parametrize("parts", [pytest.param(parts, id=name) for name, parts in BAD_KITS])
def test_a_kit_that_unpackers_make_different_files_of_is_refused(
    registry: Registry, opened: Opened, parts: list[tuple[str, list[Entry]]]
) -> None:
    with pytest.raises(MalformedError):
        opened(kit(registry, parts)).list()


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("builds on another", {"model": {"path": "registry.example/base:latest"}}),
    ("builds on another, by digest", {"model": {"path": f"base@{NONE}"}}),
    ("lists no layer", {"model": {"path": "./x"}}),
    ("lists another layer", {"model": {"path": "./x", "digest": NONE}}),
    ("lists nothing", {"model": None}),
    ("lists no object", {"model": "x"}),
    ("has a second model for Go", {"Model": {"path": "registry.example/base:latest"}}),
    ("lists no list", {"code": {"path": "x"}}),
]


@pytest.mark.parametrize("changes", [pytest.param(changes, id=name) for name, changes in CHANGES])
def test_a_kit_whose_configuration_is_about_something_else_is_refused(
    registry: Registry, opened: Opened, changes: dict[str, Any]
) -> None:
    with pytest.raises(MalformedError):
        opened(kit(registry, PARTS[:1], **changes)).list()


@pytest.mark.parametrize("media_type", ["application/vnd.kitops.modelkit.model.v1.tar+zstd", "application/octet-stream", TAR_GZIP])
def test_a_layer_that_kit_does_not_know_is_refused(registry: Registry, opened: Opened, media_type: str) -> None:
    layer = registry.layer(packed(files(a=b"1")), media_type=media_type)
    with pytest.raises(MalformedError, match="in a ModelKit"):
        opened(push(registry, {"model": {"digest": layer["digest"]}}, [layer], config_type=KIT_CONFIG)).list()


# --- ModelPacks --------------------------------------------------------------------------------------------------------------


def weight(kind: str) -> str:
    return f"application/vnd.cncf.model.weight.v1.{kind}"


def test_a_model_pack_is_its_raw_layers_and_what_the_others_hold(registry: Registry, opened: Opened) -> None:
    layers = [
        registry.layer(WEIGHTS, media_type=weight("raw"), **{FILEPATH: "model.safetensors"}),
        registry.layer(compressed(tar(files(code__c=b"c")), TAR_ZSTD), media_type="application/vnd.cncf.model.code.v1.tar+zstd"),
        registry.layer(tar(files(tok__a_dot_json=b"{}")), media_type="application/vnd.cncf.model.weight.config.v1.tar"),
        registry.layer(
            packed(files(docs__b_dot_md=b"#")), media_type="application/vnd.cncf.model.doc.v1.tar+gzip", **{FILEPATH: "docs"}
        ),
    ]
    source = opened(pack(registry, layers))
    assert listed(source) == expected(model_dot_safetensors=WEIGHTS, tok__a_dot_json=b"{}", docs__b_dot_md=b"#", code__c=b"c")
    assert source.list().bytes_read
    assert source.read("model.safetensors", 2_000_000, 5_000_000) == WEIGHTS[2_000_000:]


def test_an_archive_in_a_model_pack_stays_one(registry: Registry, opened: Opened) -> None:
    layers = [
        registry.layer(tar(files(a=b"1")), media_type=weight("tar")),
        registry.layer(b"PK", media_type="application/zip", title="b.zip"),
        registry.layer(tar(files(c=b"1")), media_type=TAR, title="c"),
    ]
    assert listed(opened(pack(registry, layers))) == expected(a=b"1") | {"b.zip": "archive", "c": "archive"}


BAD_PACKS: list[tuple[str, list[tuple[bytes, str, dict[str, str]]]]] = [
    ("a path twice", [(tar(files(a=b"1")), "tar", {}), (b"2", "raw", {FILEPATH: "a"})]),
    ("a path outside of what the layer states", [(tar(files(evil__a=b"1")), "tar", {FILEPATH: "docs"})]),
    ("a path that begins as what the layer states", [(tar(files(docs2__a=b"1")), "tar", {FILEPATH: "docs"})]),
    ("a raw path that climbs", [(tar(files(a=b"1")), "tar", {}), (b"2", "raw", {FILEPATH: "../b"})]),
    ("a link", [(tar([Entry("a", type=b"2", link="b")]), "tar", {})]),
]


@pytest.mark.parametrize("layers", [pytest.param(layers, id=name) for name, layers in BAD_PACKS])
def test_a_pack_that_unpackers_make_different_files_of_is_refused(
    registry: Registry, opened: Opened, layers: list[tuple[bytes, str, dict[str, str]]]
) -> None:
    pushed = [registry.layer(data, media_type=weight(kind), **stated) for data, kind, stated in layers]
    with pytest.raises(MalformedError):
        opened(pack(registry, pushed)).list()


# --- reading and bounds ------------------------------------------------------------------------------------------------------

RANGES = [(0, 8), (0, len(WEIGHTS)), (limits.OCI_CHUNK_BYTES - 1, 2), (len(WEIGHTS) - 3, 100), (len(WEIGHTS), 1), (5, 0)]


@pytest.mark.parametrize("kept", [0, limits.OCI_KEPT_BYTES])
@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP, TAR_ZSTD])
@pytest.mark.parametrize(("start", "length"), RANGES)
def test_a_range_is_exact_however_it_is_had(  # noqa: PLR0917 - three tables
    registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch, kept: int, media_type: str, start: int, length: int
) -> None:
    monkeypatch.setattr(limits, "OCI_KEPT_BYTES", kept)
    source = opened(image(registry, [MODEL], media_type=media_type))
    source._packed.layers._room = kept
    assert source.read("model.safetensors", start, length) == WEIGHTS[start : start + length]
    assert source.read("config.json", 0, 10) == b"{}"


def test_reading_forward_fetches_a_layer_once_more(registry: Registry, opened: Opened) -> None:
    names = [f"m/{number}" for number in range(5)]
    source = opened(image(registry, [[Entry(f"models/{name}", name.encode() * 400_000) for name in names]]))
    source._packed.layers._room = 0
    source.list()
    before = len(registry.requests)
    for entry in source.list().files:
        for start in range(0, entry.size, limits.OCI_CHUNK_BYTES):
            assert source.read(entry.path, start, limits.OCI_CHUNK_BYTES)
    assert len(registry.requests) - before == 1


def test_what_formats_look_at_is_kept(registry: Registry, opened: Opened) -> None:
    source = opened(image(registry, [MODEL]))
    source.list()
    before = len(registry.requests)
    source.read("config.json", 0, 2)
    source.read("model.safetensors", 0, 100_000)
    source.read("model.safetensors", len(WEIGHTS) - limits.SAFETENSORS_TAIL_BYTES, limits.SAFETENSORS_TAIL_BYTES)
    assert len(registry.requests) == before


@pytest.mark.parametrize("media_type", [TAR, TAR_GZIP])
def test_other_bytes_the_second_time_are_found_out(registry: Registry, opened: Opened, media_type: str) -> None:
    good, evil = bytes(3_000_000), bytes(2_999_999) + b"!"
    digest = image(registry, [[Entry("models/a", good), Entry("models/z", os.urandom(2_000_000))]], media_type=media_type)
    source = opened(digest)
    source._packed.layers._room = 0
    source.list()
    layer = tar([Entry("models/a", evil), Entry("models/z", os.urandom(2_000_000))])
    data = gzip.compress(layer, mtime=0) if media_type == TAR_GZIP else layer
    registry.spoil = lambda request, answer: (
        spoiled(request.headers.get("range", ""), data) if "/blobs/" in request.path else answer
    )
    with pytest.raises(UnavailableError):
        source.read("a", 2_500_000, 400_000)
    registry.spoil = lambda _request, answer: answer
    assert source.read("a", 2_500_000, 400_000) == good[2_500_000:2_900_000]


def spoiled(wanted: str, data: bytes) -> Answer:
    if not wanted:
        return Answer(body=data)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    part = data[int(first) : int(last) + 1]
    return Answer(206, {"content-range": f"bytes {first}-{last}/{len(data)}"}, part)


def test_other_bytes_than_the_digest_names_are_no_fact(registry: Registry, opened: Opened) -> None:
    digest = image(registry, [MODEL], media_type=TAR)
    evil = tar([folder("models"), *files(models__config_dot_json=b"[]", models__model_dot_safetensors=WEIGHTS)])
    registry.spoil = lambda r, a: spoiled(r.headers["range"], evil) if "/blobs/" in r.path and "range" in r.headers else a
    with pytest.raises(UnavailableError, match="other bytes"):
        opened(digest).list()


def test_a_layer_that_is_missing_is_no_fact(registry: Registry, opened: Opened) -> None:
    digest = image(registry, [MODEL])
    registry.spoil = lambda r, a: (
        Answer(404) if "/blobs/" in r.path and json.loads(registry.manifests[digest])["config"]["digest"] not in r.path else a
    )
    with pytest.raises(UnavailableError, match="cannot be read"):
        opened(digest).list()


def test_a_layer_that_is_in_an_image_twice_is_unpacked_once(registry: Registry, opened: Opened) -> None:
    layer = [Entry("models/a", os.urandom(100_000))]
    source = opened(image(registry, [layer, layer]))
    assert list(listed(source)) == ["a"]
    assert sum("/blobs/" in request.path for request in registry.requests) == 2  # the configuration, and the layer


def test_more_than_may_be_read_is_refused_before_it_is_read(registry: Registry, opened: Opened) -> None:
    digest = image(registry, [MODEL])
    with pytest.raises(LimitExceededError, match="a Job reads every byte"):
        opened(digest, packed_bytes=1_000_000).list()
    assert not any("/blobs/" in request.path for request in registry.requests)


def test_more_than_may_be_unpacked_is_refused(registry: Registry, opened: Opened) -> None:
    with pytest.raises(LimitExceededError, match="unpack to more"):
        opened(image(registry, [[Entry("models/a", bytes(2_000_000))]]), unpacked_bytes=1_000_000).list()


def test_a_bomb_is_refused(registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OCI_INFLATED_BYTES", 1 << 20)
    with pytest.raises(LimitExceededError, match="times its size"):
        opened(image(registry, [[Entry("models/a", bytes(64 << 20))]])).list()


def test_too_many_entries_are_refused(registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OCI_ENTRIES", 3)
    with pytest.raises(LimitExceededError, match="entries"):
        opened(image(registry, [files(a=b"", b=b""), files(c=b"", d=b"")])).list()


def test_folders_that_one_path_makes_count(registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = image(registry, [[Entry("/".join(f"{number}{part}" for part in range(20)), b"") for number in range(5)]])
    package = kit(registry, [("model", [Entry("/".join(f"{number}{part}" for part in range(20)), b"") for number in range(5)])])
    monkeypatch.setattr(limits, "OCI_ENTRIES", 50)
    for digest in (deep, package):
        with pytest.raises(LimitExceededError, match="folders"):
            opened(digest).list()


def test_a_layer_that_comes_many_times_counts_each_time(
    registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = image(registry, [files(a=b"")] * 60)
    monkeypatch.setattr(limits, "OCI_ENTRIES", 50)
    with pytest.raises(LimitExceededError, match="entries"):
        opened(digest).list()


def test_too_many_files_of_a_model_are_refused(registry: Registry, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [image(registry, [files(a=b"", b=b"")]), kit(registry, [("model", files(a=b"", b=b""))])]
    monkeypatch.setattr(limits, "FILES", 1)
    for digest in digests:
        with pytest.raises(LimitExceededError, match="more than 1 files"):
            opened(digest).list()


def test_an_archive_in_a_layer_is_a_file_that_nobody_opens(registry: Registry, opened: Opened) -> None:
    inner = tar([Entry("../../evil", b"x")])
    assert listed(opened(image(registry, [[Entry("models/a.tar", inner)]]))) == {"a.tar": sha256(inner)}


def test_progress_is_told_while_layers_are_read(registry: Registry, opened: Opened) -> None:
    told: list[int] = []
    opened(image(registry, [MODEL]), progress=told.append).list()
    assert sum(told) > len(WEIGHTS)


def test_a_signature_in_the_folder_is_found(registry: Registry, opened: Opened) -> None:
    digest = image(registry, [[*MODEL, Entry("models/model.sig", b"a bundle"), Entry("models/other.json", b"another")]])
    registry.refer(digest, b"a third")
    assert opened(digest, signature_paths=("other.json",)).signatures() == (b"a third", b"another", b"a bundle")


def test_layers_of_ollama_are_files_although_its_configuration_is_an_images(registry: Registry, opened: Opened) -> None:
    layer = registry.layer(b"GGUF", media_type="application/vnd.ollama.image.model")
    assert list(listed(opened(push(registry, {}, [layer], config_type=IMAGE_CONFIG)))) == [f"sha256-{layer['digest'][7:]}.gguf"]
