"""The ASGI application: ``/validate`` and ``/mutate`` in front of routing, everything else by FastAPI."""

from collections.abc import Awaitable, Callable
from time import time
from typing import Any

from fastapi import FastAPI, Response

from modeltrust.webhook.health import Health
from modeltrust.webhook.validate import Receive, Scope, Send, Validate

App = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_app(validate: Validate, mutate: Validate, health: Health) -> App:
    """The application for the TLS port; metrics have a port of their own.

    Middleware, dependency injection and pydantic bodies cost three times the decision, so the hot path goes around them
    (facts/performance.md, design rule 2).
    """
    pages: Any = _pages(health)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/validate":
            await validate(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/mutate":
            await mutate(scope, receive, send)
        else:
            await pages(scope, receive, send)

    return app


def _pages(health: Health) -> FastAPI:
    pages = FastAPI(title="modeltrust webhook", docs_url=None, redoc_url=None, openapi_url=None)

    @pages.get("/livez")
    async def livez() -> Response:
        """Whether the process runs; says nothing about verdicts, so that staleness restarts nobody."""
        return Response("ok\n", media_type="text/plain")

    @pages.get("/readyz")
    async def readyz() -> Response:
        """Whether verdicts are given here, with the reasons when not."""
        reasons = health.ready(time())
        if reasons:
            return Response("\n".join(reasons) + "\n", status_code=503, media_type="text/plain")
        return Response("ok\n", media_type="text/plain")

    return pages
