"""The part of JSON Patch (RFC 6902) that the webhook writes: add and remove, strictly."""

import copy
from collections.abc import Iterable
from typing import Any


def apply(document: Any, operations: Iterable[dict[str, Any]]) -> Any:
    """A patched copy.

    Raises:
        KeyError, IndexError, ValueError: an operation does not fit.
    """
    changed = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target = changed
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if operation["op"] == "remove":
            del target[int(last) if isinstance(target, list) else last]
        elif operation["op"] != "add":
            raise ValueError(operation["op"])
        elif isinstance(target, list):
            target.insert(len(target) if last == "-" else int(last), operation["value"])
        else:
            target[last] = operation["value"]
    return changed
