"""The port of orders, without TLS: one status for each outcome, bounded bodies, nobody waits for ever."""

import asyncio
import dataclasses
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

import pytest

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError, UnavailableError
from modeltrust.domain.work import Order, Report
from modeltrust.worker.app import App
from modeltrust.worker.examinations import BusyError, Examinations
from modeltrust.worker.metrics import Metrics
from tests.unit.api.test_work import ORDER, REPORT

DATA = work.encode_order(ORDER)


class Asked(Examinations):
    """Gives one future, or an error."""

    def __init__(self, answer: "Future[Report] | ModelTrustError") -> None:
        self.answer = answer
        self.orders: list[Order] = []

    def ask(self, order: Order) -> "Future[Report]":
        self.orders.append(order)
        if isinstance(self.answer, ModelTrustError):
            raise self.answer
        return self.answer


def future(result: Report | Exception | None) -> "Future[Report]":
    made: Future[Report] = Future()
    if isinstance(result, Report):
        made.set_result(result)
    elif result is not None:
        made.set_exception(result)
    return made


def call(
    answer: "Future[Report] | ModelTrustError | Asked",
    *parts: bytes,
    path: str = "/v1/examine",
    method: str = "POST",
    leaves: bool = False,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> tuple[int, bytes] | None:
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append({"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asked = answer if isinstance(answer, Asked) else Asked(answer)
    app = App(asked, Metrics(under_way=lambda: 0), seconds=0.05)
    asyncio.run(app({"type": "http", "path": path, "method": method, "headers": headers}, receive, send))
    return (sent[0]["status"], sent[1]["body"]) if sent else None


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (future(REPORT), HTTPStatus.OK),
        (future(None), HTTPStatus.ACCEPTED),
        (future(UnavailableError("killed")), HTTPStatus.BAD_GATEWAY),
        (BusyError("full"), HTTPStatus.TOO_MANY_REQUESTS),
        (UnavailableError("stopping"), HTTPStatus.SERVICE_UNAVAILABLE),
    ],
)
def test_each_outcome_has_its_status(answer: Any, status: int) -> None:
    answered = call(answer, DATA[:100], DATA[100:])
    assert answered is not None
    assert answered[0] == status
    if status == HTTPStatus.OK:
        assert work.decode_report(answered[1]) == REPORT


@pytest.mark.parametrize(("value", "patient"), [("u=7", True), ("u=1", False), ("", False), ("u=7, i", False)])
def test_an_order_gives_way_only_where_its_request_says_so(value: str, patient: bool) -> None:  # noqa: FBT001 - a table
    asked = Asked(future(REPORT))
    call(asked, DATA, headers=((b"priority", value.encode()),))
    assert [order.patient for order in asked.orders] == [patient]


@pytest.mark.parametrize("body", [b"", b"{}", DATA[:-1], DATA + b" ", work.encode_report(REPORT)])
def test_what_is_no_order_is_refused_and_shows_no_credentials(body: bytes) -> None:
    answered = call(future(REPORT), body)
    assert answered is not None
    assert answered[0] == HTTPStatus.BAD_REQUEST
    assert b"credential-1" not in answered[1]


def test_other_paths_and_methods_and_clients_that_leave() -> None:
    assert call(future(REPORT), DATA, path="/metrics") == (404, b"not found\n")
    assert call(future(REPORT), DATA, method="GET") == (405, b"expected POST\n")
    assert call(future(REPORT), DATA, leaves=True) is None


def test_bodies_are_bounded_each_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ORDER_BYTES", 1_000)
    assert (call(future(REPORT), b"x" * 600, b"x" * 600) or (0,))[0] == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    monkeypatch.setattr(limits, "ORDERS_BYTES", 500)
    assert (call(future(REPORT), b"x" * 600) or (0,))[0] == HTTPStatus.TOO_MANY_REQUESTS


def test_a_long_reason_is_cut() -> None:
    answered = call(future(UnavailableError("x" * 100_000)), work.encode_order(dataclasses.replace(ORDER, bundles=())))
    assert answered is not None
    assert len(answered[1]) < limits.STATEMENT_TEXT_CHARACTERS + 2
