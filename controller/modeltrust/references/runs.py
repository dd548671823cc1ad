"""Everything a container runs: its command line, its hooks and probes, the Python and HTTP calls inside."""

import re
from collections.abc import Iterator
from operator import attrgetter

from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence, Role
from modeltrust.references import guesses
from modeltrust.references.argv import Invocation, Words, base_name, open_script, open_words
from modeltrust.references.engines import read_run
from modeltrust.references.env import Environment
from modeltrust.references.expansion import expand
from modeltrust.references.guesses import Seen
from modeltrust.references.mentions import Mention, is_true
from modeltrust.references.pod import Exec
from modeltrust.references.python_code import Call, Process, UnreadableCodeError, find_calls, find_processes
from modeltrust.references.scan import Scan
from modeltrust.references.shell_commands import run_values
from modeltrust.references.site import Site
from modeltrust.references.tables import Program

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
_HANDLERS = attrgetter("startup_probe", "liveness_probe", "readiness_probe")
_PATTERN = re.compile(r".[*?\[{]|^[*?{].")  # a shell makes the name of a program of it
_SUB_COMMANDS = 6  # words in which a sub command or the program behind a wrapper stands
_MODEL_SCRIPT = ("model", "download", "weight", "checkpoint")


def of(scan: Scan, site: Site, known: Environment) -> list[Seen]:
    """Mentions of a container, each with the environment of the program that reads it.

    Args:
        scan: the extraction.
        site: the container.
        known: its environment.
    """
    container = site.container
    command, args = container.command or [], container.args or []
    items = command + args
    if "$" in "".join(items):
        items = [known.expand(word) for word in items]
    words = Words(items, site.pointer, len(command))
    seen: list[Seen] = []
    recognised = False
    if command or (items and items[0][:1] != "-"):  # options alone belong to the program of the image
        recognised = _words(scan, words, known, site, seen)
    if not recognised:
        _unrecognised(scan, words, known, site, seen)
    _hooks(scan, known, site, seen)
    for value in run_values(known.values):
        seen += script(scan, value, site, known)
    if known.values and not scan.tables.anywhere.env.keys().isdisjoint(known.values):
        seen += guesses.everywhere(scan, known, site.pointer)
    return seen


def script(scan: Scan, text: str, site: Site, known: Environment) -> list[Seen]:
    """Mentions of a shell program that stands in a field."""
    seen: list[Seen] = []
    for call in open_script(scan, text, known, site.pointer):
        _call(scan, call, site, seen)
    return seen


def _words(scan: Scan, words: Words, known: Environment, site: Site, seen: list[Seen]) -> bool:
    recognised = False
    for call in open_words(scan, words, known):
        recognised |= call.program is not None
        _call(scan, call, site, seen)
    return recognised


def _unrecognised(scan: Scan, words: Words, known: Environment, site: Site, seen: list[Seen]) -> None:
    program = _entrypoint(scan, site)
    if program is not None and not site.container.command:
        _engine(scan, program, _implied_call(program, words.items, site.pointer, known), site, seen)
    else:
        seen += guesses.container(scan, words, known, site.pointer)


def _entrypoint(scan: Scan, site: Site) -> Program | None:
    named = scan.tables.containers.get(site.container.name or "")
    if named is not None:
        return named
    image = site.container.image
    slashed = f"/{image}"
    if image and scan.tables.any_image(slashed):
        for part, program in scan.tables.images:
            if part in slashed:
                return program
    return site.hint


def _hooks(scan: Scan, known: Environment, site: Site, seen: list[Seen]) -> None:
    container = site.container
    lifecycle = container.lifecycle
    if lifecycle is not None:
        if lifecycle.post_start is not None and lifecycle.post_start.exec is not None:
            _hook(scan, lifecycle.post_start.exec, "lifecycle/postStart", known, site, seen)
        if lifecycle.pre_stop is not None and lifecycle.pre_stop.exec is not None:
            _hook(scan, lifecycle.pre_stop.exec, "lifecycle/preStop", known, site, seen)
    for name, handler in zip(_PROBES, _HANDLERS(container), strict=True):
        if handler is not None and handler.exec is not None:
            _hook(scan, handler.exec, name, known, site, seen)


def _hook(scan: Scan, program: Exec, name: str, known: Environment, site: Site, seen: list[Seen]) -> None:
    if program.command and program.command[0] not in scan.tables.quiet:
        items = [known.expand(word) for word in program.command]
        _words(scan, Words(items, f"{site.pointer}/{name}/exec", len(items)), known, site, seen)


def _call(scan: Scan, call: Invocation, site: Site, seen: list[Seen]) -> None:
    program = call.program
    if program is not None:
        _engine(scan, program, call, site, seen)
        return
    name = call.name
    if name in scan.tables.quiet:
        return
    if _computed(scan, call):
        message = "which program runs is computed; it cannot be read"
        value = call.words.items[call.first]
        scan.problem(
            Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), message, value=value, fix="write the command literally"
        )
    elif call.piped and base_name(call.words.items[-1]) in scan.tables.wrappers:  # echo vllm serve … | xargs env
        scan.problem(Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), "which program runs is read from a pipe")
    elif name == "python":
        seen += _python(scan, call, site)
    elif name in scan.tables.shells or name.endswith((".sh", ".py")):
        _unseen_script(scan, call, accelerated=site.accelerated)
    else:
        seen += guesses.options(scan, call, site.pointer)


def _computed(scan: Scan, call: Invocation) -> bool:
    """Whether what is unknown may be a program, or the sub command of one that loads models."""
    items = call.words.items[call.first :]
    if not items:
        return False
    name, tables = call.name, scan.tables
    if "$" in name or name.endswith(("}", ")", "`")) or (call.words.split < 0 and _PATTERN.search(name)):
        return True
    known = (
        name == "python" or name in tables.commands or name in tables.shells or base_name(call.words.items[0]) in tables.wrappers
    )
    return known and any("$" in word for word in items[1:_SUB_COMMANDS])


def _engine(scan: Scan, program: Program, call: Invocation, site: Site, seen: list[Seen]) -> None:
    row = program.row
    engine = row.kind == "engine"
    if engine and not row.weak:
        scan.inference = True
    if row.web:
        seen += guesses.web(scan, program, call)
        return
    environment, hosts = call.environment, row.hosts
    mentions = read_run(scan, program, call, site.pointer, implied=site.implied or not engine)
    if call.several and not any(call.several in each.text and not (each.weak or each.optional) for each in mentions):
        _several(scan, program, call)
    for mention in mentions:
        if not hosts or "$" in mention.text or any(host in mention.text for host in hosts):
            seen.append((mention, environment))


def _several(scan: Scan, program: Program, call: Invocation) -> None:
    message = f"part of the command line of {program.name} is computed and stands outside quotes: options may hide in it"
    fix = "write the value literally, or in double quotes"
    if "@" in call.several:  # "$@" is several words within quotes, too
        message = f"part of the command line of {program.name} is computed and may be several words: options may hide in it"
        fix = "write the words literally"
    scan.problem(Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), message, value=call.several, fix=fix)


def _python(scan: Scan, call: Invocation, site: Site) -> Iterator[Seen]:
    items = call.words.items
    if call.body:
        yield from _code(scan, call.body, call, call.words.locator(call.first), site)
        return
    for index in range(call.first + 1, len(items)):
        word = items[index]
        if word == "-c" and index + 1 < len(items):
            yield from _code(scan, items[index + 1], call, call.words.locator(index + 1), site)
            return
        if word == "-" or not word.startswith("-"):
            break
    else:
        word = "-"
    if call.piped and word == "-" and "-m" not in items:
        message = "a Python program is read from a pipe; it cannot be read"
        scan.problem(Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), message)
    yield from guesses.options(scan, call, site.pointer)


def _code(scan: Scan, code: str, call: Invocation, locator: str, site: Site) -> Iterator[Seen]:
    try:
        calls = find_calls(code, scan.tables.calls, scan)
    except UnreadableCodeError:
        scan.problem(Reason.UNRESOLVED_REFERENCE, locator, "a Python program that cannot be read", fix="correct the program")
        return
    for found in calls:
        yield from _python_call(scan, found, call, f"{locator}#line {found.line}")
    for process in find_processes(code, scan):
        yield from _process(scan, process, call, f"{locator}#line {process.line}", site)


def _process(scan: Scan, process: Process, call: Invocation, locator: str, site: Site) -> Iterator[Seen]:
    if process.code:
        yield from _code(scan, process.text, call, locator, site)
        return
    seen: list[Seen] = []
    for inner in (
        open_script(scan, process.text, call.environment, locator)
        if process.text
        else open_words(scan, Words(process.words, locator), call.environment)
    ):
        _call(scan, inner, site, seen)
    yield from seen


def _python_call(scan: Scan, found: Call, call: Invocation, locator: str) -> Iterator[Seen]:
    constants = found.constants
    if (constants.get("kind") or "model") != "model":
        return
    if "trust" in constants and is_true(constants["trust"] or "true"):
        scan.problem(Reason.REMOTE_CODE, locator, f"{found.name} runs Python files of the model repository")
    if "resolver" in constants and not (constants["resolver"] or "").startswith("https://"):
        scan.problem(Reason.UNDECLARED_RESOLVER, locator, f"the endpoint of {found.name} is computed")
    revision = constants.get("revision", "")
    for use, role in (("base", found.role), ("tokenizer", Role.TOKENIZER), ("adapter", Role.ADAPTER)):
        if use not in constants:
            continue
        text = constants[use]
        if text is None or (revision is None and use == "base"):
            message = f"the argument of {found.name} is computed"
            scan.problem(Reason.UNRESOLVED_REFERENCE, locator, message, fix="write the id and the revision literally")
            continue
        mention = Mention(role, expand(text, call.environment), found.row.profile, locator, Confidence.DERIVED)
        mention.revision = (revision or "") if use == "base" else ""
        mention.endpoint = (constants.get("resolver") or "").rstrip("/")
        mention.destination = constants.get("destination") or ""
        yield mention, call.environment


def _unseen_script(scan: Scan, call: Invocation, *, accelerated: bool) -> None:
    words = call.words.items
    script = words[call.first] if call.name.endswith((".sh", ".py")) else " ".join(words[call.start : call.start + 1])
    if call.piped and _reads_input(call, script):
        scan.problem(
            Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), "a program is computed and run; it cannot be read"
        )
    elif script and (accelerated or any(part in script.lower() for part in _MODEL_SCRIPT)):
        message = "a script that this object does not show may load models"
        fix = "state what it loads with modeltrust.dev/models, or run the server directly"
        scan.problem(Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), message, value=script, fix=fix)


def _reads_input(call: Invocation, script: str) -> bool:
    """Whether a shell reads its program from its input: ``sh``, ``sh -s x``, ``sh /dev/stdin``."""
    options = call.words.items[call.first + 1 : call.start]
    return not script or script.startswith(("-", "/dev/")) or any("s" in word for word in options if word[:2] != "--")


def _implied_call(program: Program, items: list[str], pointer: str, known: Environment) -> Invocation:
    entry = program.row.entrypoint or [program.name]
    words = Words([*entry, *items], pointer, 0, len(entry))
    return Invocation(words, known, program, 0, len(entry), tuple(range(len(entry))))
