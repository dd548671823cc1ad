"""What a chat template does to a conversation (facts/formats.md section 6.4): poisoned templates need no code.

The pattern that is denied: a condition on the words of a message, and instructions of the template's own in what it guards. Truth
and type tests on content, roles and format markers are ordinary.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from modeltrust.domain import limits
from modeltrust.formats.characters import folded
from modeltrust.formats.rules import Problem, TemplateRules
from modeltrust.formats.syntax import flows, spread, users_of_names, walk

_CONTENT_KEYS = frozenset({"content", "text"})
_COMPARING_METHODS = frozenset({"startswith", "endswith", "find", "index", "count", "split"})
_COMPARING = frozenset({"eq", "ne", "in", "notin", "lt", "gt", "lteq", "gteq"})
_COMPARING_FILTERS = {"select": 1, "reject": 1, "selectattr": 2, "rejectattr": 2}  # position of the value compared with
_COMPARING_TESTS = frozenset({"eq", "ne", "in", "equalto", "==", "!="})
_MARKER_CHARACTERS = re.compile(r"[<>\[\]{}|`\n]|\A[^a-z]*\Z")
_MARKER_LENGTH = 2  # "a", "\n\n", ": "
_WORD = re.compile(r"[a-z][a-z']*")
_SENTENCE_WORDS = 4
_URL = re.compile(r"https?://|www\.[a-z0-9]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Flow:
    """Names by what reaches them: words of a message, the date, instructions of the template's own."""

    content: frozenset[str]
    dates: frozenset[str]
    orders: frozenset[str]


def check_behaviour(template: nodes.Template, source: str, rules: TemplateRules) -> Iterator[Problem]:
    """Judge what a parsed template does with a conversation.

    Args:
        template: the syntax tree.
        source: its text.
        rules: markers, imperatives and idioms.
    """
    found = tuple(walk(template))
    flow = _flow(found, rules)
    for node in found:
        if isinstance(node, (nodes.If, nodes.CondExpr)):
            yield from _check_branch(node, flow, rules)
    yield from _check_words(source, rules)
    if len(source) > limits.TEMPLATE_WARNING_BYTES or _nesting(template) > limits.TEMPLATE_NESTING_WARNING:
        yield Problem("template.unusual", f"a template of {len(source)} characters and {_nesting(template)} levels of blocks")


def _flow(found: tuple[nodes.Node, ...], rules: TemplateRules) -> _Flow:
    users = users_of_names(found)
    content: set[str] = set()
    orders: set[str] = set()
    for targets, value in flows(found):
        for part in walk(value):
            if _is_content(part):
                content.update(targets)
            elif _is_order(part, rules):
                orders.update(targets)
    return _Flow(spread(content, users), spread({"strftime_now"}, users), spread(orders, users))


def _is_content(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Getattr):
        return node.attr in _CONTENT_KEYS
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const) and node.arg.value in _CONTENT_KEYS
    if not isinstance(node, nodes.Filter):
        return False
    arguments = [*node.args[:1], *(keyword.value for keyword in node.kwargs)]  # map(attribute='content'), selectattr('content', …)
    return any(isinstance(argument, nodes.Const) and argument.value in _CONTENT_KEYS for argument in arguments)


# --- the condition ---


def _check_branch(node: nodes.If | nodes.CondExpr, flow: _Flow, rules: TemplateRules) -> Iterator[Problem]:
    test = tuple(walk(node.test))
    if any(_mentions(part, flow.dates) for part in test):
        yield Problem("template.date", f"line {node.lineno} decides by the date")
    if any(_compares_words(part, flow, rules) for part in test) and _gives_orders(node, flow, rules):
        yield Problem("template.content-gate", f"line {node.lineno} adds instructions where a message has certain words")


def _mentions(node: nodes.Node, names: frozenset[str]) -> bool:
    if isinstance(node, nodes.Name):
        return node.name in names or f"{node.name}()" in names
    return isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and f"{node.node.name}.{node.attr}" in names


def _has_content(expressions: Iterable[nodes.Node], flow: _Flow) -> bool:
    return any(_is_content(node) or _mentions(node, flow.content) for expression in expressions for node in walk(expression))


def _compares_words(node: nodes.Node, flow: _Flow, rules: TemplateRules) -> bool:
    subjects, literals = _compared(node)
    return _has_content(subjects, flow) and any(
        isinstance(inner, nodes.Const) and _is_specific(inner.value, rules) for part in literals for inner in walk(part)
    )


def _compared(node: Any) -> tuple[Sequence[nodes.Node], Sequence[nodes.Node]]:
    """What is compared, and with what; two empty lists where a node compares nothing."""
    if isinstance(node, nodes.Compare) and any(operand.op in _COMPARING for operand in node.ops):
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        return sides, sides
    if isinstance(node, nodes.Test) and node.name in _COMPARING_TESTS:
        return [node.node, *node.args], [node.node, *node.args]
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr in _COMPARING_METHODS:
        return [node.node.node], node.args
    if isinstance(node, nodes.Filter) and node.name in _COMPARING_FILTERS:
        return [node], node.args[_COMPARING_FILTERS[node.name] :]
    return [], []


def _is_specific(value: object, rules: TemplateRules) -> bool:
    """Whether a literal is a word of a conversation and no role, kind, type or format marker."""
    if not isinstance(value, str):
        return False
    text = folded(value).strip()
    return len(text) > _MARKER_LENGTH and text not in rules.markers and not _MARKER_CHARACTERS.search(text)


# --- what it guards ---


def _gives_orders(node: nodes.If | nodes.CondExpr, flow: _Flow, rules: TemplateRules) -> bool:
    if isinstance(node, nodes.CondExpr):
        guarded: list[nodes.Node] = [part for part in (node.expr1, node.expr2) if part is not None]
    else:
        guarded = [*node.body, *node.elif_, *node.else_]
    return any(_is_order(part, rules) or _mentions(part, flow.orders) for root in guarded for part in walk(root))


def _is_order(node: nodes.Node, rules: TemplateRules) -> bool:
    """Whether a node is a sentence that tells a model what to do."""
    text = node.data if isinstance(node, nodes.TemplateData) else node.value if isinstance(node, nodes.Const) else None
    if not isinstance(text, str):
        return False
    words = _WORD.findall(folded(text))
    return len(words) >= _SENTENCE_WORDS and not rules.imperatives.isdisjoint(words)


# --- words and size ---


def _check_words(source: str, rules: TemplateRules) -> Iterator[Problem]:
    if _URL.search(source):
        yield Problem("template.url", "the template has a URL")
    text = " ".join(folded(source).split())
    idiom = next((idiom for idiom in rules.idioms if idiom in text), None)
    if idiom:
        yield Problem("template.instruction", f'the template says "{idiom}"')


def _nesting(template: nodes.Template) -> int:
    deepest = 0
    pending: list[tuple[nodes.Node, int]] = [(template, 0)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        below = depth + isinstance(node, (nodes.If, nodes.For, nodes.Macro))
        pending.extend((child, below) for child in node.iter_child_nodes())
    return deepest
