"""Walking the syntax tree of a template, without recursion and in linear time: foreign text decides its shape."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jinja2 import nodes


def walk(root: nodes.Node) -> Iterator[nodes.Node]:
    """A node and everything below it, parents first."""
    pending = [root]
    while pending:  # bounded by the template's size
        node = pending.pop()
        yield node
        pending.extend(node.iter_child_nodes())


def spread(start: Iterable[str], users: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Names that are reached from others.

    Args:
        start: names to begin with.
        users: for a name, the variables whose value is computed from it.
    """
    reached = set(start)
    pending = list(reached)
    while pending:
        for name in users.get(pending.pop(), ()):
            if name not in reached:
                reached.add(name)
                pending.append(name)
    return frozenset(reached)


def users_of_names(found: tuple[nodes.Node, ...]) -> dict[str, list[str]]:
    """For every name, the names computed from it; fields of namespaces as ``ns.field``, results of macros as ``macro()``."""
    users: dict[str, list[str]] = {}
    for targets, value in flows(found):
        for inner in walk(value):
            for source in _sources(inner):
                users.setdefault(source, []).extend(targets)
    return users


def _sources(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Name):
        yield node.name
        yield f"{node.name}()"
    elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        yield f"{node.node.name}.{node.attr}"


def flows(found: tuple[nodes.Node, ...]) -> Iterator[tuple[list[str], nodes.Node]]:
    """Every way in which a value gets a name: assignments, loops, arguments and bodies of macros.

    Args:
        found: all nodes of a template.

    Yields:
        The names, and the expression or statement that gives them their value.
    """
    parameters = {node.name: [name.name for name in node.args] for node in found if isinstance(node, nodes.Macro)}
    for node in found:
        if isinstance(node, nodes.Assign):
            yield target_names(node.target), node.node
        elif isinstance(node, nodes.For):
            yield target_names(node.target), node.iter
        elif isinstance(node, nodes.AssignBlock):
            yield from ((target_names(node.target), child) for child in node.body)
        elif isinstance(node, nodes.Macro):
            yield from (([f"{node.name}()"], child) for child in node.body)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            yield from (([name], value) for name, value in zip(parameters.get(node.node.name, ()), node.args, strict=False))
            yield from (([keyword.key], keyword.value) for keyword in node.kwargs if node.node.name in parameters)


def target_names(target: nodes.Node) -> list[str]:
    """The variables that a target assigns to; ``ns.field`` for a field of a namespace."""
    names = [node.name for node in walk(target) if isinstance(node, nodes.Name)]
    return names + [f"{node.name}.{node.attr}" for node in walk(target) if isinstance(node, nodes.NSRef)]
