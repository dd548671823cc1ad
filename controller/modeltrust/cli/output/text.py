"""Text for people: plain lines to stdout, colour only on a terminal (click strips it elsewhere)."""

from collections.abc import Sequence

import click


def say(line: str, *, end: str = "\n") -> None:
    """One plain line."""
    click.echo(line, nl=end == "\n")


def heading(title: str, where: str = "") -> None:
    """A line that starts a block."""
    click.echo(click.style(title, bold=True) + (click.style(f"  {where}", dim=True) if where else ""))


def good(line: str) -> None:
    """What is well."""
    click.secho(line, fg="green")


def careful(line: str) -> None:
    """What deserves a look."""
    click.secho(line, fg="yellow")


def bad(line: str) -> None:
    """What is refused."""
    click.secho(line, fg="red")


def quiet(line: str) -> None:
    """What only some readers need."""
    click.secho(line, dim=True)


def table(rows: Sequence[Sequence[str]]) -> None:
    """Columns, the first row as their headings; nothing is cut, so that everything can be copied."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)
