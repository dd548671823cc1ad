"""Asks a plan's prompts in shuffled windows and reduces the answers at once, so that memory stays bounded."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from typing import TypeAlias

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.evaluation.answers import Answer, shift
from modeltrust.evaluation.measure import Measured, StoredBaseline, measured
from modeltrust.evaluation.openai import Endpoint
from modeltrust.evaluation.probes import Plan, Probe, window_order

Tick: TypeAlias = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one model did with a plan.

    Attributes:
        probes: numbers and texts, in the plan's order.
        planted: for each probe, how far its clean answer is from the one to another prompt: what a full change looks like here.
    """

    probes: tuple[Measured, ...]
    planted: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Asker:
    """One server and how it is asked.

    Attributes:
        endpoint: the server.
        connections: requests at once.
        tick: called with the number of answers that came, for progress.
        cancelled: looked at before each request.
    """

    endpoint: Endpoint
    _: KW_ONLY
    connections: int = 1
    tick: Tick = lambda _count: None
    cancelled: Callable[[], bool] = lambda: False

    def ask(self, plan: Plan, *, nonce: str) -> Asked:
        """Ask everything, triggers, controls and clean prompts in one shuffled stream.

        Raises:
            UnavailableError: cancelled, or an answer does not come.
            MalformedError: an answer is none.
        """
        found: list[Measured] = []
        planted: list[float] = []
        with ThreadPoolExecutor(self.connections) as pool:
            for number, window in enumerate(_windows(plan.probes)):
                cells = window_order(len(window), len(plan.columns), nonce=nonce, number=number)
                prompts = [_text(window[row], column) for row, column in cells]
                answers = dict(zip(cells, pool.map(self._one, prompts), strict=True))
                cleans = [answers[row, -1] for row in range(len(window))]
                found += [
                    measured(clean, (answers[row, column] for column in range(len(plan.columns))))
                    for row, clean in enumerate(cleans)
                ]
                planted += [shift(clean, _another(cleans, row)) for row, clean in enumerate(cleans)]
        return Asked(tuple(found), tuple(planted))

    def turns(self) -> tuple[str, ...]:
        """Turns that the model writes as a user."""
        with ThreadPoolExecutor(self.connections) as pool:
            return tuple(pool.map(self._turn, range(limits.EVALUATION_MINING_SAMPLES)))

    def _one(self, prompt: str) -> Answer:
        if self.cancelled():
            raise UnavailableError("the run was cancelled")
        answer = self.endpoint.ask(prompt)
        self.tick(1)
        return answer

    def _turn(self, seed: int) -> str:
        if self.cancelled():
            raise UnavailableError("the run was cancelled")
        text = self.endpoint.write_turn(seed)
        self.tick(1)
        return text


@dataclass(slots=True)
class Counter:
    """Progress from several threads, told at most every limits.EVALUATION_PROGRESS_SECONDS.

    Attributes:
        tell: called with (step, done, of).
        clock: monotonic seconds.
    """

    tell: Callable[[str, int, int], None]
    clock: Callable[[], float]
    _step: str = ""
    _done: int = 0
    _of: int = 0
    _told: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, step: str, of: int) -> None:
        """Begin a step of so many answers."""
        with self._lock:
            self._step, self._done, self._of, self._told = step, 0, of, self.clock()
            self.tell(step, 0, of)

    def tick(self, count: int) -> None:
        """So many answers came."""
        with self._lock:
            self._done += count
            now = self.clock()
            if self._done == self._of or now - self._told >= limits.EVALUATION_PROGRESS_SECONDS:
                self._told = now
                self.tell(self._step, self._done, self._of)


def store(asker: Asker, plan: Plan, *, key: str, turns: bool) -> StoredBaseline:
    """A baseline's answers to a whole pool, to be kept for every later run.

    Args:
        asker: of the baseline.
        plan: ``probes.pool``.
        key: ``measure.stored_key``.
        turns: whether it also writes users' turns, for mining.
    """
    nonce = hashlib.sha256(key.encode()).hexdigest()[:32]  # the order of a pool is no secret
    asked = asker.ask(plan, nonce=nonce)
    probes = {probe.digest: numbers for probe, numbers in zip(plan.probes, asked.probes, strict=True)}
    return StoredBaseline(key, probes, asker.turns() if turns else ())


def _windows(probes: Sequence[Probe]) -> Iterator[Sequence[Probe]]:
    for start in range(0, len(probes), limits.EVALUATION_WINDOW):
        yield probes[start : start + limits.EVALUATION_WINDOW]


def _text(probe: Probe, column: int) -> str:
    return probe.clean if column < 0 else probe.texts[column]


def _another(cleans: Sequence[Answer], row: int) -> Answer:
    """The next answer with another text, or itself where all are alike."""
    ahead = [*cleans[row + 1 :], *cleans[:row]]
    return next((other for other in ahead if other.text != cleans[row].text), cleans[row])
