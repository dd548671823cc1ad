"""YAML documents as plain values, with lines: duplicate keys refused, anchors bounded, no tags but the plain ones.

Built from parser events, because PyYAML's constructor keeps the last of duplicate keys, builds dates and resolves scalars
otherwise than kubectl; and because only events tell a shared anchor from a copy, whose expansion must be counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from modeltrust.api.scalars import key_text, resolve
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

_TAG = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    f"{_TAG}bool": (bool,),
    f"{_TAG}int": (int,),
    f"{_TAG}float": (int, float),
    f"{_TAG}null": (type(None),),
}
_TEXT_TAGS = frozenset({f"{_TAG}str", "!"})
_MERGE = "<<"
_ITEM_LEVELS = 2  # places of the items of a List are always kept, for the line of each object

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a stream.

    Attributes:
        value: None, a boolean, a number, a string, a list or a dictionary with string keys.
        places: JSON Pointer → (line, column), both from 1; the upper levels only, unless asked for all.
    """

    value: Any
    places: dict[str, Place]


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: Any
    nodes: int


def read_yaml(text: str, *, everywhere: bool = False) -> Iterator[YamlDocument]:
    """Read every document of a stream.

    Args:
        text: the stream.
        everywhere: keep the place of every value.

    Raises:
        InvalidInputError: begins with the line, ``12: got …``.
    """
    reader = _Reader(text, everywhere=everywhere)
    try:
        yield from reader.documents()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or "unreadable characters"
        raise InvalidInputError(f"{mark.line + 1 if mark is not None else reader.line}: not YAML: {quote(why)}") from error


class _Reader:
    def __init__(self, text: str, *, everywhere: bool) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._everywhere = everywhere
        self._nodes = 0
        self._anchors: dict[str, _Anchored] = {}
        self._places: dict[str, Place] = {}
        self.line = 1

    def documents(self) -> Iterator[YamlDocument]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._places = {}, {}
                yield YamlDocument(self._value(self._next(), "", 0), self._places)

    def _next(self) -> Any:
        event = next(self._events)
        self.line = event.start_mark.line + 1
        return event

    def _value(self, event: Any, pointer: str, depth: int) -> Any:
        self._count(1)
        if depth > limits.JSON_DEPTH:
            raise self._wrong(f"got more than {limits.JSON_DEPTH} levels")
        if self._everywhere or depth <= _ITEM_LEVELS:
            self._places[pointer] = (event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._nodes
        value = self._fresh(event, pointer, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, self._nodes - before + 1)
        return value

    def _fresh(self, event: Any, pointer: str, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if event.tag not in {None, "!", f"{_TAG}map", f"{_TAG}seq"}:
            raise self._wrong(f"got the tag {quote(event.tag)}, expected plain data")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(pointer, depth + 1)
        return self._sequence(pointer, depth + 1)

    def _scalar(self, event: Any) -> Any:
        if event.tag is None and not event.implicit[0]:
            return event.value  # quoted or a block
        if event.tag in _TEXT_TAGS:
            return event.value
        if event.tag is not None and event.tag not in _TYPES:
            raise self._wrong(f"got the tag {quote(event.tag)}, expected plain data")
        try:
            value = resolve(event.value)
        except InvalidInputError as error:
            raise self._wrong(str(error)) from error
        if event.tag is not None and not isinstance(value, _TYPES[event.tag]):
            raise self._wrong(f"got {quote(event.value)}, expected what its tag says")
        return value

    def _sequence(self, pointer: str, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            values.append(self._value(event, f"{pointer}/{len(values)}", depth))
        return values

    def _mapping(self, pointer: str, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            if key == _MERGE and event.implicit[0]:
                if merged:
                    raise self._wrong('got "<<" twice in one map, expected it once')
                merged = self._merged(self._value(self._next(), f"{pointer}/{_MERGE}", depth), values)
                continue
            if key in values:
                raise self._wrong(f"got the key {quote(key)} twice, expected each key once")
            values[key] = self._value(self._next(), f"{pointer}/{_escaped(key)}", depth)
        for other in merged:
            values = {**other, **values}
        return values

    def _key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._wrong("got a map, a list or an alias as a key, expected a string")
        self._count(1)
        try:
            return key_text(self._scalar(event))
        except InvalidInputError as error:
            raise self._wrong(str(error)) from error

    def _merged(self, value: Any, before: dict[str, Any]) -> list[dict[str, Any]]:
        """The maps behind "<<", none of which says anything about a key that stands before it.

        kubectl lets what is merged later win over it, the YAML specification the key: a check would see one object and the API
        server get another.
        """
        maps = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, dict) for entry in maps):
            raise self._wrong('got something else, expected a map after "<<"')
        twice = next((key for entry in maps for key in entry if key in before), None)
        if twice is not None:
            raise self._wrong(f'got the key {quote(twice)} before "<<", which has it too, expected "<<" first')
        self._count(sum(len(entry) for entry in maps))
        return maps

    def _alias(self, event: Any) -> Any:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise self._wrong(f"got the alias {quote(event.anchor)} of nothing that is complete")
        self._count(found.nodes)
        return found.value

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > limits.YAML_NODES:
            raise self._wrong(f"got more than {limits.YAML_NODES} values, anchors expanded")

    def _wrong(self, why: str) -> InvalidInputError:
        return InvalidInputError(f"{self.line}: {why}")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
