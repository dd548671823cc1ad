"""docs/extraction.md, written from the tables of controller/modeltrust/references/rows."""

from collections.abc import Iterable, Iterator

from modeltrust.references.schema import KindRow
from modeltrust.references.tables import Program, Tables
from modeltrust.wiring.rows import load_tables

PATH = "docs/extraction.md"
_HEAD = """# What is understood in a workload

<!-- Written by `make generate` from controller/modeltrust/references/rows/*.yaml. Do not edit. -->

`modeltrust refs FILE` shows what an object loads. It reads fields, images, commands, arguments, shell programs, Python one-liners,
environment, volumes and annotations, of init and ephemeral containers, too. What it sees and cannot name is a finding
(`UnresolvedReference`, `UndeclaredResolver`, `OpaqueSource`, `DynamicLoading`) with its place; `unresolved` of a ModelPolicy says
what follows. `python -m tests.manifest_table` measures it over real manifests.
"""
_KINDS = """## Kinds

In other kinds every Pod spec and Pod template is found and read; fields of their own are not understood until a mapping names them
([how](mappings.md)).

| group | kinds | reaches running Pods without a new Pod | cluster-scoped |
|---|---|---|---|"""
_ENGINES = """
## Servers

Recognised by command or by image; then their options and variables are read as they read them.

| server | commands | images whose name ends in |
|---|---|---|"""
_DOWNLOADERS = """
## Downloads

| program | commands |
|---|---|"""
_REST = """
## And

- Python calls: {calls}
- CSI drivers: {drivers}; any other driver is `OpaqueSource`
- annotations of others: {annotations}
- what chooses the server behind a name (another one is another identity): {resolvers}
- accelerators: resources that begin with {accelerators}
"""
_ENDINGS = 4  # images shown of one server


def generate() -> dict[str, str]:
    """The generated document: {path: text}."""
    tables = load_tables()
    return {PATH: "\n".join([_HEAD, _KINDS, *_kinds(tables), *_programs(tables), _rest(tables)])}


def _kinds(tables: Tables) -> Iterator[str]:
    rows: dict[int, KindRow] = {id(row): row for row in tables.kinds.values()}
    for row in sorted(rows.values(), key=lambda row: (row.group, row.kinds)):
        yield f"| {row.group or 'core'} | {', '.join(row.kinds)} | {_yes(row.runtime_loaded)} | {_yes(row.cluster)} |"


def _programs(tables: Tables) -> Iterator[str]:
    programs = sorted(tables.programs.values(), key=lambda program: program.row.name)
    yield _ENGINES
    for program in programs:
        if program.row.kind == "engine" and (program.row.commands or program.row.images):
            images = program.row.images[:_ENDINGS]
            more = f" and {len(program.row.images) - _ENDINGS} more" if len(program.row.images) > _ENDINGS else ""
            yield f"| {program.row.name} | {_commands(program)} | {_code(images)}{more} |"
    yield _DOWNLOADERS
    for program in programs:
        if program.row.kind == "downloader" and program.row.commands:
            yield f"| {program.row.name} | {_commands(program)} |"


def _rest(tables: Tables) -> str:
    calls = {name for row in tables.calls.values() for name in row.names if "." not in name}
    return _REST.format(
        calls=_code(sorted(calls)),
        drivers=_code(sorted(name for name, row in tables.drivers.items() if not row.ignore)),
        annotations=_code(sorted(tables.annotations)),
        resolvers=_code(sorted(tables.resolvers)),
        accelerators=_code(sorted(tables.accelerators)),
    )


def _commands(program: Program) -> str:
    return _code(" ".join(words) for words in program.row.commands)


def _code(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values) or "none"


def _yes(value: object) -> str:
    return "yes" if value else ""
