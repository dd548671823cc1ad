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


def users_of_names(found: Iterable[nodes.Node]) -> dict[str, list[str]]:
    """For every name, the variables that are computed from it: by assignment, loop, namespace field or macro argument."""
    users: dict[str, list[str]] = {}
    nodes_found = tuple(found)
    parameters = {node.name: [name.name for name in node.args] for node in nodes_found if isinstance(node, nodes.Macro)}
    for targets, value in _flows(nodes_found, parameters):
        for inner in walk(value):
            for source in _sources(inner):
                users.setdefault(source, []).extend(targets)
    return users


def _sources(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Name):
        yield node.name
    elif isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name):
        yield f"{node.node.name}.{node.attr}"


def _flows(found: tuple[nodes.Node, ...], parameters: Mapping[str, list[str]]) -> Iterator[tuple[list[str], nodes.Node]]:
    for node in found:
        if isinstance(node, nodes.Assign):
            yield target_names(node.target), node.node
        elif isinstance(node, nodes.For):
            yield target_names(node.target), node.iter
        elif isinstance(node, nodes.AssignBlock):
            yield from ((target_names(node.target), child) for child in node.body)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in parameters:
            for name, value in zip(parameters[node.node.name], node.args, strict=False):
                yield [name], value
            yield from (([keyword.key], keyword.value) for keyword in node.kwargs)
            yield [f"{node.node.name}()"], node


def target_names(target: nodes.Node) -> list[str]:
    """The variables that a target assigns to; ``ns.field`` for a field of a namespace."""
    names = [node.name for node in walk(target) if isinstance(node, nodes.Name)]
    return names + [f"{node.name}.{node.attr}" for node in walk(target) if isinstance(node, nodes.NSRef)]
