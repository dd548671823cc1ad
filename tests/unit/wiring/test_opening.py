"""An order's access is checked against its identity by who contacts (attack H2)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, UnavailableError
from modeltrust.domain.reference import Identity, parse_reference
from modeltrust.domain.work import SourceAccess, SourceType
from modeltrust.wiring.opening import open_source
from tests.support.authority import server_context
from tests.support.hub import TOKEN, File, Hub, serving_hub

COMMIT = "1" * 40
DIGEST = "sha256:" + "2" * 64
CONTENT = ContentDigest("3" * 64)
HUB, OCI, S3, HTTPS = SourceType.HUGGING_FACE, SourceType.OCI, SourceType.S3, SourceType.HTTPS


def identity(text: str) -> Identity:
    reference, revision = parse_reference(text)
    return Identity(reference, revision if revision.immutable else CONTENT)


FITTING = [
    (f"hf://acme/guard@{COMMIT}", HUB, ("https://huggingface.co", "https://cdn-lfs.hf.co")),
    (f"hf+https://hub.acme.example/acme/guard@{COMMIT}", HUB, ("https://hub.acme.example",)),
    (f"oci://registry.acme.example/guard@{DIGEST}", OCI, ("https://registry.acme.example",)),
    (f"oci://registry.acme.example/guard@{DIGEST}", OCI, ("https://registry.acme.example:443",)),
    (f"oci://docker.io/ai/guard@{DIGEST}", OCI, ("https://registry-1.docker.io", "https://auth.docker.io")),
    ("s3://models/guard", S3, ("https://s3.eu-west-1.amazonaws.com",)),
    ("s3://models/guard", S3, ("https://s3.amazonaws.com",)),
    ("s3+https://minio.acme.example:9000/models/guard", S3, ("https://minio.acme.example:9000",)),
    ("https://files.acme.example/guard.gguf", HTTPS, ("https://files.acme.example",)),
]
UNFIT = [
    (f"hf://acme/guard@{COMMIT}", HUB, ()),
    (f"hf://acme/guard@{COMMIT}", HUB, ("https://hub.evil.example",)),
    (f"hf://acme/guard@{COMMIT}", HUB, ("https://huggingface.co.evil.example",)),
    (f"hf://acme/guard@{COMMIT}", HUB, ("https://cdn-lfs.hf.co", "https://huggingface.co")),
    (f"hf://acme/guard@{COMMIT}", HUB, ("http://huggingface.co",)),
    (f"hf://acme/guard@{COMMIT}", HUB, ("https://user@huggingface.co",)),
    (f"hf://acme/guard@{COMMIT}", HUB, ("https://huggingface.co/api",)),
    (f"hf://acme/guard@{COMMIT}", OCI, ("https://huggingface.co",)),
    (f"hf+https://hub.acme.example/acme/guard@{COMMIT}", HUB, ("https://huggingface.co",)),
    (f"hf+https://hub.acme.example/acme/guard@{COMMIT}", HUB, ("https://hub.acme.example:8443",)),
    (f"oci://registry.acme.example/guard@{DIGEST}", OCI, ("https://registry.evil.example",)),
    (f"oci://registry.acme.example/guard@{DIGEST}", HTTPS, ("https://registry.acme.example",)),
    (f"oci+https://mirror.example/registry.acme.example/guard@{DIGEST}", OCI, ("https://registry.acme.example",)),
    ("s3://models/guard", S3, ("https://minio.acme.example",)),
    ("s3://models/guard", S3, ("https://s3.amazonaws.com.evil.example",)),
    ("s3://models/guard", S3, ("https://models.s3.eu-west-1.amazonaws.com.evil.example",)),
    ("s3+https://minio.acme.example/models/guard", S3, ("https://s3.amazonaws.com",)),
    ("https://files.acme.example/guard.gguf", HTTPS, ("https://files.evil.example",)),
    ("gs://models/guard", S3, ("https://storage.googleapis.com",)),
]


@pytest.mark.parametrize(("name", "kind", "endpoints"), FITTING)
def test_an_access_that_fits_is_opened_and_nothing_is_contacted(name: str, kind: SourceType, endpoints: tuple[str, ...]) -> None:
    with open_source(identity(name), SourceAccess(kind, endpoints)) as source:
        assert source.client.hosts is not None
        assert {endpoint.removeprefix("https://").removesuffix(":443") for endpoint in endpoints} <= source.client.hosts


@pytest.mark.parametrize(("name", "kind", "endpoints"), UNFIT)
def test_an_access_that_does_not_fit_is_refused(name: str, kind: SourceType, endpoints: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError):
        open_source(identity(name), SourceAccess(kind, endpoints, password="secret"))  # noqa: S106 - never sent


def test_only_the_endpoints_the_buckets_host_and_repositories_of_signatures_are_contacted() -> None:
    access = SourceAccess(S3, ("https://s3.eu-west-1.amazonaws.com",), signature_repositories=("signatures.example/a/b",))
    with open_source(identity("s3://models/guard"), access) as source:
        bucket = "models.s3.eu-west-1.amazonaws.com"
        assert source.client.hosts == frozenset({"s3.eu-west-1.amazonaws.com", bucket, "signatures.example"})
        for url in ("https://huggingface.co/", "https://s3.us-east-1.amazonaws.com/", "https://169.254.169.254/"):
            with pytest.raises(UnavailableError, match="not among the endpoints"):
                source.client.get(url, max_bytes=1)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Hub, bytes]]:
    context, ca = server_context(tmp_path, "localhost")
    with serving_hub(Hub(), tls=context) as hub:
        for part in (hub.front, hub.store):
            part.address = part.address.replace("127.0.0.1", "localhost")
        yield hub, ca.read_bytes()


def test_a_hub_with_its_own_authority_and_token_is_read_within_the_bounds_of_its_source(served: tuple[Hub, bytes]) -> None:
    hub, ca = served
    repository = hub.model("acme/guard")
    repository.private = True
    commit = repository.commit({"config.json": File(b"{}"), "model.safetensors": File(b"x" * 100, lfs=True)})
    name = identity(f"hf+{hub.url}/acme/guard@{commit}")
    endpoints = (hub.url, f"https://{hub.store.address}")
    read: list[int] = []
    with open_source(
        name, SourceAccess(HUB, endpoints, password=TOKEN, ca=ca), allow_loopback=True, progress=read.append
    ) as source:
        assert len(source.list().files) == 2
        assert source.read("model.safetensors", 0, 100) == b"x" * 100
        assert read == [100]
    whole = SourceAccess(HUB, endpoints, password=TOKEN, ca=ca)
    for access in (replace(whole, max_files=1), replace(whole, max_bytes=101)):
        with open_source(name, access, allow_loopback=True) as source, pytest.raises(LimitExceededError):
            source.list()
    opened = open_source(name, replace(whole, endpoints=endpoints[:1]), allow_loopback=True)
    with opened as source, pytest.raises(UnavailableError):
        source.read("model.safetensors", 0, 100)  # its store is not among the endpoints
    with open_source(name, replace(whole, allow_private=True)) as source, pytest.raises(UnavailableError, match="loopback"):
        source.list()
    for wrong in (b"", b"no certificate", "ü".encode()):
        with open_source(name, replace(whole, ca=wrong), allow_loopback=True) as source, pytest.raises(UnavailableError):
            source.list()
