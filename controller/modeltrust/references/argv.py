"""From ``command`` and ``args`` to invocations: wrappers removed, shells opened, the program recognised.

The kubelet's ``$(VAR)`` is expanded before any shell reads the text (facts/workloads.md §10.4).
"""

import re

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.budget import bound
from modeltrust.references.env import Environment
from modeltrust.references.scan import Scan
from modeltrust.references.shell import parse_script
from modeltrust.references.shell_commands import Command
from modeltrust.references.shell_options import shell_options, split_strings
from modeltrust.references.tables import Commands, Program, Tables

_PYTHON_OPTION = re.compile(r"-([bBdEiIOPqsSuvVx]*)([mc])(.*)", re.DOTALL)
_WORDS = re.compile(r"[\w./:@=+-]+")
_BUSYBOX = "busybox"
_HAND_OVER = frozenset({"alias", "flock", "parallel", "runuser", "script", "sg", "su", "trap", "watch"})  # a word to a shell
_APPENDING = frozenset({"xargs", "parallel", "find"})  # wrappers that add words behind those that stand here
_SOURCING = frozenset({".", "source"})
_READERS = frozenset({"python", "eval"})  # what reads programs, and is no shell
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


class _Separated(Words, gc=False):
    """Words of which one was taken apart.

    Attributes:
        place: which.
        added: how many words more it became.
    """

    place: int = 0
    added: int = 0

    def locator(self, index: int) -> str:
        """JSON Pointer of a word as it stands in the object."""
        return Words.locator(self, index if index <= self.place else max(self.place, index - self.added))


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
        several: a word of it that cannot be known and may become several.
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
    several: str = ""

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
    _script(scan, text, environment, _Origin(locator, None, 0), found)
    return found


class _Origin(msgspec.Struct, gc=False):
    """Where a script stands: its locator, what ``"$@"`` stands for, and how many shells are around it."""

    locator: str
    positional: list[str] | None
    depth: int


def _open(scan: Scan, words: Words, environment: Environment, depth: int, found: list[Invocation]) -> None:
    items = words.items
    scan.charge(8 + 2 * len(items))
    if not items:
        return
    tables = scan.tables
    joined = "\0".join(items)  # to ask once of all words what is rarely so
    if _BUSYBOX in joined or items[0].endswith("env"):
        words = _taken_apart(words)
        items = words.items
    name = items[0]
    if name not in tables.first_words:
        name = base_name(name)
    if name in tables.quiet:
        return
    index = 0
    if name in tables.wrappers:
        index = _first_program(tables, items)
    elif name not in tables.shells and name not in _READERS and tables.any_interpreter(joined):
        index = _interpreter(tables, items)
    if index:
        environment = _with_assignments(items, index, environment)
        name = base_name(items[index])
    if name in tables.shells or name == "eval":
        _shell(scan, words, environment, _Origin(words.base, None, depth), index, found)
    else:
        call = _recognised(tables, words, environment, index, name)
        found.append(call)
        if call.program is None and name not in _READERS:
            _handed_over(scan, words, environment, index, depth, found)


def _taken_apart(words: Words) -> Words:
    """Without busybox in front of its programs (``busybox nice busybox sh -c …``), and with what ``env -S`` splits."""
    items = words.items
    if _BUSYBOX in items or f"/bin/{_BUSYBOX}" in items:
        items = [word for word in items if base_name(word) != _BUSYBOX] or items
    if base_name(items[0]) == "env":
        items = split_strings(items)
    return words if items == words.items else Words(items, words.locator(0))


def _handed_over(scan: Scan, words: Words, environment: Environment, index: int, depth: int, found: list[Invocation]) -> None:
    """Words that a program hands to a shell: of ``script -c``, ``su -c``, ``trap``, or whatever names a program of ours."""
    items = words.items
    handing = {base_name(word) for word in items} & _HAND_OVER
    for place in range(index + 1, len(items)):
        text = items[place].partition("=")[2] if "alias" in handing else items[place]
        if " " not in text and not (handing and "$" in text):  # `script -c "$X"`: the shell inside runs what X holds
            continue
        _inside(scan.tables, Words(_WORDS.findall(text), words.locator(place)), environment, found)
        if handing or _mentions(scan.tables, text):
            _script(scan, text, environment, _Origin(words.locator(place), None, depth), found)


def _inside(tables: Tables, words: Words, environment: Environment, found: list[Invocation]) -> None:
    """A program of ours among the words of a text in another language: ``perl -e 'exec "vllm", "serve", …'``."""
    if words.items:
        call = _recognised(tables, words, environment, 0, "")
        if call.program is not None:
            found.append(call)


def _mentions(tables: Tables, text: str) -> bool:
    return any(base_name(part.strip("'\"")) in tables.commands for part in text.split())


def _first_program(tables: Tables, items: list[str]) -> int:
    first = 0
    for index in range(1, len(items)):
        candidate = base_name(items[index])
        if candidate in tables.shells or candidate in _READERS:
            return index
        rows = tables.commands.get(candidate)
        if rows is not None:
            if _find(rows, items, index, first=True) is not None:
                return index
            first = first or index  # the user in `sudo -u vllm`, not the program
    return first


def _interpreter(tables: Tables, items: list[str]) -> int:
    """Index of a shell or Python that an unknown program is given to run, else 0."""
    for index in range(1, len(items) - 1):
        name = base_name(items[index])
        if (name in _READERS or name in tables.shells) and items[index + 1][:1] in {"-", "+"}:
            return index
    return 0


def _recognised(tables: Tables, words: Words, environment: Environment, index: int, name: str) -> Invocation:
    if name == "python":
        words = _separated(words, index)
    items, commands = words.items, tables.commands
    rows = commands.get(name)
    program = None if rows is None else _find(rows, items, index, first=True)
    unknown = rows is None
    place = index
    while program is None and place + 1 < len(items) and name not in tables.quiet:
        place += 1
        rows = commands.get(base_name(items[place]))
        if rows is not None:
            # Behind an unknown wrapper a program's bare name counts when words follow that it can read.
            program = _find(rows, items, place, first=unknown and place + 1 < len(items))
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
    command, place = shell_options(items, index + 1)
    if command and place < len(items):
        origin.locator, given = words.locator(place), items[place + 1 :]
        appended = [word for word in items[:index] if base_name(word) in _APPENDING]
        if appended:  # behind the words that stand here, or into them: read as what nobody knows, then as they stand
            _script(scan, items[place], environment, origin, found)
        if given or not appended:
            origin.positional = given
            _script(scan, items[place], environment, origin, found)
        return
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
        if command.words[0] in _SOURCING:
            _sourced(scan, command, _Origin(origin.locator, None, below), found)
        elif command.body or command.output or command.piped or command.several:
            _attach(scan, command, found[start:], _Origin(origin.locator, None, below), found)
    for part, known in inner:
        _script(scan, part, known, _Origin(origin.locator, None, below), found)


def _sourced(scan: Scan, command: Command, origin: _Origin, found: list[Invocation]) -> None:
    """``source /dev/stdin <<< …`` and ``. <(…)`` run what stands there as a shell does that is given it."""
    if command.body:
        _script(scan, command.body, command.environment, origin, found)
    elif command.words[1:2] == [] or command.words[1].startswith("/dev/"):
        found.append(Invocation(Words(["sh"], origin.locator), command.environment, None, 0, 1, (0,), piped=True))


def _attach(scan: Scan, command: Command, opened: list[Invocation], origin: _Origin, found: list[Invocation]) -> None:
    for call in opened:
        call.body = command.body or call.body
        call.output = command.output or call.output
        call.piped = command.piped or call.piped
        call.several = command.several or call.several
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


def _separated(words: Words, index: int) -> Words:
    """The words of a Python with ``-mmodule`` and ``-uc code`` taken apart, as its own parser does."""
    items = words.items
    for place in range(index + 1, len(items)):
        match = _PYTHON_OPTION.fullmatch(items[place])
        if match is not None:
            parts = [part for part in (match[1] and f"-{match[1]}", f"-{match[2]}", match[3]) if part]
            if len(parts) == 1:
                return words
            apart = [*items[:place], *parts, *items[place + 1 :]]
            return _Separated(apart, words.base, words.split, words.implied, place, len(parts) - 1)
        if items[place][:1] != "-" and items[place - 1] not in {"-W", "-X"}:
            return words
    return words


def _with_assignments(items: list[str], index: int, environment: Environment) -> Environment:
    changed = environment
    for word in items[:index]:
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            changed = environment.copy() if changed is environment else changed
            changed.values[name] = value
    return changed
