"""From the value of an option to what it names."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from modeltrust.domain.workload import Role
from modeltrust.references.schema import FlagRow, FlagUse

ROLES: Mapping[str, Role] = {str(role): role for role in Role}


class Part(msgspec.Struct, gc=False):
    """One thing that a value says.

    Attributes:
        use: what it is.
        text: the string.
        of: for a revision, whose.
        revision: a revision inside the string itself.
        key: member of a JSON value, for the locator.
    """

    use: FlagUse
    text: str
    of: FlagUse = "base"
    revision: str = ""
    key: str = ""


class UnreadableValueError(Exception):
    """The value does not have the form that the option wants; never leaves this package."""


def split_value(row: FlagRow, values: list[str], key: str) -> Iterator[Part]:
    """Read the words of one option.

    Args:
        row: the option.
        values: its words.
        key: the member, for a dotted option.

    Raises:
        UnreadableValueError: the value has another form.
    """
    if key:
        yield from _members(row, _nested(key, values[-1] if values else ""))
        return
    for text in values:
        yield from _split(row, text)


def _split(row: FlagRow, text: str) -> Iterator[Part]:
    kind = row.format
    if kind == "plain":
        yield Part(row.use, text, row.of)
    elif kind in {"json", "json-map"}:
        yield from _members(row, _object(text))
    elif kind == "named":
        yield from _named(row, text)
    elif kind == "inline":
        if "{" not in text and "\n" not in text:
            yield Part(row.use, text, row.of)
    else:
        for item in text.split(","):
            yield from _item(row, item.strip())


def _item(row: FlagRow, item: str) -> Iterator[Part]:
    if not item:
        return
    if row.format == "scaled":
        head, colon, scale = item.rpartition(":")
        item = head if colon and scale.replace(".", "", 1).isdigit() else item
    elif row.format == "named-csv":
        item = item.partition("=")[2] or item
        item, _, revision = item.partition("@")
        yield Part(row.use, item, row.of, revision=revision)
        return
    yield Part(row.use, item, row.of)


def _named(row: FlagRow, text: str) -> Iterator[Part]:
    if text.startswith(("{", "[")):
        loaded = _loads(text)
        for item in loaded if isinstance(loaded, list) else [loaded]:
            if not isinstance(item, dict):
                raise UnreadableValueError
            yield from _members(row, item)
        return
    for item in text.split(",") if row.append else [text]:
        _, equals, path = item.partition("=")
        yield Part(row.use, path if equals else item, row.of)


def _members(row: FlagRow, value: Mapping[str, Any]) -> Iterator[Part]:
    if row.format == "json-map":
        for key, text in value.items():
            if not isinstance(text, str):
                raise UnreadableValueError
            yield Part(row.use, text, row.of, key=key)
        return
    owner: FlagUse = row.use if row.use in ROLES else "base"
    for key, use in row.keys.items():
        text = value.get(key)
        if isinstance(text, str):
            yield Part(use, text, owner, key=key)
        elif text is not None and use in ROLES:
            raise UnreadableValueError


def _nested(key: str, text: str) -> dict[str, Any]:
    head, _, rest = key.partition(".")
    return {head: _nested(rest, text) if rest else text}


def _object(text: str) -> dict[str, Any]:
    value = _loads(text)
    if not isinstance(value, dict):
        raise UnreadableValueError
    return value


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableValueError from error
