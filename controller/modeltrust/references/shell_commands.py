"""From the words of a shell program to its commands: assignments, redirections, and what is known where each command stands.

``shell`` splits the text and calls this word by word; nothing here reads text.
"""

import re
from collections.abc import Mapping

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError
from modeltrust.references.env import Environment
from modeltrust.references.expansion import LITERAL, UNQUOTED, alternative, fields, may_be_several, protected, value_of

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
KEYWORDS = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done", "time", "exec", "export", "coproc"}
)
_BRANCHES = frozenset({"if", "then", "else", "elif", "do", "while", "until", "{"})
_DECLARING = frozenset({"declare", "local", "readonly", "typeset"})
_ALL_POSITIONAL = frozenset({"$@", "$*", "${@}", "${*}"})
_EXPANDED = frozenset({"BASH_ENV", "ENV", "PS0", "PS1", "PS2", "PS4"})
_PROMPT, _FUNCTION = "PROMPT_COMMAND", "BASH_FUNC_"
_RUN = _EXPANDED | {_PROMPT}
_PREFIXES = frozenset({"builtin", "command"})
_CHANGING = frozenset({"set", "shift"})
POSITIONAL = 10  # $0 to $9
_DOLLAR = re.compile(f"[${LITERAL}]")


class Command(msgspec.Struct, gc=False):
    """One simple command.

    Attributes:
        words: after expansion, assignments and keywords in front removed.
        environment: names and values as of this command.
        body: its here-document, if any.
        piped: whether its input is the output of another command.
        output: the file its output is redirected into.
        several: a word outside quotes that cannot be known and may become several.
    """

    words: list[str]
    environment: Environment
    body: str = ""
    piped: bool = False
    output: str = ""
    several: str = ""


Inner = tuple[str, Environment]  # a program inside `$(…)`, and what is known where it stands


class State(msgspec.Struct, gc=False):
    """What has been read so far, and what is known here."""

    environment: Environment
    positional: list[str] | None  # what "$@" stands for; None where that cannot be known
    words: list[str] = []
    commands: list[Command] = []
    inner: list[Inner] = []
    tags: list[tuple[str, bool]] = []  # of here-documents, and whether what they hold is expanded
    piped: bool = False
    redirected: str = ""
    output: str = ""
    here: str = ""  # the word behind <<<
    handed: int = 0  # bytes and words that "$@" has become so far: thousands of words may stand for it thousands of times (H11)
    redefined: bool = False  # there are functions
    arithmetic: bool = False  # between (( and )), where << is no here-document
    handed_out: bool = True  # somebody else holds the environment: it is copied before it changes
    loose: frozenset[str] = frozenset()
    chained: bool = False  # behind && or ||
    nested: bool = False  # in a branch, a loop, a function or a process of its own, or behind one
    skipping: bool = False
    pending: list[str] = msgspec.field(default_factory=list)


def run_values(values: Mapping[str, str | None]) -> list[str]:
    """What a shell runs by itself in the values of its variables (bash(1), "Shell Variables")."""
    if _RUN.isdisjoint(values) and _FUNCTION not in "".join(values):
        return []
    return [value for name, value in values.items() if value and _runs_value(name, value)]


def _runs_value(name: str, value: str) -> bool:
    if name in _EXPANDED:
        return "$(" in value or "`" in value
    return name == _PROMPT or name.startswith(_FUNCTION)


def own_values(state: State) -> dict[str, str | None]:
    """The environment's values, to be changed."""
    if state.handed_out:
        state.environment, state.handed_out = state.environment.copy(), False
    return state.environment.values


def add_word(state: State, word: str) -> None:
    """One word more of the command that is being read."""
    words = state.words
    if state.redirected:
        if ">" in state.redirected:
            state.output = value_of(word, state.environment)
        elif state.redirected.endswith("<<<"):
            state.here = value_of(word, state.environment)
        state.redirected = ""
    elif "$" in word and state.positional is not None and word.replace(UNQUOTED, "") in _ALL_POSITIONAL:
        words.extend(_parameters(word, state))
    elif words:
        if word == "{" and words[0] == "function":
            words.clear()
            state.nested = True
        else:
            words.append(word)
    elif word in KEYWORDS:
        state.nested |= word in _BRANCHES
    elif state.skipping or word[:1] == "-":
        state.skipping = word == "-a"  # exec -a NAME
    else:
        words.append(word)


def _parameters(word: str, state: State) -> list[str]:
    """What ``"$@"`` becomes; without quotes each is split, and ``"$*"`` is one word."""
    values = state.positional or []
    state.handed += len(values) + sum(map(len, values))
    if state.handed > limits.ENVIRONMENT_BYTES:
        raise LimitExceededError(f"got parameters that become more than {limits.ENVIRONMENT_BYTES} bytes")
    if UNQUOTED in word:
        separators = state.environment.values.get("IFS") or ""
        text = " ".join(values)
        values = "".join(" " if letter in separators else letter for letter in text).split() if separators else text.split()
    elif "*" in word:
        values = [" ".join(values)]
    return list(map(protected, values))


def finish(state: State, separator: str, body: str = "") -> None:
    """The command ends here; ``body`` is its here-document."""
    fed = separator == "(" and ">" in state.redirected  # tee >(bash)
    state.piped = state.piped or (separator == "(" and "<" in state.redirected)  # bash <(…)
    state.redirected = ""
    if state.words:
        _command(state, state.words, body or state.here, separator)
    state.words = []
    state.output = state.here = ""
    state.piped = separator == "|" or fed
    if separator in {"(", ")", ";;"}:
        state.nested = True
    elif separator in {"&&", "||"}:
        state.chained = True
    elif separator != "|":
        state.chained = False
    if state.pending and separator not in {"&&", "|"}:
        # `a && M=x` has set M where a succeeded only, and for whoever stands in the same chain.
        own_values(state)
        state.environment.forget(state.pending)
        state.pending = []


def _command(state: State, words: list[str], body: str, separator: str) -> None:
    own = state.environment
    if words[0] in _DECLARING:
        words = [word for word in words if "=" in word and _ASSIGNMENT.match(word)]
        if not words:
            return
    if "=" in words[0]:
        words, assigned = _assignments(words, own, state.loose)
        state.inner += [(value, own) for value in run_values(assigned)]
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
    if separator in {"|", "&"}:
        changed = state.commands[-1].words[0] if state.commands else ""
        if changed in _CHANGING:
            _forget_positional(state)


def _record(state: State, words: list[str], environment: Environment, body: str) -> None:
    """Keep a command, and once more with the other value of each ``${X:-other}``."""
    expanded = [part for word in words for part in (fields(word, environment) if _DOLLAR.search(word) else (word,))]
    if not expanded:
        return
    several = next((word for word in words if may_be_several(word, environment, redefined=state.redefined)), "").replace(
        UNQUOTED, ""
    )
    state.commands.append(Command(expanded, environment, body, state.piped, state.output, several))
    if any("${" in word for word in words):
        other = [part for word in words for part in (alternative(word, environment) if "${" in word else fields(word, environment))]
        if other and other != expanded:
            state.commands.append(Command(other, environment, body, state.piped, state.output, several))
    if expanded[0] in _CHANGING:
        _change_positional(state, expanded)
    elif expanded[0] in _PREFIXES and not _CHANGING.isdisjoint(expanded[1:3]):
        _forget_positional(state)


def _assignments(words: list[str], environment: Environment, loose: frozenset[str]) -> tuple[list[str], dict[str, str | None]]:
    """The words of a command without the assignments in front, and these."""
    assigned: dict[str, str | None] = {}
    for index, word in enumerate(words):
        if not _ASSIGNMENT.match(word):
            return words[index:], assigned
        name, _, value = word.partition("=")
        assigned[name] = None if name in loose else value_of(value, environment)
    return [], assigned


def _assign(state: State, name: str, value: str | None, separator: str) -> None:
    known = state.environment.values
    if name in known and known[name] == value:
        return
    if state.nested or state.piped or separator in {"|", "&"}:
        value = None  # whether it counts later cannot be known
    elif state.chained:
        state.pending.append(name)
    own_values(state)[name] = value
    if value is None:
        state.environment.forget((name,))


def _change_positional(state: State, words: list[str]) -> None:
    """``set`` and ``shift``; what may or may not have happened leaves nothing that is known."""
    if state.nested or state.chained or state.piped:
        changed = None
    elif words[0] == "shift":
        count = _count(words[1:2])
        known = state.positional
        changed = None if known is None or count is None or count > len(known) else known[count:]
    elif all(word[:1] in {"-", "+"} and word not in {"-", "--"} for word in _without_values(words[1:])):
        return  # set -eu
    else:
        place = words.index("--") if "--" in words else 0
        certain = place and all(word[:1] in {"-", "+"} and word != "-" for word in _without_values(words[1:place]))
        changed = words[place + 1 :] if certain else None
    if changed is None:
        _forget_positional(state)
        return
    state.positional = changed
    values = own_values(state)
    for index in range(1, POSITIONAL):
        values[str(index)] = changed[index - 1] if index <= len(changed) else None


def _forget_positional(state: State) -> None:
    state.positional = None
    own_values(state).update({str(index): None for index in range(1, POSITIONAL)})


def _without_values(words: list[str]) -> list[str]:
    """The words of ``set`` but the names behind ``-o``."""
    return [
        word
        for index, word in enumerate(words)
        if not (index and words[index - 1][:1] in {"-", "+"} and words[index - 1][-1:] == "o")
    ]


def _count(words: list[str]) -> int | None:
    if not words:
        return 1
    return int(words[0]) if words[0].isdecimal() and len(words[0]) <= 3 else None  # noqa: PLR2004 - digits of a count
