"""What the documents say is so: links lead somewhere, commands parse, reasons and make targets exist."""

import contextlib
import re
import shlex
from functools import cache
from pathlib import Path

import click
import pytest

from modeltrust.cli.main import _program
from modeltrust.domain.reasons import Reason

ROOT = Path(__file__).parent.parent.parent
OTHERS = {".venv", ".git", ".pytest_cache", "node_modules"}
DOCUMENTS = sorted(path for path in ROOT.rglob("*.md") if not OTHERS & set(path.relative_to(ROOT).parts))
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
INDENTED = re.compile(r"^    ((?:\S.* \| )?modeltrust .*)$", re.MULTILINE)
INLINE = re.compile(r"`(modeltrust [^`]+)`")
MAKE = re.compile(r"(?:`|^    )make ((?:[a-z0-9]+ ?)+)", re.MULTILINE)
FILE = re.compile(r"`([\w.-]+(?:/[\w.-]+)+\.(?:md|py|yaml|json))`")
DESCRIPTION = re.compile(r"\s{3,}\S.*$")  # what stands beside a command
CAMEL = re.compile(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`")
NOT_COMMANDS = {"webhook", "job", "--version", "--help"}  # dispatched before click

by_name = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def prose(document: Path) -> str:
    return document.read_text(encoding="utf-8")


@cache
def anchors(document: Path) -> frozenset[str]:
    """As GitHub makes them of headings."""
    titles = HEADING.findall(prose(document))
    return frozenset(re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles)


@by_name
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for target in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@by_name
def test_every_file_that_is_named_exists(document: Path) -> None:
    for name in FILE.findall(prose(document)):
        assert any((base / name).exists() for base in (ROOT, ROOT / "controller" / "modeltrust", document.parent)), name


def commands(document: Path) -> list[str]:
    """Whole command lines: indented blocks."""
    text = re.sub(r" \\\n\s*", " ", prose(document))
    return [DESCRIPTION.sub("", line) for line in INDENTED.findall(text)]


def parse(line: str) -> None:
    words = shlex.split(re.sub(r"<[a-z0-9 -]+>", "X", line.rpartition("| ")[2]))[1:]
    if not words or words[0] in NOT_COMMANDS:
        return
    command = _program.get_command(click.Context(_program), words[0])
    assert command is not None, line
    if len(words) > 1:
        command.make_context(words[0], [word for word in words[1:] if word != "…"])


@by_name
def test_every_command_line_parses(document: Path) -> None:
    for line in commands(document):
        parse(line)


@by_name
def test_every_command_that_is_mentioned_exists(document: Path) -> None:
    for line in INLINE.findall(prose(document)):
        with contextlib.suppress(click.MissingParameter):  # a mention need not be complete
            parse(line)


@by_name
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in MAKE.findall(prose(document)):
        assert set(words.split()) <= targets, words


def test_the_documents_name_commands_and_targets_at_all() -> None:
    assert sum(len(commands(document) + INLINE.findall(prose(document))) for document in DOCUMENTS) >= 20
    assert sum(len(MAKE.findall(prose(document))) for document in DOCUMENTS) >= 8


@by_name
def test_every_reason_that_is_named_exists(document: Path) -> None:
    reasons = {reason.value for reason in Reason}
    for name in CAMEL.findall(prose(document)):
        alike = [reason for reason in reasons if reason.startswith(name[:8]) or reason.endswith(name[-8:])]
        assert name in reasons or name in NO_REASONS or not alike, f"{name}: is it {alike}?"
    for name in re.findall(r"^\[([A-Z]\w+)\]|^    \[([A-Z]\w+)\]", prose(document), re.MULTILINE):
        assert {*name} & reasons, name


NO_REASONS = {"SignatureOnly", "FoundReference"}
