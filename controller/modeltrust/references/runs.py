"""Everything a container runs: its command line, its hooks and probes, the Python and HTTP calls inside."""

from collections.abc import Iterator

from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import Confidence, Role
from modeltrust.references.argv import Invocation, Opener, Words
from modeltrust.references.budget import Budget
from modeltrust.references.engines import Engines
from modeltrust.references.env import Environment
from modeltrust.references.findings import Findings
from modeltrust.references.guesses import Guesses
from modeltrust.references.mentions import Mention, is_true
from modeltrust.references.pod import Container, Handler
from modeltrust.references.python_code import Call, UnreadableCodeError, find_calls
from modeltrust.references.shell import expand
from modeltrust.references.tables import Program, Tables

_Seen = tuple[Mention, Environment]
_MODEL_SCRIPT = ("model", "download", "weight", "checkpoint")


class Runs:
    """Reads what containers run. One per extraction."""

    __slots__ = ("_budget", "_engines", "_findings", "_guesses", "_opener", "_tables")

    def __init__(self, tables: Tables, findings: Findings, budget: Budget) -> None:
        self._tables = tables
        self._findings = findings
        self._budget = budget
        self._opener = Opener(tables, budget)
        self._engines = Engines(tables, findings)
        self._guesses = Guesses(tables, findings)

    def of(
        self, container: Container, known: Environment, pointer: str, hint: Program | None, *, accelerated: bool
    ) -> Iterator[_Seen]:
        """Mentions of a container, each with the environment of the program that reads it.

        Args:
            container: what runs.
            known: its environment.
            pointer: of the container.
            hint: its program when neither command nor image tell.
            accelerated: whether it asks for an accelerator.
        """
        command, args = container.command or [], container.args or []
        items = [word if "$" not in word else known.expand(word) for word in (*command, *args)]
        words = Words(items, pointer, len(command))
        recognised = False
        for call in self._opener.open(words, known):
            recognised |= call.program is not None
            yield from self._call(call, pointer, accelerated=accelerated)
        if not recognised:
            program = self._entrypoint(container, hint)
            if program is not None and not command:
                yield from self._engine(program, _implied_call(program, items, pointer, known), pointer)
                recognised = True
        yield from self._hooks(container, known, pointer)
        if not recognised:
            yield from self._guesses.of(self._tables.generic, words, known, pointer)
        yield from self._guesses.everywhere(known, pointer)

    def script(self, text: str, known: Environment, pointer: str) -> Iterator[_Seen]:
        """Mentions of a shell program that stands in a field."""
        for call in self._opener.script(text, known, pointer):
            yield from self._call(call, pointer, accelerated=False)

    def _entrypoint(self, container: Container, hint: Program | None) -> Program | None:
        named = self._tables.containers.get(container.name or "")
        if named is not None:
            return named
        image = container.image
        if image:
            slashed = f"/{image}"
            for part, program in self._tables.images:
                if part in slashed:
                    return program
        return hint

    def _hooks(self, container: Container, known: Environment, pointer: str) -> Iterator[_Seen]:
        lifecycle = container.lifecycle
        handlers: list[tuple[str, Handler | None]] = [
            ("startupProbe", container.startup_probe),
            ("livenessProbe", container.liveness_probe),
            ("readinessProbe", container.readiness_probe),
        ]
        if lifecycle is not None:
            handlers += [("lifecycle/postStart", lifecycle.post_start), ("lifecycle/preStop", lifecycle.pre_stop)]
        for name, handler in handlers:
            if handler is not None and handler.exec is not None and handler.exec.command:
                items = [known.expand(word) for word in handler.exec.command]
                place = f"{pointer}/{name}/exec"
                for call in self._opener.open(Words(items, place, len(items)), known):
                    yield from self._call(call, pointer, accelerated=False)

    def _call(self, call: Invocation, pointer: str, *, accelerated: bool) -> Iterator[_Seen]:
        program = call.program
        if program is not None:
            yield from self._engine(program, call, pointer)
        elif call.name in self._tables.quiet:
            return
        elif call.name == "python":
            yield from self._python(call, pointer)
        elif call.name in self._tables.shells or call.name.endswith((".sh", ".py")):
            self._unseen_script(call, accelerated=accelerated)
        else:
            yield from self._guesses.of(self._tables.generic, call.words, call.environment, pointer, call)

    def _engine(self, program: Program, call: Invocation, pointer: str) -> Iterator[_Seen]:
        if program.row.kind == "engine" and not program.row.weak:
            self._findings.inference = True
        if program.row.kind == "downloader" and program.name in {"curl", "wget"}:
            yield from self._guesses.web(program, call, pointer)
            return
        for mention in self._engines.read(program, call, pointer).mentions:
            if program.row.hosts and not any(host in mention.text for host in program.row.hosts) and "$" not in mention.text:
                continue
            if program.row.image_is_model and mention.role is Role.IMAGE:
                continue
            yield mention, call.environment

    def _python(self, call: Invocation, pointer: str) -> Iterator[_Seen]:
        items = call.words.items
        if call.body:
            yield from self._code(call.body, call, pointer, call.words.locator(call.first))
            return
        for index in range(call.first + 1, len(items)):
            word = items[index]
            if word == "-c" and index + 1 < len(items):
                yield from self._code(items[index + 1], call, pointer, call.words.locator(index + 1))
                return
            if not word.startswith("-"):
                break
        yield from self._guesses.of(self._tables.generic, call.words, call.environment, pointer, call)

    def _code(self, code: str, call: Invocation, pointer: str, locator: str) -> Iterator[_Seen]:
        try:
            calls = find_calls(code, self._tables.calls, self._budget)
        except UnreadableCodeError:
            self._findings.problem(
                Reason.UNRESOLVED_REFERENCE, locator, "a Python program that cannot be read", fix="correct the program"
            )
            return
        for found in calls:
            yield from self._python_call(found, call, f"{locator}#line {found.line}")

    def _python_call(self, found: Call, call: Invocation, locator: str) -> Iterator[_Seen]:
        constants = found.constants
        if (constants.get("kind") or "model") != "model":
            return
        if "trust" in constants and is_true(constants["trust"] or "true"):
            self._findings.problem(Reason.REMOTE_CODE, locator, f"{found.name} runs Python files of the model repository")
        if "resolver" in constants and not (constants["resolver"] or "").startswith("https://"):
            self._findings.problem(Reason.UNDECLARED_RESOLVER, locator, f"the endpoint of {found.name} is computed")
        revision = constants.get("revision", "")
        for use, role in (("base", found.role), ("tokenizer", Role.TOKENIZER), ("adapter", Role.ADAPTER)):
            if use not in constants:
                continue
            text = constants[use]
            if text is None or (revision is None and use == "base"):
                message = f"the argument of {found.name} is computed"
                self._findings.problem(Reason.UNRESOLVED_REFERENCE, locator, message, fix="write the id and the revision literally")
                continue
            mention = Mention(role, expand(text, call.environment), found.row.profile, locator, Confidence.DERIVED)
            mention.revision = (revision or "") if use == "base" else ""
            mention.endpoint = (constants.get("resolver") or "").rstrip("/")
            mention.destination = constants.get("destination") or ""
            yield mention, call.environment

    def _unseen_script(self, call: Invocation, *, accelerated: bool) -> None:
        words = call.words.items
        script = words[call.first] if call.name.endswith((".sh", ".py")) else " ".join(words[call.start : call.start + 1])
        piped = call.piped and not script
        if piped and accelerated:
            self._findings.problem(
                Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), "a program is computed and run; it cannot be read"
            )
        elif script and (accelerated or any(part in script.lower() for part in _MODEL_SCRIPT)):
            message = "a script that this object does not show may load models"
            fix = "state what it loads with modeltrust.dev/models, or run the server directly"
            self._findings.problem(Reason.UNRESOLVED_REFERENCE, call.words.locator(call.first), message, value=script, fix=fix)


def _implied_call(program: Program, items: list[str], pointer: str, known: Environment) -> Invocation:
    entry = program.row.entrypoint or [program.name]
    words = _ImpliedWords([*entry, *items], pointer, len(entry))
    return Invocation(words, known, program, 0, len(entry), tuple(range(len(entry))))


class _ImpliedWords(Words):
    """Words of which the first come from the image."""

    __slots__ = ("_implied", "_pointer")

    def __init__(self, items: list[str], pointer: str, implied: int) -> None:
        super().__init__(items, pointer, 0)
        self._implied = implied
        self._pointer = pointer

    def locator(self, index: int) -> str:
        return f"{self._pointer}/image" if index < self._implied else f"{self._pointer}/args/{index - self._implied}"
