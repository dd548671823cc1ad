"""The subset of JSONPath (RFC 9535) that rows use: names, unions of names, ``[*]``, ``.*`` and ``..name``.

Own code, because evaluation must be bounded by steps (attack H11) and yield JSON Pointers; python-jsonpath is the
oracle in the tests.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, LimitExceededError, quote
from modeltrust.references.budget import Budget

_TOKEN = re.compile(
    r"\.\.(?P<deep>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<each>\.\*|\[\*\])"
    r"|\[(?P<union>'[^'\\]*'(?:,'[^'\\]*')*)\]"
)


@dataclass(frozen=True, slots=True)
class Step:
    """One segment.

    Attributes:
        names: member names; empty for every element or member.
        deep: at any depth below.
    """

    names: tuple[str, ...] = ()
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path."""

    text: str
    steps: tuple[Step, ...]


def parse_path(text: str, root: str = "$") -> Path:
    """Compile a path.

    Raises:
        InvalidInputError: not in the subset.
    """
    position, steps = len(root), []
    if not text.startswith(root):
        raise InvalidInputError(f"got path {quote(text)}, expected it to start with {root}")
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidInputError(f"got path {quote(text)}, expected names, unions, [*], .* or ..name at character {position}")
        position = match.end()
        if match["deep"]:
            steps.append(Step((match["deep"],), deep=True))
        elif match["name"]:
            steps.append(Step((match["name"],)))
        elif match["union"]:
            steps.append(Step(tuple(name[1:-1] for name in match["union"].split(","))))
        else:
            steps.append(Step())
    return Path(text, tuple(steps))


def evaluate(path: Path, value: Any, budget: Budget, pointer: str = "") -> list[tuple[str, Any]]:
    """Values that a path matches, each with its JSON Pointer, in document order. Nulls are no matches.

    Raises:
        LimitExceededError: too many steps or matches.
    """
    found: list[tuple[str, Any]] = [(pointer, value)]
    for step in path.steps:
        following: list[tuple[str, Any]] = []
        for place, item in found:
            following.extend(_step(step, item, place, budget))
            if len(following) > limits.PATH_MATCHES:
                raise LimitExceededError(f"got more than {limits.PATH_MATCHES} matches of {path.text}")
        if not following:
            return []
        found = following
    return [(place, item) for place, item in found if item is not None]


def _step(step: Step, item: Any, place: str, budget: Budget) -> Iterator[tuple[str, Any]]:
    if step.deep:
        yield from _deep(step.names[0], item, place, budget, 0)
        return
    budget.charge(1)
    if step.names:
        if isinstance(item, dict):
            for name in step.names:
                if name in item:
                    yield f"{place}/{escape(name)}", item[name]
    else:
        yield from children(item, place, budget)


def children(item: Any, place: str, budget: Budget) -> Iterator[tuple[str, Any]]:
    """Elements of a list or members of a map, each with its pointer."""
    if isinstance(item, dict):
        budget.charge(len(item))
        for name, child in item.items():
            yield f"{place}/{escape(name)}", child
    elif isinstance(item, list):
        budget.charge(len(item))
        for index, child in enumerate(item):
            yield f"{place}/{index}", child


def _deep(name: str, item: Any, place: str, budget: Budget, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > limits.JSON_DEPTH:
        raise LimitExceededError(f"got an object nested deeper than {limits.JSON_DEPTH} levels")
    if isinstance(item, dict) and name in item:
        yield f"{place}/{escape(name)}", item[name]
    for where, child in children(item, place, budget):
        if isinstance(child, (dict, list)):
            yield from _deep(name, child, where, budget, depth + 1)


def escape(name: str) -> str:
    """A member name inside a JSON Pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1") if "~" in name or "/" in name else name
