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
from modeltrust.references.expansion import UNQUOTED, cleaned, loose_names, protected, rereads, unescape
from modeltrust.references.shell_commands import KEYWORDS, POSITIONAL, Command, Inner, State, add_word, finish, own_values
from modeltrust.references.substitutions import body_end, closing, tag_at

_TOKEN = re.compile(
    r"""
      (?P<space>[\ \t\r]+)
    | (?P<joined>\\\r?\n)
    | (?P<comment>\#)
    | (?P<here><<(?!<)-?[ \t]*)
    | (?P<redirect>[0-9]?(?:>>|>&|>\||<<<|<&|<>|>|<)(?:[0-9](?![0-9A-Za-z/]))?|&>>?)
    | (?P<end>&&|\|\||;;|[\n;&|()])
    | (?P<single>'[^']*')
    | (?P<double>"(?:[^"\\]|\\.)*")
    | (?P<ansi>\$'(?:[^'\\]|\\.)*')
    | (?P<locale>\$"(?:[^"\\]|\\.)*")
    | (?P<escape>\\.)
    | (?P<plain>[^\s'"\\;&|()<>$`]+)
    | (?P<substitution>\$\(|`)
    | (?P<variable>\$\{(?:[^}$`]|\$(?!\()){0,128}+\}|\$[A-Za-z_][A-Za-z0-9_]*|\$.?)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOUBLE_ESCAPE = re.compile(r"\\([\"\\`$\n])")
_INSIDE_QUOTES = re.compile(r'\\.|\$\(|[`"]', re.DOTALL)
_INSIDE_BODY = re.compile(r"\\.|\$\(|`", re.DOTALL)
_BACKQUOTED = re.compile(r"(?:[^`\\]|\\.)*", re.DOTALL)
_BACKQUOTE_ESCAPE = re.compile(r"\\([\\`$])")
_USUAL = re.compile(r"[A-Za-z0-9 \t_./:=,@%+;&\n~*?-]*").fullmatch  # no character here is quoted, expanded or joins two words
_USUAL_CHARACTERS = 4096  # the scanner counts what it reads, splitting does not
# What sets a name otherwise than by `NAME=value`. Without quotes it is a word of its own, or it is no command of the shell.
_SETS_OTHERWISE = frozenset(
    {"read", "mapfile", "readarray", "getopts", "let", "printf", "declare", "typeset", "local", "readonly", "eval"}
)
_FUNCTION = re.compile(r"\(\s*\)|(?<!\w)function\s")


def parse_script(text: str, environment: Environment, positional: list[str] | None) -> tuple[list[Command], list[Inner]]:
    """Split a program into its simple commands.

    Args:
        text: the program.
        environment: names and values at its start; its assignments change a copy.
        positional: ``$0``, then what ``"$@"`` stands for; None where that cannot be known.

    Returns:
        The commands in order, and the programs found inside ``$(…)`` and backquotes, each with its environment.

    Raises:
        LimitExceededError: the program is too long.
    """
    if len(text) > limits.SCRIPT_BYTES:
        raise LimitExceededError(f"got a script of {len(text)} characters, expected at most {limits.SCRIPT_BYTES}")
    state = State(environment, None if positional is None else positional[1:])
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
    return not ("=" in text and ("&" in text or "+=" in text)) and _SETS_OTHERWISE.isdisjoint(
        text.replace(";", " ").replace("&", " ").split()
    )


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


def _prepare(text: str, state: State, positional: list[str] | None) -> None:
    """Decide which names have a value that can be known by reading on in one pass."""
    state.loose = loose_names(text, state.environment)
    function = state.redefined = _FUNCTION.search(text) is not None  # it has positional parameters of its own
    positional = positional or []
    if state.loose or (positional and "$" in text):
        values = own_values(state)
        state.environment.forget(state.loose)
        values.update({str(index): None if function else word for index, word in enumerate(positional[:POSITIONAL])})
    if function or rereads(text):
        state.positional = None


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
            if kind in _DOUBLE and ("$(" in match[0] or "`" in match[0]):
                position = _inner_of_quotes(text, match, state)
            word.append(part(text[match.start() : position]))
            open_word = True
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
    elif kind == "here":
        tag, end = tag_at(text, position)
        if tag and not _arithmetic(state):
            state.tags.append((tag, text[position:end] == tag))
            return end
        state.redirected = match[0]
    elif kind == "end":
        if match[0] == "\n" and state.tags:
            body, position = _here_document(text, position, state)
            finish(state, "\n", body)
        else:
            if match[0] in {"(", ")"} and text.startswith(match[0], position):
                state.arithmetic = match[0] == "("
            finish(state, match[0])
    return position


def _arithmetic(state: State) -> bool:
    """Whether ``<<`` shifts a number here, or might: then what follows is read as commands, and nothing is hidden by it."""
    return state.arithmetic or bool(state.words and "[" in state.words[-1] and "]" not in state.words[-1])


def _here_document(text: str, position: int, state: State) -> tuple[str, int]:
    """The body of the first here-document of this line, and where it ends; what follows it is read as commands."""
    tag, expands = state.tags[0]
    state.tags.clear()
    found = body_end(text, position, tag)
    end, following = (len(text), len(text)) if found is None else found
    if expands:
        _inner_of_body(text, position, end, state)
    return text[position:end], following


def _substitution(text: str, match: re.Match[str], state: State) -> tuple[int, str]:
    end = _keep_inner(text, match.end(), match[0], state)
    inner = text[match.start() : end] if match[0] == "$(" else f"$({text[match.end() : end - 1]})"
    return end, UNQUOTED + inner


def _keep_inner(text: str, start: int, opening: str, state: State) -> int:
    """Keep the program of a substitution that starts here; returns where the text goes on."""
    if opening == "`":
        match = _BACKQUOTED.match(text, start)
        end = len(text) if match is None else match.end()
        program = _BACKQUOTE_ESCAPE.sub(r"\1", text[start:end])
    else:
        end = closing(text, start)
        end = len(text) if end < 0 else end
        program = text[start:end]
        if program[:1] == "(" and program[-1:] == ")":
            program = program.replace("<<", "< <")  # of two readings, arithmetic has no here-document that could hide the rest
    state.handed_out = True
    state.inner.append((program, state.environment))
    return min(end + 1, len(text))


def _inner_of_quotes(text: str, match: re.Match[str], state: State) -> int:
    """Keep the programs inside a quoted word; returns where it ends, which quotes inside ``$(…)`` put further on."""
    position = text.index('"', match.start()) + 1
    while True:
        found = _INSIDE_QUOTES.search(text, position)
        if found is None:
            return len(text)
        position = found.end()
        if found[0] == '"':
            return position
        if found[0][0] != "\\":
            position = _keep_inner(text, position, found[0], state)


def _inner_of_body(text: str, position: int, end: int, state: State) -> None:
    """Keep the programs inside a here-document whose tag is not quoted."""
    while True:
        found = _INSIDE_BODY.search(text, position, end)
        if found is None:
            return
        position = found.end()
        if found[0][0] != "\\":
            position = _keep_inner(text, position, found[0], state)
