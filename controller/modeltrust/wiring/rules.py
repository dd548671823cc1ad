"""The format rules as they stand in the package: rows read from YAML, checked, stamped."""

import hashlib
from importlib import resources

from modeltrust.formats.rules import Rules, parse_rules
from modeltrust.wiring.rows import load_yaml

TABLES = ("rules", "files", "sidecars", "templates")


def load_rules() -> Rules:
    """The tables of ``formats/rows``, with the sha256 over their text as version.

    Raises:
        InvalidInputError: a file is no YAML, or has a key twice.
        MalformedError: a row is wrong.
    """
    folder = resources.files("modeltrust.formats") / "rows"
    texts = {name: (folder / f"{name}.yaml").read_text(encoding="utf-8") for name in TABLES}
    version = hashlib.sha256("\0".join(f"{name}\0{text}" for name, text in texts.items()).encode()).hexdigest()
    return parse_rules({"version": version, **{name: load_yaml(text) for name, text in texts.items()}})
