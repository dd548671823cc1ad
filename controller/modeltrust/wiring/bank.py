"""The probe bank as it stands in the package: rows read from YAML, checked, stamped. Without whatever talks to an engine."""

import hashlib
from importlib import resources
from typing import Any

from modeltrust.evaluation.bank import Bank, parse_bank
from modeltrust.wiring.rows import load_yaml

_TABLES = ("prompts", "triggers")


def load_bank() -> Bank:
    """The rows of ``evaluation/rows``, with the sha256 over their text as digest.

    Raises:
        InvalidInputError: a file is no YAML, or has a key twice.
        MalformedError: a row is wrong.
    """
    folder = resources.files("modeltrust.evaluation") / "rows"
    document: dict[str, Any] = {}
    stamp = hashlib.sha256()
    for name in _TABLES:
        text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
        stamp.update(f"{name}\0{text}\0".encode())
        document |= load_yaml(text)
    return parse_bank(document, stamp.hexdigest())
