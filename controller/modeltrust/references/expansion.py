r"""What a shell makes of ``$``: values that can be known by reading, and names whose value cannot.

What cannot be known keeps its ``$`` and is unresolved later. A value outside quotes is split into words at blanks, so a variable
there is marked by the scanner and split by ``fields``.
"""

import re
from collections import Counter

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.env import Environment

UNQUOTED = "\x01"  # stands before a variable outside quotes
LITERAL = "\x02"  # stands for a dollar that quotes protect from this shell, though not from one inside
_SPLIT = "\0"
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(rf"(\x01?)\$(?:\{{({_NAME}|[0-9])(?:(:?[-=+])([^}}]{{0,128}}))?\}}|({_NAME}|[0-9]))")
_ALTERNATIVE = re.compile(rf"\$\{{(?:{_NAME}|[0-9]):?[-=+]([^}}]{{0,128}})\}}")
_ANSI = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
# What may set a name otherwise than by `NAME=value`: `read M`, `for M in`, `printf -v M`, `M+=`, `M[0]=`, `eval M=…`.
_SETTERS = re.compile(
    r"(?<![\w-])(?:read|mapfile|readarray|getopts|let|printf|for|select|unset|export|declare|typeset|local|readonly|eval|trap|alias)"
    r"(?![\w-])|\+=|\w\["
)
_BARE = re.compile(rf"(?<![\w$./{{:@%-])({_NAME})(?![\w=./:-])")
_USED = re.compile(rf"\$\{{?({_NAME})")
_EXPORTED = re.compile(rf"(?:export|declare|typeset)[ \t]+(?:-\w+[ \t]+)?({_NAME})")
_ASSIGNED = re.compile(rf"(?<![\w$])({_NAME})=")
# Programs that print one word, or numbers and addresses, whatever the image is; no option is among these.
_ONE_WORD = re.compile(
    r"\$\(\s*(?:nproc(?: --all)?|hostname(?: -[A-Za-z])?|(?:nvidia-smi|rocm-smi)[\w =,.-]*\| *wc -l"
    r"|id -[ug]|date \+%[A-Za-z]|uname -[a-z])\s*\)"
)
_PARAMETERS = re.compile(r"\$(?:[@*]|\{!?\w*\[?[@*])")  # and arrays: `"${A[@]}"`
_REREAD = re.compile(r"(?<![\w-])(?:eval|trap|alias)(?![\w-])")


def loose_names(text: str, environment: Environment) -> frozenset[str]:
    """Names that a program may set in a way that is not followed here; their values are unknown throughout."""
    if _SETTERS.search(text) is None:
        return frozenset()
    found = set(_BARE.findall(text)) & {*_USED.findall(text), *environment.values, *_EXPORTED.findall(text)}
    if _REREAD.search(text):
        names = _ASSIGNED.findall(text)
        found.update(name for name, count in Counter(names).items() if count > 1 or name in environment.values)
    return frozenset(found)


def rereads(text: str) -> bool:
    """Whether a program may run text as commands of its own shell, which then may change what it wants."""
    return _REREAD.search(text) is not None


def unescape(text: str) -> str:
    r"""The inside of ``$'…'``: ``\x76`` is ``v``."""
    return _ANSI.sub(_letter, text)


def _letter(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits:
        return chr(min(int(digits, 16), 0xFFFD))
    if match[4]:
        return chr(int(match[4], 8) & 0xFF)
    return _LETTERS.get(match[5], match[5])


def fields(word: str, environment: Environment) -> list[str]:
    """Expand a word; values of variables outside quotes become words of their own.

    Raises:
        LimitExceededError: as ``expand``.
    """
    text = expand(word, environment).replace(LITERAL, "$")
    if UNQUOTED not in word:
        return [text]
    return [part for part in text.replace(UNQUOTED, "").split(_SPLIT) if part]


def value_of(text: str, environment: Environment) -> str:
    """What a name is set to: nothing is split there.

    Raises:
        LimitExceededError: as ``expand``.
    """
    return expand(text.replace(UNQUOTED, ""), environment).replace(LITERAL, "$")


def may_be_several(word: str, environment: Environment, *, redefined: bool) -> bool:
    """Whether a word may become several, so that options hide in its value (attack C1): outside quotes, or as ``"$@"`` within.

    What the image alone decides (a variable that nobody here sets) is the image's, and what the API server makes has no blank.

    Args:
        word: as the scanner marks it.
        environment: where it stands.
        redefined: whether the program has functions or aliases, so that no command means itself.

    Raises:
        LimitExceededError: as ``expand``.
    """
    if "@" in word and _PARAMETERS.search(word):  # of a program whose parameters are not known
        return True
    if UNQUOTED not in word:
        return False
    if "*" in word and _PARAMETERS.search(word):  # `"$*"` is one word within quotes
        return True
    text = expand(word, environment).replace(_SPLIT, " ").replace(LITERAL, "")
    if "$(" in text and (redefined or "$(" in _ONE_WORD.sub("", text)):
        return True
    return any(
        environment.opaque(name) and not environment.one_word(name)
        for match in _VARIABLE.finditer(text)
        for name in (match[2] or match[5],)
        if match[1]
    )


def protected(text: str) -> str:
    """A text whose dollars mean themselves."""
    return text.replace("$", LITERAL)


def cleaned(text: str) -> str:
    """A program without the characters that mark words here."""
    return text.replace(UNQUOTED, "").replace(LITERAL, "").replace(_SPLIT, "")


def alternative(word: str, environment: Environment) -> list[str]:
    """As ``fields``, but each ``${X:-other}`` of an unknown ``X`` stands for its other value: both are read.

    What single quotes protect is left to the shell inside, and a quoted word stays one: it may be a whole program.

    Raises:
        LimitExceededError: as ``expand``.
    """
    text = _ALTERNATIVE.sub(lambda match: match[1], expand(word, environment)).replace(LITERAL, "$")
    if UNQUOTED not in word:
        return [text]
    return text.replace(UNQUOTED, "").replace(_SPLIT, " ").split()


def expand(text: str, environment: Environment) -> str:
    """Expand ``$VAR``, ``${VAR}``, ``${VAR:-default}`` and their like; what is unknown or computed keeps its ``$``.

    Raises:
        LimitExceededError: the results have grown too large together.
    """
    if "$" not in text:
        return text
    parts, start, size = [], 0, 0
    for match in _VARIABLE.finditer(text):
        value = _value(match, environment)
        if value is not None and match[1] and not _ONE_WORD.fullmatch(value):
            separators = environment.values.get("IFS") or ""
            value = re.sub(rf"[\s{re.escape(separators)}]+", _SPLIT, value)
        part = text[start : match.start()] + (match[0] if value is None else value)
        start = match.end()
        parts.append(part)
        size += len(part)
        if size > limits.ENVIRONMENT_BYTES:
            raise LimitExceededError(f"got a word of more than {limits.ENVIRONMENT_BYTES} bytes")
    return "".join(parts) + text[start:] if parts else text


def _value(match: re.Match[str], environment: Environment) -> str | None:
    name, operator = match[2] or match[5], match[3]
    value = environment.values.get(name)
    if value is None and name == "IFS":
        return " "
    if not operator:
        return value
    if operator[-1] == "+":  # of an unknown variable nobody can say which it is
        return None if value is None else match[4] if value or operator == "+" else ""
    if environment.opaque(name) or (value is not None and (value or operator[0] != ":")):
        return value
    return str(match[4])
