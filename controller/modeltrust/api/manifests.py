"""Manifests as kubectl reads them: YAML with several documents, or JSON; List objects flattened; nothing skipped silently."""

import functools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from modeltrust.api.yaml_reader import Place, YamlDocument, read_yaml
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

_LIST_DEPTH = 4  # List objects inside List objects
_OF_A_LIST = frozenset({"apiVersion", "kind", "metadata", "items"})
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a manifest.

    Attributes:
        value: the object; ``apiVersion`` and ``kind`` are non-empty strings, the rest is as written.
        name: of the file.
        index: position among the objects of the file, from 0.
        line: first line in the file, from 1.
    """

    value: dict[str, Any]
    name: str
    index: int
    line: int
    _text: str = field(default="", repr=False, compare=False)
    _document: int = field(default=0, repr=False, compare=False)
    _pointer: str = field(default="", repr=False, compare=False)


def read_manifests(data: bytes, name: str) -> tuple[Document, ...]:
    """Read every object of a file.

    Args:
        data: the file, UTF-8.
        name: of the file, for messages.

    Raises:
        InvalidInputError: it is too large, no text, no YAML or JSON, has duplicate keys, expands to too much, or holds something
            that is no object; begins with ``name:line:``.
    """
    text = _text(data, name)
    try:
        return tuple(_read(text, name))
    except InvalidInputError as error:
        raise InvalidInputError(f"{name}:{error}") from error


def _read(text: str, name: str) -> Iterator[Document]:
    index = 0
    for number, document in enumerate(_documents(text)):
        if document.value is None:
            continue
        for value, pointer in _objects(document, document.value, "", 0):
            line = _place(document.places, pointer)[0]
            if index >= limits.MANIFEST_DOCUMENTS:
                raise InvalidInputError(f"{line}: got more than {limits.MANIFEST_DOCUMENTS} objects in one file")
            yield Document(value, name, index, line, text, number, pointer)
            index += 1


def locate(document: Document, pointer: str) -> Place:
    """Where a value stands in its file.

    Args:
        document: as read.
        pointer: JSON Pointer into the object; a sub-locator after ``#`` is dropped.

    Returns:
        (line, column), both from 1: of the value, else of the nearest thing around it that is there.
    """
    return _place(_all_places(document._text, document._document), document._pointer + pointer.partition("#")[0])  # noqa: SLF001 - its own module


@functools.lru_cache(maxsize=4)  # findings come file by file; the command line reads few files
def _all_places(text: str, number: int) -> dict[str, Place]:
    try:
        for index, document in enumerate(read_yaml(text, everywhere=True)):
            if index == number:
                return document.places
    except InvalidInputError:  # JSON that is no YAML, such as two documents without a separator
        return {}
    return {}


def _place(places: dict[str, Place], pointer: str) -> Place:
    while pointer not in places and pointer:
        pointer = pointer.rpartition("/")[0]
    return places.get(pointer, (1, 1))


def _text(data: bytes, name: str) -> str:
    if len(data) > limits.MANIFEST_BYTES:
        raise InvalidInputError(f"{name}:1: got {len(data)} bytes, expected a manifest of at most {limits.MANIFEST_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidInputError(f"{name}:{line}: got bytes that are not UTF-8, expected a manifest in YAML or JSON") from error
    if "\0" in text:
        raise InvalidInputError(
            f"{name}:{text[: text.index(chr(0))].count(chr(10)) + 1}: got a NUL, expected a manifest in YAML or JSON"
        )
    return text


def _documents(text: str) -> Iterable[YamlDocument]:
    if not text.lstrip(_SPACE).startswith("{"):
        return read_yaml(text)
    try:
        return list(_read_json(text))
    except json.JSONDecodeError as error:
        # A YAML document may begin with a flow map; what is neither is most likely JSON that was cut off.
        try:
            return list(read_yaml(text))
        except InvalidInputError:
            raise InvalidInputError(f"{error.lineno}: not JSON: {error.msg}") from error


def _read_json(text: str) -> Iterator[YamlDocument]:
    position = _skip_space(text, 0)
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, end = _DECODER.raw_decode(text, position)
            _check_depth(value)
        except json.JSONDecodeError:
            raise
        except RecursionError as error:
            raise InvalidInputError(f"{line}: got more than {limits.JSON_DEPTH} levels") from error
        except ValueError as error:
            raise InvalidInputError(f"{line}: {error}") from error
        yield YamlDocument(value, {"": (line, 1)})
        position = _skip_space(text, end)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"got the key {quote(key)} twice, expected each key once")
        values[key] = value
    return values


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"got {text}, expected a number that JSON can hold")


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        _no_constant(quote(text))
    return value


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(limits.JSON_DEPTH + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise ValueError(f"got more than {limits.JSON_DEPTH} levels")


def _objects(document: YamlDocument, value: Any, pointer: str, depth: int) -> Iterator[tuple[dict[str, Any], str]]:
    """The object, or those of a List: kubectl takes every object with ``items`` for one."""
    line = _place(document.places, pointer)[0]
    if not isinstance(value, dict):
        raise InvalidInputError(f"{line}: got {_shown(value)}, expected an object with apiVersion and kind")
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key), str) or not value[key]:
            raise InvalidInputError(f"{line}: {key}: got {_shown(value.get(key))}, expected an object with apiVersion and kind")
    items = value.get("items")
    if items is None or not (isinstance(items, list) or value["kind"].endswith("List")):
        yield value, pointer
        return
    if not isinstance(items, list) or depth >= _LIST_DEPTH:
        raise InvalidInputError(
            f"{line}: items: got {_shown(items)}, expected a list of objects, not nested deeper than {_LIST_DEPTH}"
        )
    beside = sorted(str(key) for key in value.keys() - _OF_A_LIST)
    if beside:
        # kubectl applies the items alone; others apply the whole object. Read either way, half of it would go unseen.
        raise InvalidInputError(
            f"{line}: got {quote(beside[0])} beside items in a {quote(value['kind'])}, expected a list of objects or one object"
        )
    for index, item in enumerate(items):
        yield from _objects(document, _typed(item, value), f"{pointer}/items/{index}", depth + 1)


def _typed(item: Any, holder: dict[str, Any]) -> Any:
    """An item of a DeploymentList may leave out what the list says."""
    kind = holder["kind"].removesuffix("List")
    if kind and isinstance(item, dict) and "kind" not in item and "apiVersion" not in item:
        return {"apiVersion": holder["apiVersion"], "kind": kind, **item}
    return item


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return quote(value) if isinstance(value, str) else f"a {type(value).__name__}"
