from collections.abc import Callable, Iterator, Mapping

import pytest

from modeltrust.domain.errors import InvalidReferenceError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.listing import FileKind
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision, RevisionState
from modeltrust.sources.http import Client, Response
from modeltrust.sources.https import HttpsSource
from modeltrust.verification.content import complete
from tests.support.hub import ranged
from tests.support.registry import Answer, Registry, Request, serving

DATA = bytes(range(256)) * 10


class Plain(Client):
    """Speaks HTTP to loopback where the source says https: certificates are another test's subject."""

    def get(self, url: str, *, max_bytes: int, headers: Mapping[str, str] | None = None, prefix: bool = False) -> Response:
        plain = url.replace("https://", "http://", 1)
        return Client.get(self, plain, max_bytes=max_bytes, headers=headers, prefix=prefix)


@pytest.fixture
def server() -> Iterator[Registry]:
    with serving(Registry()) as running:
        running.spoil = lambda request, _: ranged(request, DATA) if request.path == "/models/guard.gguf" else Answer(404)
        yield running


@pytest.fixture
def client() -> Iterator[Client]:
    client = Plain(plain_http=True, sleep=lambda _: None)
    yield client
    client.close()


def source(server: Registry, client: Client, path: str = "models/guard.gguf", authorization: str = "") -> HttpsSource:
    return HttpsSource(ModelReference("https", f"{server.address}/{path}"), NO_REVISION, client, authorization=authorization)


def test_one_file_is_listed_without_a_digest_and_read_as_a_whole(server: Registry, client: Client) -> None:
    https = source(server, client, authorization="Bearer x")
    (entry,) = https.list().files
    assert (entry.path, entry.size, entry.sha256, https.signatures()) == ("guard.gguf", len(DATA), None, ())
    assert https.read("guard.gguf", 5, 10) == DATA[5:15]
    assert https.read("guard.gguf", len(DATA), 10) == b""
    assert complete(https.list(), https, read_bytes=True).files[0].sha256 is not None
    assert {request.headers.get("authorization") for request in server.requests} == {"Bearer x"}


@pytest.mark.parametrize("name", ["m.tar", "m.tar.gz", "m.tgz", "m.ZIP", "m.7z", "m.gz"])
def test_an_archive_is_listed_as_one(server: Registry, client: Client, name: str) -> None:
    server.spoil = lambda request, _: ranged(request, DATA)
    assert source(server, client, name).list().files[0].kind is FileKind.ARCHIVE


BAD: list[tuple[Callable[[Request, Answer], Answer], type[Exception]]] = [
    (lambda _r, _a: Answer(404), NotFoundError),
    (lambda _r, _a: Answer(410), NotFoundError),
    (lambda _r, _a: Answer(403), UnavailableError),
    (lambda _r, _a: Answer(416, {"content-range": "bytes */0"}), UnavailableError),
    (lambda _r, _a: Answer(206, {"content-range": "bytes 0-0/*"}, b"x"), UnavailableError),
    (lambda _r, _a: Answer(206, {"content-range": "bytes 0-0/-5"}, b"x"), UnavailableError),
    (lambda _r, _a: Answer(206, {"content-range": "bytes 0-0/9999999999999999"}, b"x"), MalformedError),
    (lambda _r, _a: Answer(302, {"location": "https://elsewhere.example/x"}), UnavailableError),
]


@pytest.mark.parametrize(("spoil", "kind"), BAD)
def test_an_answer_without_the_file_is_classified(
    server: Registry, client: Client, spoil: Callable[[Request, Answer], Answer], kind: type[Exception]
) -> None:
    server.spoil = spoil
    with pytest.raises(kind):
        source(server, client).list()


def test_another_name_a_negative_range_and_a_revision_are_refused(server: Registry, client: Client) -> None:
    with pytest.raises(NotFoundError):
        source(server, client).read("other", 0, 1)
    with pytest.raises(MalformedError):
        source(server, client).read("guard.gguf", -1, 1)
    digest = Revision(RevisionState.DIGEST, "sha256:" + "0" * 64)
    for reference, revision in ((ModelReference("https", "h.test/x"), digest), (ModelReference("https", "h.test"), NO_REVISION)):
        with pytest.raises(InvalidReferenceError):
            HttpsSource(reference, revision, client)
