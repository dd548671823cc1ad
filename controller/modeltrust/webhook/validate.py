"""``POST /validate`` and ``POST /mutate`` as a raw ASGI function, in front of all routing: bounded read, decode, decide, encode.

What comes back (attack H10): a verdict as soon as the uid of the request is known, else HTTP 400, since an HTTP error admits
under ``failurePolicy: Ignore``. HTTP 503 means that there is no verdict: where this replica is not ready, the API server asks
again at once, most likely another one; when nobody gives a verdict, the failurePolicy of each namespace decides. Never a 500, and
never an allow that was not decided.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from time import perf_counter, time
from typing import Any, Protocol

from modeltrust.domain import limits
from modeltrust.telemetry import Telemetry
from modeltrust.webhook.health import Health

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE = (b"connection", b"close")
# The API server asks again, ten times at most (client-go, rest/with_retry.go), and on a new connection: a replica that is not ready
# gets calls until the endpoints forget it, and `Ignore` would admit them unjudged.
_ELSEWHERE = (b"retry-after", b"0")
_TIMEOUT = re.compile(rb"(?:^|&)timeout=([0-9]{1,4}(?:\.[0-9]{1,3})?)(ms|s|m)(?:&|$)")  # of Go's durations, those that are sent
_UNITS = {b"ms": 0.001, b"s": 1.0, b"m": 60.0}
_PREFIX_BYTES = limits.UID_SCAN_BYTES


class _TooLargeError(Exception):
    """The body passed the bound; ``args[0]`` is its start."""


class _RefusedError(Exception):
    """There is no verdict."""

    def __init__(self, why: str, status: HTTPStatus, text: str, *, elsewhere: bool = False) -> None:
        super().__init__(text)
        self.why = why
        self.status = status
        self.headers = (_TEXT, _ELSEWHERE) if elsewhere else (_TEXT,)


class _GoneError(Exception):
    """Nobody waits for the answer any more."""


class Answers(Protocol):
    """Who turns the bytes of a review into the bytes of its answer; ``Answerer`` gives verdicts, ``Mutator`` patches."""

    def answer(self, body: bytes, *, now: int, started: float) -> bytes | None:
        """The answer to one review; None where not even its uid can be read."""
        ...

    def too_large(self, start: bytes) -> bytes | None:
        """The answer to a review that passed the bound on bytes, from its start; None as above."""
        ...


class Validate:
    """The endpoint."""

    def __init__(self, *, answerer: Answers, health: Health, telemetry: Telemetry, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._answerer = answerer
        self._health = health
        self._telemetry = telemetry
        self._bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call; never raises but for cancellation."""
        started = perf_counter()
        status, content, body = await self._respond(scope, receive, started)
        if status is None:
            return
        headers = [*content, (b"content-length", str(len(body)).encode())]
        if self._health.draining or status is not HTTPStatus.OK:
            headers.append(_CLOSE)  # while draining clients move elsewhere; after an error the rest of the body may be unread
        with contextlib.suppress(OSError):
            await send({"type": "http.response.start", "status": int(status), "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _respond(
        self, scope: Scope, receive: Receive, started: float
    ) -> tuple[HTTPStatus | None, tuple[tuple[bytes, bytes], ...], bytes]:
        try:
            return HTTPStatus.OK, (_JSON,), await self._answer(scope, receive, started)
        except _GoneError:
            return None, (), b""
        except _RefusedError as refused:
            self._telemetry.refused(refused.why)
            return refused.status, refused.headers, f"{refused}\n".encode()

    async def _answer(self, scope: Scope, receive: Receive, started: float) -> bytes:
        self._check(scope)
        try:
            async with asyncio.timeout(_patience(scope)):
                body = await self._read(receive)
        except TimeoutError as error:
            raise _RefusedError("too_slow", HTTPStatus.REQUEST_TIMEOUT, "the body did not arrive in time") from error
        except _TooLargeError as error:
            answer = self._answerer.too_large(error.args[0])
        else:
            answer = self._answerer.answer(body, now=int(self._clock()), started=started)
        if answer is None:
            raise _RefusedError("bad_request", HTTPStatus.BAD_REQUEST, "not an AdmissionReview")
        return answer

    def _check(self, scope: Scope) -> None:
        if scope["method"] != "POST":
            raise _RefusedError("bad_request", HTTPStatus.METHOD_NOT_ALLOWED, "expected POST")
        if self._health.reasons(self._clock()):
            raise _RefusedError("not_ready", HTTPStatus.SERVICE_UNAVAILABLE, "not ready: no verdict", elsewhere=True)
        if not _is_json(scope):
            raise _RefusedError("bad_request", HTTPStatus.BAD_REQUEST, "expected content-type application/json")

    async def _read(self, receive: Receive) -> bytes:
        message = await receive()
        if not message.get("more_body") and message["type"] == "http.request":
            body: bytes = message.get("body", b"")
            if len(body) > limits.REVIEW_BYTES:
                raise _TooLargeError(body[:_PREFIX_BYTES])
            return body
        return await self._read_parts(receive, message)

    async def _read_parts(self, receive: Receive, message: Message) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                if message["type"] != "http.request":
                    raise _GoneError
                part = message.get("body", b"")
                size += len(part)
                self._bytes_in_flight += len(part)
                parts.append(part)
                if size > limits.REVIEW_BYTES:
                    start = b"".join(parts[:_PREFIX_BYTES])[:_PREFIX_BYTES]
                    parts.clear()
                    await _discard(receive, message)
                    raise _TooLargeError(start)
                if self._bytes_in_flight > limits.BODIES_BYTES:
                    raise _RefusedError("overloaded", HTTPStatus.SERVICE_UNAVAILABLE, "too much is being read: no verdict")
                if not message.get("more_body"):
                    return b"".join(parts)
                message = await receive()
        finally:
            self._bytes_in_flight -= size


async def _discard(receive: Receive, message: Message) -> None:
    # A client that is still writing when the connection closes never sees the denial, and `Ignore` admits what failed.
    discarded = 0
    while message.get("more_body") and discarded < limits.DISCARD_BYTES:
        message = await receive()
        discarded += len(message.get("body", b""))


def _patience(scope: Scope) -> float:
    """How long to wait for the body, in seconds: the API server's own patience less what answering needs."""
    found = _TIMEOUT.search(scope["query_string"])
    if found is None:
        return limits.BODY_SECONDS
    asked = float(found[1]) * _UNITS[found[2]]
    return min(limits.BODY_SECONDS, limits.ANSWER_SECONDS, max(asked / 2, asked - limits.ANSWER_MARGIN_SECONDS))


def _is_json(scope: Scope) -> bool:
    values = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(values) == 1 and values[0].partition(b";")[0].strip().lower() == b"application/json"
