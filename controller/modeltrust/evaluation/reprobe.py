"""One round against a live server: records a fingerprint, or measures how far the answers are from one. Judges nothing.

Probes are drawn at random with replacement, new in each round, which is what the guarantee of the streams rests on; clean and
triggered prompts come in one shuffled stream, as users' would.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.evaluation import SCALE, Drift
from modeltrust.domain.monitoring import CanaryShifts, MonitorOrder, MonitorReport
from modeltrust.evaluation.answers import Answer, shift
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.draws import Draw, hkdf
from modeltrust.evaluation.drift import drift
from modeltrust.evaluation.fingerprint import Fingerprint, Kept, check_covers, keep, watched
from modeltrust.evaluation.openai import Endpoint
from modeltrust.evaluation.preflight import preflight
from modeltrust.evaluation.probes import Probe

_PREFLIGHT_PROMPTS = 12


@dataclass(frozen=True, slots=True)
class _Draws:
    """One round: places in the pool."""

    identity: tuple[int, ...]
    canaries: tuple[tuple[int, ...], ...]


@dataclass(slots=True)
class Prober:
    """Asks one server.

    Attributes:
        endpoint: the server.
        bank: with the operator's prompts, where the suite has any.
        tell: progress: (done, of).
        now: unix seconds.
    """

    endpoint: Endpoint
    bank: Bank
    tell: Callable[[int, int], None] = lambda _done, _of: None
    now: Callable[[], float] = time.time
    _done: int = 0
    _of: int = 0

    def record(self, order: MonitorOrder) -> Fingerprint:
        """The fingerprint of a server that is known to serve the attested bytes.

        Raises:
            UnavailableError: an answer does not come.
            MalformedError: an answer is none, or this is no server whose numbers mean anything: it would be compared with noise.
            InvalidInputError: the suite belongs to another bank.
        """
        names, pool = watched(self.bank, order.suite)
        checks = preflight(self.endpoint, [probe.clean for probe in pool[:_PREFLIGHT_PROMPTS]], whose="engine")
        for check in checks:
            if check.problem:
                raise MalformedError(f"{check.name}: {check.problem}")
        self._done, self._of = 0, len(pool) * (1 + len(names))
        kept = tuple(self._keep(probe, len(names)) for probe in pool)
        return Fingerprint(order.suite.hash, order.content, order.nonce, names, kept)

    def probe(self, order: MonitorOrder, fingerprint: Fingerprint) -> MonitorReport:
        """One round; whatever the server does, a report comes back.

        Raises:
            InvalidInputError: the suite belongs to another bank.
        """
        names, pool = watched(self.bank, order.suite)
        report = _empty(order, int(self.now()))
        try:
            check_covers(fingerprint, order.suite, names, order.content)
            draws = _drawn(order, len(names))
            self._done = 0
            self._of = len(draws.identity) + 2 * sum(len(places) for places in draws.canaries)
            report = self._asked(report, draws, names, pool, fingerprint)
        except (UnavailableError, MalformedError) as error:
            report = replace(report, problem=str(error))
        return replace(report, finished_at=int(self.now()), requests=self._done)

    def _asked(
        self, report: MonitorReport, draws: _Draws, names: tuple[str, ...], pool: tuple[Probe, ...], fingerprint: Fingerprint
    ) -> MonitorReport:
        work: list[tuple[int, int]] = [(-1, place) for place in draws.identity]
        work += [(trigger, place) for trigger, places in enumerate(draws.canaries) for place in places]
        work = _order(report.nonce).sample(work, len(work))
        shifts: list[int] = []
        canaries: dict[int, list[int]] = {trigger: [] for trigger in range(len(names))}
        firsts: list[tuple[Answer, Kept]] = []
        for trigger, place in work:
            if trigger < 0:
                answer = self._ask(pool[place].clean, limits.MONITOR_IDENTITY_TOKENS)
                shifts.append(round(SCALE * shift(fingerprint.kept[place].answer, answer)))
                firsts.append((answer, fingerprint.kept[place]))
            else:
                moved = self._moved(pool[place], trigger) - fingerprint.kept[place].shifts[trigger]
                canaries[trigger].append(max(0, moved))
        found = tuple(CanaryShifts(name, tuple(canaries[trigger])) for trigger, name in enumerate(names))
        return replace(report, shifts=tuple(shifts), canaries=found, drift=_drift(firsts))

    def _keep(self, probe: Probe, triggers: int) -> Kept:
        clean = self._ask(probe.clean, limits.EVALUATION_ANSWER_TOKENS)
        moved = (shift(clean, self._ask(probe.texts[trigger], limits.EVALUATION_ANSWER_TOKENS)) for trigger in range(triggers))
        return keep(clean, (round(SCALE * value) for value in moved))

    def _moved(self, probe: Probe, trigger: int) -> int:
        clean = self._ask(probe.clean, limits.EVALUATION_ANSWER_TOKENS)
        return round(SCALE * shift(clean, self._ask(probe.texts[trigger], limits.EVALUATION_ANSWER_TOKENS)))

    def _ask(self, prompt: str, tokens: int) -> Answer:
        answer = self.endpoint.ask(prompt, tokens=tokens)
        if not answer.has_ids:
            raise MalformedError("got tokens without ids: equal texts can be different tokens, and models would seem to differ")
        self._done += 1
        self.tell(self._done, self._of)
        return answer


def _drawn(order: MonitorOrder, triggers: int) -> _Draws:
    draw = Draw(hkdf(bytes.fromhex(order.nonce), salt=order.content.encode(), purpose="modeltrust/monitor/round/v1"))
    identity = tuple(draw.below(limits.MONITOR_POOL) for _ in range(limits.MONITOR_IDENTITY_PROBES))
    canaries = tuple(tuple(draw.below(limits.MONITOR_POOL) for _ in range(limits.MONITOR_CANARY_PROBES)) for _ in range(triggers))
    return _Draws(identity, canaries)


def _order(nonce: str) -> Draw:
    return Draw(hkdf(bytes.fromhex(nonce), salt=b"order", purpose="modeltrust/monitor/order/v1"))


def _drift(firsts: Iterable[tuple[Answer, Kept]]) -> Drift:
    pairs = [(dict(answer.positions[0].top), dict(kept.positions[0].top)) for answer, kept in firsts if _both(answer, kept)]
    return drift(pairs)


def _both(answer: Answer, kept: Kept) -> bool:
    return bool(answer.positions) and bool(kept.positions)


def _empty(order: MonitorOrder, now: int) -> MonitorReport:
    return MonitorReport(
        identity=order.identity,
        nonce=order.nonce,
        suite_hash=order.suite.hash,
        fingerprint=order.fingerprint,
        started_at=now,
        finished_at=now,
        problem="",
        shifts=(),
        canaries=(),
        drift=Drift(),
        requests=0,
    )
