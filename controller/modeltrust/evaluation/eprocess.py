"""Betting e-processes for monitoring: valid at any time, over the whole life of a model, and still quick after a long silence.

H0: the mean of x in [0, 1] is at most the tolerance. A bettor with stake lambda = share / tolerance multiplies its capital by
1 + lambda (x - tolerance) at each probe; the average of several bettors is an e-process, so P(it ever reaches 1/alpha) <= alpha
(Ville). Capital that was carried since attestation is lost in quiet times, and a later swap would be noticed after thousands of
probes. So the capital is spread over starting times: the share 1 / (k (k + 1)) starts betting at probe k, and what has not started
yet is kept. That is still an e-process with the same lifetime bound, and costs log(k (k + 1)) of capital: some ten more probes
after a month instead of thousands.
"""

import math
from dataclasses import dataclass

SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of the largest stake that cannot lose everything
DEGRADED = 20.0  # e from which on a person is told
ALARM = 1_000.0  # e of an alarm: alpha = 0.001 for the life of a stream
IDENTITY_TOLERANCE = 0.05  # of x = min(1, S / IDENTITY_FULL)
IDENTITY_FULL = 0.02  # divergence that counts as fully changed: 1 token in 1,000 changes below it
CANARY_TOLERANCE = 0.10  # of x = S


@dataclass(frozen=True, slots=True)
class Stream:
    """One e-process. Persist every field; one number is not enough, since the average of bettors is no bettor.

    Attributes:
        tolerance: mean of x that is still quiet, 0 < tolerance < 1.
        probes: how many were seen.
        log_capitals: natural logarithm of what each bettor's started shares are worth.
    """

    tolerance: float
    probes: int = 0
    log_capitals: tuple[float, ...] = (-math.inf,) * len(SHARES)

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < 1 or len(self.log_capitals) != len(SHARES) or self.probes < 0:
            raise ValueError(
                f"got tolerance {self.tolerance} and {len(self.log_capitals)} capitals, expected 0 to 1 and {len(SHARES)}"
            )

    def update(self, x: float) -> "Stream":
        """The stream after one probe.

        Args:
            x: 0 to 1, of a probe that was drawn at random, with replacement.

        Raises:
            ValueError: x is outside.
        """
        if not 0 <= x <= 1:
            raise ValueError(f"got x = {x}, expected 0 to 1")
        number = self.probes + 1
        starting = -math.log(number * (number + 1))
        capitals = tuple(
            _add(capital, starting) + math.log1p(share / self.tolerance * (x - self.tolerance))
            for share, capital in zip(SHARES, self.log_capitals, strict=True)
        )
        return Stream(self.tolerance, number, capitals)

    @property
    def log_e(self) -> float:
        """Natural logarithm of e: the bettors' average, with what has not started yet."""
        waiting = -math.log(self.probes + 1)
        total = -math.inf
        for capital in self.log_capitals:
            total = _add(total, _add(capital, waiting))
        return total - math.log(len(SHARES))

    @property
    def e(self) -> float:
        """Evidence against H0; 1 at the start. Infinite where a float ends."""
        return math.exp(self.log_e) if self.log_e < 700 else math.inf  # noqa: PLR2004 - the largest float is e^709


def identity(shift: float) -> float:
    """The x of the identity stream: how far an answer is from the one taken at attestation."""
    return min(1.0, max(0.0, shift) / IDENTITY_FULL)


def overall(streams: tuple[Stream, ...]) -> float:
    """The e of several streams together: their average, so the number of streams costs nothing.

    Raises:
        ValueError: no stream.
    """
    if not streams:
        raise ValueError("got no stream")
    return math.fsum(stream.e for stream in streams) / len(streams)


def named(streams: dict[str, Stream]) -> tuple[str, ...]:
    """Streams that raise the alarm on their own, corrected for how many there are."""
    return tuple(sorted(name for name, stream in streams.items() if stream.e >= ALARM * len(streams)))


def _add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
