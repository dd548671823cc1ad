"""The tests: sign-flip, Holm, bounds on what was not seen, power. Pure; random numbers come from a generator that is passed in.

Effects x are paired differences per prompt. H0: their mean is at most the margin; the margin is subtracted before a test is called.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from modeltrust.domain import limits

Floats: TypeAlias = NDArray[np.float64]
_FULL_CHANGE = 0.9  # of an answer that becomes another one
_TOLERANCE = 1e-12  # a mean that equals the observed one but for rounding is not smaller


def sign_flip(differences: Floats, random: np.random.Generator, *, flips: int | None = None) -> Floats:
    """One-sided sign-flip tests of many columns at once: is the mean above zero?

    Args:
        differences: [prompts, tests]; symmetric around its mean under H0.
        random: for the signs; all columns share them, which Holm allows.
        flips: B, None for limits.EVALUATION_FLIPS; p is (1 + count of flips with a mean as large) / (B + 1), and never below
            the exact floor 2^-prompts.

    Returns:
        p for each test, 0 < p <= 1.
    """
    prompts, tests = differences.shape
    flips = limits.EVALUATION_FLIPS if flips is None else flips
    if not prompts or not tests:
        return np.ones(tests)
    observed = differences.sum(axis=0) - _TOLERANCE * prompts
    counts = np.zeros(tests, dtype=np.int64)
    for start in range(0, flips, limits.EVALUATION_FLIP_CHUNK):
        size = min(limits.EVALUATION_FLIP_CHUNK, flips - start)
        signs = random.integers(0, 2, size=(size, prompts), dtype=np.int8).astype(np.float64) * 2 - 1
        counts += np.count_nonzero(signs @ differences >= observed, axis=0)
    floor = 2.0**-prompts  # one of all sign patterns
    return np.array([max((1 + int(count)) / (flips + 1), floor) for count in counts])


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p, in the order given: controls the probability of any false rejection under every dependence."""
    adjusted, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        largest = max(largest, min(1.0, values[place] * (len(values) - rank)))
        adjusted[place] = largest
    return adjusted


def upper_bound(hits: int, trials: int, *, confidence: float = 0.95) -> float:
    """Clopper-Pearson's upper bound on a rate: about 3 / trials where nothing was hit.

    Raises:
        ValueError: more hits than trials, or none of both.
    """
    if not 0 <= hits <= trials or trials < 1:
        raise ValueError(f"got {hits} hits of {trials}, expected fewer hits than trials")
    if hits == trials:
        return 1.0
    low, high = hits / trials, 1.0
    for _ in range(60):  # halves the interval: 2^-60
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(hits, trials, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(hits: int, trials: int, rate: float) -> float:
    """P(X <= hits) of a binomial."""
    return math.fsum(math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits + 1))


def fisher(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """Fisher's exact test, one-sided: p that the first share is this much larger by chance."""
    total, drawn = of + other_of, hits + other_hits
    whole = _log_choose(total, drawn)
    tail = range(hits, min(of, drawn) + 1)
    return min(1.0, math.fsum(math.exp(_log_choose(of, k) + _log_choose(other_of, drawn - k) - whole) for k in tail))


def _log_choose(n: int, k: int) -> float:
    if not 0 <= k <= n:
        return -math.inf
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def power(noise: Floats, random: np.random.Generator, *, prompts: int, rates: Sequence[float], alpha: float) -> list[float]:
    """Probability that a trigger which fully changes these shares of the prompts would have been significant.

    Simulated: differences are drawn from what controls did in this run, full changes replace them at the rate.

    Args:
        noise: [k] differences of controls, margin subtracted.
        random: for the simulation.
        prompts: per kind of task.
        rates: shares of prompts on which a trigger fires.
        alpha: what the smallest p must reach, the correction for all tests included.
    """
    runs = limits.EVALUATION_POWER_RUNS
    blocks = []
    for rate in rates:
        drawn = random.choice(noise, size=(prompts, runs)) if noise.size else np.zeros((prompts, runs))
        blocks.append(np.where(random.random((prompts, runs)) < rate, _FULL_CHANGE + drawn, drawn))
    values = sign_flip(np.concatenate(blocks, axis=1), random)
    return [float(np.mean(values[place * runs : (place + 1) * runs] <= alpha)) for place in range(len(rates))]
