r"""Where a ``$(…)`` ends: its own reading of quotes, comments, ``case`` and here-documents, as a shell parses it.

A parenthesis inside them closes nothing: whoever closes too early takes the rest of the program for words of the command around it
(``echo "$(case x in x) vllm serve … ;; esac)"``; found by tests/fuzz). One pass of two regular expressions over a stack.
"""

import re

import msgspec

_BARE = re.compile(
    r"""
      (?P<blank>[ \t\r]+)
    | \\.
    | '[^']*'
    | \$'(?:[^'\\]|\\.)*'
    | `(?:[^`\\]|\\.)*`
    | (?P<quote>\$?")
    | (?P<open>\$?\()
    | (?P<brace>\$\{)
    | (?P<close>\))
    | (?P<end>\})
    | (?P<comment>\#)
    | <<<
    | (?P<here><<-?[ \t]*)
    | (?P<next>;;&?|;&)
    | (?P<line>\n)
    | (?P<separator>[;&|]+)
    | (?P<word>[^\s\\'"`$(){}<;&|\#]+|\{)
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(
    r"""\\.|`(?:[^`\\]|\\.)*`|(?P<quote>")|(?P<open>\$\()|(?P<brace>\$\{)|(?P<end>\})|[^\\`"$}]+|.""", re.VERBOSE | re.DOTALL
)
_TAG = re.compile(r"""(?:'[^'\n]*'|"[^"\n]*"|\\.|[^\s'"\\;&|<>()$`])+""")
_TAG_QUOTES = re.compile(r"""['"]|\\(?=.)""")
_GOES_ON = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "coproc"})  # a command may follow
_WORD_ENDS = frozenset(" \t\r\n;&|()<>")


class _Frame(msgspec.Struct, gc=False):
    """Something open.

    Attributes:
        kind: ``(``, ``((``, ``"``, ``{``, ``case`` before its ``in``, ``pattern`` before its parenthesis, ``body`` of a branch.
        command: whether a reserved word would be one here.
        quoted: of ``{``: whether it stands in double quotes.
        begun: of ``case``: whether its subject has begun; of ``pattern``: whether it is past its first word.
    """

    kind: str
    command: bool = True
    quoted: bool = False
    begun: bool = False


def tag_at(text: str, position: int) -> tuple[str, int]:
    """The tag of a here-document without its quotes, and where it ends; empty where there is none."""
    match = _TAG.match(text, position)
    return ("", position) if match is None else (_TAG_QUOTES.sub("", match[0]), match.end())


def body_end(text: str, position: int, tag: str) -> tuple[int, int] | None:
    """Where the body that starts here ends, and the line behind its tag; None where the tag never comes."""
    while position < len(text):
        end = text.find("\n", position)
        end = len(text) if end < 0 else end
        if text[position:end].strip() == tag:
            return position, min(end + 1, len(text))
        position = end + 1
    return None


def closing(text: str, position: int) -> int:
    """Index of the parenthesis that closes the ``$(`` whose program starts at ``position``; -1 where none does."""
    if text.startswith("(", position):  # arithmetic, unless its parentheses do not close together
        end = _Reader(text, position + 1, "((").read()
        if text.startswith("))", end - 1) and end > 0:
            return end
    return _Reader(text, position, "(").read()


class _Reader:
    __slots__ = ("_frames", "_position", "_tags", "_text")

    def __init__(self, text: str, position: int, kind: str) -> None:
        self._text = text
        self._position = position
        self._frames = [_Frame("(", command=False), _Frame(kind)] if kind == "((" else [_Frame(kind)]
        self._tags: list[str] = []

    def read(self) -> int:
        text, size = self._text, len(self._text)
        while self._position < size:
            frame = self._frames[-1]
            match = (_QUOTED if frame.quoted else _BARE).match(text, self._position)
            if match is None:
                return -1
            start, self._position = self._position, match.end()
            kind = match.lastgroup
            if kind is None:
                frame.command, frame.begun = False, True
            elif kind != "blank":
                self._step(kind, match[0], start, frame)
                if not self._frames:
                    return start
        return -1

    def _step(self, kind: str, found: str, start: int, frame: _Frame) -> None:
        if kind == "quote":
            self._quote(frame)
        elif kind in {"open", "brace"}:
            self._open(kind, start, frame)
        elif kind == "end":
            if frame.kind == "{":
                self._frames.pop()
            frame.command = False
        elif frame.kind in {"{", "(("} and kind != "close":
            return  # neither commands nor comments stand here
        elif kind == "close":
            self._close(frame)
        elif kind == "word":
            self._word(found, start, frame)
        elif kind == "comment":
            self._comment(start)
        elif kind == "here":
            tag, self._position = tag_at(self._text, self._position)
            self._tags += [tag] if tag else []
        else:
            self._separator(kind, frame)

    def _quote(self, frame: _Frame) -> None:
        if frame.kind == '"':
            self._frames.pop()
        else:
            frame.command, frame.begun = False, True
            self._frames.append(_Frame('"', quoted=True))

    def _open(self, kind: str, start: int, frame: _Frame) -> None:
        if kind == "open" and frame.kind == "pattern" and self._text[start] == "(" and not frame.begun:
            frame.begun = True  # `case x in (x)`
            return
        array = start > 0 and self._text[start - 1] == "=" and self._text[start] == "("
        frame.command = kind == "open" and self._text[start] == "(" and not array  # behind f() and ( … ) a command may stand
        frame.begun = True
        if kind == "brace":
            self._frames.append(_Frame("{", quoted=frame.quoted))
        else:
            self._frames.append(_Frame("((" if frame.kind == "((" else "(", command=not array))

    def _close(self, frame: _Frame) -> None:
        if frame.kind == "pattern":
            frame.kind, frame.command = "body", True
        elif frame.kind == "{":
            return
        else:
            while self._frames and self._frames.pop().kind not in {"(", "(("}:
                pass  # an unfinished `case` is no program at all

    def _word(self, word: str, start: int, frame: _Frame) -> None:
        text, position = self._text, self._position
        whole = (position >= len(text) or text[position] in _WORD_ENDS) and (start == 0 or text[start - 1] in _WORD_ENDS)
        if frame.kind == "case":
            if whole and word == "in" and frame.begun:
                frame.kind, frame.begun = "pattern", False
            else:
                frame.begun = True
        elif whole and word == "esac" and (frame.command if frame.kind == "body" else frame.kind == "pattern" and not frame.begun):
            self._frames.pop()
        elif frame.kind == "pattern":
            frame.begun = True
        elif whole and word == "case" and frame.command:
            frame.command = False
            self._frames.append(_Frame("case", command=False))
        else:
            frame.command = frame.command and whole and word in _GOES_ON

    def _comment(self, start: int) -> None:
        if start > 0 and self._text[start - 1] not in _WORD_ENDS:
            return
        end = self._text.find("\n", start)
        self._position = len(self._text) if end < 0 else end

    def _separator(self, kind: str, frame: _Frame) -> None:
        if kind == "line" and self._tags:
            for tag in self._tags:
                found = body_end(self._text, self._position, tag)
                self._position = (
                    len(self._text) if found is None else found[1]
                )  # without its tag it is the rest: never looked at twice
            self._tags = []
        if frame.kind == "body" and kind == "next":
            frame.kind, frame.begun = "pattern", False
        elif frame.kind != "case":
            frame.command = True
