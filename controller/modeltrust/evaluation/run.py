"""A whole run: preflight, self-test, probes, mining, re-probe. Measures and never judges; a failure becomes a reported problem."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.evaluation import Check, Drift, EvaluationOrder, EvaluationReport, Mining, Table
from modeltrust.evaluation import probes, selftest
from modeltrust.evaluation.asking import Asked, Asker, Counter
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.draws import hkdf
from modeltrust.evaluation.drift import drift
from modeltrust.evaluation.measure import Measured, StoredBaseline
from modeltrust.evaluation.mining import mine
from modeltrust.evaluation.openai import Endpoint
from modeltrust.evaluation.preflight import preflight
from modeltrust.evaluation.selftest import KnownModels
from modeltrust.evaluation.tables import table

_PREFLIGHT_PROMPTS = 12


@dataclass(frozen=True, slots=True)
class Parties:
    """Who answers in a run.

    Attributes:
        candidate: the model to be evaluated.
        baseline: what it is compared with: a server, stored answers, or None.
        known: models whose verdict is known; None makes every run inconclusive.
        unstored: where the baseline is stored: who answers for it about mined strings, which cannot be stored; None: they only
            warn.
    """

    candidate: Endpoint
    baseline: Endpoint | StoredBaseline | None
    known: KnownModels | None
    unstored: Endpoint | None = None


@dataclass(slots=True)
class Runner:
    """Runs orders.

    Attributes:
        bank: with the operator's prompts, where the suite has any.
        tell: progress: (step, done, of).
        now: unix seconds.
        clock: monotonic seconds.
        cancelled: looked at before each request.
    """

    bank: Bank
    _: KW_ONLY
    tell: Callable[[str, int, int], None] = lambda _step, _done, _of: None
    now: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    cancelled: Callable[[], bool] = lambda: False
    _counter: Counter = field(init=False)

    def __post_init__(self) -> None:
        self._counter = Counter(self.tell, self.clock)

    def run(self, order: EvaluationOrder, parties: Parties) -> EvaluationReport:
        """Measure; whatever a server does, a report comes back.

        Args:
            order: what is asked of whom.
            parties: opened by the caller, who also closes them.

        Raises:
            InvalidInputError: the order does not fit the bank.
        """
        plan = probes.plan(self.bank, order.suite, content=order.content, nonce=order.nonce)
        work = _Work(self, order, parties, plan, started=int(self.now()))
        try:
            work.go()
        except (UnavailableError, MalformedError) as error:
            work.problem = str(error)
        return work.report(int(self.now()))


@dataclass(slots=True)
class _Work:
    """The state of one run: what has been measured so far."""

    runner: Runner
    order: EvaluationOrder
    parties: Parties
    plan: probes.Plan
    _: KW_ONLY
    started: int
    problem: str = ""
    preflight: tuple[Check, ...] = ()
    self_test: tuple[Check, ...] = ()
    bank: Table = field(default_factory=lambda: Table((), ()))
    reprobe: Table | None = None
    mining: Mining = field(default_factory=Mining)
    drift: Drift = field(default_factory=Drift)
    requests: int = 0

    def go(self) -> None:
        """Each step only where the one before held: no GPU time for a run that shows nothing."""
        self._preflight()
        if any(check.problem for check in self.preflight):
            return
        self._known()
        if any(check.problem for check in self.self_test):
            return
        self._probe()
        self._mine()

    def report(self, finished: int) -> EvaluationReport:
        """What has been measured."""
        return EvaluationReport(
            identity=self.order.identity,
            nonce=self.order.nonce,
            suite_hash=self.order.suite.hash,
            serving_hash=self.order.suite.serving,
            started_at=self.started,
            finished_at=finished,
            preflight=self.preflight,
            self_test=self.self_test,
            problem=self.problem,
            bank=self.bank,
            reprobe=self.reprobe,
            mining=self.mining,
            drift=self.drift,
            requests=self.requests,
        )

    def _preflight(self) -> None:
        self.runner.tell("preflight", 0, 1)
        prompts = [probe.clean for probe in self.plan.probes[:_PREFLIGHT_PROMPTS]]
        self.preflight = preflight(self.parties.candidate, prompts, whose="candidate")
        if not isinstance(self.parties.baseline, StoredBaseline | None):
            self.preflight += preflight(self.parties.baseline, prompts, whose="baseline")
        if bool(self.order.suite.baseline) != (self.parties.baseline is not None):
            self.preflight += (Check("baseline", "the suite names a baseline that does not answer, or the reverse"),)

    def _known(self) -> None:
        self.runner.tell("self-test", 0, 1)
        known = self.parties.known
        self.self_test = selftest.known(known) if known is not None else (Check("known models", "got none"),)

    def _probe(self) -> None:
        margin = float(self.order.suite.margin)
        candidate, baseline = self._both(self.plan, "probes")
        random = np.random.Generator(np.random.PCG64(int.from_bytes(self._key("planted"), "big")))
        self.self_test += (selftest.planted(self.plan, candidate, random, margin=margin),)
        private = bool(self.order.suite.prompts)
        self.bank = table(self.plan, candidate.probes, baseline, margin=margin, private=private)
        firsts = zip(candidate.probes, baseline, strict=True) if baseline else ()
        self.drift = drift([(dict(one.first), dict(other.first)) for one, other in firsts])

    def _mine(self) -> None:
        baseline, served = self.parties.baseline, self.order.candidate
        if baseline is None or not served.user_prefix or (isinstance(baseline, StoredBaseline) and not baseline.turns):
            self.mining = Mining(note="no baseline, or the start of a user's turn is not known")
            return
        asker = self._asker(self.parties.candidate, served.connections)
        self.runner._counter.start("mining", 0)  # noqa: SLF001 - one class in two parts
        ours = asker.turns()
        theirs = baseline.turns if isinstance(baseline, StoredBaseline) else self._asker(baseline, self._connections).turns()
        known = {text for text in ours if not text.strip()}
        mined = tuple(text for text in mine(ours, theirs) if text not in known)
        digests = tuple(probes.digest_of(text) for text in mined)
        self.mining = Mining(len(ours), digests)
        if mined:
            self._reprobe(mined)

    def _reprobe(self, mined: tuple[str, ...]) -> None:
        suite = self.order.suite
        plan = probes.replan(self.runner.bank, suite, mined, content=self.order.content, nonce=self.order.nonce)
        candidate, baseline = self._both(plan, "re-probe")
        self.reprobe = table(plan, candidate.probes, baseline, margin=float(suite.margin), private=True)

    def _both(self, plan: probes.Plan, step: str) -> tuple[Asked, tuple[Measured, ...]]:
        """Both models at once; stored answers that do not cover a plan leave the baseline out."""
        stored = self.parties.baseline
        live = stored is not None and not isinstance(stored, StoredBaseline)
        live = live or (plan is not self.plan and self.parties.unstored is not None)
        each = len(plan.probes) * (1 + len(plan.columns))
        self.runner._counter.start(step, each * (1 + live))  # noqa: SLF001 - one class in two parts
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(self._baseline, plan)
            candidate = self._asker(self.parties.candidate, self.order.candidate.connections).ask(plan, nonce=self.order.nonce)
            return candidate, other.result()

    def _baseline(self, plan: probes.Plan) -> tuple[Measured, ...]:
        baseline = self.parties.baseline
        if isinstance(baseline, StoredBaseline) and plan is self.plan:
            return tuple(baseline.measure(probe) for probe in plan.probes)
        if isinstance(baseline, StoredBaseline):
            baseline = self.parties.unstored
        if baseline is None:
            return ()
        return self._asker(baseline, self._connections).ask(plan, nonce=self.order.nonce).probes

    @property
    def _connections(self) -> int:
        return self.order.baseline.connections if self.order.baseline is not None else 1

    def _asker(self, endpoint: Endpoint, connections: int) -> Asker:
        return Asker(endpoint, connections=connections, tick=self._tick, cancelled=self.runner.cancelled)

    def _tick(self, count: int) -> None:
        self.requests += count
        self.runner._counter.tick(count)  # noqa: SLF001 - one class in two parts

    def _key(self, purpose: str) -> bytes:
        return hkdf(bytes.fromhex(self.order.nonce), salt=self.order.content.encode(), purpose=purpose)
