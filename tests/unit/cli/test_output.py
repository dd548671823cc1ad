"""What other programs read: SARIF, and the annotations of GitHub Actions."""

import re
from typing import Any

import pytest

from modeltrust.cli.output import github, sarif
from modeltrust.cli.output.problem import Problem
from modeltrust.domain.reasons import Reason
from tests.support.command_line import NOW, CommandLine, policy
from tests.support.statements import COMMIT
from tests.unit.cli.shapes import validate

POSITIVE = {"type": "integer", "minimum": 1}
MESSAGE = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]}
RULE = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "shortDescription": MESSAGE, "fullDescription": MESSAGE, "help": MESSAGE},
}
REGION = {"type": "object", "properties": {"startLine": POSITIVE, "startColumn": POSITIVE}, "required": ["startLine"]}
ARTIFACT = {"type": "object", "required": ["uri"], "properties": {"uri": {"type": "string", "pattern": r"^[^\s\\]*$"}}}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {"artifactLocation": ARTIFACT, "region": REGION},
        }
    },
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "ruleIndex", "level", "locations"],
    "properties": {
        "message": MESSAGE,
        "level": {"enum": ["none", "note", "warning", "error"]},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "locations": {"type": "array", "items": LOCATION, "minItems": 1},
    },
}
# The parts of the schema of SARIF 2.1.0 (OASIS) that code scanning needs.
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": RULE}},
                            }
                        },
                    },
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}

MANIFEST = """# a comment
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
---
apiVersion: v1
kind: Pod
metadata:
  name: guard
  namespace: team-a
spec:
  containers:
  - name: vllm
    image: vllm/vllm-openai:v0.11.0
    command: [vllm, serve]
    env:
    - {name: HF_ENDPOINT, value: "https://huggingface.co"}
    args:
    - acme/guard-7b
    - --revision
    - main
"""
LINE, COLUMN = 19, 7  # of "acme/guard-7b"


@pytest.fixture
def check(command_line: CommandLine) -> Any:
    command_line.trust(policy("production", {"type": "Pinned"}))
    command_line.write("my pods/pod 1.yaml", MANIFEST)

    def _check(*arguments: str) -> Any:
        return command_line("check", "my pods/pod 1.yaml", "--trust", "trust", "--now", NOW, *arguments)

    return _check


def test_sarif_has_the_structure_of_its_standard_and_the_place_of_each_problem(check: Any) -> None:
    ran = check("-o", "sarif")

    validate(ran.document, SARIF)
    (run,) = ran.document["runs"]
    (result,) = run["results"]
    place = result["locations"][0]["physicalLocation"]
    assert ran.code == 11
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "UnpinnedReference"
    assert result["level"] == "error"
    assert place["artifactLocation"]["uri"] == "my%20pods/pod%201.yaml"
    assert (place["region"]["startLine"], place["region"]["startColumn"]) == (LINE, COLUMN)


def test_sarif_without_problems_is_an_empty_run(command_line: CommandLine) -> None:
    command_line.trust(policy("production", {"type": "Pinned"}))
    command_line.write("pod.yaml", MANIFEST.replace("main", COMMIT))

    ran = command_line("check", "pod.yaml", "--trust", "trust", "-o", "sarif")

    validate(ran.document, SARIF)
    assert (ran.code, ran.document["runs"][0]["results"]) == (0, [])


def test_every_reason_can_be_a_rule_of_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    sarif.write([Problem("a.yaml", (1, 1), reason.value, "something", "", error=False) for reason in Reason])

    assert capsys.readouterr().out.count('"level": "warning"') == len(Reason)


def test_an_annotation_names_file_line_and_column(check: Any) -> None:
    ran = check("-o", "github")

    (line,) = ran.out.splitlines()
    match = re.fullmatch(r"::error file=([^,]*),line=(\d+),col=(\d+),title=(\w+)::(.*)", line)
    assert match is not None, line
    assert match.groups()[:4] == ("my pods/pod 1.yaml", str(LINE), str(COLUMN), "UnpinnedReference")
    assert match.group(5).endswith("Fix: --revision <40-hex commit>")
    assert ran.code == 11


def test_what_only_warns_is_a_warning(command_line: CommandLine) -> None:
    command_line.trust(policy("production", {"type": "Pinned"}, mode="Warn"))
    command_line.write("pod.yaml", MANIFEST)

    ran = command_line("check", "pod.yaml", "--trust", "trust", "--now", NOW, "-o", "github", "--strict")

    assert ran.out.startswith("::warning file=pod.yaml,")
    assert ran.code == 10


def test_an_annotation_cannot_be_ended_by_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    github.write([Problem("a,b:c\n.yaml", (1, 1), "X", "one%\n::error::two\r", "", error=True)])

    assert capsys.readouterr().out == "::error file=a%2Cb%3Ac%0A.yaml,line=1,col=1,title=X::one%25%0A::error::two%0D\n"
