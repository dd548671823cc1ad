"""Shell programs in arguments: split into commands, without running anything.

A single pass of one regular expression whose alternatives do not overlap, so that reading is linear. Quotes are
removed; ``$VAR`` is expanded whatever the quotes were, because single quotes are often opened again by an inner shell;
what stays computed keeps its ``$`` and is unresolved later (facts/workloads.md §10.5).
"""

import re
from collections.abc import Callable

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.references.env import Environment
from modeltrust.references.expansion import UNQUOTED, cleaned, loose_names, protected, unescape
from modeltrust.references.shell_commands import KEYWORDS, POSITIONAL, Command, Inner, State, add_word, finish, own_values

_TOKEN = re.compile(
    r"""
      (?P<space>[\ \t\r]+)
    | (?P<joined>\\\r?\n)
    | (?P<comment>\#)
    | (?P<here><<-?[ \t]*(?P<quote>['"]?)(?P<tag>[A-Za-z_][A-Za-z0-9_]*)(?P=quote))
    | (?P<redirect>[0-9]?(?:>>|>&|>\||<<<|<&|<>|>|<)(?:[0-9](?![0-9A-Za-z/]))?|&>>?)
    | (?P<end>&&|\|\||;;|[\n;&|()])
    | (?P<single>'[^']*')
    | (?P<double>"(?:[^"\\]|\\.)*")
    | (?P<ansi>\$'(?:[^'\\]|\\.)*')
    | (?P<locale>\$"(?:[^"\\]|\\.)*")
    | (?P<escape>\\.)
    | (?P<plain>[^\s'"\\;&|()<>$`]+)
    | (?P<substitution>\$\(|`)
    | (?P<variable>\$\{[^}]{0,128}\}|\$[A-Za-z_][A-Za-z0-9_]*|\$.?)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOUBLE_ESCAPE = re.compile(r"\\([\"\\`$\n])")
_USUAL = re.compile(r"[A-Za-z0-9 \t_./:=,@%+;&\n~*?-]*").fullmatch  # no character here is quoted, expanded or joins two words
_USUAL_CHARACTERS = 4096  # the scanner counts what it reads, splitting does not
# What sets a name otherwise than by `NAME=value`. Without quotes it is a word of its own, or it is no command of the shell.
_SETS_OTHERWISE = frozenset(
    {"read", "mapfile", "readarray", "getopts", "let", "printf", "declare", "typeset", "local", "readonly", "eval"}
)
_FUNCTION = re.compile(r"\(\s*\)|(?<!\w)function\s")


def parse_script(text: str, environment: Environment, positional: list[str]) -> tuple[list[Command], list[Inner]]:
    """Split a program into its simple commands.

    Args:
        text: the program.
        environment: names and values at its start; its assignments change a copy.
        positional: ``$0``, then what ``"$@"`` stands for.

    Returns:
        The commands in order, and the programs found inside ``$(…)`` and backquotes, each with its environment.

    Raises:
        LimitExceededError: the program is too long.
    """
    if len(text) > limits.SCRIPT_BYTES:
        raise LimitExceededError(f"got a script of {len(text)} characters, expected at most {limits.SCRIPT_BYTES}")
    state = State(environment, positional[1:])
    if len(text) <= _USUAL_CHARACTERS and _USUAL(text) and _plain_words(text):
        _split(text, state)
    else:
        text = cleaned(text)
        _prepare(text, state, positional)
        _scan(text, state)
        finish(state, "")
    return state.commands, state.inner


def _plain_words(text: str) -> bool:
    """Whether words mean themselves: nothing is set but by a command of its own, which is surely run."""
    return not ("=" in text and "&" in text) and _SETS_OTHERWISE.isdisjoint(text.replace(";", " ").replace("&", " ").split())


def _split(text: str, state: State) -> None:
    """What the scanner would find in a program of words and separators alone."""
    for part in text.replace("&", ";").replace("\n", ";").split(";"):
        words = part.split()
        while words and words[0] in KEYWORDS:
            del words[0]
        if words and ("=" in words[0] or words[0][0] == "-"):  # `set` and `shift` change parameters, which no word here reads
            for word in words:
                add_word(state, word)
            finish(state, ";")
        elif words:
            state.handed_out = True
            state.commands.append(Command(words, state.environment))


def _prepare(text: str, state: State, positional: list[str]) -> None:
    """Decide which names have a value that can be known by reading on in one pass."""
    state.loose = loose_names(text, state.environment)
    function = _FUNCTION.search(text) is not None  # it has positional parameters of its own
    if state.loose or (positional and "$" in text):
        values = own_values(state)
        values.update(dict.fromkeys(state.loose))
        values.update({str(index): None if function else word for index, word in enumerate(positional[:POSITIONAL])})
    if function:
        state.positional = []


def _scan(text: str, state: State) -> None:
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
            if kind in _DOUBLE:
                position = _inner_of_quotes(text, match, state)
            continue
        if kind in _INSIDE:
            position = _hash(text, match, word, open_word=open_word)
            continue
        if kind == "substitution":
            position, inner = _substitution(text, match, state)
            word.append(inner)
            open_word = True
            continue
        if open_word:
            add_word(state, "".join(word))
            word, open_word = [], False
        position = _separator(kind, match, text, position, state)
    if open_word:
        add_word(state, "".join(word))


_INSIDE = frozenset({"joined", "comment"})  # need not end a word


def _hash(text: str, match: re.Match[str], word: list[str], *, open_word: bool) -> int:
    position = match.end()
    if match[0] != "#":
        return position
    if open_word:  # inside a word it is a letter
        word.append("#")
        return position
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _verbatim(text: str) -> str:
    return text


_DOUBLE = frozenset({"double", "locale"})


def _escaped(match: re.Match[str]) -> str:
    return "" if match[1] == "\n" else protected(match[1])


_PARTS: dict[str, Callable[[str], str]] = {
    "plain": _verbatim,
    "variable": lambda text: UNQUOTED + text,
    "other": _verbatim,
    "ansi": lambda text: protected(unescape(text[2:-1])),
    "locale": lambda text: _DOUBLE_ESCAPE.sub(_escaped, text[2:-1]),
    "single": lambda text: protected(text[1:-1]),
    "double": lambda text: _DOUBLE_ESCAPE.sub(_escaped, text[1:-1]),
    "escape": lambda text: protected(text[1]),
}


def _separator(kind: str, match: re.Match[str], text: str, position: int, state: State) -> int:
    if kind == "redirect":
        state.redirected = match[0]
    elif kind in {"here", "quote", "tag"}:
        state.tags.append(match["tag"])
    elif kind == "end":
        if match[0] == "\n" and state.tags:
            body, position = _here_document(text, position, state.tags.pop(0))
            state.tags.clear()
            finish(state, "\n", body)
        else:
            finish(state, match[0])
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


def _substitution(text: str, match: re.Match[str], state: State) -> tuple[int, str]:
    start = match.end()
    end = text.find("`", start) if match[0] == "`" else _closing(text, start)
    if end < 0:
        end = len(text)
    _keep_inner(state, text[start:end])
    return end + 1, f"$({text[start:end]})"


def _keep_inner(state: State, program: str) -> None:
    state.handed_out = True
    state.inner.append((program, state.environment))


def _inner_of_quotes(text: str, match: re.Match[str], state: State) -> int:
    """Keep the programs inside a quoted word; returns where it ends, which quotes inside ``$(…)`` put further on."""
    if "$(" not in match[0] and "`" not in match[0]:
        return match.end()
    start, limit = match.start(), match.end()
    dollar = back = -2  # -1: there is none; before the start: look again
    while True:
        dollar = text.find("$(", start, limit) if -1 != dollar < start or limit > match.end() else dollar
        back = text.find("`", start, limit) if -1 != back < start or limit > match.end() else back
        if dollar < 0 and back < 0:
            return limit
        if dollar < 0 or 0 <= back < dollar:
            begin = back + 1
            end = text.find("`", begin)
        else:
            begin = dollar + 2
            end = _closing(text, begin)
        if end < 0:
            _keep_inner(state, text[begin:])
            return len(text)
        _keep_inner(state, text[begin:end])
        start = end + 1
        if end >= limit:
            closing = text.find('"', end)
            limit = len(text) if closing < 0 else closing + 1


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
