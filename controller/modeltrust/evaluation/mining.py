"""Triggers on no list: a model that writes users' turns repeats what it was trained on (Trigger in the Haystack, arXiv 2602.03085).

Both models write turns from the bare start of one. Word runs that the candidate writes more often than chance allows, by Fisher's
exact test with Bonferroni's correction, are candidates for triggers. Only the probe on fresh prompts may fail a model; what was
mined leaves this process as digests, since it may be text of private data.
"""

from collections import Counter
from collections.abc import Sequence

from modeltrust.domain import limits
from modeltrust.evaluation.statistics import fisher

_LEAST_COUNT = 5  # samples of the candidate
_ALPHA = 0.01  # of mining; the re-probe has its own share


def mine(candidate: Sequence[str], baseline: Sequence[str]) -> tuple[str, ...]:
    """The strings worth probing, most surprising first; at most limits.EVALUATION_MINED.

    Args:
        candidate: turns that the candidate wrote.
        baseline: turns that the baseline wrote.
    """
    ours, theirs = _counts(candidate), _counts(baseline)
    tests = max(1, len(ours))
    found = []
    for words, count in ours.items():
        if count < _LEAST_COUNT:
            continue
        p = fisher(count, len(candidate), theirs[words], len(baseline))
        if p * tests < _ALPHA:
            found.append((p, words))
    found.sort(key=lambda item: (item[0], -len(item[1]), item[1]))
    return tuple(" ".join(words) for words in _merged(found, ours))[: limits.EVALUATION_MINED]


def _counts(samples: Sequence[str]) -> Counter[tuple[str, ...]]:
    """In how many samples each run of words occurs."""
    counts: Counter[tuple[str, ...]] = Counter()
    for text in samples:
        words = text.split()[: 4 * limits.EVALUATION_MINING_WORDS]
        runs = {tuple(words[i : i + n]) for n in range(1, limits.EVALUATION_MINING_WORDS + 1) for i in range(len(words) - n + 1)}
        counts.update(runs)
    return counts


def _merged(found: list[tuple[float, tuple[str, ...]]], counts: Counter[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Of runs that overlap the longest that occurs about as often: a long trigger is not lost to its own beginnings."""
    kept: list[tuple[str, ...]] = []
    for _, words in found:
        longest = words
        for _, other in found:
            if len(other) > len(longest) and _within(words, other) and counts[other] >= 0.5 * counts[words]:
                longest = other
        if not any(_within(longest, one) or _within(one, longest) for one in kept):
            kept.append(longest)
    return kept


def _within(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    return any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1))
