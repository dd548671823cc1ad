"""The format rules as they stand in the package: rows read from YAML, checked, stamped."""

import hashlib
from importlib import resources
from typing import Any

import yaml

from modeltrust.domain.errors import MalformedError, quote
from modeltrust.formats.rules import Rules, parse_rules

TABLES = ("rules", "files", "sidecars", "templates")


def load_rules() -> Rules:
    """The tables of ``formats/rows``, with the sha256 over their text as version.

    Raises:
        MalformedError: a row is wrong.
    """
    folder = resources.files("modeltrust.formats") / "rows"
    texts = {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in TABLES}
    version = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in texts.items()).encode()).hexdigest()
    return parse_rules({"version": version, **{name: _read(name, text) for name, text in texts.items()}})


def _read(name: str, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_UniqueLoader)  # noqa: S506 (a safe loader with one more check)
    except yaml.YAMLError as error:
        raise MalformedError(f"rule table {name} is malformed: {quote(error)}") from error


class _UniqueLoader(yaml.CSafeLoader):
    """PyYAML keeps the last of duplicate keys; a table with one is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 (signature)
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            raise yaml.constructor.ConstructorError(None, None, "duplicate key", node.start_mark)
        return super().construct_mapping(node, deep=deep)
