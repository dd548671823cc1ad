"""Workflow commands of GitHub Actions: each problem becomes an annotation on its line."""

from collections.abc import Sequence

import click

from modeltrust.cli.output.problem import Problem


def write(problems: Sequence[Problem]) -> None:
    """Print one command per problem."""
    for problem in problems:
        line, column = problem.position
        level = "error" if problem.error else "warning"
        where = f"file={_property(problem.file)},line={line},col={column},title={_property(problem.rule)}"
        text = f"{problem.message} Fix: {problem.fix}" if problem.fix else problem.message
        click.echo(f"::{level} {where}::{_data(text)}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
