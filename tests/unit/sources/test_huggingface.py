import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import (
    InvalidReferenceError,
    LimitExceededError,
    MalformedError,
    ModelTrustError,
    NotFoundError,
    UnavailableError,
)
from modeltrust.domain.listing import FileKind
from modeltrust.domain.reference import Revision, RevisionState, model_reference, parse_reference
from modeltrust.sources.http import Client
from modeltrust.sources.huggingface import HubSource
from modeltrust.verification.content import complete, content_of
from tests.support.hub import TOKEN, File, Hub, error, reply, serving_hub
from tests.support.registry import Answer, Request

NAME = "acme/guard-7b"
WEIGHTS = bytes(range(256)) * 40
FILES = {
    ".gitattributes": File(b"*.safetensors filter=lfs"),
    "config.json": File(b'{"model_type": "llama"}'),
    "empty.txt": File(b""),
    "model.safetensors": File(WEIGHTS, lfs=True, xet=True),
    "model.sig": File(b"{}"),
    "sub/tokenizer.json": File(b"{}" * 10),
    "sub/größe & mehr.txt": File(b"x"),
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving_hub(Hub()) as serving:
        yield serving


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(hub: Hub, waits: list[float]) -> Iterator[Client]:
    hosts = frozenset({hub.front.address, hub.store.address})
    client = Client(plain_http=True, redirect_hosts=hosts, hosts=hosts, sleep=waits.append)
    yield client
    client.close()


@pytest.fixture
def commit(hub: Hub) -> str:
    return hub.model(NAME).commit(dict(FILES))


def source(hub: Hub, client: Client, commit: str, **more: Any) -> HubSource:
    revision = Revision(RevisionState.COMMIT, commit)
    return HubSource(model_reference("hf", NAME), revision, client, endpoint=hub.url, **more)


def spoiling(part: str, change: Callable[[Answer], Answer]) -> Callable[[Request, Answer], Answer]:
    return lambda request, answer: change(answer) if part in request.path else answer


def edited(**changes: Any) -> Callable[[Answer], Answer]:
    return lambda answer: Answer(answer.status, answer.headers, json.dumps(json.loads(answer.body) | changes).encode())


# --- listing -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 3, 1000])
def test_every_file_of_the_commit_is_listed_however_the_hub_cuts_its_pages(
    hub: Hub, client: Client, commit: str, page: int
) -> None:
    hub.page = page
    listing = source(hub, client, commit).list()
    assert [entry.path for entry in listing.files] == sorted(FILES)
    by_path = {entry.path: entry for entry in listing.files}
    weights = by_path["model.safetensors"]
    assert (weights.sha256, weights.git_sha1, weights.size) == (hashlib.sha256(WEIGHTS).hexdigest(), None, len(WEIGHTS))
    assert by_path["config.json"].git_sha1 == FILES["config.json"].blob
    assert not listing.bytes_read


def test_small_files_are_read_and_proven_so_that_the_content_is_known(hub: Hub, client: Client, commit: str) -> None:
    hf = source(hub, client, commit)
    listing = complete(hf.list(), hf, read_bytes=False)
    expected = {path: hashlib.sha256(file.data).hexdigest() for path, file in FILES.items()}
    got = {e.path: e.sha256 for e in listing.files if not e.path.startswith(".") and not e.path.endswith(".sig")}
    assert got == {path: digest for path, digest in expected.items() if path in got}
    assert content_of(listing) == content_of(complete(hf.list(), hf, read_bytes=True))


def test_links_and_submodules_are_listed_as_what_they_are(hub: Hub, client: Client) -> None:
    kinds = {"a": "symlink", "b": "submodule", "c": "commit", "d": "something new"}
    commit = hub.model(NAME).commit({path: File(b"x", kind=kind) for path, kind in kinds.items()})
    found = [entry.kind for entry in source(hub, client, commit).list().files]
    assert found == [FileKind.SYMLINK, FileKind.SUBMODULE, FileKind.SUBMODULE, FileKind.SPECIAL]


def test_a_branch_that_is_named_like_a_commit_is_refused(hub: Hub, client: Client, commit: str) -> None:
    hub.model(NAME).branches["f" * 40] = commit
    with pytest.raises(MalformedError, match="branch"):
        source(hub, client, "f" * 40).list()


def test_a_renamed_repository_is_refused_and_said_to_be_renamed(hub: Hub, client: Client, commit: str) -> None:
    hub.models["acme/guard-8b"] = hub.models.pop(NAME)
    hub.renamed[NAME] = "acme/guard-8b"
    with pytest.raises(NotFoundError, match="renamed"):
        source(hub, client, commit).list()
    assert len(hub.requests) == 1


@pytest.mark.parametrize("answered", ["acme/guard-8b", "Acme/guard-7b", None, 5, ["acme/guard-7b"]])
def test_an_answer_about_another_model_is_refused(hub: Hub, client: Client, commit: str, answered: Any) -> None:
    hub.spoil = spoiling("/revision/", edited(id=answered))
    with pytest.raises(MalformedError, match="answers about"):
        source(hub, client, commit).list()


@pytest.mark.parametrize("answered", ["0" * 40, "main", None, 5])
def test_an_answer_about_another_commit_is_refused(hub: Hub, client: Client, commit: str, answered: Any) -> None:
    hub.spoil = spoiling("/revision/", edited(sha=answered))
    with pytest.raises(MalformedError, match="resolves"):
        source(hub, client, commit).list()


def test_a_moved_branch_changes_nothing(hub: Hub, client: Client, commit: str) -> None:
    hub.model(NAME).commit({"other": File(b"y")})
    assert len(source(hub, client, commit).list().files) == len(FILES)


def test_a_commit_or_model_that_is_not_there_is_an_absence(hub: Hub, client: Client, commit: str) -> None:
    with pytest.raises(NotFoundError, match="no commit"):
        source(hub, client, "0" * 40).list()
    hub.models.clear()
    with pytest.raises(NotFoundError, match="no model"):
        source(hub, client, commit, token=TOKEN).list()


def test_private_gated_and_disabled_models_are_refused_with_what_to_do(hub: Hub, client: Client, commit: str) -> None:
    repository = hub.model(NAME)
    repository.private = True
    with pytest.raises(UnavailableError, match="has no token"):
        source(hub, client, commit).list()
    with pytest.raises(UnavailableError, match="token is not accepted"):
        source(hub, client, commit, token=TOKEN + "x").list()
    assert source(hub, client, commit, token=TOKEN).list().files
    repository.gated = "manual"
    hub.accepted.clear()
    with pytest.raises(UnavailableError, match="accept its terms"):
        source(hub, client, commit, token=TOKEN).read("config.json", 0, 9)
    hub.accepted.add(NAME)
    assert source(hub, client, commit, token=TOKEN).read("config.json", 0, 1) == b"{"
    repository.private = False
    with pytest.raises(UnavailableError, match="gated"):
        source(hub, client, commit).list()
    repository.gated, repository.disabled = False, True
    with pytest.raises(UnavailableError, match="disabled"):
        source(hub, client, commit).list()


def test_the_token_is_told_to_the_hub_and_to_nobody_else(hub: Hub, client: Client, commit: str) -> None:
    hf = source(hub, client, commit, token=TOKEN)
    hf.read("model.safetensors", 0, 10)
    hf.read("config.json", 0, 10)
    assert all(request.headers.get("authorization") == f"Bearer {TOKEN}" for request in hub.requests)
    assert hub.store.requests
    assert not any("authorization" in request.headers for request in hub.store.requests)
    assert TOKEN not in repr(hf)


def again(request: Request, answer: Answer) -> Answer:
    return (
        Answer(200, answer.headers | {"link": f'<{request.path}>; rel="next"'}, answer.body) if "/tree/" in request.path else answer
    )


def endless() -> Callable[[Request, Answer], Answer]:
    def change(request: Request, answer: Answer) -> Answer:
        if "/tree/" not in request.path:
            return answer
        path, _, number = request.path.partition("&cursor=")
        return Answer(200, {"link": f'<{path}&cursor={int(number or 0) + 1}>; rel="next"'}, b"[]")

    return change


def foreign(location: str) -> Callable[[Request, Answer], Answer]:
    return spoiling("/tree/", lambda a: Answer(200, {"link": f'<{location}>; rel="next"'}, a.body))


@pytest.mark.parametrize(
    "spoil",
    [
        again,
        endless(),
        foreign("http://169.254.169.254/latest/meta-data"),
        foreign("/api/models/evil/model/tree/main?x"),
        foreign("//evil.example/x"),
        foreign("file:///etc/passwd"),
    ],
)
def test_pages_that_repeat_never_end_or_lead_elsewhere_are_refused(
    hub: Hub, client: Client, commit: str, spoil: Callable[[Request, Answer], Answer]
) -> None:
    hub.spoil = spoil
    with pytest.raises(MalformedError, match="page"):
        source(hub, client, commit).list()
    assert len(hub.requests) <= limits.HUB_PAGES + 2


ENTRY = {"type": "file", "path": "a", "size": 1, "oid": "0" * 40}
LFS = {"oid": "0" * 64, "size": 1, "pointerSize": 120}
BAD_PAGES: list[Any] = [
    {},
    "x",
    [5],
    [{}],
    [ENTRY | {"type": 5}],
    [ENTRY | {"path": None}],
    [ENTRY | {"oid": "main"}],
    [ENTRY | {"oid": None}],
    [ENTRY | {"size": -1}],
    [ENTRY | {"size": True}],
    [ENTRY | {"size": 1 << 60}],
    [ENTRY | {"lfs": []}],
    [ENTRY | {"lfs": LFS | {"oid": "abc"}}],
    [ENTRY | {"lfs": LFS | {"size": 2}}],
    [ENTRY, ENTRY],
]


@pytest.mark.parametrize("page", BAD_PAGES)
def test_a_page_that_makes_no_sense_is_refused(hub: Hub, client: Client, commit: str, page: Any) -> None:
    hub.spoil = spoiling("/tree/", lambda _: reply(page))
    with pytest.raises(MalformedError):
        source(hub, client, commit).list()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda c: (
            st.lists(c) | st.dictionaries(st.sampled_from(["type", "path", "size", "oid", "lfs", "id", "sha"]), c, max_size=5)
        ),
        max_leaves=8,
    )
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_page_raises_anything_but_our_errors(hub: Hub, client: Client, commit: str, page: Any) -> None:
    hub.spoil = spoiling("/tree/", lambda _: reply(page))
    try:
        source(hub, client, commit).list()
    except ModelTrustError:
        return


def test_too_many_files_are_refused(hub: Hub, client: Client, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 3)
    with pytest.raises(LimitExceededError):
        source(hub, client, commit).list()
    hub.page = 2
    with pytest.raises(LimitExceededError):
        source(hub, client, commit).list()


@pytest.mark.parametrize("status", [400, 418, 500, 503, 429])
@pytest.mark.parametrize("part", ["/revision/", "/tree/"])
def test_an_error_is_not_an_absence(hub: Hub, client: Client, commit: str, part: str, status: int) -> None:
    hub.spoil = spoiling(part, lambda _: Answer(status, {"retry-after": "3"}))
    with pytest.raises(UnavailableError, match=str(status)):
        source(hub, client, commit).list()


def test_a_hub_that_is_asked_too_often_is_asked_again_when_it_says(
    hub: Hub, client: Client, commit: str, waits: list[float]
) -> None:
    left = [Answer(429, {"retry-after": "7"})]
    hub.spoil = lambda _request, answer: left.pop() if left else answer
    assert source(hub, client, commit).list().files
    assert waits == [7.0]


REFERENCES = ["hf://acme/guard", "hf://acme/guard@main", f"hf://acme/guard@sha256:{'0' * 64}", f"oci://h.test/x@sha256:{'0' * 64}"]


@pytest.mark.parametrize("text", REFERENCES)
def test_only_a_commit_names_a_model_at_a_hub(client: Client, text: str) -> None:
    with pytest.raises(InvalidReferenceError):
        HubSource(*parse_reference(text), client)


# --- reading -----------------------------------------------------------------------------------------------------------------

RANGES = [(0, 10), (8, 100_000), (len(WEIGHTS) - 10, 100), (0, len(WEIGHTS)), (len(WEIGHTS), 5), (5, 0)]


@pytest.mark.parametrize(("start", "length"), RANGES)
def test_a_range_is_exact(hub: Hub, client: Client, commit: str, start: int, length: int) -> None:
    assert source(hub, client, commit).read("model.safetensors", start, length) == WEIGHTS[start : start + length]


@pytest.mark.parametrize("resolve_cache", [True, False])
def test_small_files_are_read_whatever_way_the_hub_serves_them(
    hub: Hub, client: Client, commit: str, *, resolve_cache: bool
) -> None:
    hub.resolve_cache = resolve_cache
    hf = source(hub, client, commit)
    for path, file in FILES.items():
        assert hf.read(path, 0, 1000) == file.data[:1000]


def test_a_mirror_that_ignores_range_is_read_from_the_start_and_cut(hub: Hub, client: Client, commit: str) -> None:
    hub.spoil = spoiling("/resolve/", lambda _: Answer(200, {"x-repo-commit": commit}, WEIGHTS))
    assert source(hub, client, commit).read("model.safetensors", 100, 50) == WEIGHTS[100:150]


def test_only_what_is_listed_is_read(hub: Hub, client: Client, commit: str) -> None:
    with pytest.raises(NotFoundError):
        source(hub, client, commit).read("other", 0, 1)
    for start, length in ((-1, 1), (1, -1)):
        with pytest.raises(MalformedError):
            source(hub, client, commit).read("config.json", start, length)


SIZE = len(WEIGHTS)
WRONG: list[tuple[str, Callable[[Answer], Answer]]] = [
    ("another commit", lambda a: Answer(a.status, a.headers | {"x-repo-commit": "0" * 40}, a.body)),
    ("no commit", lambda a: Answer(a.status, {k: v for k, v in a.headers.items() if k != "x-repo-commit"}, a.body)),
    ("another digest", lambda a: Answer(a.status, a.headers | {"x-linked-etag": f'"{"0" * 64}"'})),
    ("a redirect to elsewhere", lambda a: Answer(302, a.headers | {"location": "https://evil.example/x"})),
    ("a redirect to a metadata service", lambda a: Answer(302, a.headers | {"location": "http://169.254.169.254/x"})),
    ("a redirect to a file", lambda a: Answer(302, a.headers | {"location": "file:///etc/passwd"})),
    ("a listed file is missing", lambda _: error(404, "EntryNotFound", "")),
    ("status 416", lambda a: Answer(416, a.headers)),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in WRONG])
def test_another_answer_than_the_file_is_unavailable(
    hub: Hub, client: Client, commit: str, change: Callable[[Answer], Answer]
) -> None:
    hf = source(hub, client, commit)
    hf.list()
    hub.spoil = spoiling("/resolve/", change)
    with pytest.raises(UnavailableError):
        hf.read("model.safetensors", 0, 10)


LYING_STORES: list[tuple[str, Callable[[Answer], Answer]]] = [
    ("another start", lambda a: Answer(206, {"content-range": f"bytes 9-18/{SIZE}"}, a.body)),
    ("another size", lambda a: Answer(206, {"content-range": "bytes 0-9/10"}, a.body)),
    ("no Content-Range", lambda a: Answer(206, {}, a.body)),
    ("fewer bytes", lambda a: Answer(206, a.headers, a.body[:-1])),
    ("more bytes", lambda a: Answer(206, a.headers, a.body + b"x")),
    ("a whole file of another size", lambda _: Answer(200, {}, WEIGHTS[:-1])),
    ("a refusal", lambda _: Answer(403)),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in LYING_STORES])
def test_a_store_that_answers_something_else_is_unavailable(
    hub: Hub, client: Client, commit: str, change: Callable[[Answer], Answer]
) -> None:
    honest = hub.stored
    hub.store.spoil = lambda request, answer: change(honest(request, answer))
    with pytest.raises((UnavailableError, LimitExceededError)):
        source(hub, client, commit).read("model.safetensors", 0, 10)


# --- signatures --------------------------------------------------------------------------------------------------------------


def test_signatures_are_those_named_and_the_usual_one(hub: Hub, client: Client) -> None:
    files = {"model.sig": File(b"usual"), "sig/a.json": File(b"named", lfs=True), "x": File(b"x")}
    commit = hub.model(NAME).commit(files)
    hf = source(hub, client, commit, signature_paths=("sig/a.json", "missing.sig", "model.sig"))
    assert hf.signatures() == (b"named", b"usual")
    assert source(hub, client, hub.model(NAME).commit({"x": File(b"x")})).signatures() == ()


def test_a_signature_with_other_bytes_than_stated_too_large_or_a_link_is_refused(hub: Hub, client: Client) -> None:
    commit = hub.model(NAME).commit({"model.sig": File(b"usual")})
    hf = source(hub, client, commit)
    hf.list()
    hub.spoil = spoiling("/api/resolve-cache/", lambda a: Answer(a.status, a.headers, a.body[::-1]))
    with pytest.raises(UnavailableError, match="other bytes"):
        hf.signatures()
    hub.spoil = lambda _, answer: answer
    large = hub.model(NAME).commit({"model.sig": File(bytes(limits.BUNDLE_BYTES + 1))})
    with pytest.raises(LimitExceededError):
        source(hub, client, large).signatures()
    link = hub.model(NAME).commit({"model.sig": File(b"x", kind="symlink")})
    with pytest.raises(MalformedError, match="symlink"):
        source(hub, client, link).signatures()
