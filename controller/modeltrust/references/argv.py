"""From ``command`` and ``args`` to invocations: wrappers removed, shells opened, the program recognised.

The kubelet's ``$(VAR)`` is expanded before any shell reads the text (facts/workloads.md §10.4).
"""

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.budget import bound
from modeltrust.references.env import Environment
from modeltrust.references.scan import Scan
from modeltrust.references.shell import Command, parse_script
from modeltrust.references.tables import Commands, Program, Tables

_SKIPPED_BETWEEN = 6  # options (with values) between a program and its sub command


class Words(msgspec.Struct, gc=False):
    """Words of one command line, each with the place it stands in.

    Attributes:
        items: the words.
        base: JSON Pointer of the container, or of a script's word.
        split: how many of them stand in ``command``; the others stand in ``args``. -1 for the words of a script.
        implied: how many of those in front come from the image.
    """

    items: list[str]
    base: str
    split: int = -1
    implied: int = 0

    def locator(self, index: int) -> str:
        """JSON Pointer of a word; words of a script are numbered after a ``#``."""
        if self.split < 0:
            return f"{self.base}#word {index}"
        if index < self.implied:
            return f"{self.base}/image"
        if index < self.split:
            return f"{self.base}/command/{index}"
        return f"{self.base}/args/{index - self.split - self.implied}"


class Invocation(msgspec.Struct, gc=False):
    """One program that is run.

    Attributes:
        words: its command line.
        environment: what it sees.
        program: its row, or None when no row knows it.
        start: index of the first word after the program's name and sub command.
        used: indexes of the words that named the sub command.
        first: index of the program's own word.
        body: its here-document.
        output: file its output goes to.
        piped: whether it reads another command's output.
    """

    words: Words
    environment: Environment
    program: Program | None
    first: int
    start: int
    used: tuple[int, ...] = ()
    body: str = ""
    output: str = ""
    piped: bool = False

    @property
    def name(self) -> str:
        """Base name of the program."""
        return base_name(self.words.items[self.first]) if self.first < len(self.words.items) else ""


def base_name(word: str) -> str:
    """Last component; every ``pythonX.Y`` is ``python``."""
    name = word.rsplit("/", 1)[-1] if "/" in word else word
    if name.startswith("python") and not name[6:].strip("0123456789."):
        return "python"
    return name


def open_words(scan: Scan, words: Words, environment: Environment) -> list[Invocation]:
    """Everything that a command line runs, but programs that only print or install.

    Args:
        scan: the extraction; pays for what is read.
        words: the command line.
        environment: what it sees.

    Raises:
        LimitExceededError: too many words, too deep, too long.
    """
    found: list[Invocation] = []
    if len(words.items) > limits.ARGUMENT_WORDS:
        bound(len(words.items), limits.ARGUMENT_WORDS, "words in a command line")
    _open(scan, words, environment, 0, found)
    return found


def open_script(scan: Scan, text: str, environment: Environment, locator: str) -> list[Invocation]:
    """Everything that a shell program runs."""
    found: list[Invocation] = []
    _script(scan, text, environment, _Origin(locator, [], 0), found)
    return found


class _Origin(msgspec.Struct, gc=False):
    """Where a script stands: its locator, what ``"$@"`` stands for, and how many shells are around it."""

    locator: str
    positional: list[str]
    depth: int


def _open(scan: Scan, words: Words, environment: Environment, depth: int, found: list[Invocation]) -> None:
    items = words.items
    scan.charge(8 + 2 * len(items))
    if not items:
        return
    tables = scan.tables
    name = items[0]
    if name not in tables.first_words:
        name = base_name(name)
    if name in tables.quiet:
        return
    index = 0
    if name in tables.wrappers:
        index = _first_program(tables, items)
        if index:
            environment = _with_assignments(items, index, environment)
            name = base_name(items[index])
    if name in tables.shells or name == "eval":
        _shell(scan, words, environment, _Origin(words.base, [], depth), index, found)
    else:
        found.append(_recognised(tables, words, environment, index, name))


def _first_program(tables: Tables, items: list[str]) -> int:
    for index in range(1, len(items)):
        candidate = base_name(items[index])
        if candidate in tables.commands or candidate in tables.shells:
            return index
    return 0


def _recognised(tables: Tables, words: Words, environment: Environment, index: int, name: str) -> Invocation:
    items, commands = words.items, tables.commands
    rows = commands.get(name)
    program = None if rows is None else _find(rows, items, index, first=True)
    place = index
    while program is None and place + 1 < len(items) and name not in tables.quiet:
        place += 1
        rows = commands.get(base_name(items[place]))
        if rows is not None:
            program = _find(rows, items, place, first=False)
    if program is None:
        return Invocation(words, environment, None, index, index + 1, (index,))
    row, used = program
    return Invocation(words, environment, row, place, used[-1] + 1, used)


def _shell(scan: Scan, words: Words, environment: Environment, origin: _Origin, index: int, found: list[Invocation]) -> None:
    items = words.items
    if base_name(items[index]) == "eval":
        origin.locator = words.locator(index)
        _script(scan, " ".join(items[index + 1 :]), environment, origin, found)
        return
    place = index + 1
    while place < len(items):
        word = items[place]
        if word[:1] not in {"-", "+"} or word == "--":
            break
        if "c" in word[1:] and word[:2] != "--":
            place += 1 + (items[place + 1 : place + 2] == ["--"])
            if place < len(items):
                origin.locator, origin.positional = words.locator(place), items[place + 2 :]
                _script(scan, items[place], environment, origin, found)
            return
        place += 1 + (word in {"-o", "+o", "-O"})
    found.append(Invocation(words, environment, None, index, place, (index,)))


def _script(scan: Scan, text: str, environment: Environment, origin: _Origin, found: list[Invocation]) -> None:
    if origin.depth >= limits.SCRIPT_DEPTH:
        raise LimitExceededError(f"got shells inside shells deeper than {limits.SCRIPT_DEPTH} levels")
    scan.charge(len(text) // 2)
    commands, inner = parse_script(text, environment, origin.positional)
    below = origin.depth + 1
    for command in commands:
        start = len(found)
        _open(scan, Words(command.words, origin.locator), command.environment, below, found)
        if command.body or command.output or command.piped:
            _attach(scan, command, found[start:], _Origin(origin.locator, [], below), found)
    for part in inner:
        _script(scan, part, environment, _Origin(origin.locator, [], below), found)


def _attach(scan: Scan, command: Command, opened: list[Invocation], origin: _Origin, found: list[Invocation]) -> None:
    for call in opened:
        call.body = command.body or call.body
        call.output = command.output or call.output
        call.piped = command.piped or call.piped
        if command.body and call.name in scan.tables.shells:
            _script(scan, command.body, command.environment, origin, found)


def _find(rows: Commands, items: list[str], place: int, *, first: bool) -> tuple[Program, tuple[int, ...]] | None:
    for length in rows.lengths:
        if length or first:  # a single word counts only where a program stands
            program = rows.exact.get(tuple(items[place + 1 : place + 1 + length]))
            if program is not None and (length or len(rows.lengths) == 1):
                return program, tuple(range(place, place + length + 1))
    for sequence, program in rows.sequences:
        if first or len(sequence) > 1:
            used = _match(items, place, sequence)
            if used is not None:
                return program, used
    return None


def _match(items: list[str], place: int, sequence: tuple[str, ...]) -> tuple[int, ...] | None:
    used = [place]
    position = place + 1
    for wanted in sequence[1:]:
        for candidate in range(position, min(position + _SKIPPED_BETWEEN, len(items))):
            word = items[candidate]
            if word == wanted or (wanted.endswith(".py") and word.endswith(wanted) and base_name(word) == wanted):
                used.append(candidate)
                position = candidate + 1
                break
            if not (word.startswith("-") or items[candidate - 1].startswith("-")):
                return None
        else:
            return None
    return tuple(used)


def _with_assignments(items: list[str], index: int, environment: Environment) -> Environment:
    changed = environment
    for word in items[:index]:
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            changed = environment.copy() if changed is environment else changed
            changed.values[name] = value
    return changed
