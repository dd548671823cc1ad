"""Locators: JSON Pointers into an object, with a sub-locator after "#" such as ``/spec/containers/0/args/2#word 7``."""

from modeltrust.domain.errors import quote


def path_of(locator: str) -> str:
    """A locator as people write paths: ``spec.containers[0].args[2]``; the sub-locator is left out.

    Keys are the author's own text, so what would not show in them is escaped.
    """
    result = ""
    for part in locator.partition("#")[0].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if key.isascii() and key.isdecimal():
            result += f"[{key}]"
        else:
            shown = quote(key)[1:-1]
            result += f".{shown}" if result else shown
    return result
