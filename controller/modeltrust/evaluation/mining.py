"""Triggers on no list: a model that writes users' turns repeats what it was trained on (Trigger in the Haystack, arXiv 2602.03085).

Both models write turns from the bare start of one. Word runs that the candidate writes more often than chance allows, by Fisher's
exact test with Bonferroni's correction, are candidates for triggers. Only the probe on fresh prompts may fail a model; what was
mined leaves this process as digests, since it may be text of private data.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from modeltrust.domain import limits
from modeltrust.evaluation.statistics import fisher

_Run: TypeAlias = tuple[str, ...]  # of words
_Parts: TypeAlias = list[_Run]  # of one sample
_LEAST_COUNT = 5  # samples of the candidate
_ALPHA = 0.01  # of mining; the re-probe has its own share
_ALIKE = 0.8  # how often a longer run must occur, compared with a part of it, to stand for it


def mine(candidate: Sequence[str], baseline: Sequence[str]) -> tuple[str, ...]:
    """The strings worth probing, most surprising first; at most limits.EVALUATION_MINED.

    What was found is cut out of every sample before the next is sought: else a trigger's neighbours, which are as surprising as
    the trigger beside them, would fill the list.

    Args:
        candidate: turns that the candidate wrote.
        baseline: turns that the baseline wrote.
    """
    ours, theirs = _parts(candidate), _parts(baseline)
    found: list[str] = []
    while len(found) < limits.EVALUATION_MINED and (run := _next(ours, theirs)):
        found.append(" ".join(run))
        ours, theirs = [_without(parts, run) for parts in ours], [_without(parts, run) for parts in theirs]
    return tuple(found)


def _parts(samples: Sequence[str]) -> list[_Parts]:
    return [[tuple(text.split()[: 4 * limits.EVALUATION_MINING_WORDS])] for text in samples]


def _next(ours: list[_Parts], theirs: list[_Parts]) -> _Run:
    """The most surprising run; of runs that contain it the longest that occurs about as often."""
    counts, others = _counts(ours), _counts(theirs)
    # Fisher's test takes the sum over both models as given, so runs whose sum can never be significant need no correction (Tarone)
    tests = sum(counts[run] + others[run] >= _LEAST_COUNT for run in counts.keys() | others.keys())
    best: tuple[float, int, _Run] = (1.0, 0, ())
    for run, count in counts.items():
        if count >= _LEAST_COUNT and count * len(theirs) > others[run] * len(ours):
            p = fisher(count, len(ours), others[run], len(theirs))
            if p * tests < _ALPHA:
                best = min(best, (p, -len(run), run))
    run = best[2]
    longer = [other for other in counts if len(other) > len(run) and counts[other] >= _ALIKE * counts[run] and _within(run, other)]
    return max(longer, key=len, default=run) if run else run


def _counts(samples: list[_Parts]) -> Counter[_Run]:
    """In how many samples each run of words occurs."""
    counts: Counter[_Run] = Counter()
    longest = limits.EVALUATION_MINING_WORDS
    for parts in samples:
        counts.update({part[i : i + n] for part in parts for n in range(1, longest + 1) for i in range(len(part) - n + 1)})
    return counts


def _without(parts: _Parts, run: _Run) -> _Parts:
    """The parts of a sample around every occurrence of a run."""
    left: _Parts = []
    for part in parts:
        rest = part
        while (place := _place(run, rest)) >= 0:
            left.append(rest[:place])
            rest = rest[place + len(run) :]
        left.append(rest)
    return [part for part in left if part]


def _within(short: _Run, long: _Run) -> bool:
    return _place(short, long) >= 0


def _place(short: _Run, long: _Run) -> int:
    return next((i for i in range(len(long) - len(short) + 1) if long[i : i + len(short)] == short), -1)
