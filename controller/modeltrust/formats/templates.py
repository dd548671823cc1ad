"""Chat templates judged as the programs they are: parsed, never rendered (facts/formats.md section 6.3).

An allow-list over the syntax tree. The only module that imports jinja2, and it uses nothing of it but the parser. How a template
behaves (section 6.4) is judged in ``behaviour``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from string import Formatter
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats.behaviour import check_behaviour
from modeltrust.formats.characters import hidden
from modeltrust.formats.rules import Problem, TemplateRules
from modeltrust.formats.syntax import spread, walk

# Everything else is refused: include, import, from, extends, block, with, autoescape, do, power …
_ALLOWED_NODES: frozenset[type[nodes.Node]] = frozenset(
    {
        nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Assign, nodes.AssignBlock, nodes.Macro,
        nodes.CallBlock, nodes.FilterBlock, nodes.Name, nodes.NSRef, nodes.Const, nodes.List, nodes.Dict, nodes.Pair,
        nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword,
        nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul,
        nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Concat, nodes.CondExpr, nodes.Break, nodes.Continue, nodes.Scope,
    }
)  # fmt: skip
_ATTRIBUTE_ARGUMENT = {"selectattr": 0, "rejectattr": 0, "sort": 2, "unique": 1, "min": 1, "max": 1}  # position of the attribute
_TEST_ARGUMENT = {"select": 0, "reject": 0, "selectattr": 1, "rejectattr": 1}
_BUILDING = frozenset({"replace", "join", "format", "lower", "upper", "reverse", "string"})


class _Generation(Extension):
    """``{% generation %}…{% endgeneration %}`` of transformers: its body counts, the tag itself does nothing."""

    tags = {"generation"}  # noqa: RUF012 (the library's own declaration)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


@dataclass(frozen=True, slots=True)
class _Tree:
    """A parsed template: its nodes in order, and what its names stand for."""

    nodes: tuple[nodes.Node, ...]
    macros: frozenset[str]
    built: frozenset[str]


def check_template(source: str, rules: TemplateRules) -> tuple[Problem, ...]:
    """Judge one chat template.

    Args:
        source: the template.
        rules: what it may use.

    Returns:
        Problems, each kind at most ``limits.FINDINGS_PER_FILE`` times; none for the templates that real models carry.
    """
    if len(source.encode("utf-8", "surrogatepass")) > limits.TEMPLATE_BYTES:
        return (Problem("template.too-large", f"got a template of more than {limits.TEMPLATE_BYTES} bytes"),)
    parsed = _parse(source)
    if isinstance(parsed, Problem):
        return (parsed,)
    problems = [*_check_characters(source), *_check_tree(_tree(parsed), rules), *check_behaviour(parsed, source, rules)]
    return tuple(islice(dict.fromkeys(problems), limits.FINDINGS_PER_FILE))


def _parse(source: str) -> nodes.Template | Problem:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation])
    try:
        template = environment.parse(source)
    except TemplateSyntaxError as error:
        return Problem("template.syntax", f"the template does not parse: {quote(error.message)} in line {error.lineno}")
    except RecursionError:
        return Problem("template.too-large", "the template is nested too deeply")
    except (ValueError, OverflowError, ArithmeticError) as error:  # numbers beyond Python's own limits
        return Problem("template.syntax", f"the template does not parse: {quote(error)}")
    if sum(1 for _ in islice(walk(template), limits.TEMPLATE_NODES + 1)) > limits.TEMPLATE_NODES:
        return Problem("template.too-large", f"got a template of more than {limits.TEMPLATE_NODES} nodes")
    return template


def _tree(template: nodes.Template) -> _Tree:
    found = tuple(walk(template))
    macros = frozenset(node.name for node in found if isinstance(node, nodes.Macro))
    return _Tree(found, macros, _built_names(found))


def _check_characters(source: str) -> Iterator[Problem]:
    character = hidden(source)
    if character:
        yield Problem("template.invisible", f"the template has the invisible character {character}")


def _check_tree(tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:
    for node in tree.nodes:
        if type(node) not in _ALLOWED_NODES:
            yield _problem("statement", node, f"uses {type(node).__name__.lower()}")
        elif (check := _CHECKS.get(type(node))) is not None:
            yield from check(node, tree, rules)
    yield from _check_underscores(tree.nodes)


def _problem(rule: str, node: nodes.Node, what: str) -> Problem:
    return Problem(f"template.{rule}", f"line {node.lineno} {what}")


# --- rules 2 and 3: underscores ---


def _check_getattr(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001 (one signature for all checks)
    if node.attr.startswith("_"):
        yield _problem("attribute", node, f"reads the attribute {quote(node.attr)}")


def _check_const(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001
    if isinstance(node.value, str) and "__" in node.value:
        yield _problem("dunder", node, f"has the string {quote(node.value)}")


def _check_name(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001
    if node.name in rules.names:
        yield _problem("name", node, f"uses the name {quote(node.name)}")
    if "__" in node.name:
        yield _problem("dunder", node, f"uses the name {quote(node.name)}")


def _check_keyword(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001
    if "__" in node.key:
        yield _problem("dunder", node, f"uses the keyword {quote(node.key)}")


# --- rules 4 to 6: filters, tests, calls and their arguments ---


def _check_filter(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001
    if node.name not in rules.filters:
        yield _problem("filter", node, f"uses the filter {quote(node.name)}")
    yield from _check_dynamic(node)
    yield from _check_attribute(node)
    if node.name == "map":
        yield from _check_constant(node, 0, rules.filters, "filter")
    if node.name in _TEST_ARGUMENT:
        yield from _check_constant(node, _TEST_ARGUMENT[node.name], rules.tests, "test")


def _check_dynamic(node: Any) -> Iterator[Problem]:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield _problem("computed-argument", node, "passes arguments by * or **")


def _check_attribute(node: Any) -> Iterator[Problem]:
    arguments = [keyword.value for keyword in node.kwargs if keyword.key == "attribute"]
    position = _ATTRIBUTE_ARGUMENT.get(node.name)
    if position is not None:
        arguments += node.args[position : position + 1]
    for argument in arguments:
        if not isinstance(argument, nodes.Const):
            yield _problem("computed-argument", node, f"computes the attribute of {quote(node.name)}")
        elif any(part.startswith("_") for part in str(argument.value).split(".")):
            yield _problem("attribute", node, f"reads the attribute {quote(argument.value)}")


def _check_constant(node: Any, position: int, allowed: frozenset[str], rule: str) -> Iterator[Problem]:
    for argument in node.args[position : position + 1]:
        if not isinstance(argument, nodes.Const):
            yield _problem("computed-argument", node, f"computes the {rule} of {quote(node.name)}")
        elif argument.value not in allowed:
            yield _problem(rule, node, f"uses the {rule} {quote(argument.value)}")


def _check_test(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001
    if node.name not in rules.tests:
        yield _problem("test", node, f"uses the test {quote(node.name)}")
    yield from _check_dynamic(node)


def _check_call(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:
    yield from _check_dynamic(node)
    target = node.node
    if isinstance(target, nodes.Name):
        if target.name not in rules.calls and target.name not in tree.macros:
            yield _problem("call", node, f"calls {quote(target.name)}")
    elif isinstance(target, nodes.Getattr) and target.attr in rules.methods:
        yield from _check_method(node, target)
    else:
        yield _problem("call", node, "calls something that is no listed name or method")


def _check_method(node: nodes.Call, target: nodes.Getattr) -> Iterator[Problem]:
    if target.attr == "format" and not _is_plain_format(target.node):
        yield _problem("format", node, "formats a string that is not constant, or reads attributes by it")


def _is_plain_format(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str):
        return False
    try:
        fields = [(name or "") + (specification or "") for _, name, specification, _ in Formatter().parse(node.value)]
    except ValueError:
        return False
    return not any(character in field for field in fields for character in ".[{")


# --- rule 7: keys built at run time; rule 8: underscores where strings are put together ---


def _check_getitem(node: Any, tree: _Tree, rules: TemplateRules) -> Iterator[Problem]:  # noqa: ARG001
    if not isinstance(node.arg, nodes.Slice) and _builds_text(node.arg, tree.built):
        yield _problem("built-key", node, "puts a subscript together at run time")


def _builds_text(expression: nodes.Node, built: frozenset[str]) -> bool:
    return any(_is_building(node) or (isinstance(node, nodes.Name) and node.name in built) for node in walk(expression))


def _is_building(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Add):  # adding to a number gives a number or an error, never text
        return not (_is_number(node.left) or _is_number(node.right))
    if isinstance(node, nodes.Mod):
        return not _counts(node.left)
    if isinstance(node, nodes.Mul):
        return not (_counts(node.left) and _counts(node.right))
    if isinstance(node, nodes.Filter):
        return node.name in _BUILDING
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and node.node.attr in _BUILDING
    return isinstance(node, nodes.Concat) or (isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Slice))


def _is_number(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and not isinstance(node.value, str)


def _counts(node: nodes.Node) -> bool:
    """Whether an expression is a number for sure: a constant, ``loop.index``, a length."""
    if isinstance(node, nodes.Getattr):
        return (
            isinstance(node.node, nodes.Name)
            and node.node.name == "loop"
            and node.attr in {"index", "index0", "revindex", "length"}
        )
    if isinstance(node, nodes.Filter):
        return node.name in {"length", "count", "int"}
    if isinstance(node, (nodes.Sub, nodes.Div, nodes.FloorDiv)):
        return True
    return _is_number(node) or (isinstance(node, nodes.Add) and not _is_building(node))


def _built_names(found: tuple[nodes.Node, ...]) -> frozenset[str]:
    """Variables that hold text put together at run time, directly or through other variables."""
    names = {node.target.name for node in found if isinstance(node, nodes.AssignBlock) and isinstance(node.target, nodes.Name)}
    users: dict[str, list[str]] = {}
    for node in found:
        if not isinstance(node, nodes.Assign) or not isinstance(node.target, nodes.Name):
            continue
        for inner in walk(node.node):
            if isinstance(inner, nodes.Name):
                users.setdefault(inner.name, []).append(node.target.name)
            # A slice of a list of messages is assigned everywhere; only text that is put together is suspicious.
            elif _is_building(inner) and not isinstance(inner, nodes.Getitem):
                names.add(node.target.name)
    return spread(names, users)


def _check_underscores(found: tuple[nodes.Node, ...]) -> Iterator[Problem]:
    seen: set[int] = set()  # outermost first, each subtree once: a long chain of additions must not cost its square
    for node in found:
        if id(node) in seen or not _joins(node):
            continue
        for inner in walk(node):
            seen.add(id(inner))
            if isinstance(inner, nodes.Const) and isinstance(inner.value, str) and inner.value != inner.value.strip("_"):
                yield _problem("underscore", node, f"puts a string together with {quote(inner.value)}")


def _joins(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        return node.name in _BUILDING
    if isinstance(node, nodes.Call):
        return isinstance(node.node, nodes.Getattr) and node.node.attr in _BUILDING
    return isinstance(node, (nodes.Concat, nodes.Add, nodes.Mul, nodes.Mod))


_Check = Callable[[Any, _Tree, TemplateRules], Iterator[Problem]]
_CHECKS: Mapping[type[nodes.Node], _Check] = {
    nodes.Getattr: _check_getattr,
    nodes.NSRef: _check_getattr,
    nodes.Const: _check_const,
    nodes.Name: _check_name,
    nodes.Keyword: _check_keyword,
    nodes.Filter: _check_filter,
    nodes.Test: _check_test,
    nodes.Call: _check_call,
    nodes.Getitem: _check_getitem,
}
