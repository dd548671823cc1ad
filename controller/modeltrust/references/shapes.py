"""Closed kinds: their rows compiled into msgspec Structs, so that only what is read is decoded.

The rows' paths form a tree; every node of it becomes a Struct whose fields are the node's children. Where a Pod spec
or a container stands, the Struct extends ``PodSpec`` or ``Container``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from operator import attrgetter, is_not
from typing import Any, Optional

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError
from modeltrust.references.actions import Action, Do
from modeltrust.references.pod import Container, Head, PodSpec, PodTemplate, Volume
from modeltrust.references.schema import KindRow

_LEAVES: dict[Do, Any] = {
    Do.POD_TEMPLATE: PodTemplate,
    Do.POD_SPEC: PodSpec,
    Do.CONTAINER: Container,
    Do.VOLUME: Volume,
}
_PRESENT = partial(is_not, None)
_MANY = ""  # the child that stands for every element of a list


@dataclass(slots=True)
class _Node:
    actions: list[Action] = field(default_factory=list)
    children: dict[str, "_Node"] = field(default_factory=dict)
    fields: list[tuple[str, "_Node"]] = field(default_factory=list)
    values: Callable[[Any], tuple[Any, ...]] = tuple  # of these fields
    many: "_Node | None" = None


class Shape:
    """A closed kind, ready to decode and visit."""

    __slots__ = ("_root", "decoder")

    def __init__(self, row: KindRow, actions: tuple[Action, ...]) -> None:
        self._root = _Node()
        for action in actions:
            _insert(self._root, action)
        self.decoder = msgspec.json.Decoder(_root_type(row, self._root))

    def visit(self, value: Any) -> list[tuple[Action, str, Any]]:
        """Every action with the JSON Pointer of its place and what stands there.

        Raises:
            LimitExceededError: a list is too long.
        """
        found: list[tuple[Action, str, Any]] = []
        _visit(self._root, value, "", found)
        return found


def _insert(node: _Node, action: Action) -> None:
    for step in action.path.steps:
        if step.deep:
            raise InvalidInputError(f"got path {action.path.text} in a closed kind, expected no ..")
    _insert_at(node, action, 0)


def _insert_at(node: _Node, action: Action, index: int) -> None:
    if index == len(action.path.steps):
        node.actions.append(action)
        return
    for name in action.path.steps[index].names or (_MANY,):
        _insert_at(node.children.setdefault(name, _Node()), action, index + 1)


def _root_type(row: KindRow, root: _Node) -> Any:
    metadata = root.children.pop("metadata", None)
    if metadata is not None:
        raise InvalidInputError(f"got a path below metadata in kind {row.kinds[0]}, expected annotations rows")
    return _struct(root, Head)


def _struct(node: _Node, base: Any) -> Any:
    fields = []
    for index, (name, child) in enumerate(node.children.items()):
        attribute = f"child{index}"
        node.fields.append((f"/{name}", child))
        fields.append((attribute, Optional[_type(child)], msgspec.field(default=None, name=name)))  # noqa: UP045 - built at run time
    # Two attributes at least, so that the getter makes a tuple.
    node.values = attrgetter(*(name for name, *_ in fields), "__class__", "__class__")
    bases = () if base is None else (base,)
    return msgspec.defstruct("Shape", fields, bases=bases, gc=False, kw_only=base is Head)


def _type(node: _Node) -> Any:
    if _MANY in node.children:
        if len(node.children) > 1 or node.actions:
            raise InvalidInputError("got paths that want a list and a map in one place, expected one of them")
        node.many = node.children[_MANY]
        return list[_type(node.children[_MANY]) | None]  # type: ignore[misc] # the type is made at run time
    base = next((leaf for action in node.actions if (leaf := _LEAVES.get(action.do)) is not None), None)
    if not node.children:
        return Any if base is None else base
    if node.actions and base is None:
        raise InvalidInputError(f"got path {node.actions[0].path.text} and paths below it, expected one of them in a closed kind")
    return _struct(node, base)


def _visit(node: _Node, value: Any, pointer: str, found: list[tuple[Action, str, Any]]) -> None:
    for action in node.actions:
        found.append((action, pointer, value))  # noqa: PERF401 - a comprehension costs a call
    many = node.many
    if many is not None:
        if len(value) > limits.PATH_MATCHES:
            raise LimitExceededError(f"got {len(value)} entries at {pointer}, expected at most {limits.PATH_MATCHES}")
        for index, item in enumerate(value):
            if item is not None:
                _visit(many, item, f"{pointer}/{index}", found)
        return
    if node.fields:
        values = node.values(value)
        for (name, child), item in compress(zip(node.fields, values, strict=False), map(_PRESENT, values)):
            _visit(child, item, pointer + name, found)
