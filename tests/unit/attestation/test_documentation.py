"""docs/statement.md says what the code does."""

import json
import re
from pathlib import Path

from modeltrust.api.yaml_reader import read_yaml
from modeltrust.attestation import predicate, wire
from modeltrust.attestation.attestors import parse_attestors

TEXT = (Path(__file__).parents[3] / "docs" / "statement.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def test_the_documented_statement_is_one() -> None:
    payload = json.dumps(json.loads(block("json")), ensure_ascii=False, separators=(",", ":")).encode()
    assert predicate.decode(payload).identity.key.startswith("hf://acme/guard-7b@")


def test_the_documented_trust_file_is_one() -> None:
    (document,) = read_yaml(block("yaml"))
    assert len(parse_attestors(document.value).by_key) == 1


def test_the_documented_types_are_those_of_the_code() -> None:
    assert f"`{wire.PREDICATE_TYPE}`" in TEXT
