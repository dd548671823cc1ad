"""The operator's side of the worker's port: over mutual TLS 1.3, and whatever is answered, only a report of ours is one."""

import dataclasses
import os
import shutil
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, UnavailableError
from modeltrust.domain.work import Running
from modeltrust.operator.worker import HttpWorker
from tests.support.worker import Pair, pair
from tests.unit.api.test_work import ORDER, REPORT

ANSWER = work.encode_report(REPORT)


@dataclass
class Answers:
    """A server that answers what it is told to, and remembers the bodies."""

    status: int = 200
    body: bytes = ANSWER
    bodies: list[bytes] = field(default_factory=list)
    priorities: list[str | None] = field(default_factory=list)


@contextmanager
def answering(answers: Answers, server: Pair, client: Pair, *, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answers.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            answers.priorities.append(self.headers["Priority"])
            self.send_response(answers.status)
            self.send_header("Content-Length", str(len(answers.body)))
            self.send_header("Location", "https://169.254.169.254/")
            self.end_headers()
            self.wfile.write(answers.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(client.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = oldest
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.handle_error = lambda *_: None  # type: ignore[method-assign] # clients hang up on purpose
    made.daemon_threads = True
    made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{made.server_port}"
    finally:
        made.shutdown()
        made.server_close()
        thread.join()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def server(tmp_path: Path) -> Pair:
    return pair(tmp_path, "server")


@pytest.fixture
def client(tmp_path: Path) -> Pair:
    return pair(tmp_path, "client")


def connected(url: str, server: Pair, client: Pair) -> HttpWorker:
    return HttpWorker(url, ca=server.certificate, certificate=client.certificate, key=client.key)


def test_an_order_arrives_as_it_is_and_its_report_comes_back(answers: Answers, server: Pair, client: Pair) -> None:
    with answering(answers, server, client) as url:
        assert connected(url, server, client).examine(ORDER) == REPORT
    assert answers.bodies == [work.encode_order(ORDER)]


def test_who_gives_way_says_so_beside_an_order_that_is_the_same(answers: Answers, server: Pair, client: Pair) -> None:
    with answering(answers, server, client) as url:
        worker = connected(url, server, client)
        worker.examine(ORDER)
        worker.examine(dataclasses.replace(ORDER, patient=True))
    assert (answers.priorities, answers.bodies) == ([None, "u=7"], [work.encode_order(ORDER)] * 2)


def test_what_goes_on_is_running_and_no_room_is_told_apart(answers: Answers, server: Pair, client: Pair) -> None:
    with answering(answers, server, client) as url:
        worker = connected(url, server, client)
        answers.status, answers.body = 202, b"running\n"
        assert isinstance(worker.examine(ORDER), Running)
        for answers.status in (429, 413):
            with pytest.raises(LimitExceededError, match=str(answers.status)):
                worker.examine(ORDER)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"{}"),
        (200, ANSWER + b"\n"),
        (200, ANSWER + ANSWER),
        (200, ANSWER[:-1]),
        (200, b"x" * (limits.REPORT_BYTES + 1)),
        (200, b"[" * 100_000),
        (204, b""),
        (302, b""),
        (400, b"got nonsense"),
        (500, ANSWER),
        (502, b"the examination was killed by SIGKILL"),
        (503, b"\xff\xfe \x1b[31m"),
    ],
)
def test_any_other_answer_is_that_we_could_not_look(answers: Answers, server: Pair, client: Pair, status: int, body: bytes) -> None:
    answers.status, answers.body = status, body
    with answering(answers, server, client) as url, pytest.raises(UnavailableError) as error:
        connected(url, server, client).examine(ORDER)
    assert "\x1b" not in str(error.value)
    assert len(str(error.value)) < limits.CONDITION_CHARACTERS


def test_a_server_that_nobody_vouches_for_and_an_old_protocol_get_no_order(
    answers: Answers, server: Pair, client: Pair, tmp_path: Path
) -> None:
    stranger = pair(tmp_path, "stranger")
    with answering(answers, stranger, client) as url, pytest.raises(UnavailableError, match="does not answer"):
        connected(url, server, client).examine(ORDER)
    with answering(answers, server, client, oldest=ssl.TLSVersion.TLSv1_2) as url, pytest.raises(UnavailableError):
        connected(url, server, client).examine(ORDER)
    assert answers.bodies == []


def test_certificates_that_were_renewed_are_used_and_broken_ones_are_told(
    answers: Answers, server: Pair, client: Pair, tmp_path: Path
) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    old = pair(tmp_path, "old")
    for source in (old.certificate, old.key):
        shutil.copy(source, mounted)
    worker_files = Pair(mounted / old.certificate.name, mounted / old.key.name)
    with answering(answers, server, client) as url:
        worker = connected(url, server, worker_files)
        with pytest.raises(UnavailableError):
            worker.examine(ORDER)
        for source in (client.certificate, client.key):
            shutil.copy(source, mounted)
        assert worker.examine(ORDER) == REPORT
        os.truncate(worker_files.key, 0)
        with pytest.raises(UnavailableError, match="certificate for the worker"):
            worker.examine(ORDER)
