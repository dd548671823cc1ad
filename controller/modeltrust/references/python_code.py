"""Python programs in arguments: constant arguments of calls that fetch models. Nothing is executed."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from modeltrust.domain.workload import Role
from modeltrust.references.budget import Budget
from modeltrust.references.schema import CallRow, FlagUse

_TOKENIZER_CLASSES = ("Tokenizer", "Processor", "FeatureExtractor")
_ADAPTER_CLASSES = ("PeftModel",)
_STARTS = re.compile(r"system|popen|Popen|exec|eval|spawn|subprocess|run_module|getoutput")
_TEXT_STARTERS = frozenset({"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"})
_LIST_STARTERS = frozenset({"run", "call", "check_call", "check_output", "Popen"})
_COMPUTED = "$(computed)"


@dataclass(slots=True)
class Call:
    """A call that fetches something.

    Attributes:
        name: dotted name of the function.
        row: its row.
        role: what it fetches.
        line: line in the program, from 1.
        constants: text by use; ``$name`` where an environment variable is read; None where it is computed.
    """

    name: str
    row: CallRow
    role: Role
    line: int
    constants: dict[FlagUse, str | None] = field(default_factory=dict)


@dataclass(slots=True)
class Process:
    """A call that runs another program.

    Attributes:
        line: in the program, from 1.
        words: its command line; what is computed is ``$(computed)``.
        text: instead of words, a program for a shell, or Python.
        code: whether the text is Python.
    """

    line: int
    words: list[str] = field(default_factory=list)
    text: str = ""
    code: bool = False


class UnreadableCodeError(Exception):
    """The text is no Python; never leaves this package."""


def find_calls(code: str, rows: Mapping[str, CallRow], budget: Budget) -> list[Call]:
    """Find calls that fetch models.

    Raises:
        UnreadableCodeError: not Python.
        LimitExceededError: too much Python in one object.
    """
    tree = _parsed(code, budget)
    constants: dict[str, str | None] = {}
    calls: list[Call] = []
    aliases = _aliases(tree)
    for node in ast.walk(tree):
        budget.charge(1)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            # Assigned twice means computed: which value counts depends on the flow.
            constants[name] = None if name in constants else _constant(node.value)
        elif isinstance(node, ast.Call):
            name = _last(node.func)
            row = rows.get(_dotted(node.func)) or rows.get(aliases.get(name, name)) or rows.get(f"*.{name}")
            if row is not None:
                calls.append(_call(node, row))
    for call in calls:
        for use, text in call.constants.items():
            if text is not None and text.startswith("\0"):
                call.constants[use] = constants.get(text[1:])
    return calls


def _parsed(code: str, budget: Budget) -> ast.Module:
    budget.charge_python(len(code))
    try:
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableCodeError from error


def find_processes(code: str, budget: Budget) -> list[Process]:
    """Find calls that run other programs, or more Python.

    Raises:
        UnreadableCodeError: not Python.
        LimitExceededError: too much Python in one object.
    """
    if _STARTS.search(code) is None:
        return []
    tree = _parsed(code, budget)
    aliases = _aliases(tree)
    found: list[Process] = []
    for node in ast.walk(tree):
        budget.charge(1)
        if isinstance(node, ast.Call) and node.args:
            name = _last(node.func)
            name = aliases.get(name, name) if isinstance(node.func, ast.Name) else name
            process = _process(name, node)
            if process is not None:
                found.append(process)
    return found


def _aliases(tree: ast.Module) -> dict[str, str]:
    return {
        name.asname: name.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in node.names
        if name.asname
    }


def _process(name: str, node: ast.Call) -> Process | None:
    if name in {"exec", "eval"} and isinstance(node.func, ast.Name):
        text = _constant(node.args[0])
        return Process(node.lineno, [_COMPUTED]) if text is None else Process(node.lineno, text=text, code=True)
    if name == "run_module":
        return Process(node.lineno, ["python", "-m", _constant(node.args[0]) or _COMPUTED, _COMPUTED])
    if name in _TEXT_STARTERS:
        return Process(node.lineno, text=_constant(node.args[0]) or _COMPUTED)
    if name in _LIST_STARTERS or (name.startswith(("exec", "spawn")) and isinstance(node.func, (ast.Attribute, ast.Name))):
        return _started(name, node)
    return None


def _started(name: str, node: ast.Call) -> Process | None:
    arguments = list(node.args)
    if name.startswith(("exec", "spawn")) and name != "spawn":
        arguments = arguments[1 if name.startswith("spawn") else 0 :]
    if not arguments:
        return None
    first = arguments[0]
    if isinstance(first, (ast.List, ast.Tuple)):
        return Process(node.lineno, [_constant(item) or _COMPUTED for item in first.elts])
    text = _constant(first)
    if len(arguments) > 1 and isinstance(arguments[1], (ast.List, ast.Tuple)):  # os.execv(path, [name, …])
        rest = [_constant(item) or _COMPUTED for item in arguments[1].elts[1:]]
        return Process(node.lineno, [text or _COMPUTED, *rest])
    if name.startswith(("exec", "spawn", "create_subprocess_exec")):  # os.execl(path, name, …)
        rest = [_constant(item) or _COMPUTED for item in arguments[1 if name.startswith("create") else 2 :]]
        return Process(node.lineno, [text or _COMPUTED, *rest])
    return Process(node.lineno, text=text or _COMPUTED)


def _call(node: ast.Call, row: CallRow) -> Call:
    name = _dotted(node.func)
    call = Call(name, row, _role(name, row), node.lineno)
    for index, argument in enumerate(node.args):
        use = row.arguments.get(str(index))
        if use is not None:
            call.constants[use] = _value(argument)
    for keyword in node.keywords:
        if keyword.arg is None:
            call.constants.setdefault("base", None)
            continue
        use = row.arguments.get(keyword.arg)
        if use is not None:
            call.constants[use] = _value(keyword.value)
    return call


def _role(name: str, row: CallRow) -> Role:
    owner = name.rpartition(".")[0]
    if owner.endswith(_TOKENIZER_CLASSES):
        return Role.TOKENIZER
    if owner.endswith(_ADAPTER_CLASSES):
        return Role.ADAPTER
    return row.role


def _value(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return f"\0{node.id}"  # looked up once the whole program is read
    return _constant(node)


def _constant(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bool)):
        return node.value if isinstance(node.value, str) else str(node.value).lower()
    variable = _environment_variable(node)
    return None if variable is None else f"${variable}"


def _environment_variable(node: ast.expr) -> str | None:
    if (
        isinstance(node, ast.Subscript)
        and _dotted(node.value) in {"os.environ", "environ"}
        and isinstance(node.slice, ast.Constant)
    ):
        return str(node.slice.value)
    if isinstance(node, ast.Call) and _dotted(node.func) in {"os.environ.get", "os.getenv", "getenv", "environ.get"} and node.args:
        first = node.args[0]
        return str(first.value) if isinstance(first, ast.Constant) else None
    return None


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
