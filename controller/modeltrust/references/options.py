"""Options of a recognised program: which words are values of what."""

from typing import NamedTuple

import msgspec

from modeltrust.references.argv import Invocation, Words
from modeltrust.references.schema import FlagRow
from modeltrust.references.tables import Program

_TRUE = "true"


class Hit(msgspec.Struct, gc=False):
    """An option that the table knows.

    Attributes:
        row: the option.
        values: its words.
        words: the command line that it stands in, if any.
        index: of its word.
        where: its place, when it stands elsewhere.
        key: member of a dotted option (``--speculative-config.model``).
        derived: whether an environment variable or a script carried it.
    """

    row: FlagRow
    values: list[str]
    words: Words | None = None
    index: int = 0
    where: str = ""
    key: str = ""
    derived: bool = False

    @property
    def locator(self) -> str:
        """JSON Pointer; made only when something is found."""
        return self.where if self.words is None else self.words.locator(self.index)


class Options(msgspec.Struct, gc=False):
    """What stands on a command line.

    Attributes:
        hits: options that the table knows; of a repeated one the last wins, unless it accumulates.
        bare: index and text of bare words.
        suspicious: index, name and value of unknown options that look like models.
    """

    hits: dict[str, Hit] = {}
    bare: list[tuple[int, str]] = []
    suspicious: list[tuple[int, str, str]] = []


def read_options(program: Program, call: Invocation, opaque_flags: tuple[str, ...]) -> Options:
    """Read the options of an invocation.

    Args:
        program: whose table.
        call: the command line.
        opaque_flags: parts of an unknown option's name that make it suspicious.
    """
    options = Options()
    items, used, find = call.words.items, call.used, program.flags.get
    # Words between those of the program's own name are read, too.
    gaps = used if used and used[-1] - call.first >= len(used) else ()
    position, end = call.first + 1 if gaps else call.start, len(items)
    while position < end:
        word = items[position]
        row = find(word)
        if gaps and position in gaps:
            position += 1
        elif row is None:
            if word[:1] != "-" or word == "-":
                options.bare.append((position, word))
                position += 1
            else:
                position = _other_spelling(options, program, call.words, position, opaque_flags)
        elif row.arity == 1 and position + 1 < end and items[position + 1][:1] != "-":
            if row.use != "ignore":
                _keep(options, Hit(row, [items[position + 1]], call.words, position))
            position += 2
        else:
            position = _read(options, Found(row), call.words, position)
    return options


class Found(NamedTuple):
    """An option as it stands in a word: the row, the member of a dotted one, the text after ``=``."""

    row: FlagRow
    key: str = ""
    value: str | None = None


def _other_spelling(options: Options, program: Program, words: Words, index: int, opaque_flags: tuple[str, ...]) -> int:
    name, equals, text = words.items[index].partition("=")
    if equals and program.row.equals:
        row = program.flags.get(name)  # --option=value, the usual form
        if row is not None and row.arity == 1:
            if row.use != "ignore":
                _keep(options, Hit(row, [text], words, index))
            return index + 1
    found = _lookup(program, words.items[index])
    if found is None:
        return _unknown(options, words.items, index, opaque_flags)
    return _read(options, found, words, index)


def _read(options: Options, found: Found, words: Words, index: int) -> int:
    row = found.row
    values, position = _values(row, found.value, words.items, index + 1)
    if row.use != "ignore":
        _keep(options, Hit(row, values, words, index, key=found.key))
    return position


def _keep(options: Options, hit: Hit) -> None:
    name = hit.row.names[0]
    if hit.row.append:
        name = f"{name}#{hit.index}"
    elif hit.key:
        name = f"{name}.{hit.key}"
    options.hits[name] = hit


def _lookup(program: Program, word: str) -> Found | None:
    row = program.row
    name, equals, text = word.partition("=")
    if equals and not row.equals:
        return None
    found = program.flags.get(name) if equals else None
    key = ""
    if found is None:
        if row.dotted and "." in name:
            name, _, key = name.partition(".")
        if row.dashes and "_" in name:
            name = "--" + name[2:].replace("_", "-")
        found = program.flags.get(name) or program.prefixes.get(name)
    return None if found is None else Found(found, key.removesuffix("+"), text if equals else None)


def _values(row: FlagRow, value: str | None, items: list[str], position: int) -> tuple[list[str], int]:
    if row.arity == 0:
        return [_TRUE if value is None else value], position
    if value is not None and row.arity == 1:
        return [value], position
    values = [] if value is None else [value]
    while position < len(items) and not _is_option(items[position]):
        values.append(items[position])
        position += 1
        if row.arity == 1:
            break
    return values, position


def _is_option(word: str) -> bool:
    return word[:1] == "-" and len(word) > 1 and not word[1].isdigit()


def _unknown(options: Options, items: list[str], index: int, opaque_flags: tuple[str, ...]) -> int:
    name, equals, value = items[index].partition("=")
    position = index + 1
    if not equals and position < len(items) and not _is_option(items[position]):
        value = items[position]
        position += 1
    if "/" in value and any(part in name for part in opaque_flags):
        options.suspicious.append((index, name, value))
    return position
