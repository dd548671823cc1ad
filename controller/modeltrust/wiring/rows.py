"""Reads the tables beside the rules (rows/*.yaml) and stamps them with a version."""

import hashlib
from importlib import resources
from typing import Any

import yaml

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.references.tables import Tables, parse_tables


class _Loader(yaml.CSafeLoader):
    """The C loader, refusing what PyYAML silently accepts: of two equal keys it keeps the last."""


def _unique_mapping(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise InvalidInputError(f"got a key that is no text at line {key_node.start_mark.line + 1}, expected text")
        if key in keys:
            raise InvalidInputError(f"got key {key} twice at line {key_node.start_mark.line + 1}, expected it once")
        keys.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def load_yaml(text: str) -> Any:
    """Read one YAML document; aliases are bounded by the size of the text.

    Raises:
        InvalidInputError: not YAML, a duplicate key, an alias, or too large.
    """
    if len(text) > limits.EMBEDDED_BYTES:
        raise InvalidInputError(f"got YAML of {len(text)} characters, expected at most {limits.EMBEDDED_BYTES}")
    try:
        # Aliases multiply: nine lines can become 10^9 nodes.
        if "*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader)):
            raise InvalidInputError("got a YAML alias, expected none")
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInputError("got text that is no YAML document") from error


def load_tables() -> Tables:
    """Read references/rows/*.yaml.

    Raises:
        InvalidInputError: a file is malformed, or two files define one topic.
    """
    document: dict[str, Any] = {}
    stamp = hashlib.sha256()
    folder = resources.files("modeltrust.references") / "rows"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        text = file.read_text(encoding="utf-8")
        stamp.update(f"{file.name}\0{text}\0".encode())
        for topic, rows in (load_yaml(text) or {}).items():
            known = document.setdefault(topic, [])
            known.extend(rows)
    return parse_tables({**document, "version": stamp.hexdigest()})
