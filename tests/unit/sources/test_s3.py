"""S3Source against a server whose every answer the test decides; the real server is in tests/slow."""

import base64
import hashlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision, RevisionState
from modeltrust.sources.aws_signature import Account
from modeltrust.sources.http import Client
from modeltrust.sources.s3 import S3Source
from tests.support.authority import server_context
from tests.support.hub import ranged
from tests.support.registry import Answer, Registry, Request, serving

FILES = {"config.json": b"{}", "model.safetensors": b"w" * 5000, "model.sig": b"signature"}
ACCOUNT = Account("key-id", "secret")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return server_context(tmp_path_factory.mktemp("tls"), "localhost")


class Bucket:
    """Objects by key, listed two a page, with versions."""

    def __init__(self) -> None:
        self.objects = {f"guard/{path}": data for path, data in FILES.items()} | {"guard/": b""}

    def answer(self, request: Request, _answer: Answer) -> Answer:
        url = urlsplit(request.path)
        query = parse_qs(url.query)
        key = unquote(url.path).removeprefix("/models").lstrip("/")
        if not key:
            return self.page(query["prefix"][0], int(query.get("continuation-token", ["0"])[0]))
        data = self.objects.get(key)
        if data is None:
            return Answer(404)
        stated = base64.b64encode(hashlib.sha256(data).digest()).decode()
        answer = ranged(request, data)
        return Answer(
            answer.status,
            answer.headers | {"x-amz-version-id": "v1", "etag": '"e"', "x-amz-checksum-sha256": stated},
            data if answer.status == 200 else answer.body,
        )

    def page(self, prefix: str, start: int) -> Answer:
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        contents = "".join(
            f"<Contents><Key>{k}</Key><Size>{len(self.objects[k])}</Size></Contents>" for k in keys[start : start + 2]
        )
        following = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{start + 2}</NextContinuationToken>"
        more = following if start + 2 < len(keys) else "<IsTruncated>false</IsTruncated>"
        return Answer(200, {}, f"<ListBucketResult>{contents}{more}</ListBucketResult>".encode())


@pytest.fixture
def server(tls: tuple[ssl.SSLContext, Path]) -> Iterator[Registry]:
    with serving(Registry(), tls=tls[0]) as running:
        running.spoil = Bucket().answer
        yield running


@pytest.fixture
def client(tls: tuple[ssl.SSLContext, Path]) -> Iterator[Client]:
    client = Client(allow_loopback=True, ca_file=tls[1], sleep=lambda _: None)
    yield client
    client.close()


def source(server: Registry, client: Client, path: str = "models/guard", account: Account | None = ACCOUNT) -> S3Source:
    endpoint = f"https://localhost:{server.address.partition(':')[2]}"
    return S3Source(
        ModelReference("s3", path, endpoint), NO_REVISION, client, endpoint=endpoint, account=account, now=lambda: 1.79e9
    )


def test_pages_are_followed_and_folders_that_consoles_draw_left_out(server: Registry, client: Client) -> None:
    s3 = source(server, client)
    listing = s3.list()
    assert {e.path: e.sha256 for e in listing.files} == {p: hashlib.sha256(d).hexdigest() for p, d in FILES.items()}
    assert s3.read("model.safetensors", 4990, 100) == b"w" * 10
    assert s3.read("model.safetensors", 5000, 1) == b""
    assert s3.signatures() == (b"signature",)
    read = server.requests[-1]
    assert ("versionId=v1" in read.path, read.headers["if-match"]) == (True, '"e"')
    assert all(request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=key-id/") for request in server.requests)
    assert "secret" not in repr(s3)


def test_anonymous_requests_are_not_signed(server: Registry, client: Client) -> None:
    source(server, client, account=None).list()
    assert not any("authorization" in request.headers for request in server.requests)


def test_a_bucket_in_another_region_is_signed_for_it_at_the_same_host(server: Registry, client: Client) -> None:
    honest = server.spoil

    def regional(request: Request, answer: Answer) -> Answer:
        if "/eu-west-1/" in request.headers["authorization"]:
            return honest(request, answer)
        return Answer(301, {"x-amz-bucket-region": "eu-west-1", "location": "https://evil.example/"})

    server.spoil = regional
    assert len(source(server, client).list().files) == 3
    server.spoil = lambda _r, _a: Answer(301, {"x-amz-bucket-region": "mars"})
    with pytest.raises(UnavailableError, match="mars"):
        source(server, client).list()


def only(inner: str) -> Callable[[Request, Answer], Answer]:
    return lambda _r, _a: Answer(200, {}, f"<ListBucketResult>{inner}</ListBucketResult>".encode())


ENDLESS = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
BAD: list[tuple[str, Callable[[Request, Answer], Answer], type[Exception]]] = [
    ("nothing", only(""), NotFoundError),
    ("no bucket", lambda _r, _a: Answer(404), NotFoundError),
    ("not allowed", lambda _r, _a: Answer(403), UnavailableError),
    ("busy", lambda _r, _a: Answer(503), UnavailableError),
    ("a redirect", lambda _r, _a: Answer(307, {"location": "https://evil.example/"}), UnavailableError),
    ("endless pages", only(ENDLESS), LimitExceededError),
    ("a key elsewhere", only("<Contents><Key>other/x</Key><Size>1</Size></Contents>"), MalformedError),
    ("a key twice", only("<Contents><Key>guard/x</Key><Size>1</Size></Contents>" * 2), MalformedError),
    ("no XML", lambda _r, _a: Answer(200, {}, b"{}"), MalformedError),
]


@pytest.mark.parametrize(("spoil", "kind"), [pytest.param(spoil, kind, id=name) for name, spoil, kind in BAD])
def test_an_answer_that_is_no_listing_is_classified(
    server: Registry, client: Client, spoil: Callable[[Request, Answer], Answer], kind: type[Exception]
) -> None:
    server.spoil = spoil
    with pytest.raises(kind):
        source(server, client).list()
    assert len(server.requests) <= limits.S3_PAGES + 1


def test_an_object_that_changes_while_it_is_listed_or_read_is_unavailable(server: Registry, client: Client) -> None:
    bucket = Bucket()

    def growing(request: Request, answer: Answer) -> Answer:
        if "list-type" not in request.path:
            bucket.objects["guard/config.json"] += b" "
        return bucket.answer(request, answer)

    server.spoil = growing
    with pytest.raises(UnavailableError, match="changed"):
        source(server, client).list()
    for status in (404, 412):
        server.spoil = Bucket().answer
        s3 = source(server, client)
        s3.list()
        server.spoil = lambda _r, _a, status=status: Answer(status)  # type: ignore[misc] # the loop's value, now
        with pytest.raises(UnavailableError, match="changed"):
            s3.read("config.json", 0, 1)


def test_what_is_no_prefix_of_a_bucket_is_refused(server: Registry, client: Client) -> None:
    digest = Revision(RevisionState.DIGEST, "sha256:" + "0" * 64)
    for reference, revision in (
        (ModelReference("s3", "models"), NO_REVISION),
        (ModelReference("gs", "models/guard"), NO_REVISION),
        (ModelReference("s3", "models/guard"), digest),
    ):
        with pytest.raises(InvalidReferenceError):
            S3Source(reference, revision, client, endpoint="https://s3.amazonaws.com")
    with pytest.raises(NotFoundError):
        source(server, client).read("other", 0, 1)


HOSTS = [
    ("https://s3.amazonaws.com", "models", "models.s3.amazonaws.com", "us-east-1"),
    ("https://s3.eu-west-1.amazonaws.com", "models", "models.s3.eu-west-1.amazonaws.com", "eu-west-1"),
    ("https://s3-eu-west-1.amazonaws.com", "models", "models.s3-eu-west-1.amazonaws.com", "eu-west-1"),
    ("https://s3.dualstack.eu-west-1.amazonaws.com", "models", "models.s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
    ("https://s3.eu-west-1.amazonaws.com", "mod.els", "s3.eu-west-1.amazonaws.com", "eu-west-1"),
    ("https://minio.acme.example:9000", "models", "minio.acme.example:9000", "us-east-1"),
    ("https://s3.amazonaws.com.evil.example", "models", "s3.amazonaws.com.evil.example", "us-east-1"),
]


@pytest.mark.parametrize(("endpoint", "bucket", "host", "region"), HOSTS)
def test_aws_has_a_host_for_each_bucket_and_everybody_else_a_path(endpoint: str, bucket: str, host: str, region: str) -> None:
    asked: list[str] = []

    def resolve(name: str, _port: int) -> tuple[str, ...]:
        asked.append(name)
        raise OSError

    client = Client(resolve=resolve)
    s3 = S3Source(ModelReference("s3", f"{bucket}/guard"), NO_REVISION, client, endpoint=endpoint)
    with pytest.raises(UnavailableError):
        s3.list()
    assert (asked, s3._region) == ([host.partition(":")[0]], region)
