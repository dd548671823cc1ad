"""Locators: JSON Pointers into an object, with a sub-locator after "#" such as ``/spec/containers/0/args/2#word 7``."""

from modeltrust.domain import limits
from modeltrust.domain.errors import quote


def path_of(locator: str) -> str:
    """A locator as people write paths: ``spec.containers[0].args[2]``; the sub-locator is left out.

    Keys are the author's own text, so what would not show in them is escaped.
    """
    result = ""
    for part in locator.partition("#")[0].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~") if "~" in part else part
        usual = key.isascii() and key.isalnum() and len(key) <= limits.QUOTED_CHARACTERS
        if usual and key.isdecimal():
            result += f"[{key}]"
        else:
            shown = key if usual else quote(key)[1:-1]
            result += f".{shown}" if result else shown
    return result
