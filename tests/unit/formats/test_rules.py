"""The tables: every rule is reached, every id in the code has a row, and a wrong table is refused."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from modeltrust import formats
from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.reasons import Reason
from modeltrust.formats.inspect import inspect
from modeltrust.formats.rules import Problem, parse_rules
from modeltrust.wiring import rules as wiring
from modeltrust.wiring.rules import load_rules
from tests.generated_formats import generate
from tests.support.rule_cases import cases

RULES = load_rules()
PACKAGE = Path(formats.__path__[0])
CASES = cases()


def test_every_rule_has_a_model_that_breaks_it() -> None:
    assert set(CASES) == set(RULES.rules)


@pytest.mark.parametrize("rule", RULES.rules)
def test_model_that_breaks_a_rule_is_reported_by_it(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if rule == "safetensors.too-many-tensors":
        monkeypatch.setattr(limits, "SAFETENSORS_TENSORS", 1_000)
    model = CASES[rule]()
    findings = [finding for finding in inspect(model.list(), model, RULES).report.findings if finding.rule == rule]
    assert findings
    assert findings[0].reason is RULES.rules[rule].reason
    assert findings[0].severity is RULES.rules[rule].severity


def test_every_id_in_the_code_has_a_row() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.glob("*.py"))
    named = set(re.findall(r'Problem\(\s*f?"([a-z_-]+\.[a-z_-]+)"', source))
    assert named
    assert named <= set(RULES.rules)


def test_reasons_are_those_of_this_package() -> None:
    assert {rule.reason for rule in RULES.rules.values()} == {
        Reason.FORMAT_NOT_ALLOWED,
        Reason.MALFORMED_FILE,
        Reason.REMOTE_CODE,
        Reason.UNSAFE_TEMPLATE,
        Reason.LIMIT_EXCEEDED,
    }


def test_every_rule_and_every_weight_format_is_documented() -> None:
    text = generate()["docs/formats.md"]
    assert all(f"| `{rule}` |" in text for rule in RULES.rules)
    assert all(f"| {row.weights} |" in text for row in RULES.classes if row.weights)
    assert all(row.risk for row in RULES.classes if row.weights)


def test_rule_without_a_row_is_a_bug_and_not_a_silent_pass() -> None:
    with pytest.raises(KeyError):
        RULES.finding("x", Problem("no.such-rule", ""), loadable=True)


TABLES = {name: yaml.load((PACKAGE / "rows" / f"{name}.yaml").read_text(), yaml.CSafeLoader) for name in wiring.TABLES}


def document() -> dict[str, Any]:
    return {"version": "1", **copy.deepcopy(TABLES)}


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("rules", {"id": "a.b", "reason": "NoSuchReason", "severity": "error", "detects": "", "why": ""}),
        ("rules", {"id": "a.b", "reason": "RemoteCode", "severity": "fatal", "detects": "", "why": ""}),
        ("rules", {"id": "config.auto_map", "reason": "RemoteCode", "severity": "error", "detects": "", "why": ""}),
        ("rules", {"id": "a.b", "reason": "RemoteCode", "severity": "error", "detects": "", "why": "", "more": ""}),
        ("rules", {"id": "a.b"}),
        ("sidecars", {"rule": "no.such-rule", "documents": ["*"], "keys": ["x"], "shape": "present"}),
        ("sidecars", {"rule": "config.auto_map", "documents": ["*"], "keys": ["x"], "shape": "present", "extra": 1}),
        ("sidecars", {"rule": "config.auto_map"}),
    ],
)
def test_wrong_row_is_refused(table: str, row: dict[str, Any]) -> None:
    changed = document()
    changed[table] = [*changed[table], row]
    with pytest.raises(MalformedError):
        parse_rules(changed)


@pytest.mark.parametrize(
    "row", [{"format": "x", "patterns": ["("]}, {"format": "x", "sufixes": [".x"]}, {"format": "x", "deny": "no.rule"}, {}]
)
def test_wrong_class_of_files_is_refused(row: dict[str, Any]) -> None:
    changed = document()
    changed["files"]["classes"].append(row)
    with pytest.raises(MalformedError):
        parse_rules(changed)


@pytest.mark.parametrize("missing", ["version", "rules", "files", "sidecars", "templates"])
def test_missing_table_is_refused(missing: str) -> None:
    changed = document()
    del changed[missing]
    with pytest.raises(MalformedError):
        parse_rules(changed)


def test_version_is_a_digest_over_the_rows_and_stands_in_every_report() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", RULES.version)
    assert load_rules().version == RULES.version
