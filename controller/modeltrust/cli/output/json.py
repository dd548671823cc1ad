"""JSON, version 1: the shapes of design/cli.md, to stdout alone."""

import json
from typing import Any

import click


def write(document: dict[str, Any]) -> None:
    """Print one document."""
    click.echo(json.dumps({"version": 1, **document}, ensure_ascii=False, indent=2))
