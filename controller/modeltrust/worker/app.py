"""The ASGI application: ``POST /v1/examine`` takes an order and gives its report, or says that it is being made.

200 with a report · 202 it is being examined, ask again · 400 no order of ours · 413 too large · 429 no room · 502 the examination
gave no report, with the reason · 503 the worker is stopping.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError
from modeltrust.domain.work import Report
from modeltrust.worker.examinations import BusyError, Examinations
from modeltrust.worker.metrics import Metrics

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_Answer = tuple[HTTPStatus, bytes]
_PATH = "/v1/examine"
_UNREAD = frozenset({HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT})  # bodies


class _LeftError(Exception):
    """The client is gone; nobody is to be answered."""


class App:
    """Answers whoever got past the handshake, which is the operator."""

    def __init__(self, examinations: Examinations, metrics: Metrics, *, seconds: float = limits.WORKER_ANSWER_SECONDS) -> None:
        """Join the parts.

        Args:
            examinations: what is under way.
            metrics: are told each answer.
            seconds: to wait for a report before saying that it is being made.
        """
        self._examinations = examinations
        self._metrics = metrics
        self._seconds = seconds
        self._reading = 0  # bytes of all orders that are being read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            status, body = await self._answer(scope, receive)
        except _LeftError:
            return
        self._metrics.answered(status)
        kind = b"application/json" if status is HTTPStatus.OK else b"text/plain; charset=utf-8"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if status in _UNREAD:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> _Answer:
        if scope["path"] != _PATH:
            return HTTPStatus.NOT_FOUND, b"not found\n"
        if scope["method"] != "POST":
            return HTTPStatus.METHOD_NOT_ALLOWED, b"expected POST\n"
        try:
            async with asyncio.timeout(limits.WORKER_BODY_SECONDS):
                body = await self._read(receive)
            future = await asyncio.to_thread(self._begin, body, _patient(scope))
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT, b"the order did not arrive\n"
        except ModelTrustError as error:
            return _status(error), _text(error)
        return await self._result(future)

    def _begin(self, body: bytes, patient: bool) -> "Future[Report]":  # noqa: FBT001 - called by a thread
        return self._examinations.ask(replace(work.decode_order(body), patient=patient))

    async def _read(self, receive: Receive) -> bytes:
        """The body, within what one order and all of them together may take."""
        body, counted = bytearray(), 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _LeftError
                body += message.get("body", b"")
                self._reading, counted = self._reading + len(body) - counted, len(body)
                if len(body) > limits.ORDER_BYTES:
                    raise LimitExceededError(f"got an order of more than {limits.ORDER_BYTES} bytes")
                if self._reading > limits.ORDERS_BYTES:
                    raise BusyError(f"orders of more than {limits.ORDERS_BYTES} bytes are being read, expected fewer")
                if not message.get("more_body"):
                    return bytes(body)
        finally:
            self._reading -= counted

    async def _result(self, future: "Future[Report]") -> _Answer:
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # who is gone by then asks again
        await asyncio.wait({waiting}, timeout=self._seconds)
        if not future.done():
            return HTTPStatus.ACCEPTED, b"running\n"
        try:
            return HTTPStatus.OK, work.encode_report(future.result())
        except (ModelTrustError, CancelledError) as error:
            return HTTPStatus.BAD_GATEWAY, _text(error)


def _patient(scope: Scope) -> bool:
    return (b"priority", work.PATIENT.encode()) in scope["headers"]


def _status(error: ModelTrustError) -> HTTPStatus:
    match error:
        case BusyError():
            return HTTPStatus.TOO_MANY_REQUESTS
        case LimitExceededError():
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        case MalformedError():
            return HTTPStatus.BAD_REQUEST
        case _:
            return HTTPStatus.SERVICE_UNAVAILABLE


def _text(error: BaseException) -> bytes:
    return (str(error) or type(error).__name__)[: limits.STATEMENT_TEXT_CHARACTERS].encode("utf-8", "replace") + b"\n"
