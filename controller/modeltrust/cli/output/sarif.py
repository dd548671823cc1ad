"""SARIF 2.1.0, for code scanning: one rule per reason, one result per problem."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import click

from modeltrust import __version__
from modeltrust.cli.files import STANDARD_INPUT
from modeltrust.cli.output.problem import Problem
from modeltrust.domain.reasons import EXPLANATIONS, Reason

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def write(problems: Sequence[Problem]) -> None:
    """Print one SARIF log."""
    rules = sorted({problem.rule for problem in problems})
    driver = {"name": "modeltrust", "version": __version__, "rules": [_rule(rule) for rule in rules]}
    results = [_result(problem, rules.index(problem.rule)) for problem in problems]
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    click.echo(json.dumps(log, ensure_ascii=False, indent=2))


def _rule(name: str) -> dict[str, Any]:
    explanation = EXPLANATIONS[Reason(name)]
    return {
        "id": name,
        "name": name,
        "shortDescription": {"text": explanation.meaning},
        "fullDescription": {"text": explanation.cause},
        "help": {"text": explanation.fix},
    }


def _uri(file: str) -> str:
    """A URI reference, as the standard demands: relative where the file was named relatively."""
    return quote("standard-input" if file == STANDARD_INPUT else file)


def _result(problem: Problem, index: int) -> dict[str, Any]:
    line, column = problem.position
    place = {"artifactLocation": {"uri": _uri(problem.file)}, "region": {"startLine": line, "startColumn": column}}
    text = f"{problem.message} Fix: {problem.fix}" if problem.fix else problem.message
    return {
        "ruleId": problem.rule,
        "ruleIndex": index,
        "level": "error" if problem.error else "warning",
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }
