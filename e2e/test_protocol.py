"""The real endpoint under what no API server sends, and the little time that one may grant."""

import concurrent.futures
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from e2e.control_plane import LOOPBACK, ControlPlane
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo import objects
from modeltrust.domain import limits

JSON = {"Content-Type": "application/json"}
REVIEW = objects.review(objects.pod("acme/guard-7b", "main"))
HURRIED = "modeltrust-hurried"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", JSON),
        (b"not json", JSON),
        (REVIEW, {"Content-Type": "text/plain"}),
        (b'{"a":' * 10_000, JSON),
        (b'{"request":' + b"[" * 10_000, JSON),
        (REVIEW.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1"), JSON),
        (REVIEW.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v9"), JSON),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":null}', JSON),
        (b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"kind":{}}}', JSON),
        (b"x" * (limits.REVIEW_BYTES + 1), JSON),
    ],
    ids=["f01-empty", "f01-text", "f01-type", "f03", "f03-lists", "f05-v1beta1", "f05-v9", "f06-null", "f06-no-uid", "f02"],
)
def test_f01_f02_f03_f05_f06_what_is_no_review_is_400_or_a_denial_and_the_process_lives(
    webhook: WebhookProcess, body: bytes, headers: dict[str, str]
) -> None:
    status, said = _post(webhook, body, headers)

    if status == 200:
        assert json.loads(said)["response"]["allowed"] is False
    else:
        assert status == 400
        assert b"Traceback" not in said
    assert json.loads(_post(webhook, REVIEW, JSON)[1])["response"]["allowed"] is False


def test_f02_a_review_beyond_the_bound_whose_uid_was_read_is_a_denial(webhook: WebhookProcess) -> None:
    status, said = _post(webhook, REVIEW[:-2] + b',"x":"' + b"y" * limits.REVIEW_BYTES + b'"}}', JSON)

    assert status == 200
    assert json.loads(said)["response"]["allowed"] is False
    assert json.loads(said)["response"]["uid"] == json.loads(REVIEW)["request"]["uid"]


def test_f04_f11_a_body_that_trickles_in_is_cut_within_the_time_granted_and_others_are_answered_meanwhile(
    webhook: WebhookProcess,
) -> None:
    with _connected(webhook) as slow:
        started = time.monotonic()
        slow.sendall(b"POST /validate?timeout=1s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        slow.sendall(b"Content-Length: 1000\r\n\r\n{")
        assert _post(webhook, REVIEW, JSON)[0] == 200
        answer = slow.recv(4096)
        seconds = time.monotonic() - started

    assert answer.startswith(b"HTTP/1.1 408")
    assert seconds < 0.8


def test_f07_a_second_request_in_the_same_bytes_is_its_own_request(webhook: WebhookProcess) -> None:
    head = b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with _connected(webhook) as link:
        link.sendall(head % len(REVIEW) + REVIEW + head % 2 + b"{}")
        answers = b""
        while answers.count(b"HTTP/1.1 ") < 2 and (more := link.recv(65_536)):
            answers += more

    assert answers.startswith(b"HTTP/1.1 200")
    assert b'"allowed":false' in answers
    assert answers.count(b"HTTP/1.1 400") == 1


def test_f07_two_lengths_are_refused(webhook: WebhookProcess) -> None:
    lengths = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with _connected(webhook) as link:
        link.sendall(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + lengths)
        answer = link.recv(4096)

    assert answer.startswith(b"HTTP/1.1 400")


def test_f11_with_one_second_the_largest_objects_are_answered_in_time(plane: ControlPlane, webhook: WebhookProcess) -> None:
    hurried = webhook.configuration(HURRIED)
    for hook in hurried["webhooks"]:
        hook["timeoutSeconds"] = 1
        hook["failurePolicy"] = "Fail"
    workload = objects.deployment("acme/guard-7b", "$(Z)")
    workload["metadata"]["name"] = HURRIED
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    names = [chr(ord("A") + index) for index in range(26)]
    container["env"] = [{"name": "A", "value": "x" * 50}]
    container["env"] += [{"name": n, "value": f"$({names[i]})" * 10} for i, n in enumerate(names[1:])]
    workload["spec"]["template"]["metadata"]["annotations"] = {"filler": "\u0001" * 200_000}
    plane.apply(hurried)
    try:
        eventually(lambda: _questions(plane, webhook) == 2, what="the second configuration's effect")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda _: _create(plane, workload), range(4)))
    finally:
        plane.kubectl("delete", "validatingwebhookconfiguration", HURRIED)

    assert all("denied the request" in words and "failed calling webhook" not in words for words in said)


def test_f12_clients_that_leave_in_the_middle_leave_nothing_behind(webhook: WebhookProcess) -> None:
    for _ in range(50):
        with _connected(webhook) as link:
            link.sendall(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n{")

    eventually(lambda: _post(webhook, REVIEW, JSON)[0] == 200, what="an answer")
    assert not [line for line in webhook.log() if line.get("event") in {"internal-error", "background-error"}]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_f13_only_post_is_a_question(webhook: WebhookProcess, method: str) -> None:
    assert _ask(webhook, method, "/validate")[0] == 405


@pytest.mark.parametrize("path", ["/metrics", "/docs", "/openapi.json", "/validate/", "/"])
def test_f13_nothing_else_is_served_on_the_port_of_the_webhook(webhook: WebhookProcess, path: str) -> None:
    assert _ask(webhook, "GET", path)[0] == 404


def _create(plane: ControlPlane, value: objects.Object, *flags: str) -> str:
    return plane.kubectl("create", "-f", "-", *flags, stdin=json.dumps(value), check=False).stderr


def _questions(plane: ControlPlane, webhook: WebhookProcess) -> float:
    """How often the webhook is asked about one object."""
    before = webhook.metric("modeltrust_decisions_total")
    _create(plane, objects.pod("acme/guard-7b", "main"), "--dry-run=server")
    return webhook.metric("modeltrust_decisions_total") - before


def _post(webhook: WebhookProcess, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    return _ask(webhook, "POST", "/validate?timeout=3s", body, headers)


def _ask(
    webhook: WebhookProcess, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPSConnection(LOOPBACK, webhook.port, context=_context(webhook), timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@contextmanager
def _connected(webhook: WebhookProcess) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((LOOPBACK, webhook.port), timeout=10) as plain,
        _context(webhook).wrap_socket(plain, server_hostname=LOOPBACK) as link,
    ):
        yield link


def _context(webhook: WebhookProcess) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(webhook.ca))
