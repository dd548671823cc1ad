"""The rows, compiled once at start into dictionaries, so that reading one object is a matter of look-ups."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import msgspec

from modeltrust.domain.errors import InvalidInputError
from modeltrust.references.schema import (
    AnnotationRow,
    CallRow,
    DriverRow,
    FlagRow,
    KindRow,
    ProfileRow,
    ProgramRow,
    RequestRow,
    ResolverRow,
    Rows,
    TopicRow,
)

_SWITCH = FlagRow(names=["switch"], use="ignore", arity=0)
_IGNORED = FlagRow(names=["option"], use="ignore")
_Value = TypeVar("_Value")
OUR_ANNOTATIONS = "modeltrust.dev/"
_SHORTEST_ABBREVIATION = 5  # "--mod"


class Positional(NamedTuple):
    """Bare words after a sub command.

    Attributes:
        place: which of them.
        flag: as an option of its own.
    """

    place: slice
    flag: FlagRow


@dataclass(frozen=True, slots=True)
class Program:
    """A program row, ready for use.

    Attributes:
        row: as written.
        flags: option by every exact spelling, those without meaning included: they say which words are values.
        prefixes: option by every abbreviation that argparse would take.
        env: variable by name.
        positional: by the program's name and sub command, empty for any; longest first.
    """

    row: ProgramRow
    flags: Mapping[str, FlagRow]
    prefixes: Mapping[str, FlagRow]
    env: Mapping[str, FlagRow]
    positional: Mapping[tuple[str, ...], tuple[Positional, ...]]

    @property
    def name(self) -> str:
        """The row's name."""
        return self.row.name


@dataclass(frozen=True, slots=True)
class Commands:
    """Programs whose command starts with one word.

    Attributes:
        exact: program by the words that follow the first, without anything in between.
        lengths: how many words that may be, most first.
        sequences: the same as pairs, longest first.
    """

    exact: Mapping[tuple[str, ...], Program]
    lengths: tuple[int, ...]
    sequences: tuple[tuple[tuple[str, ...], Program], ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything extraction knows.

    Attributes:
        version: sha256 over the rows, for reports.
        commands: programs by the first word of a command, longest sequence first.
        first_words: names of programs as they are written without a path.
        any_interpreter: whether in words joined by NUL a shell or Python stands behind the first, with an option.
        any_image: whether a name with a slash in front holds any part of ``images``.
        servers: variables that say who is asked for the bytes; ``caches``: those that say where they lie already.
        watched_annotations: annotations that change what is extracted; a trailing ``*`` marks a prefix.
        watched_labels: the same for labels.
    """

    version: str
    programs: Mapping[str, Program]
    commands: Mapping[str, "Commands"]
    images: tuple[tuple[str, Program], ...]
    any_image: Callable[[str], object | None]
    first_words: frozenset[str]
    containers: Mapping[str, Program]
    profiles: Mapping[str, ProfileRow]
    kinds: Mapping[tuple[str, str, str], KindRow]
    topics: Mapping[str, TopicRow]
    calls: Mapping[str, CallRow]
    requests: tuple[RequestRow, ...]
    drivers: Mapping[str, DriverRow]
    annotations: Mapping[str, AnnotationRow]
    annotation_prefixes: tuple[tuple[str, AnnotationRow], ...]
    annotation_starts: tuple[str, ...]
    resolvers: Mapping[str, ResolverRow]
    servers: frozenset[str]
    caches: frozenset[str]
    accelerators: tuple[str, ...]
    opaque_flags: tuple[str, ...]
    any_interpreter: Callable[[str], object | None]
    quiet: frozenset[str]
    wrappers: frozenset[str]
    shells: frozenset[str]
    generic: Program
    generic_options: Program
    anywhere: Program
    watched_annotations: frozenset[str] = field(default_factory=frozenset)
    watched_labels: frozenset[str] = field(default_factory=frozenset)

    def kind(self, group: str, version: str, kind: str) -> KindRow | None:
        """The row of a kind, if there is one."""
        return self.kinds.get((group, version, kind)) or self.kinds.get((group, "*", kind))


def parse_tables(document: Mapping[str, Any]) -> Tables:
    """Read the rows strictly and compile them.

    Args:
        document: the rows of all topics as one mapping, plus ``version``.

    Raises:
        InvalidInputError: an unknown key, a wrong type, a name that no row defines, two rows for one thing.
    """
    try:
        rows = msgspec.convert(document, Rows)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"extraction tables: {error}") from error
    programs = _programs(rows.programs)
    profiles = _unique(((row.name, row) for row in rows.profiles), "profile")
    _check_profiles(rows, profiles)
    resolvers = _unique(((name, row) for row in rows.resolvers for name in row.names), "resolver")
    exact = {row.key: row for row in rows.annotations if not row.prefix}
    prefixes = tuple((row.key, row) for row in rows.annotations if row.prefix)
    for name in ("generic", "any"):
        if name not in programs:
            raise InvalidInputError(f"extraction tables: got no program {name}, expected one")
    return Tables(
        version=rows.version,
        programs=programs,
        commands=_commands(programs.values()),
        images=_images(programs.values()),
        any_image=re.compile("|".join(re.escape(part) for part, _ in _images(programs.values())) or r"(?!)").search,
        first_words=frozenset(_commands(programs.values())) | set(rows.quiet_commands) | set(rows.wrappers) | set(rows.shells),
        containers={name: program for program in programs.values() for name in program.row.containers},
        profiles=profiles,
        kinds=_kinds(rows.kinds),
        topics=_unique(((row.name, row) for row in rows.topics), "topic"),
        calls=_unique(((name, row) for row in rows.calls for name in row.names), "call"),
        requests=tuple(rows.requests),
        drivers=_unique(((row.driver, row) for row in rows.drivers), "driver"),
        annotations=exact,
        annotation_prefixes=prefixes,
        annotation_starts=(OUR_ANNOTATIONS, *(key for key, _ in prefixes)),
        resolvers=resolvers,
        servers=frozenset(name for name, row in resolvers.items() if not row.cache),
        caches=frozenset(name for name, row in resolvers.items() if row.cache),
        accelerators=tuple(rows.accelerators),
        opaque_flags=tuple(rows.opaque_flags),
        any_interpreter=_interpreter(rows.shells),
        quiet=frozenset(rows.quiet_commands),
        wrappers=frozenset(rows.wrappers),
        shells=frozenset(rows.shells),
        generic=programs["generic"],
        generic_options=replace(programs["generic"], env={}),
        anywhere=programs["any"],
        watched_annotations=frozenset(exact) | {f"{key}*" for key, _ in prefixes} | {f"{OUR_ANNOTATIONS}*"},
        watched_labels=frozenset(rows.watched_labels),
    )


def _interpreter(shells: list[str]) -> Callable[[str], object | None]:
    names = "|".join(re.escape(name) for name in shells)
    return re.compile(rf"[\0/](?:{names}|python[0-9.]*)\0-").search


def _unique(pairs: Iterable[tuple[str, _Value]], what: str) -> dict[str, _Value]:
    result: dict[str, _Value] = {}
    for name, value in pairs:
        if name in result:
            raise InvalidInputError(f"extraction tables: got {what} {name} twice, expected one row")
        result[name] = value
    return result


def _programs(rows: list[ProgramRow]) -> dict[str, Program]:
    by_name = _unique(((row.name, row) for row in rows), "program")
    return {row.name: _program(row, by_name) for row in rows}


def _program(row: ProgramRow, by_name: Mapping[str, ProgramRow]) -> Program:
    flags: dict[str, FlagRow] = {}
    env: dict[str, FlagRow] = {}
    switches, ignored = set(row.switches), set(row.ignored)
    for name in [*row.include, row.name]:
        if name not in by_name:
            raise InvalidInputError(f"extraction tables: got include {name} in program {row.name}, expected a program")
        source = by_name[name]
        flags.update((spelling, flag) for flag in source.flags for text in flag.names for spelling in _spellings(text, row))
        env.update((text, flag) for flag in source.env for text in flag.names)
        switches.update(source.switches)
        ignored.update(source.ignored)
    for texts, meaningless in ((switches, _SWITCH), (ignored, _IGNORED)):
        for text in texts:
            flags.update((spelling, meaningless) for spelling in _spellings(text, row) if spelling not in flags)
    return Program(
        row=row,
        flags=flags,
        prefixes=_prefixes(flags) if row.abbreviations else {},
        env=env,
        positional=_positional(row),
    )


def _positional(row: ProgramRow) -> dict[tuple[str, ...], tuple[Positional, ...]]:
    found: dict[tuple[str, ...], tuple[Positional, ...]] = {}
    for item in sorted(row.positional, key=lambda positional: -len(positional.after)):
        flag = FlagRow(names=[row.name], use=item.use)
        found[tuple(item.after)] = (*found.get(tuple(item.after), ()), Positional(_place(item.index), flag))
    return found


def _place(index: int | str) -> slice:
    return slice(index, index + 1) if isinstance(index, int) else slice(None, None, 2 if index == "even" else 1)


def _spellings(name: str, row: ProgramRow) -> set[str]:
    names = {name}
    if row.single_dash and name.startswith("--"):
        names.add(name[1:])
    if row.dashes:
        names |= {"--" + text[2:].replace("-", "_") for text in names if text.startswith("--")}
        names |= {"--" + text[2:].replace("_", "-") for text in names if text.startswith("--")}
    return names


def _prefixes(flags: Mapping[str, FlagRow]) -> dict[str, FlagRow]:
    result: dict[str, FlagRow] = {}
    for name in sorted((name for name, row in flags.items() if row.use != "ignore"), key=len):
        for end in range(_SHORTEST_ABBREVIATION, len(name)):
            prefix = name[:end]
            if prefix not in flags:
                result.setdefault(prefix, flags[name])
    return result


def _commands(programs: Iterable[Program]) -> dict[str, Commands]:
    found: dict[str, list[tuple[tuple[str, ...], Program]]] = {}
    for program in programs:
        for sequence in program.row.commands:
            found.setdefault(sequence[0], []).append((tuple(sequence), program))
    return {word: _command(rows) for word, rows in found.items()}


def _command(rows: list[tuple[tuple[str, ...], Program]]) -> Commands:
    exact = _unique_sequences(rows)
    lengths = sorted({len(words) for words in exact}, reverse=True)
    return Commands(exact, tuple(lengths), tuple(sorted(rows, key=lambda row: -len(row[0]))))


def _unique_sequences(rows: list[tuple[tuple[str, ...], Program]]) -> dict[tuple[str, ...], Program]:
    by_text = _unique(((" ".join(words), (words[1:], program)) for words, program in rows), "command")
    return dict(by_text.values())


def _images(programs: Iterable[Program]) -> tuple[tuple[str, Program], ...]:
    parts = ((part, program) for program in programs for part in program.row.images)
    return tuple(sorted(parts, key=lambda row: -len(row[0])))


def _kinds(rows: list[KindRow]) -> dict[tuple[str, str, str], KindRow]:
    result: dict[tuple[str, str, str], KindRow] = {}
    for row in rows:
        for key in ((row.group, version, kind) for version in row.versions for kind in row.kinds):
            if key in result:
                raise InvalidInputError(f"extraction tables: got kind {'/'.join(key)} twice, expected one row")
            result[key] = row
    return result


def _check_profiles(rows: Rows, profiles: Mapping[str, ProfileRow]) -> None:
    named = {row.profile for row in rows.programs} | {row.profile for row in rows.calls} | {row.profile for row in rows.requests}
    named |= {row.profile for row in rows.annotations} | {row.profile for row in rows.drivers} | {row.profile for row in rows.kinds}
    named |= {flag.profile for program in rows.programs for flag in (*program.flags, *program.env)}
    named |= {ref.profile for kind in rows.kinds for ref in kind.refs} | {
        ref.profile for topic in rows.topics for ref in topic.refs
    }
    unknown = sorted(named - set(profiles) - {""})
    if unknown:
        raise InvalidInputError(f"extraction tables: got profile {unknown[0]}, expected one that profiles defines")
