"""Applies a program's row to a command line: options, positionals and environment become mentions and findings."""

import re

import msgspec

from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence, Role
from modeltrust.references.argv import Invocation, Words, base_name
from modeltrust.references.mentions import Mention, is_true
from modeltrust.references.options import Hit, Options, read_options
from modeltrust.references.scan import Scan
from modeltrust.references.schema import FlagRow, FlagUse
from modeltrust.references.shell import parse_script
from modeltrust.references.tables import Program
from modeltrust.references.values import ROLES, Part, UnreadableValueError, split_value

_MODEL_USES: frozenset[FlagUse] = frozenset({"base", "adapter", "draft", "tokenizer", "code", "config", "projector", "repository"})
_INFERRED, _DERIVED, _DECLARED = Confidence.INFERRED, Confidence.DERIVED, Confidence.DECLARED
_SEVERAL = re.compile(r"\$\{[^}]*(?:--|\s)")
_LITERAL_FIX = "write the value literally"


class _Draft(msgspec.Struct, gc=False):
    """One run while it is read.

    Attributes:
        unnamed: something may name the base, and cannot be read.
        other: it fetches a data set or a space, no model.
    """

    scan: Scan
    program: Program
    call: Invocation
    pointer: str
    mentions: list[Mention] = []
    revisions: dict[str, str] = {}
    seen: set[str] = set()
    unnamed: bool = False
    destination: str = ""
    endpoint: str = ""
    other: bool = False


def read_run(scan: Scan, program: Program, call: Invocation, pointer: str, *, implied: bool = True) -> list[Mention]:
    """Read one run of a known program.

    Args:
        scan: the extraction.
        program: its row.
        call: its command line.
        pointer: of the container.
        implied: whether a model that the program loads by default counts; not where a controller completes the command.
    """
    draft = _Draft(scan, program, call, pointer)
    options = read_options(program, call, scan.tables.opaque_flags)
    for hit in options.hits.values():
        _hit(draft, hit, options)
    if options.bare and program.positional:
        _bare_words(draft, options)
    table, values = program.env, call.environment.values
    if table and values and not table.keys().isdisjoint(values):
        _environment(draft, options)
    if options.suspicious:
        _suspicious(draft, options)
    row = program.row
    if call.words.split < 0 and row.kind == "engine" and not row.weak:
        _computed(draft, options)
    if row.dynamic or row.default:
        _implied(draft, implied=implied)
    if draft.other:
        return []
    for mention in draft.mentions:
        mention.revision = mention.revision or draft.revisions.get(mention.use, "")
        mention.endpoint = draft.endpoint
        mention.destination = draft.destination
    return draft.mentions


def _hit(draft: _Draft, hit: Hit, options: Options) -> None:
    row = hit.row
    if row.format == "plain" and not hit.key:
        if row.use == "revision" and not hit.derived:
            draft.revisions[row.of] = hit.values[-1] if hit.values else ""
            return
        for text in hit.values:
            _part(draft, hit, Part(row.use, text, row.of), options)
        return
    try:
        for part in split_value(row, hit.values, hit.key):
            _part(draft, hit, part, options)
    except UnreadableValueError:
        if row.use in _MODEL_USES:
            _unreadable(draft, hit)


def _unreadable(draft: _Draft, hit: Hit) -> None:
    message = f"the value of {hit.row.names[0]} cannot be read"
    draft.scan.problem(Reason.UNRESOLVED_REFERENCE, hit.locator, message, value=" ".join(hit.values), fix=_LITERAL_FIX)
    draft.unnamed |= hit.row.use == "base"


def _part(draft: _Draft, hit: Hit, part: Part, options: Options) -> None:
    use = part.use
    if use in _MODEL_USES:
        _model(draft, hit, part)
    elif use == "revision":
        draft.revisions.setdefault(part.of, part.text) if hit.derived else draft.revisions.__setitem__(part.of, part.text)
    elif use == "destination":
        draft.destination = part.text
    elif use == "kind":
        draft.other = part.text not in {"model", "models"}
    else:
        _side_effect(draft, hit, part, options)


def _model(draft: _Draft, hit: Hit, part: Part) -> None:
    use = part.use
    if part.text in hit.row.harmless:
        return
    draft.seen.add(use)
    row = draft.program.row
    confidence = _INFERRED if row.weak else _DERIVED if hit.derived or draft.call.words.split < 0 else _DECLARED
    draft.mentions.append(
        Mention(
            ROLES[use],
            part.text,
            hit.row.profile or row.profile,
            f"{hit.locator}#{part.key}" if part.key else hit.locator,
            confidence,
            use,
            part.revision,
            weak=row.weak,
            optional=use in {"config", "code"},
        )
    )


def _side_effect(draft: _Draft, hit: Hit, part: Part, options: Options) -> None:
    row = hit.row
    name = row.names[0]
    if part.use == "resolver":
        _resolver(draft, hit, part)
    elif part.use == "trust" and is_true(part.text):
        draft.scan.problem(Reason.REMOTE_CODE, hit.locator, f"{name} lets the server run Python files of the model repository")
    elif part.use == "argv":
        _more_words(draft, hit, part)
    elif part.use == "enabler" and _enables(row, part.text, options):
        draft.scan.problem(Reason.DYNAMIC_LOADING, hit.locator, f"{name} lets requests load models after admission")
    elif part.use == "file":
        draft.unnamed = True
        message = f"{name} names a file that may name models; this object does not show it"
        fix = "state its options on the command line"
        draft.scan.problem(Reason.UNRESOLVED_REFERENCE, hit.locator, message, value=part.text, fix=fix)


def _more_words(draft: _Draft, hit: Hit, part: Part) -> None:
    # KServe's templates expand the variable with eval into the server's command line.
    commands, _ = parse_script(f": {part.text}", draft.call.environment.copy(), [])
    for command in commands:
        words = Words(command.words, hit.locator)
        call = Invocation(words, draft.call.environment, draft.program, 0, 1, (0,))
        options = read_options(draft.program, call, draft.scan.tables.opaque_flags)
        for found in options.hits.values():
            if found.row.use != "argv":
                _hit(draft, found, options)


def _resolver(draft: _Draft, hit: Hit, part: Part) -> None:
    if part.text in hit.row.harmless:
        return
    if part.text.startswith("https://"):
        draft.endpoint = part.text.rstrip("/")
        return
    message = f"{hit.row.names[0]} changes where the bytes come from"
    draft.scan.problem(Reason.UNDECLARED_RESOLVER, hit.locator, message, value=part.text)


def _bare_words(draft: _Draft, options: Options) -> None:
    words, used = draft.call.words, draft.call.used
    named = (base_name(words.items[used[0]]), *[words.items[index] for index in used[1:]]) if used else ()
    for after, rows in draft.program.positional.items():
        if after and named[: len(after)] != after:
            continue
        for place, flag in rows:
            for index, text in options.bare[place]:
                _part(draft, Hit(flag, [text], words, index), Part(flag.use, text), options)
        if len(rows) == 1:  # rows of one sub command all apply; else the most specific alone does
            return


def _environment(draft: _Draft, options: Options) -> None:
    values = draft.call.environment.values
    table = draft.program.env
    for name in sorted(table.keys() & values.keys()):
        row = table[name]
        if row.use == "ignore" or row.use in draft.seen or (row.use == "revision" and row.of in draft.revisions):
            continue  # the command line wins over the environment
        locator = f"{draft.pointer}/env/{name}"
        value = values[name]
        if value is None:
            _unknown_variable(draft, row, name, locator)
        elif value:
            _hit(draft, Hit(row, [value], where=locator, derived=True), options)


def _unknown_variable(draft: _Draft, row: FlagRow, name: str, locator: str) -> None:
    if row.use in _MODEL_USES or row.use in {"file", "argv"}:
        draft.unnamed = True
        message = f"{name} takes its value from another object"
        draft.scan.problem(Reason.UNRESOLVED_REFERENCE, locator, message, value=name, fix=f"state {name} literally")


def _computed(draft: _Draft, options: Options) -> None:
    # A word that only the shell can fill may be an option, or several: `vllm serve X ${Y:+--trust-remote-code}`.
    items = draft.call.words.items
    words = [(index, text) for index, text in options.bare if "$" in text]
    words += [(index, items[index]) for index in range(draft.call.start, len(items)) if _SEVERAL.search(items[index])]
    for index, text in words:
        message = f"part of the command line of {draft.program.name} is computed"
        locator = draft.call.words.locator(index)
        draft.scan.problem(Reason.UNRESOLVED_REFERENCE, locator, message, value=text, fix=_LITERAL_FIX)


def _suspicious(draft: _Draft, options: Options) -> None:
    for index, name, value in options.suspicious:
        if draft.program.row.kind == "engine" and not draft.program.row.weak:
            message = f"{name} looks like it names a model and is in no table"
            draft.scan.problem(Reason.UNRESOLVED_REFERENCE, draft.call.words.locator(index), message, value=value)


def _implied(draft: _Draft, *, implied: bool) -> None:
    row = draft.program.row
    if row.dynamic:
        message = f"{row.name} loads any model that a request names"
        draft.scan.problem(Reason.DYNAMIC_LOADING, draft.pointer, message)
    if not implied or not row.default or draft.unnamed or "base" in draft.seen or "repository" in draft.seen:
        return
    source = next(
        (name for name, flag in draft.program.env.items() if flag.use == "base" and draft.call.environment.opaque(name)), ""
    )
    if source:
        sources = ", ".join(draft.call.environment.sources)
        message = f"{source} may come from {sources or 'another object'}"
        draft.scan.problem(Reason.UNRESOLVED_REFERENCE, draft.pointer, message, value=source, fix=f"state {source} literally")
        return
    locator = draft.call.words.locator(draft.call.first)
    draft.mentions.append(Mention(Role.BASE, row.default, row.profile, locator, Confidence.DERIVED))


def _enables(row: FlagRow, value: str, options: Options) -> bool:
    if row.only:
        return value in row.only
    return is_true(value) and not any(name in options.hits for name in row.unless)
