"""Attacks on whoever reads a source, by fault id: bounded in bytes and seconds, classified, no credential told to anybody else."""

import gzip
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError, UnavailableError
from modeltrust.domain.reference import Revision, RevisionState, model_reference
from modeltrust.sources.http import Client
from modeltrust.sources.huggingface import HubSource
from modeltrust.sources.interface import Credentials
from modeltrust.sources.oci import OciSource
from tests.support import hostile
from tests.support.hostile import HEAD, Behaviour, Hostile, attacking
from tests.support.registry import Registry, serving

SECRET = "hf_never_elsewhere"
DIGEST = "sha256:" + "1" * 64


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(limits, "HTTP_TIMEOUT_SECONDS", 0.3)
    monkeypatch.setattr(limits, "HTTP_RETRIES", 0)
    monkeypatch.setattr(limits, "HTTP_BYTES_PER_SECOND", 64 * 1024 * 1024)


@contextmanager
def hub_at(server: Hostile, **more: Any) -> Iterator[HubSource]:
    client = Client(plain_http=True, hosts=frozenset({server.address}), sleep=lambda _: None, **more)
    revision = Revision(RevisionState.COMMIT, "1" * 40)
    try:
        yield HubSource(model_reference("hf", "acme/guard"), revision, client, endpoint=server.url, token=SECRET)
    finally:
        client.close()


@contextmanager
def registry_at(server: Hostile) -> Iterator[OciSource]:
    client = Client(plain_http=True, hosts=frozenset({server.address}), sleep=lambda _: None)
    reference = model_reference("oci", f"{server.address}/acme/guard")
    credentials = Credentials(server.address, "robot", SECRET)
    try:
        yield OciSource(reference, Revision(RevisionState.DIGEST, DIGEST), client, credentials)
    finally:
        client.close()


OPENERS: list[Callable[[Hostile], Any]] = [hub_at, registry_at]
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
SLOW: list[tuple[str, Behaviour, bool]] = [
    ("silence", hostile.silent, True),
    ("a status line that drips", hostile.endless(b"H", head=b"", pause=0.05), True),
    ("headers that drip", hostile.endless(b"x", head=HEAD, pause=0.05), True),
    ("headers that never end", hostile.endless(b"x: y\r\n", head=HEAD, pause=0.01), True),
    ("a body that drips", hostile.endless(b"x", head=HEAD + b"content-length: 9999\r\n\r\n", pause=0.05), True),
    ("chunk sizes that drip", hostile.endless(b"0", head=CHUNKED, pause=0.05), True),
    ("nothing is read", hostile.silent, False),
]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize(("behave", "greet"), [pytest.param(b, g, id=name) for name, b, g in SLOW])
def test_f66_a_server_that_takes_its_time_is_given_up(opener: Callable[[Hostile], Any], behave: Behaviour, *, greet: bool) -> None:
    started = time.monotonic()
    with attacking(behave, greet=greet) as server, opener(server) as source, pytest.raises(UnavailableError):
        source.list()
    assert time.monotonic() - started < 3


LARGE: list[tuple[str, Behaviour]] = [
    ("an endless body", hostile.endless(b"x" * 65536)),
    ("an endless chunked body", hostile.endless(b"10000\r\n" + b"x" * 65536 + b"\r\n", head=CHUNKED)),
    ("a manifest of 1 GiB", hostile.endless(b" " * 65536, head=HEAD + b"content-length: 1073741824\r\n\r\n")),
    ("a header of 1 MB", hostile.answers(HEAD + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n")),
    ("10,000 headers", hostile.answers(HEAD + b"x: y\r\n" * 10_000 + b"\r\n")),
    ("a status line of 1 MB", hostile.answers(b"HTTP/1.1 200 " + b"O" * 1_000_000 + b"\r\n\r\n")),
    ("a chunk size of 1 MB", hostile.answers(CHUNKED + b"0" * 1_000_000)),
    ("a negative length", hostile.answers(HEAD + b"content-length: -5\r\n\r\n{}")),
    ("two lengths", hostile.answers(HEAD + b"content-length: 2\r\ncontent-length: 9\r\n\r\n{}")),
    ("a length beyond the bytes", hostile.answers(HEAD + b"content-length: 99\r\n\r\n{}")),
    ("deep JSON", hostile.answers(HEAD + b"content-length: 200000\r\n\r\n" + b"[" * 200_000)),
    ("no HTTP", hostile.answers(b"\x16\x03\x01\x00\x00" * 100)),
    ("gzip", hostile.answers(HEAD + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"0" * 10_000_000))),
    ("zstd", hostile.answers(HEAD + b"content-encoding: zstd\r\n\r\n\x28\xb5\x2f\xfd" + b"\0" * 100)),
    (
        "gzip in transfer",
        hostile.answers(HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n5\r\n" + gzip.compress(b"0" * 1_000_000)),
    ),
]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("behave", [pytest.param(b, id=name) for name, b in LARGE])
def test_f67_f70_what_is_large_or_inflates_is_cut_by_a_bound(opener: Callable[[Hostile], Any], behave: Behaviour) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with attacking(behave) as server, opener(server) as source, pytest.raises((UnavailableError, MalformedError)):
        source.list()
    assert time.monotonic() - started < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_f67_ten_thousand_signatures_are_refused_before_one_is_fetched() -> None:
    with serving(Registry()) as registry:
        digest = registry.push([registry.layer(b"{}", title="config.json")])
        layers = [registry.layer(b"%d" % n, media_type="application/vnd.dev.sigstore.bundle.v0.3+json") for n in range(10_000)]
        subject = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1}
        registry.push(layers, subject=subject)
        client = Client(plain_http=True)
        reference = model_reference("oci", f"{registry.address}/models/guard")
        source = OciSource(reference, Revision(RevisionState.DIGEST, digest), client)
        with pytest.raises(LimitExceededError, match="signature bundles"):
            source.signatures()
        client.close()
        assert not any("/blobs/" in request.path for request in registry.requests)


LOCATIONS = [
    "http://169.254.169.254/latest/meta-data/iam",
    "http://[fd00:ec2::254]/latest",
    "http://metadata.google.internal/",
    "file:///etc/passwd",
    "ftp://evil.example/x",
    "gopher://evil.example/x",
    "http://0.0.0.0/",
    "http://127.1/",
    "http://2130706433/",
    "//evil.example/x",
    "https://evil.example/x",
    "http://user:pass@127.0.0.1/",
    "",
]


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("location", LOCATIONS)
def test_f68_a_redirect_leads_nowhere_else(opener: Callable[[Hostile], Any], location: str) -> None:
    with attacking(hostile.redirects(location)) as server, opener(server) as source, pytest.raises(ModelTrustError):
        source.list()


@pytest.mark.parametrize("opener", OPENERS)
def test_f68_another_host_hears_nothing_not_even_without_the_credential(opener: Callable[[Hostile], Any]) -> None:
    with attacking(hostile.answers(HEAD + b"\r\n")) as other:
        with attacking(hostile.redirects(f"{other.url}/x")) as server, opener(server) as source, pytest.raises(ModelTrustError):
            source.list()
        challenge = f'HTTP/1.1 401 No\r\nwww-authenticate: Bearer realm="{other.url}/token"\r\ncontent-length: 0\r\n\r\n'
        with attacking(hostile.answers(challenge.encode())) as server, opener(server) as source:
            with pytest.raises(ModelTrustError) as refused:
                source.list()
            assert SECRET not in str(refused.value)
        assert other.received == []


def test_f69_a_name_that_resolves_differently_a_moment_later_is_asked_once() -> None:
    answers = [("127.0.0.1",), ("169.254.169.254",)]
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    body = HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\n{}"
    with attacking(hostile.answers(body)) as server:
        client = Client(plain_http=True, resolve=rebinding)
        for _ in range(3):
            assert client.get(f"http://rebind.test:{server.address.partition(':')[2]}/x", max_bytes=9).body == b"{}"
        client.close()
        assert (len(server.received), asked) == (3, ["rebind.test"])
