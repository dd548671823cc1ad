"""JSON beside the weights: keys that make a loader run code, load another repository or read another file (section 5).

Key and value are matched, at every depth. Which keys are rows (``rows/sidecars.yaml``); this file computes the shapes of values.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats.rules import KeyRule, Problem, Rules

TOKEN_DOCUMENTS = frozenset({"tokenizer", "vocabulary", "index", "foreign_index"})  # their keys are tokens or tensor names

_DRIVE = re.compile(r"\A[A-Za-z]:")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*")
_COMPONENT = 2  # [library, class]
_KERNEL = re.compile(r"[/:@]")
_ADMITTED_WEIGHTS = re.compile(r"[A-Za-z0-9._-]+\.safetensors(\.index\.json)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class _Value:
    """A value in a document: under which key, in which object, how deep."""

    key: str
    value: Any
    parent: str
    depth: int


def check_sidecar(document: str, content: Any, paths: AbstractSet[str], rules: Rules) -> Iterator[Problem]:
    """Judge one JSON document by its keys and values.

    Args:
        document: which one it is, a word of ``rows/files.yaml``.
        content: parsed, strictly.
        paths: every path of the model.
        rules: the tables.
    """
    rows = [row for row in rules.keys if document in row.documents or ("*" in row.documents and document not in TOKEN_DOCUMENTS)]
    if not rows:
        return
    exact, wild = _by_key(rows)
    yield from islice(_check(content, exact, wild, paths), limits.FINDINGS_PER_FILE)


def _by_key(rows: list[KeyRule]) -> tuple[dict[str, list[KeyRule]], list[tuple[re.Pattern[str], KeyRule]]]:
    exact: dict[str, list[KeyRule]] = {}
    wild: list[tuple[re.Pattern[str], KeyRule]] = []
    for row in rows:
        for key in row.keys:
            if "*" in key:
                wild.append((re.compile(re.escape(key).replace(r"\*", ".*"), re.DOTALL), row))
            else:
                exact.setdefault(key, []).append(row)
    return exact, wild


def _check(
    content: Any,
    exact: Mapping[str, list[KeyRule]],
    wild: list[tuple[re.Pattern[str], KeyRule]],
    paths: AbstractSet[str],
) -> Iterator[Problem]:
    for item in _walk(content):
        rows = exact.get(item.key, []) + [row for pattern, row in wild if pattern.fullmatch(item.key)]
        for row in rows:
            if _at_depth(row.depth, item) and (found := SHAPES[row.shape](item.value, row.allowed, paths)) is not None:
                yield Problem(row.rule, f"{quote(item.key)} is {quote(found)}")


def _at_depth(depth: str, item: _Value) -> bool:
    if depth == "any":
        return True
    if depth in {"top", "nested"}:
        return (item.depth == 0) == (depth == "top")
    return item.parent == depth


def _walk(content: Any) -> Iterator[_Value]:
    """Every key with its value, outermost first; list items keep the key and parent of their list."""
    pending: list[tuple[str, Any, int]] = [("", content, 0)]
    while pending:  # bounded by the document, and that by its size
        parent, value, depth = pending.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                yield _Value(key, child, parent, depth)
                pending.append((key, child, depth + 1))
        elif isinstance(value, list):
            pending.extend((parent, child, depth) for child in value if isinstance(child, (dict, list)))


def strings(value: Any) -> Iterator[str]:
    """Every string inside a value, at any depth, keys left out."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


# --- shapes of values: each returns what it found, or None ---


def is_path_like(text: str) -> bool:
    """Whether a text names a file elsewhere: a separator, ``..``, a drive letter, a home folder."""
    return "/" in text or "\\" in text or ".." in text or text.startswith("~") or bool(_DRIVE.match(text))


def _present(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001 (one signature for all shapes)
    return None if value is None or value in ({}, [], "") else value


def _any(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return "null" if value is None else value


def _not_false(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return None if value is False or value is None else value


def _some_string(value: Any, accept: Callable[[str], bool]) -> str | None:
    return next((text for text in strings(value) if accept(text)), None)


def _path(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return _some_string(value, is_path_like)


def _kernel(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return _some_string(value, lambda text: bool(_KERNEL.search(text)))


def _hub_id(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return value if isinstance(value, str) and _HUB_ID.fullmatch(value) else None


def _dotted(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return value if isinstance(value, str) and _DOTTED.fullmatch(value) else None


def _python_tag(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    texts = value if isinstance(value, list) else [value]
    return next((text for text in texts if isinstance(text, str) and "!!python" in text), None)


def _not_admitted_weights(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    if value is None or (isinstance(value, str) and _ADMITTED_WEIGHTS.fullmatch(value) and value in paths):
        return None
    return str(value)


def _is_module_of(text: str, allowed: tuple[str, ...]) -> bool:
    return any(text == module or text.startswith(f"{module}.") for module in allowed) and bool(
        _PLAIN_NAME.fullmatch(text) or _DOTTED.fullmatch(text)
    )


def _not_module_of(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    if value is None or (isinstance(value, str) and _is_module_of(value, allowed)):
        return None
    return str(value)


def _dotted_not_module_of(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return _some_string(value, lambda text: "." in text and not _is_module_of(text, allowed))


def _leaves_folder(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    if not isinstance(value, str):
        return str(value)
    outside = ".." in value or "\\" in value or value.startswith(("/", "~")) or _DRIVE.match(value)
    return value if outside else None


def _not_plain_name(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    return None if isinstance(value, str) and _PLAIN_NAME.fullmatch(value) else str(value)


def _component(value: Any, allowed: tuple[str, ...], paths: AbstractSet[str]) -> object | None:  # noqa: ARG001
    if not isinstance(value, list):
        return None
    if len(value) == _COMPONENT and (value[0] is None or value[0] in allowed):
        return None if value[1] is None or (isinstance(value[1], str) and _PLAIN_NAME.fullmatch(value[1])) else str(value)
    return str(value) if any(isinstance(item, str) for item in value) else None


Shape = Callable[[Any, tuple[str, ...], AbstractSet[str]], object | None]
SHAPES: Mapping[str, Shape] = {
    "present": _present,
    "any": _any,
    "not-false": _not_false,
    "path": _path,
    "kernel": _kernel,
    "hub-id": _hub_id,
    "dotted": _dotted,
    "python-tag": _python_tag,
    "not-admitted-weights": _not_admitted_weights,
    "not-module-of": _not_module_of,
    "dotted-not-module-of": _dotted_not_module_of,
    "leaves-folder": _leaves_folder,
    "not-plain-name": _not_plain_name,
    "component": _component,
}


# --- what needs two documents ---


def check_adapter(adapter: Any, *, has_config: bool) -> Iterator[Problem]:
    """An adapter names a base that loaders may fetch by themselves: silently where config.json is missing.

    Args:
        adapter: content of adapter_config.json.
        has_config: whether config.json stands beside it.
    """
    if not isinstance(adapter, dict):
        yield Problem("files.json", "adapter_config.json is not an object")
        return
    base, revision = adapter.get("base_model_name_or_path"), adapter.get("revision")
    if isinstance(revision, str) and _COMMIT.fullmatch(revision):
        return
    if not has_config:
        yield Problem("adapter.base", f"an adapter without config.json names the base {quote(base)} without a 40-hex revision")
    elif base is not None:
        yield Problem("adapter.base-floating", f"the adapter names the base {quote(base)} without a 40-hex revision")


def check_generation(generation: Any, config: Any) -> Iterator[Problem]:
    """End-of-text tokens of generation_config.json that config.json does not name."""
    if not isinstance(generation, dict) or not isinstance(config, dict):
        return
    extra = _ids(generation.get("eos_token_id")) - _ids(config.get("eos_token_id"))
    if extra and config.get("eos_token_id") is not None:
        yield Problem("generation_config.end", f"eos_token_id names {quote(sorted(extra))}, which config.json does not")


def _ids(value: Any) -> set[int]:
    return {item for item in (value if isinstance(value, list) else [value]) if type(item) is int}
