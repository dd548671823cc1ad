"""Locators: JSON Pointers into an object, with a sub-locator after "#" such as ``/spec/containers/0/args/2#word 7``."""

import re

from modeltrust.domain import limits
from modeltrust.domain.errors import quote

_USUAL = re.compile(rf"(?:/[A-Za-z0-9]{{1,{limits.QUOTED_CHARACTERS}}})+").fullmatch  # nothing to unescape, to quote or to cut


def path_of(locator: str) -> str:
    """A locator as people write paths: ``spec.containers[0].args[2]``; the sub-locator is left out.

    Keys are the author's own text, so what would not show in them is escaped.
    """
    pointer, result = locator.partition("#")[0], ""
    if _USUAL(pointer):
        return "".join([f"[{part}]" if part.isdecimal() else f".{part}" for part in pointer[1:].split("/")]).removeprefix(".")
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~") if "~" in part else part
        usual = key.isascii() and key.isalnum() and len(key) <= limits.QUOTED_CHARACTERS
        if usual and key.isdecimal():
            result += f"[{key}]"
        else:
            shown = key if usual else quote(key)[1:-1]
            result += f".{shown}" if result else shown
    return result
