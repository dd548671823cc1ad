"""Everything a container runs: its command line, its hooks and probes, the Python and HTTP calls inside."""

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a container besides itself.

    Attributes:
        hint: its program when neither command nor image tell.
        accelerated: whether it asks for an accelerator.
        implied: whether its command is complete, so that a program's default model counts.
    """

    hint: Program | None = None
    accelerated: bool = False
    implied: bool = True


_NO_CONTEXT = Context()


class Runs:
    """Reads what containers run. One per extraction."""

    __slots__ = ("_anywhere", "_budget", "_engines", "_findings", "_guesses", "_opener", "_tables")

    def __init__(self, tables: Tables, findings: Findings, budget: Budget) -> None:
        self._tables = tables
        self._findings = findings
        self._budget = budget
        self._opener = Opener(tables, budget)
        self._engines = Engines(tables, findings)
        self._guesses = Guesses(tables, findings, self._engines)
        self._anywhere = tables.anywhere.env

    def of(self, container: Container, known: Environment, pointer: str, context: Context) -> list[_Seen]:
        """Mentions of a container, each with the environment of the program that reads it.

        Args:
            container: what runs.
            known: its environment.
            pointer: of the container.
            context: what else is known of it.
        """
        command, args = container.command or [], container.args or []
        items = [word if "$" not in word else known.expand(word) for word in command + args]
        words = Words(items, pointer, len(command))
        seen: list[_Seen] = []
        recognised = False
        if command or (items and items[0][:1] != "-"):  # options alone belong to the program of the image
            for call in self._opener.open(words, known):
                recognised |= call.program is not None
                self._call(call, pointer, context, seen)
        if not recognised:
            self._unrecognised(container, words, known, pointer, context, seen)
        if container.lifecycle is not None:
            self._hook(container.lifecycle.post_start, "lifecycle/postStart", known, pointer, context, seen)
            self._hook(container.lifecycle.pre_stop, "lifecycle/preStop", known, pointer, context, seen)
        for name, handler in (
            ("startupProbe", container.startup_probe),
            ("livenessProbe", container.liveness_probe),
            ("readinessProbe", container.readiness_probe),
        ):
            if handler is not None and handler.exec is not None:
                self._hook(handler, name, known, pointer, context, seen)
        if not self._anywhere.keys().isdisjoint(known.values):
            seen += self._guesses.everywhere(known, pointer)
        return seen

    def script(self, text: str, known: Environment, pointer: str) -> list[_Seen]:
        """Mentions of a shell program that stands in a field."""
        seen: list[_Seen] = []
        for call in self._opener.script(text, known, pointer):
            self._call(call, pointer, _NO_CONTEXT, seen)
        return seen

    def _unrecognised(
        self, container: Container, words: Words, known: Environment, pointer: str, context: Context, seen: list[_Seen]
    ) -> None:
        program = self._entrypoint(container, context.hint)
        if program is not None and not container.command:
            self._engine(program, _implied_call(program, words.items, pointer, known), pointer, context, seen)
        else:
            seen += self._guesses.container(words, known, pointer)

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

    def _hook(
        self, handler: Handler | None, name: str, known: Environment, pointer: str, context: Context, seen: list[_Seen]
    ) -> None:
        if handler is None or handler.exec is None or not handler.exec.command:
            return
        items = [known.expand(word) for word in handler.exec.command]
        for call in self._opener.open(Words(items, f"{pointer}/{name}/exec", len(items)), known):
            self._call(call, pointer, context, seen)

    def _call(self, call: Invocation, pointer: str, context: Context, seen: list[_Seen]) -> None:
        program = call.program
        if program is not None:
            self._engine(program, call, pointer, context, seen)
            return
        name = call.name
        if name in self._tables.quiet:
            return
        if name == "python":
            seen += self._python(call, pointer)
        elif name in self._tables.shells or name.endswith((".sh", ".py")):
            self._unseen_script(call, context)
        else:
            seen += self._guesses.options(call, pointer)

    def _engine(self, program: Program, call: Invocation, pointer: str, context: Context, seen: list[_Seen]) -> None:
        row = program.row
        if row.kind == "engine" and not row.weak:
            self._findings.inference = True
        if row.web:
            seen += self._guesses.web(program, call)
            return
        implied = context.implied or row.kind != "engine"
        environment = call.environment
        for mention in self._engines.read(program, call, pointer, implied=implied):
            if not row.hosts or "$" in mention.text or any(host in mention.text for host in row.hosts):
                seen.append((mention, environment))

    def _python(self, call: Invocation, pointer: str) -> Iterator[_Seen]:
        items = call.words.items
        if call.body:
            yield from self._code(call.body, call, call.words.locator(call.first))
            return
        for index in range(call.first + 1, len(items)):
            word = items[index]
            if word == "-c" and index + 1 < len(items):
                yield from self._code(items[index + 1], call, call.words.locator(index + 1))
                return
            if not word.startswith("-"):
                break
        yield from self._guesses.options(call, pointer)

    def _code(self, code: str, call: Invocation, locator: str) -> Iterator[_Seen]:
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

    def _unseen_script(self, call: Invocation, context: Context) -> None:
        accelerated = context.accelerated
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
