import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.reference import parse_reference
from modeltrust.sources.http import Client
from modeltrust.sources.interface import Credentials
from modeltrust.sources.oci import OciSource
from tests.support.authority import server_context
from tests.support.registry import Answer, Registry, Request, serving


@pytest.fixture
def server() -> Iterator[Registry]:
    with serving(Registry()) as registry:
        yield registry


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def client(waits: list[float]) -> Iterator[Client]:
    client = Client(plain_http=True, sleep=waits.append)
    yield client
    client.close()


def answering(*answers: Answer) -> Callable[[Request, Answer], Answer]:
    """These answers in turn, the last for ever."""
    left = list(answers)
    return lambda _request, _answer: left.pop(0) if len(left) > 1 else left[0]


def url(server: Registry, path: str = "/x") -> str:
    return f"http://{server.address}{path}"


def test_a_body_is_returned_with_status_and_headers(server: Registry, client: Client) -> None:
    server.spoil = answering(Answer(200, {"X-Some": "thing"}, b"body"))
    response = client.get(url(server), max_bytes=4)
    assert (response.status, response.headers["x-some"], response.body) == (200, "thing", b"body")


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 416])
def test_an_error_of_ours_is_returned_without_its_body(server: Registry, client: Client, status: int) -> None:
    server.spoil = answering(Answer(status, {}, b"x" * 1000))
    response = client.get(url(server), max_bytes=1)
    assert (response.status, response.body) == (status, b"")


def test_a_body_beyond_the_bound_is_refused(server: Registry, client: Client) -> None:
    server.spoil = answering(Answer(200, {}, b"12345"))
    with pytest.raises(LimitExceededError, match="4 bytes"):
        client.get(url(server), max_bytes=4)


def test_a_prefix_ends_where_the_bound_is(server: Registry, client: Client) -> None:
    server.spoil = answering(Answer(200, {}, b"12345" * 1_000_000))
    assert client.get(url(server), max_bytes=4, prefix=True).body == b"1234"


@pytest.mark.parametrize("body", [b"", b"1234"])
def test_a_body_that_is_shorter_than_stated_is_tried_again_and_then_unavailable(
    server: Registry, client: Client, waits: list[float], body: bytes
) -> None:
    server.spoil = answering(Answer(200, {"content-length": "9", "connection": "close"}, body))
    with pytest.raises(UnavailableError):
        client.get(url(server), max_bytes=100)
    assert len(waits) == limits.HTTP_RETRIES
    server.spoil = answering(Answer(200, {"content-length": "9", "connection": "close"}, body), Answer(200, {}, b"well"))
    assert client.get(url(server), max_bytes=100).body == b"well"


def test_an_encoded_body_is_refused_and_never_inflated(server: Registry, client: Client) -> None:
    server.spoil = answering(Answer(200, {"content-encoding": "gzip"}, b"\x1f\x8b"))
    with pytest.raises(UnavailableError, match="encoding"):
        client.get(url(server), max_bytes=100)
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_with_growing_pauses(
    server: Registry, client: Client, waits: list[float], status: int
) -> None:
    server.spoil = answering(Answer(status), Answer(status), Answer(200, {}, b"well"))
    assert client.get(url(server), max_bytes=9).body == b"well"
    assert waits == [limits.HTTP_BACKOFF_SECONDS, limits.HTTP_BACKOFF_SECONDS * 2]


def test_attempts_end(server: Registry, client: Client, waits: list[float]) -> None:
    server.spoil = answering(Answer(503))
    with pytest.raises(UnavailableError, match="503"):
        client.get(url(server), max_bytes=9)
    assert len(server.requests) == len(waits) + 1 == limits.HTTP_RETRIES + 1


@pytest.mark.parametrize(
    ("stated", "waited"), [("7", 7.0), ("9999", limits.HTTP_WAIT_SECONDS), ("99999", 0.5), ("-5", 0.5), ("x", 0.5)]
)
def test_retry_after_is_heeded_within_a_bound(
    server: Registry, client: Client, waits: list[float], stated: str, waited: float
) -> None:
    server.spoil = answering(Answer(429, {"retry-after": stated}), Answer(200))
    client.get(url(server), max_bytes=9)
    assert waits == [waited]


# --- redirects ---------------------------------------------------------------------------------------------------------------


def test_a_redirect_on_the_same_host_is_followed_with_the_credential(server: Registry, client: Client) -> None:
    server.spoil = answering(Answer(307, {"location": "/y?z=1"}), Answer(200, {}, b"y"))
    assert client.get(url(server), max_bytes=9, headers={"Authorization": "Basic x"}).body == b"y"
    assert [(r.path, r.headers.get("authorization")) for r in server.requests] == [("/x", "Basic x"), ("/y?z=1", "Basic x")]


def test_a_redirect_to_a_listed_host_is_followed_without_the_credential(server: Registry) -> None:
    with serving(Registry()) as other:
        client = Client(plain_http=True, redirect_hosts=frozenset({other.address}))
        other.spoil = answering(Answer(200, {}, b"elsewhere"))
        server.spoil = answering(Answer(302, {"location": url(other)}))
        assert client.get(url(server), max_bytes=9, headers={"Authorization": "Basic x"}).body == b"elsewhere"
        assert "authorization" not in other.requests[0].headers
        client.close()


LOCATIONS = [
    "http://127.0.0.2:1/x",
    "//evil.example/x",
    "https://evil.example/x?token=hush",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "ftp://x/",
    "http://user:hush@127.0.0.1/",
    "http://[::1",
    "/x y",
    "http://127.0.0.1:99999/",
    "/x#fragment",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_to_elsewhere_is_refused(server: Registry, client: Client, location: str) -> None:
    server.spoil = answering(Answer(302, {"location": location}))
    with pytest.raises(UnavailableError) as caught:
        client.get(url(server), max_bytes=9)
    assert "hush" not in str(caught.value)
    assert len(server.requests) == 1


def test_redirects_end(server: Registry, client: Client) -> None:
    server.spoil = answering(Answer(301, {"location": "/x"}))
    with pytest.raises(UnavailableError, match="redirects"):
        client.get(url(server), max_bytes=9)
    assert len(server.requests) == limits.HTTP_REDIRECTS + 1


# --- where to ----------------------------------------------------------------------------------------------------------------


URLS = [
    "",
    "x",
    "/x",
    "ftp://host/x",
    "https://",
    "https:///x",
    "https://user@host/x",
    "https://user:hush@host/x",
    "https://HOST/x",
    "https://host/x#y",
    "https://host/x y",
    "https://host/x\ny",
    "https://höst/x",
    "https://host\\@evil/x",
    "https://host:0x50/x",
    "https://host:99999/x",
    "https://[::1/x",
    "https://host/" + "x" * limits.URL_CHARACTERS,
]


@pytest.mark.parametrize("text", URLS)
def test_a_url_of_another_form_is_refused_and_its_secrets_are_not_shown(client: Client, text: str) -> None:
    with pytest.raises(MalformedError) as caught:
        client.get(text, max_bytes=1)
    assert "hush" not in str(caught.value)


def test_http_is_not_spoken_unless_allowed() -> None:
    with pytest.raises(MalformedError, match="https"):
        Client(allow_private=True).get("http://127.0.0.1/x", max_bytes=1)


def test_http_is_spoken_to_this_machine_only() -> None:
    client = Client(plain_http=True, allow_private=True, resolve=lambda *_: ("10.0.0.1",))
    with pytest.raises(UnavailableError, match="another machine"):
        client.get("http://registry.test/x", max_bytes=1)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1"])
def test_a_name_that_leads_into_the_cluster_is_refused(address: str) -> None:
    client = Client(resolve=lambda *_: (address,))
    with pytest.raises(UnavailableError, match="resolves to"):
        client.get("https://innocent.example/x", max_bytes=1)


def test_a_name_is_resolved_once_so_that_it_cannot_change_its_mind(server: Registry) -> None:
    answers = [("127.0.0.1",), ("169.254.169.254",)]
    client = Client(plain_http=True, resolve=lambda *_: answers.pop(0))
    host, _, port = server.address.partition(":")
    for _ in range(2):
        client.get(f"http://rebind.test:{port}/x", max_bytes=100)
    assert len(answers) == 1
    assert server.requests[0].headers["host"] == f"rebind.test:{port}"
    assert host == "127.0.0.1"
    client.close()


def test_another_address_is_tried_where_one_does_not_answer(server: Registry) -> None:
    client = Client(plain_http=True, resolve=lambda *_: ("127.0.0.3", "127.0.0.1"), sleep=lambda _: None)
    assert client.get(f"http://two.test:{server.address.partition(':')[2]}/x", max_bytes=100).status == 404
    client.close()


def test_no_proxy_is_taken_from_the_environment(server: Registry, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert client.get(url(server), max_bytes=100).status == 404


def test_nobody_there_is_unavailable(client: Client, waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError, match="cannot connect"):
        client.get(f"http://127.0.0.1:{port}/x?secret=hush", max_bytes=1)
    assert len(waits) == limits.HTTP_RETRIES


# --- servers that misbehave below HTTP ---------------------------------------------------------------------------------------


@contextmanager
def raw(reply: bytes, *, hold: bool = False) -> Iterator[str]:
    """A server that sends these bytes to everyone, and hangs up or not."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)
                    if hold:
                        done.wait(5)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x?secret=hush"
        done.set()
        listener.shutdown(socket.SHUT_RDWR)


REPLIES = [
    b"",
    b"\r\n",
    b"SSH-2.0-OpenSSH\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
    b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc",
]


@pytest.mark.parametrize("reply", REPLIES)
def test_what_is_not_http_is_unavailable(client: Client, reply: bytes) -> None:
    with raw(reply) as address, pytest.raises(UnavailableError) as caught:
        client.get(address, max_bytes=100)
    assert "hush" not in str(caught.value)


def test_silence_is_unavailable(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(limits, "HTTP_RETRIES", 1)
    with raw(b"", hold=True) as address, pytest.raises(UnavailableError, match="timed out"):
        client.get(address, max_bytes=100)
    with raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc", hold=True) as address, pytest.raises(UnavailableError):
        client.get(address, max_bytes=100)


def test_a_body_that_drips_is_given_up(server: Registry) -> None:
    ticks = iter([0.0, limits.HTTP_TIMEOUT_SECONDS + 100.0])
    client = Client(plain_http=True, clock=lambda: next(ticks))
    server.spoil = answering(Answer(200, {}, b"x"))
    with pytest.raises(UnavailableError, match="slowly"):
        client.get(url(server), max_bytes=9)
    client.close()


# --- TLS ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Registry, Path]]:
    context, authority = server_context(tmp_path_factory.mktemp("tls"), "registry.test")
    with serving(Registry(), tls=context) as registry:
        yield registry, authority


def to_loopback(_host: str, _port: int) -> tuple[str, ...]:
    return ("127.0.0.1",)


def test_tls_is_verified_against_the_name_while_the_judged_address_is_dialled(secure: tuple[Registry, Path]) -> None:
    registry, authority = secure
    port = registry.address.partition(":")[2]
    client = Client(allow_loopback=True, ca_file=authority, resolve=to_loopback)
    assert client.get(f"https://registry.test:{port}/x", max_bytes=100).status == 404
    assert registry.requests[-1].headers["host"] == f"registry.test:{port}"
    client.close()


def test_a_whole_model_is_read_over_tls_with_a_token(secure: tuple[Registry, Path]) -> None:
    registry, authority = secure
    port = registry.address.partition(":")[2]
    digest = registry.push([registry.layer(b"{}", title="config.json")])
    registry.authentication, registry.realm = "bearer", f"https://registry.test:{port}/token"
    client = Client(allow_loopback=True, ca_file=authority, resolve=to_loopback)
    reference = parse_reference(f"oci://registry.test:{port}/models/guard@{digest}")
    credentials = Credentials(f"registry.test:{port}", registry.username, registry.password)
    assert OciSource(*reference, client, credentials).read("config.json", 0, 2) == b"{}"
    registry.realm = f"http://registry.test:{port}/token"
    with pytest.raises(UnavailableError, match="https"):
        OciSource(*reference, client, credentials).list()
    registry.authentication = ""
    client.close()


@pytest.mark.parametrize("host", ["other.test", "127.0.0.1", "localhost"])
def test_a_certificate_for_another_name_is_refused_at_once(secure: tuple[Registry, Path], waits: list[float], host: str) -> None:
    registry, authority = secure
    client = Client(allow_loopback=True, ca_file=authority, resolve=to_loopback, sleep=waits.append)
    with pytest.raises(UnavailableError, match="certificate"):
        client.get(f"https://{host}:{registry.address.partition(':')[2]}/x", max_bytes=100)
    assert waits == []
    client.close()


def test_an_unknown_authority_is_refused(secure: tuple[Registry, Path]) -> None:
    client = Client(allow_loopback=True, resolve=to_loopback)
    with pytest.raises(UnavailableError, match="certificate"):
        client.get(f"https://registry.test:{secure[0].address.partition(':')[2]}/x", max_bytes=100)
    client.close()


def test_https_never_leads_to_http(secure: tuple[Registry, Path]) -> None:
    registry, authority = secure
    host = f"registry.test:{registry.address.partition(':')[2]}"
    client = Client(allow_loopback=True, plain_http=True, ca_file=authority, resolve=to_loopback)
    registry.spoil = answering(Answer(302, {"location": f"http://{host}/x"}))
    with pytest.raises(UnavailableError, match="https"):
        client.get(f"https://{host}/x", max_bytes=100)
    registry.spoil = Registry().spoil
    client.close()


def test_not_found_and_unavailable_are_different_errors() -> None:
    assert not issubclass(NotFoundError, UnavailableError)
    assert not issubclass(UnavailableError, NotFoundError)
