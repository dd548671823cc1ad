"""Monitoring: what is asked of a live server in one round, and the numbers that come back.

As with evaluations the runner measures and never judges: it returns how far each answer was from the recorded one, and the key
holder feeds its streams with them. Distances are whole ten-thousandths.
"""

from dataclasses import dataclass

from modeltrust.domain.evaluation import Drift, Served, Suite
from modeltrust.domain.reference import Identity


@dataclass(frozen=True, slots=True)
class MonitorOrder:
    """One round against one server.

    Attributes:
        identity: of the model that should be served there.
        content: its content digest, ``sha256:…``.
        nonce: 32 hex; which probes are drawn follows from it, and nobody knows it before the round.
        suite: whose families and prompts are asked.
        served: where it answers.
        fingerprint: 64 hex, digest of the recorded answers; empty: record them, the server being known to serve the attested bytes.
        deadline_seconds: of the round.
    """

    identity: Identity
    content: str
    nonce: str
    suite: Suite
    served: Served
    fingerprint: str
    deadline_seconds: int


@dataclass(frozen=True, slots=True)
class CanaryShifts:
    """One trigger: how much further it moved each answer than it did when the fingerprint was taken, at least 0."""

    name: str
    shifts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """What one round measured: at most limits.MONITOR_REPORT_BYTES as JSON.

    Attributes:
        identity: as ordered.
        nonce: as ordered; now revealed.
        suite_hash: of the suite as ordered.
        fingerprint: 64 hex, of the answers that were compared with.
        started_at: unix seconds.
        finished_at: unix seconds.
        problem: why the round broke off, empty if it did not; then no stream moves.
        shifts: for the identity stream: divergence of each answer from the recorded one.
        canaries: for each trigger, in the order of the bank.
        drift: information only.
        requests: answers asked for.
    """

    identity: Identity
    nonce: str
    suite_hash: str
    fingerprint: str
    started_at: int
    finished_at: int
    problem: str
    shifts: tuple[int, ...]
    canaries: tuple[CanaryShifts, ...]
    drift: Drift
    requests: int
