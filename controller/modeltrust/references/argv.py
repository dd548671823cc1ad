"""From ``command`` and ``args`` to invocations: wrappers removed, shells opened, the program recognised.

The kubelet's ``$(VAR)`` is expanded before any shell reads the text (facts/workloads.md §10.4).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.budget import Budget, bound
from modeltrust.references.env import Environment
from modeltrust.references.shell import is_plain, parse_script
from modeltrust.references.tables import Commands, Program, Tables

_SHELL_WORDS = 3  # sh -c script
_SKIPPED_BETWEEN = 6  # options (with values) between a program and its sub command


class Words:
    """Words of one command line, each with the place it stands in.

    Attributes:
        items: the words.
        scripted: whether they come from a script.
    """

    __slots__ = ("_base", "_split", "items", "scripted")

    def __init__(self, items: list[str], base: str, split: int | None = None) -> None:
        self.items = items
        self._base = base
        self._split = split
        self.scripted = split is None

    def locator(self, index: int) -> str:
        """JSON Pointer of a word; words of a script are numbered after a ``#``."""
        if self._split is None:
            return f"{self._base}#word {index}"
        if index < self._split:
            return f"{self._base}/command/{index}"
        return f"{self._base}/args/{index - self._split}"


@dataclass(slots=True)
class Invocation:
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


class Opener:
    """Opens command lines. One per extraction, because it spends the budget."""

    __slots__ = ("_budget", "_tables")

    def __init__(self, tables: Tables, budget: Budget) -> None:
        self._tables = tables
        self._budget = budget

    def open(self, words: Words, environment: Environment) -> Iterable[Invocation]:
        """Everything that a command line runs.

        Raises:
            LimitExceededError: too many words, too deep, too long.
        """
        items = words.items
        if not items:
            return ()
        if len(items) > limits.ARGUMENT_WORDS:
            bound(len(items), limits.ARGUMENT_WORDS, "words in a command line")
        name = base_name(items[0])
        if name in self._tables.commands:
            self._budget.charge(2 * len(items))
            return (self._recognised(words, environment, 0),)
        if len(items) == _SHELL_WORDS and items[1] == "-c" and name in self._tables.shells and is_plain(items[2]):
            script = items[2].split()
            if 0 < len(script) <= limits.SCRIPT_WORDS and "=" not in script[0] and base_name(script[0]) in self._tables.commands:
                self._budget.charge(2 * len(script))
                return (self._recognised(Words(script, words.locator(2)), environment, 0),)
        return self._open(words, environment, 0)

    def script(
        self, text: str, environment: Environment, locator: str, *, positional: list[str] | None = None
    ) -> Iterator[Invocation]:
        """Everything that a shell program runs."""
        return self._script(text, environment, locator, positional or [], 0)

    def _open(self, words: Words, environment: Environment, depth: int) -> Iterator[Invocation]:
        items = words.items
        self._budget.charge(8 + 2 * len(items))
        if not items:
            return
        tables = self._tables
        name = base_name(items[0])
        if name in tables.commands and name not in tables.shells:
            yield self._recognised(words, environment, 0)
            return
        index = self._first_program(items, name)
        if index:
            environment = _with_assignments(items, index, environment)
            name = base_name(items[index])
        if name in tables.shells or name == "eval":
            yield from self._shell(words, environment, index, depth, joined=name == "eval")
            return
        yield self._recognised(words, environment, index)

    def _first_program(self, items: list[str], name: str) -> int:
        tables = self._tables
        if name not in tables.wrappers:
            return 0
        for index in range(1, len(items)):
            candidate = base_name(items[index])
            if candidate in tables.commands or candidate in tables.shells:
                return index
        return 0

    def _recognised(self, words: Words, environment: Environment, index: int) -> Invocation:
        items, commands = words.items, self._tables.commands
        for place in range(index, len(items)):
            rows = commands.get(base_name(items[place]))
            if rows is not None:
                found = _find(rows, items, place, first=place == index)
                if found is not None:
                    program, used = found
                    return Invocation(words, environment, program, place, used[-1] + 1, used)
            if place == index and base_name(items[index]) in self._tables.quiet:
                break
        return Invocation(words, environment, None, index, index + 1, (index,))

    def _shell(self, words: Words, environment: Environment, index: int, depth: int, *, joined: bool) -> Iterator[Invocation]:
        items = words.items
        if joined:
            yield from self._script(" ".join(items[index + 1 :]), environment, words.locator(index), [], depth)
            return
        place = index + 1
        while place < len(items):
            word = items[place]
            if word.startswith(("-", "+")) and word != "--":
                if "c" in word[1:] and not word.startswith("--"):
                    place += 1 + (items[place + 1 : place + 2] == ["--"])
                    if place < len(items):
                        rest = items[place + 2 :]
                        yield from self._script(items[place], environment, words.locator(place), rest, depth)
                    return
                place += 1 + (word in {"-o", "+o", "-O"})
                continue
            break
        yield Invocation(words, environment, None, index, place, (index,))

    def _script(self, text: str, environment: Environment, locator: str, positional: list[str], depth: int) -> Iterator[Invocation]:
        if depth >= limits.SCRIPT_DEPTH:
            raise LimitExceededError(f"got shells inside shells deeper than {limits.SCRIPT_DEPTH} levels")
        self._budget.charge(len(text) // 2)
        commands, inner = parse_script(text, environment.copy(), positional)
        for command in commands:
            for found in self._open(Words(command.words, locator), command.environment, depth + 1):
                found.body, found.output, found.piped = (
                    command.body or found.body,
                    command.output or found.output,
                    command.piped or found.piped,
                )
                yield found
                if found.body and found.name in self._tables.shells:
                    yield from self._script(found.body, command.environment, locator, [], depth + 1)
        for part in inner:
            yield from self._script(part, environment, locator, [], depth + 1)


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
