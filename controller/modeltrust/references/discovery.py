"""Shape discovery: Pod specs and containers in objects that no row describes (facts/workloads.md §10.3)."""

from collections.abc import Iterator
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.budget import Budget
from modeltrust.references.paths import children

_LISTS = ("containers", "initContainers", "ephemeralContainers")
_CONTAINER_KEYS = frozenset({"mainContainer", "runner", "container", "script", "containerSpec", "sidecarConfig"})
_CONTENT = frozenset({"image", "command", "args", "env"})


def discover(
    document: dict[str, Any], pointer: str, budget: Budget, skip: frozenset[str]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Find Pod specs and loose containers.

    Args:
        document: the object.
        pointer: of the object.
        budget: charged a step a node.
        skip: keys that are not entered.

    Yields:
        ``podSpec`` or ``container``, the JSON Pointer, the map.

    Raises:
        LimitExceededError: the object is too large or too deep.
    """
    for name, child in document.items():
        if name not in {"metadata", "status", "apiVersion", "kind"} and name not in skip:
            yield from _walk(child, f"{pointer}/{name}", name, budget, skip, 0)


def _walk(
    value: Any, pointer: str, name: str, budget: Budget, skip: frozenset[str], depth: int
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if depth > limits.WALK_DEPTH:
        raise LimitExceededError(f"got an object nested deeper than {limits.WALK_DEPTH} levels")
    entered: frozenset[str] = frozenset()
    if isinstance(value, dict):
        if any(_is_container_list(value.get(key)) for key in _LISTS):
            yield "podSpec", pointer, value
            entered = frozenset(_LISTS)
        elif name in _CONTAINER_KEYS and not _CONTENT.isdisjoint(value):
            yield "container", pointer, value
    elif not isinstance(value, list):
        return
    for where, child in children(value, pointer, budget):
        key = where.rsplit("/", 1)[-1]
        if isinstance(child, (dict, list)) and key not in skip and key not in entered:
            yield from _walk(child, where, key if isinstance(value, dict) else "", budget, skip, depth + 1)


def _is_container_list(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    first = value[0]
    return isinstance(first, dict) and "name" in first and not _CONTENT.isdisjoint(first)
