"""Calls an ASGI application as a server would, without one."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
JSON = (b"content-type", b"application/json")


@dataclass
class Answer:
    """What was sent back.

    Attributes:
        status: HTTP status; 0 when nothing was sent.
        headers: as sent.
        body: as sent.
    """

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    @property
    def response(self) -> Message:
        """The response of an AdmissionReview; fails where there is none."""
        answer = json.loads(self.body)
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response: Message = answer["response"]
        return response


async def call(
    app: App,
    parts: Iterable[bytes] | None,
    *,
    method: str = "POST",
    path: str = "/validate",
    query: bytes = b"timeout=3s",
    headers: Iterable[tuple[bytes, bytes]] = (JSON,),
    receive: Callable[[], Awaitable[Message]] | None = None,
) -> Answer:
    """One request.

    Args:
        app: the application.
        parts: of the body, in order; None: the client is gone.
        method: of the request.
        path: of the request.
        query: of the request.
        headers: of the request.
        receive: instead of parts.
    """
    chunks = [] if parts is None else list(parts)
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": index + 1 < len(chunks)} for index, chunk in enumerate(chunks)
    ]
    if parts is None:
        messages.append({"type": "http.disconnect"})
    answer = Answer()

    async def given() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert answer.status == 0
            answer.status, answer.headers = message["status"], dict(message["headers"])
        else:
            answer.body += message["body"]

    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": list(headers)}
    await app(scope, receive or given, send)
    return answer
