"""The OCI source against real registries: distribution (no Referrers API) and go-containerregistry (with it)."""

import gzip
import hashlib
import io
import json
import os
import resource
import socket
import subprocess
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import oras.client  # type: ignore[import-untyped] # the package ships no types
import pytest
import urllib3

from modeltrust.domain import limits
from modeltrust.domain.digest import content_digest
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.listing import FileKind, SourceListing
from modeltrust.domain.reference import parse_reference
from modeltrust.sources.filesystem import FolderSource
from modeltrust.sources.http import Client
from modeltrust.sources.interface import Credentials
from modeltrust.sources.oci import OciSource
from tests.support import images, tools
from tests.support.authority import server_context
from tests.support.images import Entry
from tests.support.registry import BUNDLE, IMAGE_CONFIG, INDEX, MANIFEST, TITLE

pytestmark = pytest.mark.slow

WEIGHTS = bytes(range(256)) * 8192  # 2 MiB: large enough to be read in parts
SECONDS = 20
PASSWORDS = "robot:$2b$05$Gsflrce2TksxqITry.iaq.DlEo6cduQFdP3nsMH1b/7McryRdsibO\n"  # bcrypt of secret-password
HTTP = urllib3.PoolManager(retries=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(
        command, env=os.environ | {"OTEL_TRACES_EXPORTER": "none"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, "the registry ended"
                assert time.monotonic() < deadline, "the registry does not answer"
                time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(SECONDS)


def distribution(folder: Path, port: int, **http: Any) -> list[str]:
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"} | http.pop("http", {}),
    } | http
    (folder / "config.yml").write_text(json.dumps(config), encoding="utf-8")
    return [str(tools.program("distribution")), "serve", str(folder / "config.yml")]


def go_containerregistry(folder: Path, port: int) -> list[str]:
    return [str(tools.program("ggcr")), str(port), str(folder)]


@pytest.fixture(scope="module", params=[distribution, go_containerregistry], ids=["distribution", "go-containerregistry"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(request.param(tmp_path_factory.mktemp("registry"), port), port) as address:
        yield address


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(plain_http=True)
    yield client
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "model" / "config.json").write_bytes(b"{}")
    (tmp_path / "model" / "sub" / "tokenizer.json").write_bytes(b"[]")
    return tmp_path / "model"


def put_blob(host: str, data: bytes) -> str:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    started = HTTP.request("POST", f"http://{host}/v2/models/guard/blobs/uploads/")
    location = started.headers["location"]
    where = location if location.startswith("http") else f"http://{host}{location}"
    answer = HTTP.request("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", body=data)
    assert answer.status == 201, answer.data
    return digest


def put_manifest(host: str, document: dict[str, Any], tag: str = "") -> str:
    data = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    headers = {"content-type": document["mediaType"]}
    answer = HTTP.request("PUT", f"http://{host}/v2/models/guard/manifests/{tag or digest}", body=data, headers=headers)
    assert answer.status == 201, answer.data
    return digest


def layer(host: str, data: bytes, media_type: str, title: str = "") -> dict[str, Any]:
    descriptor: dict[str, Any] = {"mediaType": media_type, "digest": put_blob(host, data), "size": len(data)}
    return descriptor | ({"annotations": {TITLE: title}} if title else {})


def manifest(host: str, layers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    config = layer(host, b"{}", "application/vnd.oci.empty.v1+json")
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers} | more


def refer(host: str, subject: str, bundle: bytes) -> None:
    """Attach a bundle as cosign v3 does, by the fallback tag too where the registry has no Referrers API."""
    of = {"mediaType": MANIFEST, "digest": subject, "size": 1}
    document = manifest(host, [layer(host, bundle, BUNDLE)], artifactType=BUNDLE, subject=of)
    digest = put_manifest(host, document)
    if HTTP.request("GET", f"http://{host}/v2/models/guard/referrers/{subject}").status == 404:
        entry = {"mediaType": MANIFEST, "digest": digest, "size": len(json.dumps(document)), "artifactType": BUNDLE}
        put_manifest(host, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, subject.replace(":", "-"))


def source(host: str, digest: str, client: Client) -> OciSource:
    return OciSource(*parse_reference(f"oci://{host}/models/guard@{digest}"), client)


def digest_of(listing: SourceListing) -> str:
    return str(content_digest((entry.path, entry.sha256 or "") for entry in listing.files))


def test_what_oras_pushes_has_the_same_content_digest_as_the_folder(
    host: str, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "sub" / "tokenizer.json").unlink()  # this client keeps only the last part of a path
    files = ["model.safetensors", "config.json"]
    answer = oras.client.OrasClient(insecure=True, tls_verify=False).push(f"{host}/models/guard:v1", files=files)
    listing = source(host, str(answer.headers["docker-content-digest"]), client).list()
    assert {entry.kind for entry in listing.files} == {FileKind.FILE}
    assert digest_of(listing) == digest_of(FolderSource(folder).list())


def test_what_oras_pulls_is_what_we_read(host: str, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    oras_client = oras.client.OrasClient(insecure=True, tls_verify=False)
    answer = oras_client.push(f"{host}/models/guard:v2", files=["model.safetensors", "config.json"])
    oras_client.pull(f"{host}/models/guard:v2", outdir=str(folder / "pulled"))
    oci = source(host, str(answer.headers["docker-content-digest"]), client)
    for entry in oci.list().files:
        assert oci.read(entry.path, 0, entry.size) == (folder / "pulled" / entry.path).read_bytes()


@pytest.mark.parametrize(("start", "length"), [(0, 8), (1_000_000, 65_557), (len(WEIGHTS) - 22, 22), (len(WEIGHTS) - 5, 100)])
def test_ranges_are_exact(host: str, client: Client, start: int, length: int) -> None:
    digest = put_manifest(host, manifest(host, [layer(host, WEIGHTS, "application/octet-stream", "model.safetensors")]))
    oci = source(host, digest, client)
    assert oci.read("model.safetensors", start, length) == WEIGHTS[start : start + length]


def test_a_folder_that_oras_packs_is_an_archive(host: str, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    answer = oras.client.OrasClient(insecure=True, tls_verify=False).push(f"{host}/models/guard:v3", files=["sub"])
    listing = source(host, str(answer.headers["docker-content-digest"]), client).list()
    assert [entry.kind for entry in listing.files] == [FileKind.ARCHIVE]


def test_a_bundle_is_found_where_cosign_puts_it(host: str, client: Client) -> None:
    digest = put_manifest(host, manifest(host, [layer(host, b"{}", "application/json", "config.json")]))
    assert source(host, digest, client).signatures() == ()
    refer(host, digest, b'{"a": "bundle"}')
    assert source(host, digest, client).signatures() == (b'{"a": "bundle"}',)


def test_a_layer_model_sig_is_a_signature_and_does_not_change_the_content(host: str, client: Client) -> None:
    config = layer(host, b"{}", "application/json", "config.json")
    bare = source(host, put_manifest(host, manifest(host, [config])), client)
    signature = layer(host, b"oms", BUNDLE, "model.sig")
    signed = source(host, put_manifest(host, manifest(host, [config, signature])), client)
    assert signed.signatures() == (b"oms",)
    assert digest_of(signed.list()) == digest_of(bare.list())


def test_what_is_not_there_is_not_found(host: str, client: Client) -> None:
    with pytest.raises(NotFoundError):
        source(host, "sha256:" + "0" * 64, client).list()
    with pytest.raises(NotFoundError):
        OciSource(*parse_reference(f"oci://{host}/no/such@sha256:{'0' * 64}"), client).list()


def test_a_manifest_of_many_layers_is_listed(host: str, client: Client) -> None:
    blob = layer(host, b"x", "application/octet-stream")
    layers = [blob | {"annotations": {TITLE: f"shard-{number:05d}.safetensors"}} for number in range(1_000)]
    assert len(source(host, put_manifest(host, manifest(host, layers)), client).list().files) == 1_000
    assert limits.FILES > 1_000


def test_a_closed_registry_opens_to_its_own_credential_over_verified_tls(tmp_path: Path) -> None:
    server_context(tmp_path, "registry.test")
    (tmp_path / "passwords").write_text(PASSWORDS, encoding="utf-8")
    port = free_port()
    command = distribution(
        tmp_path,
        port,
        http={"tls": {"certificate": str(tmp_path / "server.pem"), "key": str(tmp_path / "server.pem")}},
        auth={"htpasswd": {"realm": "test", "path": str(tmp_path / "passwords")}},
    )
    reference = parse_reference(f"oci://registry.test:{port}/models/guard@sha256:{'0' * 64}")
    client = Client(allow_loopback=True, ca_file=tmp_path / "ca.pem", resolve=lambda *_: ("127.0.0.1",))
    with running(command, port):
        with pytest.raises(UnavailableError, match="no credential"):
            OciSource(*reference, client).list()
        with pytest.raises(UnavailableError, match="401"):
            OciSource(*reference, client, Credentials(f"registry.test:{port}", "robot", "wrong")).list()
        with pytest.raises(NotFoundError):
            OciSource(*reference, client, Credentials(f"registry.test:{port}", "robot", "secret-password")).list()
    client.close()


# --- models packed in layers ---------------------------------------------------------------------------------------------------


def pushed_image(host: str, *tars: bytes, platform: str = "amd64") -> dict[str, Any]:
    """Push an image of gzipped layers; the descriptor of its manifest."""
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in tars]}
    config = json.dumps({"architecture": platform, "os": "linux", "rootfs": rootfs}).encode()
    layers = [layer(host, gzip.compress(data, 1, mtime=0), images.TAR_GZIP) for data in tars]
    document = manifest(host, layers) | {"config": layer(host, config, IMAGE_CONFIG)}
    digest = put_manifest(host, document)
    size = len(json.dumps(document).encode())
    return {"mediaType": MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": platform}}


def packed_folder(folder: Path, under: str) -> bytes:
    """As `tar` packs it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(folder, arcname=under)
    return out.getvalue()


def test_a_modelcar_has_the_content_digest_of_its_folder_and_reads_alike(host: str, client: Client, folder: Path) -> None:
    system = images.tar([images.folder("bin"), Entry("bin/sh", b"sh")])
    oci = source(host, pushed_image(host, system, packed_folder(folder, "models"))["digest"], client)
    listing = oci.list()
    assert digest_of(listing) == digest_of(FolderSource(folder).list())
    assert listing.bytes_read
    for entry in listing.files:
        assert oci.read(entry.path, 0, entry.size) == (folder / entry.path).read_bytes()


def test_a_whiteout_attack_attests_what_a_container_sees(host: str, client: Client, folder: Path) -> None:
    # The signed model lies in the image and is hidden; what is served is another one.
    good, evil = packed_folder(folder, "models"), images.tar([Entry("models/config.json", b'{"evil": true}')])
    gone = images.tar([Entry(".wh.models")])
    swapped = source(host, pushed_image(host, good, gone, evil)["digest"], client).list()
    assert [entry.path for entry in swapped.files] == ["config.json"]
    assert digest_of(swapped) != digest_of(FolderSource(folder).list())
    both = images.tar([Entry("models/.wh.config.json"), Entry("models/config.json", b'{"evil": true}')])
    with pytest.raises(MalformedError, match="removed and brought"):
        source(host, pushed_image(host, good, both)["digest"], client).list()


def test_a_bomb_is_refused_in_bounded_memory_and_time(host: str, client: Client) -> None:
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(1 << 20)
    start = images.header(Entry("models/model.safetensors", size=256 << 20))
    packed = packer.compress(start) + b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}).encode()
    document = manifest(host, [layer(host, packed, images.TAR_GZIP)]) | {"config": layer(host, config, IMAGE_CONFIG)}
    digest = put_manifest(host, document)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(LimitExceededError, match="times its size"):
        source(host, digest, client).list()
    assert time.monotonic() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600_000  # KiB: what is kept, and some pieces


def test_platforms_of_one_model_are_one_model_and_others_are_refused(host: str, client: Client, folder: Path) -> None:
    model = packed_folder(folder, "models")
    one = pushed_image(host, images.tar([Entry("bin/sh", b"1")]), model)
    two = pushed_image(host, images.tar([Entry("bin/sh", b"2")]), model, platform="arm64")
    other = pushed_image(host, images.tar([Entry("models/config.json", b"[]")]), platform="s390x")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one, two]}
    assert source(host, put_manifest(host, index), client).list().files == source(host, one["digest"], client).list().files
    with pytest.raises(MalformedError, match="name the manifest of one platform"):
        source(host, put_manifest(host, index | {"manifests": [one, two, other]}), client).list()


def test_large_layers_are_read_in_parts_and_again(host: str, client: Client) -> None:
    weights = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(700_000))  # 22 MB that do not shrink
    tars = images.tar([Entry("models/a.json", b"{}"), Entry("models/z.safetensors", weights), Entry("models/zz.json", b"[]")])
    oci = source(host, pushed_image(host, tars)["digest"], client)
    oci.list()
    for start, length in ((0, 100), (9_000_000, 9_000_000), (3_000_000, 10), (len(weights) - 5, 100)):
        assert oci.read("z.safetensors", start, length) == weights[start : start + length]
