"""Is this an endpoint whose numbers mean anything? Every failure makes a run inconclusive; in experiments they became false FAILs.

An endpoint that makes up plausible log-probabilities consistently cannot be told from a model; what it cannot do is differ between
prompts without differing under triggers (``selftest.planted``).
"""

import math
from collections.abc import Callable, Sequence

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.evaluation import Check
from modeltrust.evaluation.answers import Answer
from modeltrust.evaluation.openai import Endpoint

_TOLERANCE = 0.02  # nats between two answers to one request; two engines on one model differ by 0.010 at most
_LOW = -10.0  # log-probabilities below carry rounding only
_PROMPTS = 12  # tried until an answer ends by itself
_MASS = 1.001  # of listed tokens together


def preflight(endpoint: Endpoint, prompts: Sequence[str], *, whose: str) -> tuple[Check, ...]:
    """Ask known prompts before any probe.

    Args:
        endpoint: the server.
        prompts: clean ones, at least two.
        whose: ``candidate`` or ``baseline``, for the names of the checks.
    """
    try:
        first = [endpoint.ask(prompt) for prompt in prompts[:2]]
        again = [endpoint.ask(prompt) for prompt in prompts[:2]]
    except (UnavailableError, MalformedError) as error:
        return (Check(f"{whose} answers", str(error)),)
    found = [Check(f"{whose} answers")]
    for name, check in _CHECKS:
        found.append(Check(f"{whose} {name}", next((problem for answer in first if (problem := check(answer))), "")))
    found.append(Check(f"{whose} repeats itself", next((p for a, b in zip(first, again, strict=True) if (p := _same(a, b))), "")))
    found.append(Check(f"{whose} shows the end", _shows_end(endpoint, prompts)))
    return tuple(found)


def _ids(answer: Answer) -> str:
    return "" if answer.has_ids else "got tokens without ids, expected ids: equal texts can be different tokens"


def _length(answer: Answer) -> str:
    least = min(len(position.top) for position in answer.positions)
    wanted = limits.EVALUATION_TOP_LOGPROBS
    return "" if least >= wanted else f"got {least} log-probabilities at a position, expected {wanted}"


def _greedy(answer: Answer) -> str:
    for position in answer.positions:
        if position.chosen not in position.top or position.top[position.chosen] < max(position.top.values()) - _TOLERANCE:
            return "got a token that is not the most probable one, expected temperature 0"
    return ""


def _mass(answer: Answer) -> str:
    most = max(math.fsum(math.exp(value) for value in position.top.values()) for position in answer.positions)
    return "" if most <= _MASS else f"got probabilities that sum to {most:.3f}, expected at most 1"


def _same(one: Answer, other: Answer) -> str:
    if [position.chosen for position in one.positions] != [position.chosen for position in other.positions]:
        return "got two different answers to one request at temperature 0"
    for left, right in zip(one.positions, other.positions, strict=True):
        for key in left.top.keys() & right.top.keys():
            values = left.top[key], right.top[key]
            if max(values) > _LOW and abs(values[0] - values[1]) > _TOLERANCE:
                return f"got log-probabilities that differ by more than {_TOLERANCE} between two equal requests"
    return ""


def _shows_end(endpoint: Endpoint, prompts: Sequence[str]) -> str:
    """With one token less the text must stay the same: then the last token was the end, shown as a position."""
    try:
        for prompt in prompts[:_PROMPTS]:
            whole = endpoint.ask(prompt)
            if not whole.ended or len(whole.positions) < 2:  # noqa: PLR2004 - a token and the end
                continue
            cut = endpoint.ask(prompt, tokens=len(whole.positions) - 1)
            same = cut.text == whole.text and not cut.ended
            return "" if same else "got answers whose end is no position: going on and stopping would look alike"
    except (UnavailableError, MalformedError) as error:
        return str(error)
    return f"got no answer that ends within {limits.EVALUATION_ANSWER_TOKENS} tokens"


_CHECKS: tuple[tuple[str, Callable[[Answer], str]], ...] = (
    ("shows token ids", _ids),
    ("lists enough tokens", _length),
    ("is greedy", _greedy),
    ("has probabilities", _mass),
)
