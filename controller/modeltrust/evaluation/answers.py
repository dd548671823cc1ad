"""Answers with log-probabilities, and how far two of them are apart.

Tokens are keyed by id: special tokens are shown as "", so keyed by text the end of an answer merges with others, and identical
answers seem to differ (facts/evals.md, section 4). Where a server shows no ids, equal texts are summed and preflight says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from typing import Annotated, TypeAlias, TypeVar

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError

S = TypeVar("S", bound=msgspec.Struct)
C = TypeVar("C")
Token: TypeAlias = int | str  # an id; a text only where the server shows no ids
_NAMED = "token_id:"  # how vLLM spells an id with return_tokens_as_token_ids
_ROUNDING = 1e-3  # how far above zero a log-probability may be
_LN2 = math.log(2)
_LEAST = -200.0  # log-probabilities below this are zero; llama.cpp writes -3.4e38 for a token that cannot be


@dataclass(frozen=True, slots=True)
class Position:
    """One token of an answer and the distribution it was chosen from.

    Attributes:
        chosen: the token.
        top: the listed tokens and their natural log-probabilities.
    """

    chosen: Token
    top: Mapping[Token, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """A greedy answer.

    Attributes:
        text: what a person reads.
        positions: every token, the end of the answer included where the server shows it.
        ended: the model ended the answer itself; else it was cut at the bound.
        has_ids: tokens are keyed by id.
    """

    text: str
    positions: tuple[Position, ...]
    ended: bool
    has_ids: bool


class _Top(msgspec.Struct, frozen=True):
    token: str
    logprob: float
    id: int | None = None


class _Entry(_Top, frozen=True):
    top_logprobs: list[_Top] = []


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[_Entry]


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]


class _Piece(msgspec.Struct, frozen=True):
    bytes: list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class _Pieces(msgspec.Struct, frozen=True):
    content: list[_Piece] | None = None  # llama.cpp; vLLM spells it otherwise and shows the markers in the text


class _TextChoice(msgspec.Struct, frozen=True):
    text: str
    logprobs: _Pieces | None = None


class _TextCompletion(msgspec.Struct, frozen=True):
    choices: list[_TextChoice]


def parse_answer(data: bytes, *, tokens: int) -> Answer:
    """Read a chat completion.

    Args:
        data: the body.
        tokens: how many were asked for at most.

    Raises:
        MalformedError: no completion with log-probabilities, an impossible log-probability, or more tokens than were asked for.
    """
    choice = _one(_decode(data, _Completion).choices)
    if choice.logprobs is None or not choice.logprobs.content:
        raise MalformedError("got an answer without log-probabilities")
    entries = choice.logprobs.content
    if len(entries) > tokens + 1:  # some servers show the end beyond the bound
        raise LimitExceededError(f"got an answer of {len(entries)} tokens, expected at most {tokens}")
    positions = tuple(_position(entry) for entry in entries)
    has_ids = all(isinstance(key, int) for position in positions for key in (position.chosen, *position.top))
    return Answer(choice.message.content or "", positions, choice.finish_reason == "stop", has_ids)


def parse_text(data: bytes) -> str:
    """The text of a completion without chat template, up to the first token that has no text.

    llama.cpp shows the marker that ends a turn as nothing at all, so in the text alone the answer is glued to the question.

    Raises:
        MalformedError: no completion.
    """
    choice = _one(_decode(data, _TextCompletion).choices)
    text = choice.text
    if choice.logprobs is not None and choice.logprobs.content is not None:
        pieces = dropwhile(lambda piece: not piece, (bytes(piece.bytes) for piece in choice.logprobs.content))
        text = b"".join(takewhile(bool, pieces)).decode("utf-8", "replace")
    return text[: limits.EVALUATION_PROMPT_CHARACTERS]


def divergence(one: Mapping[Token, float], other: Mapping[Token, float]) -> float:
    """Jensen-Shannon divergence in bits of two top-k lists, each with what it leaves out as one more bucket: 0 to 1.

    The lists of one engine end at different tokens, so what lies beyond them is compared as a whole.
    """
    if one == other:
        return 0.0
    total, left, right = 0.0, 1.0, 1.0  # nats, twice the divergence; what the lists leave out
    for key, value in one.items():
        a, second = math.exp(value), other.get(key)
        left -= a
        if second is None:
            total += a * _LN2
        else:
            b = math.exp(second)
            total += a * value + b * second - (a + b) * math.log((a + b) / 2)
    for key, value in other.items():
        b = math.exp(value)
        right -= b
        if key not in one:
            total += b * _LN2
    total += _term(max(0.0, left), max(0.0, right)) + _term(max(0.0, right), max(0.0, left))
    return min(1.0, max(0.0, total / (2 * _LN2)))


def shift(clean: Answer, other: Answer) -> float:
    """S_M(p, s): the largest divergence while both answers go the same way, and where they part: 0 to 1.

    The mean misses what changes one token of twenty (facts/evals.md, section 4). Behind the first different token nothing is
    comparable.
    """
    largest = 0.0
    for one, two in zip(clean.positions, other.positions, strict=False):
        largest = max(largest, divergence(one.top, two.top))
        if one.chosen != two.chosen:
            return largest
    # One answer is a true beginning of the other: the end was not shown, so it counts as another token.
    if len(clean.positions) != len(other.positions) and (clean.ended or other.ended):
        return 1.0
    return largest


def _term(a: float, b: float) -> float:
    return a * math.log(2 * a / (a + b)) if a > 0 else 0.0


def _position(entry: _Entry) -> Position:
    top: dict[Token, float] = {}
    if not all(item.logprob <= _ROUNDING for item in (entry, *entry.top_logprobs)):  # NaN too
        raise MalformedError("got a log-probability above zero or none")
    for item in entry.top_logprobs:
        key, value = _key(item), max(_LEAST, min(0.0, item.logprob))
        top[key] = value if key not in top else math.log(min(1.0, math.exp(top[key]) + math.exp(value)))
    return Position(_key(entry), top)


def _key(item: _Top) -> Token:
    if item.id is not None:
        return item.id
    if item.token.startswith(_NAMED) and item.token[len(_NAMED) :].isascii() and item.token[len(_NAMED) :].isdigit():
        return int(item.token[len(_NAMED) :])
    return item.token


def _decode(data: bytes, kind: type[S]) -> S:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError):
        raise MalformedError("got a body that is no completion") from None  # the error would quote the model's text
    except RecursionError as error:
        raise MalformedError("got a body that nests too deeply") from error


def _one(choices: list[C]) -> C:
    if len(choices) != 1:
        raise MalformedError(f"got {len(choices)} choices, expected 1")
    return choices[0]
