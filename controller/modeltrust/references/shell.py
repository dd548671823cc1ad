"""Shell programs in arguments: split into commands, without running anything.

A single pass of one regular expression whose alternatives do not overlap, so that reading is linear. Quotes are
removed; ``$VAR`` is expanded whatever the quotes were, because single quotes are often opened again by an inner shell;
what stays computed keeps its ``$`` and is unresolved later (facts/workloads.md §10.5).
"""

import re
from collections.abc import Callable

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.references.env import Environment

_TOKEN = re.compile(
    r"""
      (?P<space>(?:[\ \t\r]|\\\r?\n)+)
    | (?P<comment>(?<![^\s;&|(])\#[^\n]*)
    | (?P<here><<-?[ \t]*(?P<quote>['"]?)(?P<tag>[A-Za-z_][A-Za-z0-9_]*)(?P=quote))
    | (?P<redirect>[0-9]?(?:>>|>&|>\||<<<|<&|<>|>|<)(?:[0-9](?![0-9A-Za-z/]))?|&>>?)
    | (?P<end>&&|\|\||;;|[\n;&|()])
    | (?P<single>'[^']*')
    | (?P<double>"(?:[^"\\]|\\.)*")
    | (?P<escape>\\.)
    | (?P<plain>[^\s'"\\;&|()<>$`]+)
    | (?P<substitution>\$\(|`)
    | (?P<variable>\$\{[^}]{0,128}\}|\$[A-Za-z_][A-Za-z0-9_]*|\$.?)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?-)([^}]{0,128}))?\}|([A-Za-z_][A-Za-z0-9_]*))")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_DOUBLE_ESCAPE = re.compile(r"\\([\"\\`\n])")
_USUAL = re.compile(r"[A-Za-z0-9 \t_./:=,@%+;&\n~*?-]*").fullmatch  # no character here is quoted, expanded or joins two words
_USUAL_CHARACTERS = 4096  # the scanner counts what it reads, splitting does not
_KEYWORDS = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done", "time", "exec", "export"})


class Command(msgspec.Struct, gc=False):
    """One simple command.

    Attributes:
        words: after expansion, assignments and keywords in front removed.
        environment: names and values as of this command.
        body: its here-document, if any.
        piped: whether its input is the output of another command.
        output: the file its output is redirected into.
    """

    words: list[str]
    environment: Environment
    body: str = ""
    piped: bool = False
    output: str = ""


class _State(msgspec.Struct, gc=False):
    environment: Environment
    positional: list[str]
    words: list[str] = []
    commands: list[Command] = []
    inner: list[str] = []
    tags: list[str] = []
    piped: bool = False
    redirected: str = ""
    output: str = ""
    handed_out: bool = True  # somebody else holds the environment: it is copied before it changes


def parse_script(text: str, environment: Environment, positional: list[str]) -> tuple[list[Command], list[str]]:
    """Split a program into its simple commands.

    Args:
        text: the program.
        environment: names and values at its start; its assignments change a copy.
        positional: what ``"$@"`` stands for.

    Returns:
        The commands in order, and the programs found inside ``$(…)`` and backquotes.

    Raises:
        LimitExceededError: the program is too long.
    """
    if len(text) > limits.SCRIPT_BYTES:
        raise LimitExceededError(f"got a script of {len(text)} characters, expected at most {limits.SCRIPT_BYTES}")
    state = _State(environment, positional)
    if len(text) <= _USUAL_CHARACTERS and _USUAL(text):
        _split(text, state)
    else:
        _scan(text, state)
        _finish(state, "")
    return state.commands, state.inner


def _split(text: str, state: _State) -> None:
    """What the scanner would find in a program of words and separators alone."""
    for part in text.replace("&", ";").replace("\n", ";").split(";"):
        words = part.split()
        while words and words[0] in _KEYWORDS:
            del words[0]
        if words and "=" in words[0]:
            _command(state, words, "")
        elif words:
            state.handed_out = True
            state.commands.append(Command(words, state.environment))


def _scan(text: str, state: _State) -> None:
    position, size, count = 0, len(text), 0
    word: list[str] = []
    open_word = False  # an empty quoted word is a word
    while position < size:
        match = _TOKEN.match(text, position)
        if match is None:
            raise MalformedError("got a script that cannot be split")  # the last alternative matches every character
        kind, position = match.lastgroup or "other", match.end()
        count += 1
        if count > limits.SCRIPT_TOKENS:
            raise LimitExceededError(f"got a script of more than {limits.SCRIPT_TOKENS} tokens")
        part = _PARTS.get(kind)
        if part is not None:
            word.append(part(match[0]))
            open_word = True
            if kind == "double" and "$(" in match[0]:
                _inner_of_quotes(match[0], state)
            continue
        if kind == "substitution":
            position, inner = _substitution(text, match, state)
            word.append(inner)
            open_word = True
            continue
        if open_word:
            _word(state, "".join(word))
            word, open_word = [], False
        position = _separator(kind, match, text, position, state)
    if open_word:
        _word(state, "".join(word))


def _verbatim(text: str) -> str:
    return text


_PARTS: dict[str, Callable[[str], str]] = {
    "plain": _verbatim,
    "variable": _verbatim,
    "other": _verbatim,
    "single": lambda text: text[1:-1],
    "double": lambda text: _DOUBLE_ESCAPE.sub(r"\1", text[1:-1]),
    "escape": lambda text: text[1],
}


def _separator(kind: str, match: re.Match[str], text: str, position: int, state: _State) -> int:
    if kind == "redirect":
        state.redirected = match[0]
    elif kind in {"here", "quote", "tag"}:
        state.tags.append(match["tag"])
    elif kind == "end":
        if match[0] == "\n" and state.tags:
            body, position = _here_document(text, position, state.tags.pop(0))
            state.tags.clear()
            _finish(state, "\n", body)
        else:
            _finish(state, match[0])
    return position


def _here_document(text: str, position: int, tag: str) -> tuple[str, int]:
    start = position
    while position < len(text):
        end = text.find("\n", position)
        line = text[position:] if end < 0 else text[position:end]
        following = len(text) if end < 0 else end + 1
        if line.strip() == tag:
            return text[start:position], following
        position = following
    return text[start:], len(text)


def _substitution(text: str, match: re.Match[str], state: _State) -> tuple[int, str]:
    start = match.end()
    end = text.find("`", start) if match[0] == "`" else _closing(text, start)
    if end < 0:
        end = len(text)
    state.inner.append(text[start:end])
    return end + 1, f"$({text[start:end]})"


def _inner_of_quotes(text: str, state: _State) -> None:
    start = text.find("$(")
    while start >= 0:
        end = _closing(text, start + 2)
        if end < 0:
            return
        state.inner.append(text[start + 2 : end])
        start = text.find("$(", end)


def _closing(text: str, position: int) -> int:
    depth = 1
    for index in range(position, len(text)):
        if text[index] == "(":
            depth += 1
        elif text[index] == ")":
            depth -= 1
            if not depth:
                return index
    return -1


def _word(state: _State, word: str) -> None:
    if state.redirected:
        if ">" in state.redirected:
            state.output = expand(word, state.environment)
        state.redirected = ""
        return
    if word in {"$@", "$*"}:
        state.words.extend(state.positional)
        return
    if not state.words and word in _KEYWORDS:
        return
    state.words.append(word)


def _finish(state: _State, separator: str, body: str = "") -> None:
    state.redirected = ""
    if state.words:
        _command(state, state.words, body)
    state.words = []
    state.output = ""
    state.piped = separator == "|"


def _command(state: _State, words: list[str], body: str) -> None:
    own = state.environment
    if "=" in words[0]:
        words, assigned = _assignments(words, own)
        if not words:
            if state.handed_out:
                state.environment, state.handed_out = own.copy(), False
            state.environment.values.update(assigned)
            return
        if assigned:
            own = own.copy()
            own.values.update(assigned)
    if own is state.environment:
        state.handed_out = True
    expanded = [word if "$" not in word else expand(word, own) for word in words]
    state.commands.append(Command(expanded, own, body, state.piped, state.output))


def _assignments(words: list[str], environment: Environment) -> tuple[list[str], dict[str, str]]:
    """The words of a command without the assignments in front, and these."""
    assigned: dict[str, str] = {}
    for index, word in enumerate(words):
        if not _ASSIGNMENT.match(word):
            return words[index:], assigned
        name, _, value = word.partition("=")
        assigned[name] = expand(value, environment)
    return [], assigned


def expand(text: str, environment: Environment) -> str:
    """Expand ``$VAR``, ``${VAR}`` and ``${VAR:-default}``; what is unknown or computed keeps its ``$``.

    Raises:
        LimitExceededError: the results have grown too large together.
    """
    if "$" not in text:
        return text
    parts, start, size = [], 0, 0
    for match in _VARIABLE.finditer(text):
        value = environment.values.get(match[1] or match[4])
        if match[2] and not value and not environment.opaque(match[1]):
            value = match[3]
        part = text[start : match.start()] + (match[0] if value is None else value)
        start = match.end()
        parts.append(part)
        size += len(part)
        if size > limits.ENVIRONMENT_BYTES:
            raise LimitExceededError(f"got a word of more than {limits.ENVIRONMENT_BYTES} bytes")
    return "".join(parts) + text[start:] if parts else text
