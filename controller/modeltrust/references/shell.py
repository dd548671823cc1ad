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
from modeltrust.references.expansion import (
    LITERAL,
    UNQUOTED,
    alternatives,
    cleaned,
    fields,
    loose_names,
    protected,
    unescape,
    value_of,
)

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
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_DOUBLE_ESCAPE = re.compile(r"\\([\"\\`$\n])")
_USUAL = re.compile(r"[A-Za-z0-9 \t_./:=,@%+;&\n~*?-]*").fullmatch  # no character here is quoted, expanded or joins two words
_USUAL_CHARACTERS = 4096  # the scanner counts what it reads, splitting does not
_KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done", "time", "exec", "export", "coproc"}
)
_BRANCHES = frozenset({"if", "then", "else", "elif", "do", "while", "until", "{"})
_DECLARING = frozenset({"declare", "local", "readonly", "typeset"})
_ALL_POSITIONAL = frozenset({"$@", "$*", "${@}", "${*}"})
_CHANGING = frozenset({"set", "shift"})
_POSITIONAL = 10  # $0 to $9
# What sets a name otherwise than by `NAME=value`. Without quotes it is a word of its own, or it is no command of the shell.
_SETS_OTHERWISE = frozenset(
    {"read", "mapfile", "readarray", "getopts", "let", "printf", "declare", "typeset", "local", "readonly", "eval"}
)
_DOLLAR = re.compile(f"[${LITERAL}]")
_FUNCTION = re.compile(r"\(\s*\)|(?<!\w)function\s")


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


Inner = tuple[str, Environment]  # a program inside `$(…)`, and what is known where it stands


class _State(msgspec.Struct, gc=False):
    environment: Environment
    positional: list[str]
    words: list[str] = []
    commands: list[Command] = []
    inner: list[Inner] = []
    tags: list[str] = []
    piped: bool = False
    redirected: str = ""
    output: str = ""
    handed_out: bool = True  # somebody else holds the environment: it is copied before it changes
    loose: frozenset[str] = frozenset()
    chained: bool = False  # behind && or ||
    nested: bool = False  # in a branch, a loop, a function or a process of its own, or behind one
    skipping: bool = False
    pending: list[str] = msgspec.field(default_factory=list)


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
    state = _State(environment, positional[1:])
    if len(text) <= _USUAL_CHARACTERS and _USUAL(text) and _plain_words(text):
        _split(text, state)
    else:
        text = cleaned(text)
        _prepare(text, state, positional)
        _scan(text, state)
        _finish(state, "")
    return state.commands, state.inner


def _plain_words(text: str) -> bool:
    """Whether words mean themselves: nothing is set but by a command of its own, which is surely run."""
    return not ("=" in text and "&" in text) and _SETS_OTHERWISE.isdisjoint(text.replace(";", " ").replace("&", " ").split())


def _split(text: str, state: _State) -> None:
    """What the scanner would find in a program of words and separators alone."""
    for part in text.replace("&", ";").replace("\n", ";").split(";"):
        words = part.split()
        while words and words[0] in _KEYWORDS:
            del words[0]
        if words and ("=" in words[0] or words[0][0] == "-"):  # `set` and `shift` change parameters, which no word here reads
            for word in words:
                _word(state, word)
            _finish(state, ";")
        elif words:
            state.handed_out = True
            state.commands.append(Command(words, state.environment))


def _prepare(text: str, state: _State, positional: list[str]) -> None:
    """Decide which names have a value that can be known by reading on in one pass."""
    state.loose = loose_names(text, state.environment)
    function = _FUNCTION.search(text) is not None  # it has positional parameters of its own
    if state.loose or (positional and "$" in text):
        values = _values(state)
        values.update(dict.fromkeys(state.loose))
        values.update({str(index): None if function else word for index, word in enumerate(positional[:_POSITIONAL])})
    if function:
        state.positional = []


def _values(state: _State) -> dict[str, str | None]:
    """The environment's values, to be changed."""
    if state.handed_out:
        state.environment, state.handed_out = state.environment.copy(), False
    return state.environment.values


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
            _word(state, "".join(word))
            word, open_word = [], False
        position = _separator(kind, match, text, position, state)
    if open_word:
        _word(state, "".join(word))


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
    _keep_inner(state, text[start:end])
    return end + 1, f"$({text[start:end]})"


def _keep_inner(state: _State, program: str) -> None:
    state.handed_out = True
    state.inner.append((program, state.environment))


def _inner_of_quotes(text: str, match: re.Match[str], state: _State) -> int:
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


def _word(state: _State, word: str) -> None:
    words = state.words
    if state.redirected:
        if ">" in state.redirected:
            state.output = value_of(word, state.environment)
        state.redirected = ""
    elif "$" in word and state.positional and word.replace(UNQUOTED, "") in _ALL_POSITIONAL:
        words.extend(map(protected, state.positional))
    elif words:
        if word == "{" and words[0] == "function":
            words.clear()
            state.nested = True
        else:
            words.append(word)
    elif word in _KEYWORDS:
        state.nested |= word in _BRANCHES
    elif state.skipping or word[:1] == "-":
        state.skipping = word == "-a"  # exec -a NAME
    else:
        words.append(word)


def _finish(state: _State, separator: str, body: str = "") -> None:
    state.redirected = ""
    if state.words:
        _command(state, state.words, body, separator)
    state.words = []
    state.output = ""
    state.piped = separator == "|"
    if separator in {"(", ")", ";;"}:
        state.nested = True
    elif separator in {"&&", "||"}:
        state.chained = True
    elif separator != "|":
        state.chained = False
    if state.pending and separator not in {"&&", "|"}:
        # `a && M=x` has set M where a succeeded only, and for whoever stands in the same chain.
        _values(state).update(dict.fromkeys(state.pending))
        state.pending = []


def _command(state: _State, words: list[str], body: str, separator: str) -> None:
    own = state.environment
    if words[0] in _DECLARING:
        words = [word for word in words if "=" in word and _ASSIGNMENT.match(word)]
        if not words:
            return
    if "=" in words[0]:
        words, assigned = _assignments(words, own, state.loose)
        if not words:
            for name, value in assigned.items():
                _assign(state, name, value, separator)
            return
        if assigned:
            own = own.copy()
            own.values.update(assigned)
    if own is state.environment:
        state.handed_out = True
    _record(state, words, own, body)


def _record(state: _State, words: list[str], environment: Environment, body: str) -> None:
    """Keep a command, and once more with the other value of each ``${X:-other}``."""
    expanded = [part for word in words for part in (fields(word, environment) if _DOLLAR.search(word) else (word,))]
    if not expanded:
        return
    state.commands.append(Command(expanded, environment, body, state.piped, state.output))
    if any("${" in word for word in expanded):
        other = alternatives(expanded)
        if other != expanded:
            state.commands.append(Command(other, environment, body, state.piped, state.output))
    if expanded[0] in _CHANGING:
        _change_positional(state, expanded)


def _assignments(words: list[str], environment: Environment, loose: frozenset[str]) -> tuple[list[str], dict[str, str | None]]:
    """The words of a command without the assignments in front, and these."""
    assigned: dict[str, str | None] = {}
    for index, word in enumerate(words):
        if not _ASSIGNMENT.match(word):
            return words[index:], assigned
        name, _, value = word.partition("=")
        assigned[name] = None if name in loose else value_of(value, environment)
    return [], assigned


def _assign(state: _State, name: str, value: str | None, separator: str) -> None:
    known = state.environment.values
    if name in known and known[name] == value:
        return
    if state.nested or state.piped or separator in {"|", "&"}:
        value = None  # whether it counts later cannot be known
    elif state.chained:
        state.pending.append(name)
    _values(state)[name] = value


def _change_positional(state: _State, words: list[str]) -> None:
    if words[0] == "shift":
        state.positional = state.positional[_count(words[1:2]) :]
    elif "--" in words:
        state.positional = words[words.index("--") + 1 :]
    else:
        return
    certain = not state.nested and not state.chained
    values, words = _values(state), state.positional
    for index in range(1, _POSITIONAL):
        values[str(index)] = words[index - 1] if certain and index <= len(words) else None


def _count(words: list[str]) -> int:
    return int(words[0]) if words and words[0].isdecimal() and len(words[0]) <= 3 else 1  # noqa: PLR2004 - digits of a count
