"""Python programs in arguments: constant arguments of calls that fetch models. Nothing is executed."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from modeltrust.domain.workload import Role
from modeltrust.references.budget import Budget
from modeltrust.references.schema import CallRow, FlagUse

_TOKENIZER_CLASSES = ("Tokenizer", "Processor", "FeatureExtractor")
_ADAPTER_CLASSES = ("PeftModel",)


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


class UnreadableCodeError(Exception):
    """The text is no Python; never leaves this package."""


def find_calls(code: str, rows: Mapping[str, CallRow], budget: Budget) -> list[Call]:
    """Find calls that fetch models.

    Raises:
        UnreadableCodeError: not Python.
        LimitExceededError: too much Python in one object.
    """
    budget.charge_python(len(code))
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableCodeError from error
    constants: dict[str, str | None] = {}
    calls: list[Call] = []
    for node in ast.walk(tree):
        budget.charge(1)
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            # Assigned twice means computed: which value counts depends on the flow.
            constants[name] = None if name in constants else _constant(node.value)
        elif isinstance(node, ast.Call):
            row = rows.get(_dotted(node.func)) or rows.get(_last(node.func)) or rows.get(f"*.{_last(node.func)}")
            if row is not None:
                calls.append(_call(node, row))
    for call in calls:
        for use, text in call.constants.items():
            if text is not None and text.startswith("\0"):
                call.constants[use] = constants.get(text[1:])
    return calls


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
