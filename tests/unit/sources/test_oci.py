import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import sys
import tarfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits, simple_signing
from modeltrust.domain.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    ModelTrustError,
    NotFoundError,
    UnavailableError,
)
from modeltrust.domain.listing import FileKind
from modeltrust.domain.reference import ModelReference, Revision, RevisionState, parse_reference
from modeltrust.domain.source import Source
from modeltrust.sources.http import Client
from modeltrust.sources.interface import Credentials
from modeltrust.sources.oci import OciSource
from tests.support.images import FILEPATH, push
from tests.support.registry import (
    IMAGE_CONFIG,
    INDEX,
    MANIFEST,
    TAR,
    Answer,
    Registry,
    Request,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEGACY_FILEPATH = "org.cnai.model.filepath"
WEIGHTS = os.urandom(limits.OCI_WHOLE_BLOB_BYTES + 4_096)
NOWHERE = "sha256:" + "0" * 64


def source(registry: Registry, client: Client, digest: str, credentials: Credentials | None = None) -> OciSource:
    return OciSource(*parse_reference(f"oci://{registry.address}/models/guard@{digest}"), client, credentials)


def model(registry: Registry) -> str:
    return registry.push([registry.layer(WEIGHTS, title="model.safetensors"), registry.layer(b"{}", title="config.json")])


def tar_of(name: str, data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def spoiling(part: str, change: Callable[[Answer], Answer]) -> Callable[[Request, Answer], Answer]:
    return lambda request, answer: change(answer) if part in request.path else answer


# --- listing -----------------------------------------------------------------------------------------------------------------


def test_raw_layers_are_files_with_the_digest_of_the_layer(registry: Registry, client: Client) -> None:
    oci: Source = source(registry, client, model(registry))
    listing = oci.list()
    assert [(e.path, e.size, e.kind) for e in listing.files] == [
        ("config.json", 2, FileKind.FILE),
        ("model.safetensors", len(WEIGHTS), FileKind.FILE),
    ]
    assert all(f"sha256:{entry.sha256}" in registry.blobs for entry in listing.files)
    assert not listing.bytes_read
    assert listing.revision.state is RevisionState.DIGEST


def test_a_listing_downloads_no_layer(registry: Registry, client: Client) -> None:
    source(registry, client, model(registry)).list()
    assert [request.path.split("/")[4] for request in registry.requests] == ["manifests"]


LAYOUTS = [
    (
        "application/vnd.cncf.model.weight.v1.raw",
        {"org.cncf.model.filepath": "a/model.safetensors"},
        "a/model.safetensors",
        FileKind.FILE,
    ),
    ("application/vnd.docker.ai.gguf.v3", {}, ".gguf", FileKind.FILE),
    ("application/vnd.docker.ai.safetensors", {"org.cncf.model.filepath": "m.safetensors"}, "m.safetensors", FileKind.FILE),
    ("application/vnd.docker.ai.vllm.config.tar", {}, None, FileKind.ARCHIVE),
    ("application/vnd.docker.ai.dir.tar", {}, None, FileKind.ARCHIVE),
    ("application/vnd.kitops.modelkit.model.v1.tar+gzip", {}, None, FileKind.ARCHIVE),
    ("application/vnd.ollama.image.model", {}, ".gguf", FileKind.FILE),
    ("application/vnd.ollama.image.tensor", {}, "", FileKind.FILE),
    ("application/vnd.oci.image.layer.v1.tar", {}, None, FileKind.ARCHIVE),
    ("application/vnd.oci.image.layer.v1.tar+gzip", {"org.opencontainers.image.title": "folder"}, "folder", FileKind.ARCHIVE),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", {}, None, FileKind.ARCHIVE),
    ("application/zip", {"org.opencontainers.image.title": "m.zip"}, "m.zip", FileKind.ARCHIVE),
    ("application/x-tar", {"org.opencontainers.image.title": "m.tar"}, "m.tar", FileKind.ARCHIVE),
    ("application/gzip", {}, None, FileKind.ARCHIVE),
    ("application/vnd.example.unheard.of", {"org.opencontainers.image.title": "m.xyz"}, "m.xyz", FileKind.FILE),
    ("text/plain", {"org.opencontainers.image.title": "d", "io.deis.oras.content.unpack": "true"}, "d", FileKind.ARCHIVE),
]


@pytest.mark.parametrize(("media_type", "annotations", "path", "kind"), LAYOUTS)
def test_each_layout_lists_its_layers_as_what_they_are(
    registry: Registry, client: Client, media_type: str, annotations: dict[str, str], path: str | None, kind: FileKind
) -> None:
    layer = registry.layer(b"content", media_type=media_type, **annotations)
    (entry,) = source(registry, client, registry.push([layer])).list().files
    assert entry.kind is kind
    expected = path if path and not path.startswith(".") else f"sha256-{layer['digest'][7:]}{path or ''}"
    assert entry.path == expected


def test_a_file_whose_type_nobody_stated_is_a_file_if_its_bytes_are_no_tar(registry: Registry, client: Client) -> None:
    layers = [
        registry.layer(WEIGHTS, title="model.safetensors", media_type=TAR),
        registry.layer(b"short", title="short.json", media_type=TAR),
    ]
    assert {e.kind for e in source(registry, client, registry.push(layers)).list().files} == {FileKind.FILE}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_file_that_is_also_a_tar_is_an_archive_whatever_its_name(registry: Registry, client: Client, form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        archive.addfile(tarfile.TarInfo("pickle.bin"))
    layer = registry.layer(out.getvalue(), title="model.safetensors", media_type=TAR)
    (entry,) = source(registry, client, registry.push([layer])).list().files
    assert entry.kind is FileKind.ARCHIVE


@pytest.mark.parametrize("config", [IMAGE_CONFIG, "application/vnd.docker.container.image.v1+json"])
@pytest.mark.parametrize("kind", ["application/octet-stream", "application/vnd.cncf.model.weight.v1.raw", "application/x-weights"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, bz2.compress, lzma.compress])
def test_m7_what_an_image_unpacks_is_an_archive_whatever_type_it_claims(
    registry: Registry, client: Client, config: str, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    # CRI-O takes every layer of an image for a tar and goes by the first bytes; containerd passes these over
    layer = registry.layer(pack(tar_of("evil.py", b"import os")), title="notes.txt", media_type=kind)
    listing = source(registry, client, push(registry, {}, [layer], config_type=config)).list()
    assert [(e.path, e.kind) for e in listing.files] == [("notes.txt", FileKind.ARCHIVE)]


def test_m7_a_model_pack_that_calls_itself_an_image_is_not_looked_into(registry: Registry, client: Client) -> None:
    tar = registry.layer(tar_of("a.txt", b"a"), media_type="application/vnd.cncf.model.doc.v1.tar", **{FILEPATH: "a.txt"})
    raw = registry.layer(tar_of("evil.py", b"b"), media_type="application/vnd.cncf.model.doc.v1.raw", **{FILEPATH: "b.txt"})
    listing = source(registry, client, push(registry, {}, [tar, raw])).list()
    assert {e.path: e.kind for e in listing.files} == {"a.txt": FileKind.ARCHIVE, "b.txt": FileKind.ARCHIVE}


def test_the_raw_layers_of_ollama_are_files_although_it_calls_them_an_image(registry: Registry, client: Client) -> None:
    layer = registry.layer(WEIGHTS, media_type="application/vnd.ollama.image.model")
    listing = source(
        registry, client, push(registry, {}, [layer], config_type="application/vnd.docker.container.image.v1+json")
    ).list()
    assert [e.kind for e in listing.files] == [FileKind.FILE]


def test_a_path_in_modctls_older_annotation_is_the_path(registry: Registry, client: Client) -> None:
    layer = registry.layer(b"import os", media_type="application/vnd.cncf.model.doc.v1.raw", **{LEGACY_FILEPATH: "evil.py"})
    assert [e.path for e in source(registry, client, registry.push([layer])).list().files] == ["evil.py"]


def test_a_title_beside_another_path_in_modctls_older_annotation_is_refused(registry: Registry, client: Client) -> None:
    layer = registry.layer(b"import os", title="notes.txt", **{LEGACY_FILEPATH: "modeling.py"})
    with pytest.raises(MalformedError, match="expected one"):
        source(registry, client, registry.push([layer])).list()


def test_a_titled_layer_of_an_image_is_a_layer_whatever_its_title_says(registry: Registry, client: Client) -> None:
    layer = registry.layer(b"no tar at all" * 100, title="model.safetensors", media_type=TAR)
    with pytest.raises(MalformedError):
        source(registry, client, registry.push([layer], config=IMAGE_CONFIG)).list()


def test_an_index_of_one_manifest_is_that_manifest(registry: Registry, client: Client) -> None:
    child = model(registry)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": child, "size": 1}]}
    assert len(source(registry, client, registry.push_manifest(index)).list().files) == 2


def test_an_index_inside_an_index_is_refused(registry: Registry, client: Client) -> None:
    inner = registry.push_manifest({"schemaVersion": 2, "manifests": []})
    outer = {"schemaVersion": 2, "manifests": [{"mediaType": INDEX, "digest": inner, "size": 1}]}
    with pytest.raises(MalformedError, match="inside an index"):
        source(registry, client, registry.push_manifest(outer)).list()


def descriptor(**changes: Any) -> dict[str, Any]:
    return {"mediaType": "text/plain", "digest": NOWHERE, "size": 3, "annotations": {}} | changes


BAD_DOCUMENTS: list[tuple[str, Any]] = [
    ("no JSON", b"<html>"),
    ("no object", []),
    ("no schemaVersion", {"layers": [], "config": descriptor()}),
    ("schema 1", {"schemaVersion": 1, "fsLayers": [], "history": []}),
    ("a boolean for a number", {"schemaVersion": True, "layers": [], "config": descriptor()}),
    ("neither", {"schemaVersion": 2}),
    ("both", {"schemaVersion": 2, "manifests": [], "layers": [], "config": descriptor()}),
    ("an index that says manifest", {"schemaVersion": 2, "mediaType": MANIFEST, "manifests": []}),
    ("a manifest that says index", {"schemaVersion": 2, "mediaType": INDEX, "layers": [], "config": descriptor()}),
    ("another media type", {"schemaVersion": 2, "mediaType": "text/plain", "layers": [], "config": descriptor()}),
    ("a list for a media type", {"schemaVersion": 2, "mediaType": [], "layers": [], "config": descriptor()}),
    ("no config", {"schemaVersion": 2, "layers": []}),
    ("layers of another type", {"schemaVersion": 2, "layers": {}, "config": descriptor()}),
    ("duplicate keys", b'{"schemaVersion":2,"schemaVersion":2,"layers":[],"config":{}}'),
]
BAD_LAYERS: list[tuple[str, Any]] = [
    ("no object", "layer"),
    ("no digest", {"mediaType": "text/plain", "size": 3}),
    ("a short digest", descriptor(digest="sha256:abc")),
    ("an upper-case digest", descriptor(digest="sha256:" + "A" * 64)),
    ("another algorithm", descriptor(digest="sha512:" + "0" * 128)),
    ("a digest of another type", descriptor(digest=5)),
    ("no size", {"mediaType": "text/plain", "digest": NOWHERE}),
    ("a negative size", descriptor(size=-1)),
    ("a huge size", descriptor(size=1 << 60)),
    ("a boolean size", descriptor(size=True)),
    ("a fractional size", descriptor(size=3.5)),
    ("no bytes under a digest of some", descriptor(size=0)),
    ("bytes under the digest of none", descriptor(digest=f"sha256:{hashlib.sha256(b'').hexdigest()}")),
    ("bytes elsewhere", descriptor(urls=["https://elsewhere.example/x"])),
    ("annotations of another type", descriptor(annotations=["x"])),
    ("an annotation of another type", descriptor(annotations={"org.opencontainers.image.title": 5})),
    ("an endless annotation", descriptor(annotations={"x": "y" * (limits.OCI_TEXT_CHARACTERS + 1)})),
    ("no media type", {"digest": NOWHERE, "size": 3}),
    ("two paths", descriptor(annotations={"org.cncf.model.filepath": "a", "org.opencontainers.image.title": "b"})),
]


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in BAD_DOCUMENTS])
def test_a_malformed_manifest_is_refused(registry: Registry, client: Client, document: Any) -> None:
    with pytest.raises(MalformedError):
        source(registry, client, registry.push_manifest(document)).list()


@pytest.mark.parametrize("layer", [pytest.param(layer, id=name) for name, layer in BAD_LAYERS])
def test_a_malformed_layer_is_refused(registry: Registry, client: Client, layer: Any) -> None:
    with pytest.raises(MalformedError):
        source(registry, client, registry.push([layer])).list()


def test_two_layers_of_one_path_are_refused(registry: Registry, client: Client) -> None:
    layers = [registry.layer(b"a", title="config.json"), registry.layer(b"b", title="config.json")]
    with pytest.raises(MalformedError, match="two layers"):
        source(registry, client, registry.push(layers)).list()


def test_too_many_layers_are_refused(registry: Registry, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 1)
    with pytest.raises(LimitExceededError, match="layers"):
        source(registry, client, model(registry)).list()


def test_too_large_a_manifest_is_refused(registry: Registry, client: Client) -> None:
    digest = registry.push_manifest(b" " * (limits.OCI_MANIFEST_BYTES + 1))
    with pytest.raises(LimitExceededError):
        source(registry, client, digest).list()


def test_other_bytes_than_the_digest_names_are_refused(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.manifests[digest] = json.dumps(registry.document([])).encode()
    with pytest.raises(UnavailableError, match="other bytes"):
        source(registry, client, digest).list()


@given(
    st.binary(max_size=60) | st.text(max_size=30).map(lambda t: json.dumps({"schemaVersion": 2, "layers": t, "config": t}).encode())
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_manifest_raises_anything_but_our_errors(registry: Registry, client: Client, data: bytes) -> None:
    with pytest.raises(ModelTrustError):
        source(registry, client, registry.push_manifest(data)).list()


@pytest.mark.parametrize("status", [400, 403, 405, 500, 503, 429])
def test_an_error_is_not_an_absence(registry: Registry, client: Client, status: int) -> None:
    digest = model(registry)
    registry.spoil = spoiling("/manifests/", lambda _: Answer(status))
    with pytest.raises(UnavailableError, match=str(status)):
        source(registry, client, digest).list()


def test_a_missing_manifest_is_an_absence(registry: Registry, client: Client) -> None:
    with pytest.raises(NotFoundError):
        source(registry, client, NOWHERE).list()


REVISIONS = [Revision(RevisionState.NONE), Revision(RevisionState.TAG, "v1"), Revision(RevisionState.COMMIT, "0" * 40)]


@pytest.mark.parametrize("revision", REVISIONS)
def test_only_a_digest_names_a_model_in_a_registry(client: Client, revision: Revision) -> None:
    with pytest.raises(InvalidReferenceError, match="digest"):
        OciSource(ModelReference("oci", "registry.test/models/guard"), revision, client)


def test_only_registries_are_asked(client: Client) -> None:
    digest = Revision(RevisionState.DIGEST, NOWHERE)
    with pytest.raises(InvalidReferenceError):
        OciSource(ModelReference("hf", "acme/guard"), digest, client)
    with pytest.raises(InvalidReferenceError):
        OciSource(ModelReference("oci", "registry.test/x", "https://mirror.test"), digest, client)


# --- reading -----------------------------------------------------------------------------------------------------------------


RANGES = [(0, 10), (8, 100_000), (len(WEIGHTS) - 10, 10), (len(WEIGHTS) - 10, 100), (0, len(WEIGHTS)), (len(WEIGHTS), 5), (5, 0)]


@pytest.mark.parametrize("ignore_range", [False, True])
@pytest.mark.parametrize(("start", "length"), RANGES)
def test_a_range_is_exact_whether_the_registry_knows_ranges_or_not(
    registry: Registry, client: Client, start: int, length: int, *, ignore_range: bool
) -> None:
    registry.ignore_range = ignore_range
    oci = source(registry, client, model(registry))
    assert oci.read("model.safetensors", start, length) == WEIGHTS[start : start + length]


def test_small_files_are_fetched_once_and_whole(registry: Registry, client: Client) -> None:
    oci = source(registry, client, model(registry))
    assert (oci.read("config.json", 0, 1), oci.read("config.json", 1, 9)) == (b"{", b"}")
    blobs = [request for request in registry.requests if "/blobs/" in request.path]
    assert [request.headers.get("range") for request in blobs] == [None]


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
def test_a_whole_file_with_other_bytes_is_refused(registry: Registry, client: Client, path: str) -> None:
    oci = source(registry, client, model(registry))
    registry.spoil = spoiling("/blobs/", lambda a: Answer(a.status, a.headers, a.body[::-1]))
    with pytest.raises(UnavailableError, match="other bytes"):
        oci.read(path, 0, len(WEIGHTS))


@pytest.mark.parametrize("ignore_range", [False, True])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_size_in_the_manifest_that_the_blob_belies_hides_nothing(
    registry: Registry, client: Client, change: int, *, ignore_range: bool
) -> None:
    registry.ignore_range = ignore_range
    layer = registry.layer(WEIGHTS, title="model.safetensors") | {"size": len(WEIGHTS) + change}
    oci = source(registry, client, registry.push([layer]))
    for start, length in ((0, 100), (len(WEIGHTS) - 100, 50), (0, len(WEIGHTS) + change)):
        with pytest.raises(UnavailableError):
            oci.read("model.safetensors", start, length)


def test_an_empty_file_is_read_as_one(registry: Registry, client: Client) -> None:
    assert source(registry, client, registry.push([registry.layer(b"", title="empty")])).read("empty", 0, 10) == b""


CHECKSUM_FIELDS = [b"%06o\0 ", b"%06o \0", b"%07o\0", b"%08o", b"  %04o\0\0", b"0o%04o\0\0", b"\0%06o\0", b"base"]


@pytest.mark.parametrize("field", CHECKSUM_FIELDS)
def test_a_tar_is_recognised_however_its_checksum_is_written(registry: Registry, client: Client, field: bytes) -> None:
    block = bytearray(tar_of("pickle.bin", b"x" * 600))
    total = int(bytes(block[148:154]), 8)
    written = field % total if b"%" in field else b"\x80" + total.to_bytes(7, "big")
    block[148:156] = written.ljust(8, b"\0")
    layer = registry.layer(bytes(block), title="model.safetensors", media_type=TAR)
    (entry,) = source(registry, client, registry.push([layer])).list().files
    assert entry.kind is FileKind.ARCHIVE


@pytest.mark.parametrize("where", [0, 100, 148, 400])
def test_a_block_whose_checksum_is_wrong_is_no_tar(registry: Registry, client: Client, where: int) -> None:
    block = bytearray(tar_of("pickle.bin", b"x" * 600))
    block[where] ^= 0x40
    layer = registry.layer(bytes(block), title="model.safetensors", media_type=TAR)
    (entry,) = source(registry, client, registry.push([layer])).list().files
    assert entry.kind is FileKind.FILE


def test_a_long_range_is_not_cut_by_the_bound_on_registries_without_ranges(
    registry: Registry, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OCI_UNRANGED_BYTES", 10)
    assert source(registry, client, model(registry)).read("model.safetensors", 5, 1000) == WEIGHTS[5:1005]


SPOILED_RANGES: list[tuple[str, Callable[[Answer], Answer]]] = [
    ("another start", lambda a: Answer(206, {"content-range": f"bytes 9-18/{len(WEIGHTS)}"}, a.body)),
    ("another end", lambda a: Answer(206, {"content-range": f"bytes 8-99/{len(WEIGHTS)}"}, a.body)),
    ("another size", lambda a: Answer(206, {"content-range": "bytes 8-17/18"}, a.body)),
    ("unknown size", lambda a: Answer(206, {"content-range": "bytes 8-17/*"}, a.body)),
    ("no Content-Range", lambda a: Answer(206, {}, a.body)),
    ("fewer bytes", lambda a: Answer(206, a.headers, a.body[:-1])),
    ("more bytes", lambda a: Answer(206, a.headers, a.body + b"x")),
    ("several parts", lambda a: Answer(206, {"content-type": "multipart/byteranges"}, a.body)),
    ("status 416", lambda _: Answer(416)),
    ("status 204", lambda _: Answer(204)),
    ("a short 200", lambda _: Answer(200, body=WEIGHTS[:12])),
    ("a redirect to elsewhere", lambda _: Answer(307, {"location": "https://cdn.example/blob?signature=secret"})),
    ("an encoding", lambda a: Answer(206, a.headers | {"content-encoding": "gzip"}, gzip.compress(a.body))),
    ("a missing blob", lambda _: Answer(404)),
    ("status 500", lambda _: Answer(500)),
    ("status 401", lambda _: Answer(401)),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in SPOILED_RANGES])
def test_another_answer_to_a_range_than_that_range_is_unavailable_never_short(
    registry: Registry, client: Client, change: Callable[[Answer], Answer]
) -> None:
    oci = source(registry, client, model(registry))
    registry.spoil = spoiling("/blobs/", change)
    with pytest.raises(UnavailableError) as caught:
        oci.read("model.safetensors", 8, 10)
    assert "secret" not in str(caught.value)


def test_a_registry_that_ignores_ranges_is_not_read_without_end(
    registry: Registry, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OCI_UNRANGED_BYTES", 1000)
    registry.ignore_range = True
    oci = source(registry, client, model(registry))
    with pytest.raises(UnavailableError, match="expected 10"):
        oci.read("model.safetensors", 2000, 10)


@pytest.mark.parametrize("path", ["missing", "", "../config.json", "/config.json"])
def test_a_file_that_is_not_listed_is_not_there(registry: Registry, client: Client, path: str) -> None:
    with pytest.raises(NotFoundError):
        source(registry, client, model(registry)).read(path, 0, 1)


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1)])
def test_a_negative_range_is_refused(registry: Registry, client: Client, start: int, length: int) -> None:
    with pytest.raises(MalformedError):
        source(registry, client, model(registry)).read("config.json", start, length)


# --- signatures --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("referrers_api", [True, False])
def test_bundles_that_refer_to_the_manifest_are_found_by_api_or_fallback_tag(
    registry: Registry, client: Client, *, referrers_api: bool
) -> None:
    registry.referrers_api = referrers_api
    digest = model(registry)
    registry.refer(digest, b"first")
    registry.refer(digest, b"second")
    assert set(source(registry, client, digest).signatures()) == {b"first", b"second"}


@pytest.mark.parametrize("referrers_api", [True, False])
def test_without_referrers_there_is_no_signature(registry: Registry, client: Client, *, referrers_api: bool) -> None:
    registry.referrers_api = referrers_api
    assert source(registry, client, model(registry)).signatures() == ()


def test_a_layer_named_model_sig_is_a_signature_and_comes_last(registry: Registry, client: Client) -> None:
    digest = registry.push([registry.layer(b"{}", title="config.json"), registry.layer(b"oms", title="model.sig")])
    registry.refer(digest, b"cosign")
    assert source(registry, client, digest).signatures() == (b"cosign", b"oms")


def test_signatures_in_cosign_s_old_tag_are_found_with_what_signs_them(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.refer(digest, b"bundle")
    registry.sign(digest, (b"first", {simple_signing.SIGNATURE: "eA==", "dev.sigstore.cosign/chain": "PEM"}), (b"second", {}))
    expected = (simple_signing.document(b"first", {simple_signing.SIGNATURE: "eA=="}), simple_signing.document(b"second", {}))
    assert source(registry, client, digest).signatures() == (b"bundle", *expected)


def test_other_layers_in_the_old_tag_are_no_signatures(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.push_manifest(registry.document([registry.layer(b"sbom")]), tag=f"{digest.replace(':', '-')}.sig")
    assert source(registry, client, digest).signatures() == ()


def test_more_signatures_in_the_old_tag_than_can_be_judged_are_a_refusal(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.sign(digest, *((b"%d" % number, {}) for number in range(limits.BUNDLES_PER_MODEL + 1)))
    with pytest.raises(LimitExceededError):
        source(registry, client, digest).signatures()


@pytest.mark.parametrize("body", [b"{}", b'{"schemaVersion": 2, "manifests": []}', b"not JSON"])
def test_an_old_tag_that_is_no_manifest_is_a_refusal(registry: Registry, client: Client, body: bytes) -> None:
    digest = model(registry)
    registry.push_manifest(body, tag=f"{digest.replace(':', '-')}.sig")
    with pytest.raises(MalformedError):
        source(registry, client, digest).signatures()


def test_a_signature_whose_layer_is_missing_is_unavailable(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.sign(digest, (b"payload", {}))
    del registry.blobs[f"sha256:{hashlib.sha256(b'payload').hexdigest()}"]
    with pytest.raises(UnavailableError):
        source(registry, client, digest).signatures()


def test_a_packed_model_sig_is_no_signature(registry: Registry, client: Client) -> None:
    layer = registry.layer(b"oms", title="model.sig", media_type="application/gzip")
    assert source(registry, client, registry.push([layer])).signatures() == ()


def test_pages_of_referrers_are_followed(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.page = 1
    for number in range(3):
        registry.refer(digest, f"{number}".encode())
    assert len(source(registry, client, digest).signatures()) == 3


def test_endless_pages_of_referrers_are_refused(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.page = 1
    for number in range(limits.OCI_REFERRER_PAGES + 1):
        registry.refer(digest, f"{number}".encode())
    with pytest.raises(UnavailableError, match="pages"):
        source(registry, client, digest).signatures()


NEXT_PAGES = ["https://elsewhere.example/v2/models/guard/referrers/x", "/v2/other/referrers/x", "/v2/models/guard/blobs/x"]


@pytest.mark.parametrize("link", NEXT_PAGES)
def test_a_next_page_elsewhere_is_refused(registry: Registry, client: Client, link: str) -> None:
    digest = model(registry)
    registry.spoil = spoiling("/referrers/", lambda a: Answer(200, {"link": f'<{link}>; rel="next"'}, a.body))
    with pytest.raises(UnavailableError, match="outside"):
        source(registry, client, digest).signatures()


def test_a_bundle_that_refers_to_another_manifest_does_not_count(registry: Registry, client: Client) -> None:
    registry.referrers_api = False
    digest = model(registry)
    other = registry.push([registry.layer(b"x", title="x")])
    registry.refer(other, b"bundle")
    registry.manifests[digest.replace(":", "-")] = registry.manifests[other.replace(":", "-")]
    assert source(registry, client, digest).signatures() == ()


def test_referrers_of_other_types_do_not_count(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.refer(digest, b"{}", media_type="application/spdx+json")
    assert source(registry, client, digest).signatures() == ()


def test_a_referrer_that_is_gone_vouches_for_nothing(registry: Registry, client: Client) -> None:
    registry.referrers_api = False
    digest = model(registry)
    del registry.manifests[registry.refer(digest, b"bundle")]
    assert source(registry, client, digest).signatures() == ()


def test_too_many_referrers_or_bundles_are_refused(registry: Registry, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = model(registry)
    for number in range(3):
        registry.refer(digest, f"{number}".encode())
    monkeypatch.setattr(limits, "BUNDLES_PER_MODEL", 2)
    with pytest.raises(LimitExceededError, match="bundles"):
        source(registry, client, digest).signatures()
    monkeypatch.setattr(limits, "OCI_REFERRERS", 2)
    with pytest.raises(LimitExceededError, match="referrers"):
        source(registry, client, digest).signatures()


def test_too_large_a_bundle_is_refused_before_it_is_fetched(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.refer(digest, b"x" * (limits.BUNDLE_BYTES + 1))
    with pytest.raises(LimitExceededError, match="bundle of"):
        source(registry, client, digest).signatures()
    assert not any("/blobs/" in request.path for request in registry.requests)


def test_a_bundle_that_is_listed_and_missing_is_unavailable(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.refer(digest, b"bundle")
    registry.spoil = spoiling("/blobs/", lambda _: Answer(404))
    with pytest.raises(UnavailableError, match="missing"):
        source(registry, client, digest).signatures()


def test_a_bundle_with_other_bytes_is_refused(registry: Registry, client: Client) -> None:
    digest = model(registry)
    registry.refer(digest, b"bundle")
    registry.spoil = spoiling("/blobs/", lambda a: Answer(200, {}, a.body[::-1]))
    with pytest.raises(UnavailableError, match="other bytes"):
        source(registry, client, digest).signatures()


@pytest.mark.parametrize("status", [400, 403, 405, 500])
def test_an_error_of_the_referrers_is_not_an_unsigned_model(registry: Registry, client: Client, status: int) -> None:
    digest = model(registry)
    registry.spoil = spoiling("/referrers/", lambda _: Answer(status))
    with pytest.raises(UnavailableError):
        source(registry, client, digest).signatures()


def test_an_error_of_the_fallback_tag_is_not_an_unsigned_model(registry: Registry, client: Client) -> None:
    registry.referrers_api = False
    digest = model(registry)
    registry.spoil = spoiling("/manifests/sha256-", lambda _: Answer(500))
    with pytest.raises(UnavailableError):
        source(registry, client, digest).signatures()


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"schemaVersion":2,"manifests":[{}]}'])
def test_a_malformed_index_of_referrers_is_refused(registry: Registry, client: Client, body: bytes) -> None:
    digest = model(registry)
    registry.spoil = spoiling("/referrers/", lambda _: Answer(200, {}, body))
    with pytest.raises(MalformedError):
        source(registry, client, digest).signatures()


def test_a_manifest_in_place_of_the_fallback_index_is_refused(registry: Registry, client: Client) -> None:
    registry.referrers_api = False
    digest = model(registry)
    registry.manifests[digest.replace(":", "-")] = registry.manifests[digest]
    with pytest.raises(MalformedError, match="index of referrers"):
        source(registry, client, digest).signatures()


# --- authentication ----------------------------------------------------------------------------------------------------------


def robot(registry: Registry) -> Credentials:
    return Credentials(registry.address, registry.username, registry.password)


@pytest.mark.parametrize("authentication", ["basic", "bearer"])
def test_the_registrys_own_credential_opens_it(registry: Registry, client: Client, authentication: str) -> None:
    registry.authentication = authentication
    oci = source(registry, client, model(registry), robot(registry))
    assert oci.read("config.json", 0, 2) == b"{}"
    assert oci.signatures() == ()


def test_a_public_repository_gives_a_token_to_anybody(registry: Registry, client: Client) -> None:
    registry.authentication = "bearer"
    assert len(source(registry, client, model(registry)).list().files) == 2


def test_an_expired_token_is_renewed(registry: Registry, client: Client) -> None:
    registry.authentication = "bearer"
    oci = source(registry, client, model(registry))
    oci.list()
    registry.token = "token-2"
    assert oci.read("config.json", 0, 2) == b"{}"


def test_without_a_credential_a_closed_registry_is_unavailable(registry: Registry, client: Client) -> None:
    registry.authentication = "basic"
    with pytest.raises(UnavailableError, match="no credential"):
        source(registry, client, model(registry)).list()


@pytest.mark.parametrize("authentication", ["basic", "bearer"])
def test_a_wrong_password_is_unavailable_and_never_shown(registry: Registry, client: Client, authentication: str) -> None:
    registry.authentication = authentication
    credentials = Credentials(registry.address, "robot", "not-the-password")
    with pytest.raises(UnavailableError, match="401") as caught:
        source(registry, client, model(registry), credentials).list()
    assert "not-the-password" not in f"{caught.value!r} {credentials!r}"


def test_the_credential_of_another_host_is_not_sent(registry: Registry, client: Client) -> None:
    registry.authentication = "bearer"
    source(registry, client, model(registry), Credentials("other.example", "robot", registry.password)).list()
    assert not any(request.headers.get("authorization", "").startswith("Basic") for request in registry.requests)


REALMS = [
    "http://metadata.example/token",
    "file:///etc/passwd",
    "",
    "https://user:pw@evil.example/",
    "https://evil.example/?x=y",
    "::",
]


@pytest.mark.parametrize("realm", REALMS)
def test_a_realm_of_another_form_than_https_is_refused(registry: Registry, client: Client, realm: str) -> None:
    registry.spoil = lambda _request, _answer: Answer(401, {"www-authenticate": f'Bearer realm="{realm}",service="x"'})
    with pytest.raises(UnavailableError):
        source(registry, client, NOWHERE, robot(registry)).list()
    assert len(registry.requests) == 1


CHALLENGES = ["", "Negotiate", "Bearer", "Bearer realm=", 'Digest realm="x"', 'Basic realm="x"', "Bearer " + " " * 5000]


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_a_challenge_that_cannot_be_met_is_unavailable(registry: Registry, client: Client, challenge: str) -> None:
    registry.spoil = lambda _request, _answer: Answer(401, {"www-authenticate": challenge})
    with pytest.raises(UnavailableError, match="authentication"):
        source(registry, client, NOWHERE).list()


TOKENS = [
    b"",
    b"[]",
    b"{}",
    b'{"token":""}',
    b'{"token":5}',
    b'{"token":"a b"}',
    b'{"token":"a\\nX-Evil: 1"}',
    b'{"token":"\\u00e9"}',
]


@pytest.mark.parametrize("body", [*TOKENS, b" " * (limits.OCI_TOKEN_BYTES + 1)])
def test_a_token_service_that_gives_no_token_is_refused(registry: Registry, client: Client, body: bytes) -> None:
    registry.authentication = "bearer"
    registry.spoil = spoiling("/token", lambda _: Answer(200, {}, body))
    with pytest.raises((UnavailableError, MalformedError)):
        source(registry, client, model(registry)).list()


def test_an_access_token_is_a_token(registry: Registry, client: Client) -> None:
    registry.authentication = "bearer"
    registry.spoil = spoiling("/token", lambda _: Answer(200, {}, b'{"access_token":"token-1"}'))
    assert source(registry, client, model(registry)).list().files


def test_a_registry_that_never_accepts_its_own_token_is_unavailable(registry: Registry, client: Client) -> None:
    registry.authentication = "bearer"
    registry.spoil = spoiling("/token", lambda _: Answer(200, {}, b'{"token":"other"}'))
    with pytest.raises(UnavailableError, match="401"):
        source(registry, client, model(registry)).list()
    assert len(registry.requests) == 3


def test_docker_hub_is_asked_at_its_api_host() -> None:
    asked: list[str] = []

    def resolve(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return ()

    reference = parse_reference(f"oci://docker.io/library/guard@{NOWHERE}")
    with pytest.raises(UnavailableError):
        OciSource(*reference, Client(resolve=resolve)).list()
    assert asked == ["registry-1.docker.io"]
