import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.store.sink import Kind
from modeltrust.webhook.app import build_app
from tests.support import reviews
from tests.support.asgi import JSON, Answer, call
from tests.support.hooks import Hook

GOOD = reviews.review(reviews.inference_service())
UNPINNED = reviews.review(reviews.inference_service(uri="hf://acme/guard-7b:main"))
DEEP = b'{"a":' * 100_000


def post(body: bytes, *, hook: Hook | None = None, **more: Any) -> Answer:
    parts = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]
    return asyncio.run(call((hook or Hook()).validate, parts, **more))


def test_a_good_review_is_allowed_and_a_bad_one_denied_with_its_text() -> None:
    allowed, denied = post(GOOD), post(UNPINNED)
    assert (allowed.status, allowed.response["allowed"], allowed.response["uid"]) == (200, True, reviews.UID)
    assert (denied.status, denied.response["allowed"], denied.response["status"]["code"]) == (200, False, 403)
    assert denied.response["status"]["message"].startswith("modeltrust: ")
    assert denied.headers[b"content-type"] == b"application/json"
    assert denied.headers[b"content-length"] == str(len(denied.body)).encode()
    assert b"connection" not in denied.headers


def test_a_body_in_many_parts_is_the_same_body() -> None:
    assert asyncio.run(call(Hook().validate, [bytes([byte]) for byte in UNPINNED])).response["allowed"] is False


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        GOOD[:-1],
        GOOD.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v1beta1", 1),
        GOOD.replace(b'"uid":"705ab4f5-6393-11e8-b7cc-42010a800002",', b"", 1),
        GOOD.replace(b'"uid":"705ab4f5-6393-11e8-b7cc-42010a800002"', b'"uid":""', 1),
        GOOD.replace(b'"uid":"705ab4f5-6393-11e8-b7cc-42010a800002"', b'"uid":7', 1),
        GOOD.replace(
            b'"uid":"705ab4f5-6393-11e8-b7cc-42010a800002"', b'"uid":"other","uid":"705ab4f5-6393-11e8-b7cc-42010a800002"', 1
        ),
        b'{"request":null}',
        DEEP,
        GOOD[:-1] + b',"x":' + DEEP,
        b"\xff" + GOOD,
        b"\xef\xbb\xbf" + GOOD,
        GOOD.decode().encode("utf-16"),
        GOOD + GOOD,
    ],
    ids=range(17),
)
def test_what_is_no_review_never_allows_and_is_never_a_500(body: bytes) -> None:
    answer = post(body)
    if answer.status == 200:
        assert answer.response["allowed"] is False
        assert answer.response["uid"] == reviews.UID
    else:
        assert answer.status == 400
        assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    "change",
    [
        (b'"object":{', b'"object":null,"x":{'),
        (b'"object":{', b'"object":[],"x":{'),
        (b'"object":{', b'"x":{'),
        (b'"object":{', b'"object":' + DEEP + b'1,"x":{'),
        (b'"operation":"CREATE"', b'"operation":"CONNECT"'),
        (b'"operation":"CREATE"', b'"operation":""'),
        (b'"operation":"CREATE"', b'"operation":7'),
        (b'"operation":"CREATE",', b""),
        (b'"spec":{', b'"spec":7,"x":{'),
        (b'"storageUri":"', b'"storageUri":7,"x":"'),
        (b'"storageUri":"', b'"storageUri":"\xff'),
        (b'"dryRun":false', b'"dryRun":"no"'),
    ],
    ids=range(12),
)
def test_once_the_uid_is_known_every_unusable_review_is_a_denial(change: tuple[bytes, bytes]) -> None:
    body = GOOD.replace(*change, 1)
    assert body != GOOD
    answer = post(body)
    assert answer.status == 200
    assert (answer.response["allowed"], answer.response["uid"]) == (False, reviews.UID)
    assert answer.response["status"]["message"].startswith("modeltrust: ")


def test_a_review_beyond_the_bound_is_a_denial_when_its_uid_is_known_and_400_otherwise() -> None:
    padding = b" " * limits.REVIEW_BYTES
    assert post(GOOD + padding).response["allowed"] is False
    assert post(padding + GOOD).status == 400
    whole = asyncio.run(call(Hook().validate, [GOOD + padding]))
    assert whole.response["status"]["details"]["causes"][0]["reason"] == "LimitExceeded"


def test_after_too_large_a_body_the_rest_is_read_so_that_the_denial_arrives() -> None:
    sent = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        chunk = GOOD + b" " * (1024 * 1024)
        return {"type": "http.request", "body": chunk, "more_body": sent < 30}

    assert asyncio.run(call(Hook().validate, (), receive=receive)).response["allowed"] is False
    assert sent == 30


def test_an_endless_body_is_cut_off() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": GOOD + b" " * (8 * 1024 * 1024), "more_body": True}

    assert asyncio.run(call(Hook().validate, (), receive=receive)).response["allowed"] is False


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-type", b"text/plain")], 400),
        ([], 400),
        ([JSON, JSON], 400),
        ([(b"content-type", b"application/jsonx")], 400),
        ([(b"content-type", b"Application/JSON; charset=utf-8")], 200),
    ],
)
def test_only_json_is_read(headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert post(GOOD, headers=headers).status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_refused(method: str) -> None:
    answer = post(GOOD, method=method)
    assert (answer.status, b"retry-after" in answer.headers) == (405, False)


def test_before_everything_is_synchronised_there_is_no_verdict() -> None:
    hook = Hook()
    hook.store.freshness.confirm(Kind.SIGNERS, 0)
    answer = post(GOOD, hook=hook)
    assert (answer.status, answer.headers[b"connection"]) == (503, b"close")
    assert answer.headers[b"retry-after"] == b"0"  # another replica may give one
    assert b"allowed" not in answer.body


def test_a_body_that_trickles_in_is_cut_off_in_the_time_the_caller_grants() -> None:
    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    hook = Hook()
    assert asyncio.run(call(hook.validate, (), receive=trickle, query=b"timeout=200ms")).status == 408


@pytest.mark.parametrize(
    "query", [b"", b"timeout=", b"timeout=1h", b"timeout=-1s", b"timeout=9999999s", b"x&timeout=3s&y", b"timeout=1.5s"]
)
def test_an_odd_timeout_is_no_error(query: bytes) -> None:
    assert post(GOOD, query=query).response["allowed"] is True


def test_a_client_that_leaves_gets_nothing() -> None:
    assert asyncio.run(call(Hook().validate, None)).status == 0
    assert asyncio.run(call(Hook().validate, (), receive=_gone())).status == 0


def _gone() -> Any:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    return receive


def test_many_bodies_at_once_are_bounded_together() -> None:
    async def flood() -> list[Answer]:
        gate = asyncio.Event()
        hook = Hook()

        def client() -> Any:
            sent = iter([b"x" * (20 * 1024 * 1024)])

            async def receive() -> dict[str, Any]:
                body = next(sent, None)
                if body is None:
                    await gate.wait()
                    return {"type": "http.disconnect"}
                return {"type": "http.request", "body": body, "more_body": True}

            return receive

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call(hook.validate, (), receive=client())) for _ in range(8)]
            await asyncio.sleep(0.05)
            gate.set()
        after = await call(hook.validate, [GOOD])
        return [task.result() for task in tasks] + [after]

    *flooded, after = asyncio.run(flood())
    assert [answer.status for answer in flooded].count(503) >= 3
    assert not any(b"retry-after" in answer.headers for answer in flooded)  # asking again would be more of what is too much
    assert after.response["allowed"] is True


def test_while_draining_verdicts_are_given_and_connections_closed() -> None:
    hook = Hook()
    hook.health.draining = True
    answer = post(GOOD, hook=hook)
    assert answer.response["allowed"] is True
    assert answer.headers[b"connection"] == b"close"


def test_health_pages_say_why() -> None:
    hook = Hook()
    app = build_app(hook.validate, hook.mutate, hook.health)

    def get(path: str) -> Answer:
        return asyncio.run(call(app, [b""], method="GET", path=path, headers=()))

    assert (get("/livez").status, get("/readyz").status) == (200, 200)
    hook.health.draining = True
    assert (get("/readyz").status, get("/readyz").body) == (503, b"draining\n")
    hook.health.draining = False
    hook = Hook()
    hook.store.freshness.confirm(Kind.REVOCATIONS, 0)
    app = build_app(hook.validate, hook.mutate, hook.health)
    assert get("/readyz").status == 503
    assert b"revocations: last confirmed" in get("/readyz").body
    assert get("/livez").status == 200
    for path in ("/docs", "/redoc", "/openapi.json", "/metrics", "/", "/validate/x"):
        assert get(path).status == 404
    assert asyncio.run(call(app, [GOOD])).status == 503


def test_a_closed_connection_while_answering_is_no_error() -> None:
    async def send(_: Any) -> None:
        raise OSError

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": GOOD, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/validate", "query_string": b"", "headers": [JSON]}
    asyncio.run(Hook().validate(scope, receive, send))


def test_the_answer_is_one_json_document() -> None:
    assert json.loads(post(UNPINNED).body)["response"]["status"]["reason"] == "Forbidden"
