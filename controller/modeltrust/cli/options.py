"""Options that several commands share."""

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from modeltrust.domain.errors import InvalidInputError, quote

F = TypeVar("F", bound=Callable[..., Any])


def output(*formats: str) -> Callable[[F], F]:
    """The option ``-o``: text first, which is the default."""
    return click.option("-o", "--output", type=click.Choice(["text", *formats]), default="text", show_default=True)


def manifests(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument FILE... and ``-f`` as kubectl spells it; the command takes both as ``names``.

    Raises:
        InvalidInputError: none is named (when the command runs).
    """

    @functools.wraps(function)
    def named(*, names: tuple[str, ...], filename: tuple[str, ...], **rest: Any) -> Any:
        if not names and not filename:
            raise InvalidInputError("expected FILE: a manifest, a folder of them, or - for standard input")
        return function(names=names + filename, **rest)

    option = click.option("-f", "--filename", metavar="FILE", multiple=True, help="the same as FILE")
    return click.argument("names", metavar="[FILE]...", nargs=-1)(option(named))


def parse_now(text: str | None) -> int:
    """The time at which to judge, in unix seconds: RFC 3339 as given, else the clock.

    Raises:
        InvalidInputError: not RFC 3339 with a zone.
    """
    if text is None:
        return int(time.time())
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"got --now {quote(text)}, expected RFC 3339 like 2027-01-15T00:00:00Z") from error
    if moment.tzinfo is None:
        raise InvalidInputError(f"got --now {quote(text)} without a time zone, expected RFC 3339 like 2027-01-15T00:00:00Z")
    return int(moment.timestamp())


def rfc3339(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
