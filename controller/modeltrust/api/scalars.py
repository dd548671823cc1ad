"""Plain YAML scalars as kubectl reads them: sigs.k8s.io/yaml, which is YAML 1.1 as go-yaml v2 understands it.

``yes``, ``on`` and ``y`` are booleans, ``010`` is 8, ``1_000`` is 1000; dates and ``1:30`` stay strings. PyYAML's own resolver
knows neither ``y`` nor ``1e3`` and turns dates into objects and ``1:30`` into 90, so it is not used. Source: goyaml.v2/resolve.go.
"""

import math
import re
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_NOT_JSON = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:$|[Tt ])")
_EXACT = 1e21  # Go writes whole floats below it as integers


def resolve(text: str) -> Any:
    """The value of a plain scalar: None, a boolean, a number or the text itself.

    Raises:
        InvalidInputError: a number that JSON cannot hold.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_JSON.fullmatch(text):
        raise InvalidInputError(f"got {quote(text)}, expected a number that JSON can hold")
    return _number(text)


def _number(text: str) -> Any:
    plain = text if text.startswith(".") else text.replace("_", "")
    if _DATE.match(text) or not (_FLOAT.fullmatch(plain) or _INTEGER.fullmatch(plain)):
        return text
    if len(plain) > limits.NUMBER_CHARACTERS:
        raise InvalidInputError(f"got a number of {len(plain)} characters, expected at most {limits.NUMBER_CHARACTERS}")
    found = _INTEGER.fullmatch(plain)
    if found is not None:
        return _integer(found)
    value = float(plain)
    if math.isinf(value):
        return text
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


def _integer(found: re.Match[str]) -> int:
    sign, *digits = found.groups()
    value = next(int(text, base) for text, base in zip(digits, (16, 2, 8, 10), strict=True) if text is not None)
    return -value if sign == "-" else value


def key_text(value: Any) -> str:
    """A map key as JSON has it: kubectl turns booleans and numbers into strings.

    Raises:
        InvalidInputError: a null.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidInputError("got null as a key, expected a string")
