"""Options of a recognised program: which words are values of what."""

from dataclasses import dataclass, field

from modeltrust.references.argv import Invocation
from modeltrust.references.schema import FlagRow
from modeltrust.references.tables import Program

_TRUE = "true"


@dataclass(slots=True)
class Hit:
    """An option that the table knows.

    Attributes:
        row: the option.
        values: its words.
        locator: where it stands.
        key: member of a dotted option (``--speculative-config.model``).
        derived: whether an environment variable carried it.
    """

    row: FlagRow
    values: list[str]
    locator: str
    key: str = ""
    derived: bool = False


@dataclass(slots=True)
class Options:
    """What stands on a command line.

    Attributes:
        hits: options that the table knows, in order.
        bare: index and text of bare words.
        names: every option's name as the table spells it.
        suspicious: index, name and value of unknown options that look like models.
    """

    hits: list[Hit] = field(default_factory=list)
    bare: list[tuple[int, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    suspicious: list[tuple[int, str, str]] = field(default_factory=list)


def read_options(program: Program, call: Invocation, opaque_flags: tuple[str, ...]) -> Options:
    """Read the options of an invocation.

    Args:
        program: whose table.
        call: the command line.
        opaque_flags: parts of an unknown option's name that make it suspicious.
    """
    options = Options()
    items, words = call.words.items, call.words
    flags, switches = program.flags, program.switches
    position, end, used = call.first + 1, len(items), call.used
    while position < end:
        word = items[position]
        index = position
        position += 1
        if index in used:
            continue
        if word[:1] != "-" or word == "-":
            options.bare.append((index, word))
            continue
        row = flags.get(word)
        if row is None:
            if word in switches:
                continue
            found = _lookup(program, word)
            if found is None:
                position = _unknown(program, options, items, index, opaque_flags)
                continue
            row, key, value = found
        else:
            key, value = "", None
        values, position = _values(row, value, items, position)
        options.names.add(row.names[0])
        options.hits.append(Hit(row, values, words.locator(index), key))
    return options


def _lookup(program: Program, word: str) -> tuple[FlagRow, str, str | None] | None:
    name, equals, text = word.partition("=")
    if equals and not program.row.equals:
        return None
    value = text if equals else None
    key = ""
    if program.row.dotted:
        name, _, key = name.partition(".")
    if program.row.dashes and "_" in name:
        name = "--" + name[2:].replace("_", "-")
    row = program.flags.get(name) or program.prefixes.get(name)
    return None if row is None else (row, key.removesuffix("+"), value)


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


def _unknown(program: Program, options: Options, items: list[str], index: int, opaque_flags: tuple[str, ...]) -> int:
    name, equals, value = items[index].partition("=")
    position = index + 1
    if not equals and position < len(items) and not _is_option(items[position]):
        value = items[position]
        position += 1
    if program.ignored.isdisjoint((name, name.replace("_", "-"))) and any(part in name for part in opaque_flags):
        options.suspicious.append((index, name, value))
    return position
