"""The real worker process, attacked: hostile sources, wrong clients, a thousand orders; and what there is to steal in it (C5)."""

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modeltrust.domain.errors import LimitExceededError, UnavailableError
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.work import Order, RemoteBundle, Report, Running
from modeltrust.operator.worker import HttpWorker
from modeltrust.worker.run import check_nothing_to_steal, main
from tests.support.registry import Answer, Registry, Request
from tests.support.worker import LOOPBACK, RunningWorker, command, order_of, pair, push_model, running_registry, running_worker

pytestmark = pytest.mark.slow
ONE, TWO = "1f2e3d4c" * 4, "5a6b7c8d" * 4
FILES = {"config.json": b"{}", "README.md": b"hello"}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[tuple[Registry, bytes]]:
    with running_registry(tmp_path) as pair_:
        yield pair_


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningWorker]:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-environment")
    with running_worker(tmp_path, "--concurrency", "2") as process:
        yield process


def asked(client: HttpWorker, order: Order, *, seconds: float = 60) -> Report:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = client.examine(order)
        if isinstance(found, Report):
            return found
        time.sleep(0.2)
    raise AssertionError("no report in time")


def children(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if entry.read_text().rpartition(")")[2].split()[1] == str(process):
                found.append(int(entry.parent.name))
    return found


def memory(process: int) -> bytes:
    """Everything that can be read of a process's memory."""
    found = bytearray()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as stream:
        for line in Path(f"/proc/{process}/maps").read_text().splitlines():
            start, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()  # type: ignore[union-attr] # its grammar
            if "rw" not in mode:
                continue
            with contextlib.suppress(OSError, ValueError, OverflowError):
                stream.seek(int(start, 16))
                found += stream.read(int(end, 16) - int(start, 16))
    return bytes(found)


def test_a_model_is_examined_and_asked_about_again_without_a_second_look(
    worker: RunningWorker, registry: tuple[Registry, bytes]
) -> None:
    served, ca = registry
    order = order_of(push_model(served, FILES), ca)
    report = asked(worker.connect(), order)
    assert isinstance(report.content, Known)
    assert isinstance(report.signatures, Absent)
    assert (report.files, report.nonce) == (2, order.nonce)
    count = len(served.requests)
    assert asked(worker.connect(), dataclasses.replace(order, now=order.now + 9)) == report
    assert len(served.requests) == count


def test_evidence_that_a_registry_keeps_is_fetched_and_what_cannot_be_had_is_not_absent(
    worker: RunningWorker, registry: tuple[Registry, bytes]
) -> None:
    served, ca = registry
    order = order_of(push_model(served, FILES), ca)
    assert order.source is not None
    evidence = push_model(served, {"bundle.json": b'{"not": "a bundle"}'})
    there = RemoteBundle(evidence.key.removeprefix("oci://"), order.source)
    missing = RemoteBundle(there.reference.partition("@")[0] + f"@sha256:{'0' * 64}", order.source)
    found = asked(worker.connect(), dataclasses.replace(order, remote_bundles=(there,)))
    assert isinstance(found.signatures, Known)
    assert len(found.signatures.value.rejected) == 1
    lost = asked(worker.connect(), dataclasses.replace(order, remote_bundles=(there, missing)))
    assert isinstance(lost.signatures, Unavailable)  # nothing there verifies, and what is missing might
    assert isinstance(lost.content, Known)


def drip(seconds: float) -> object:
    def spoil(_request: Request, answer: Answer) -> Answer:
        time.sleep(seconds)
        return answer

    return spoil


def test_nothing_of_one_order_is_anywhere_in_the_child_of_another(worker: RunningWorker, registry: tuple[Registry, bytes]) -> None:
    served, ca = registry
    one = order_of(push_model(served, FILES), ca, nonce=ONE)
    assert one.source is not None
    secret = "credential-" + "of-order-one"
    one = dataclasses.replace(one, source=dataclasses.replace(one.source, username="me", password=secret))
    two = order_of(one.identity, ca, nonce=TWO)
    asked(worker.connect(), one)
    served.spoil = drip(2)  # type: ignore[assignment] # a callable of that shape
    with ThreadPoolExecutor(2) as threads:
        looking = threads.submit(asked, worker.connect(), two)
        deadline = time.monotonic() + 10
        while not (found := children(worker.process.pid)) or TWO.encode() not in b"".join(map(memory, found)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (child,) = found
        time.sleep(1)  # it has read its order and waits for the source
        place = Path(f"/proc/{child}")
        arguments, environment, status = ((place / name).read_bytes() for name in ("cmdline", "environ", "status"))
        held, limits = memory(child), (place / "limits").read_text()
        looking.result(60)
    assert TWO.encode() in held
    for text in (secret.encode(), ONE.encode(), b"of-the-environment", worker.client.key.read_bytes()[40:80]):
        assert text not in held
        assert text not in arguments + environment
    assert environment.strip(b"\0") in (b"", b"LC_CTYPE=C.UTF-8")
    *words, _memory = arguments.split(b"\0")[1:-1]
    assert words == [b"-I", b"-m", b"modeltrust", b"job", b"examine", b"--allow-loopback", b"--memory"]
    assert b"NoNewPrivs:\t1" in status
    assert re.search(r"Max file size +0 +0 ", limits)
    assert re.search(r"Max core file size +0 +0 ", limits)
    assert re.search(rf"Max address space +{4 * 1024**3} ", limits)


def metadata(_request: Request, _answer: Answer) -> Answer:
    return Answer(302, {"location": "https://169.254.169.254/latest/meta-data/"})


def elsewhere(_request: Request, _answer: Answer) -> Answer:
    return Answer(302, {"location": "https://localhost:1/"})


def bomb(_request: Request, _answer: Answer) -> Answer:
    return Answer(200, {"content-encoding": "gzip"}, b"\x1f\x8b" + b"\0" * 1_000)


def endless(_request: Request, answer: Answer) -> Answer:
    return Answer(200, answer.headers, b" " * (64 * 1024 * 1024))


def broken(_request: Request, _answer: Answer) -> Answer:
    return Answer(200, {}, b"[" * 100_000)


@pytest.mark.parametrize("spoil", [metadata, elsewhere, bomb, endless, broken])
def test_a_hostile_source_is_that_we_could_not_look(worker: RunningWorker, registry: tuple[Registry, bytes], spoil: object) -> None:
    served, ca = registry
    order = order_of(push_model(served, FILES), ca)
    served.spoil = spoil  # type: ignore[assignment] # a callable of that shape
    report = asked(worker.connect(), order)
    for fact in (report.content, report.signatures, report.formats):
        assert isinstance(fact, Unavailable)


def test_ten_thousand_signatures_are_cut(worker: RunningWorker, registry: tuple[Registry, bytes]) -> None:
    served, ca = registry
    identity = push_model(served, FILES)
    for number in range(10_000):
        served.refer(identity.key.partition("@")[2], b"{%d}" % number)
    report = asked(worker.connect(), order_of(identity, ca))
    assert isinstance(report.content, Known)
    assert isinstance(report.signatures, Known)
    assert report.signatures.value.valid == ()
    assert report.signatures.value.rejected[0].reason == "LimitExceeded"


def test_nobody_without_a_certificate_of_ours_and_no_old_protocol_is_answered(worker: RunningWorker, tmp_path: Path) -> None:
    order = order_of(push_model(Registry(address="127.0.0.1:1"), FILES), b"")
    with pytest.raises(UnavailableError, match="does not answer"):
        worker.connect(pair(tmp_path, "stranger")).examine(order)
    port = int(worker.url.rpartition(":")[2])
    for change in ("anonymous", "old"):
        context = ssl.create_default_context(cafile=str(worker.server.certificate))
        if change == "old":
            context.load_cert_chain(worker.client.certificate, worker.client.key)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        connection = http.client.HTTPSConnection(LOOPBACK, port, context=context, timeout=5)
        with pytest.raises((OSError, http.client.HTTPException)):  # noqa: PT012 - TLS 1.3 tells the client when it reads
            connection.request("POST", "/v1/examine", b"{}")
            connection.getresponse()
        connection.close()
    assert worker.process.poll() is None


def test_orders_that_are_none_are_refused(worker: RunningWorker) -> None:
    context = ssl.create_default_context(cafile=str(worker.server.certificate))
    context.load_cert_chain(worker.client.certificate, worker.client.key)
    port = int(worker.url.rpartition(":")[2])
    for method, path, body, status in (
        ("POST", "/v1/examine", b"", 400),
        ("POST", "/v1/examine", b"{}", 400),
        ("POST", "/v1/examine", b"[" * 1_000_000, 400),
        ("GET", "/v1/examine", b"", 405),
        ("POST", "/", b"{}", 404),
        ("GET", "/metrics", b"", 404),
    ):
        connection = http.client.HTTPSConnection(LOOPBACK, port, context=context, timeout=5)
        connection.request(method, path, body)
        answer = connection.getresponse()
        assert (answer.status, len(answer.read()) < 2_000) == (status, True)
        connection.close()


def test_a_thousand_orders_at_once_are_answered_or_refused_and_the_worker_lives(
    worker: RunningWorker, registry: tuple[Registry, bytes]
) -> None:
    served, ca = registry
    identity = push_model(served, FILES)
    client = worker.connect()

    def ask(number: int) -> str:
        try:
            found = client.examine(order_of(identity, ca, nonce=f"{number:032x}"))
        except LimitExceededError:
            return "busy"
        except UnavailableError as error:
            return str(error)
        return "running" if isinstance(found, Running) else "report"

    with ThreadPoolExecutor(64) as threads:
        answers = list(threads.map(ask, range(1_000)))
    assert set(answers) <= {"busy", "running", "report"}
    assert answers.count("busy") > 900
    assert len(children(worker.process.pid)) <= 2
    assert isinstance(asked(client, order_of(identity, ca, nonce="f" * 32)).content, Known)


def test_a_child_that_is_killed_is_that_we_could_not_look(worker: RunningWorker, registry: tuple[Registry, bytes]) -> None:
    served, ca = registry
    order = order_of(push_model(served, FILES), ca)
    served.spoil = drip(30)  # type: ignore[assignment] # a callable of that shape
    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(asked, worker.connect(), order)
        while not (found := children(worker.process.pid)):
            time.sleep(0.05)
        os.kill(found[0], signal.SIGKILL)
        with pytest.raises(UnavailableError, match="SIGKILL"):
            looking.result(20)


def test_sigterm_lets_what_is_under_way_end(worker: RunningWorker, registry: tuple[Registry, bytes]) -> None:
    served, ca = registry
    order = order_of(push_model(served, FILES), ca)
    served.spoil = drip(0.5)  # type: ignore[assignment] # a callable of that shape
    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(worker.connect().examine, order)
        while not children(worker.process.pid):
            time.sleep(0.05)
        worker.process.terminate()
        assert isinstance(looking.result(20), Report | Running)
    assert worker.process.wait(40) == 0


def test_there_is_no_worker_where_there_is_something_to_steal(tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.mkdir()
    check_nothing_to_steal({}, account)
    (account / "token").write_text("a-token")
    ours = command(pair(tmp_path, "server"), pair(tmp_path, "client"))[4:]
    assert main(ours, account=account) == 2
    words, environment = command(pair(tmp_path, "s"), pair(tmp_path, "c")), {**os.environ, "KUBECONFIG": ""}
    done = subprocess.run(words, env=environment, capture_output=True, timeout=120, check=False)
    assert (done.returncode, b"KUBECONFIG" in done.stderr) == (2, True)
