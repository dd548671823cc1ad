"""``python -m tests.fuzz.reviews --seconds N --seed S``: attack the webhook's decision until the budget is spent.

Most cases carry a label: something evil was put into an object on purpose, in plain words, and was then disguised up to four
times; it must be denied. The rest is real objects with damage, judged by a slow reference. A finding is printed with the seed, the
number of its case and the smallest set of disguises that still does it; ``--case`` shows one case again.
"""

import argparse
import asyncio
import gc
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from tests.fuzz.cases import EVIL, GOOD, NOISE, Case, Generator
from tests.fuzz.reference import may_admit
from tests.fuzz.world import World
from tests.support import asgi, reviews

SLOW_SECONDS = 0.1  # twice what one accepted review may take (design/admission.md): other people's work is in the figure
MEMORY_BYTES = 48 << 20  # growth after warming up that is no leak: allocator, counters
_WARM = 2000  # cases before memory is measured
_SHOWN = 20
_SHOWN_CHARACTERS = 20_000  # of each finding; `--case` shows it whole


@dataclass(slots=True)
class Report:
    """What a run found.

    Attributes:
        cases: how many were asked.
        findings: (what is wrong, case number).
        counts: of each oracle and verdict.
        worst: seconds of thread CPU of the slowest decision, and its case.
        grown: bytes of memory since warming up.
        seconds: of thread CPU, spent in decisions alone.
    """

    cases: int = 0
    findings: list[tuple[str, int]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    worst: tuple[float, int] = (0.0, -1)
    grown: int = 0
    seconds: float = 0.0

    def summary(self) -> str:
        """One line."""
        good = self.counts[GOOD, "admitted"], self.counts[GOOD, "denied"]
        return (
            f"{self.cases} reviews, {len(self.findings)} findings; {self.cases / max(self.seconds, 1e-9):.0f} decisions/s; "
            f"worst {self.worst[0] * 1000:.1f} ms (case {self.worst[1]}); memory +{self.grown / (1 << 20):.1f} MiB; "
            f"attested and disguised: {good[0]} admitted, {good[1]} denied; "
            f"noise: {self.counts[NOISE, 'admitted']} admitted, {self.counts[NOISE, 'denied']} denied, "
            f"{self.counts[NOISE, 'unreadable']} unreadable; evil: {self.counts[EVIL, 'denied']} denied"
        )


class Fuzzer:
    """Asks and judges."""

    def __init__(self, seed: int) -> None:
        self._world = World()
        self._generator = Generator(seed)

    def run(
        self, *, seconds: float, cases: int | None = None, found: Callable[[str, int], None] = lambda _why, _number: None
    ) -> Report:
        """Ask until the time or the number of cases is spent.

        Args:
            seconds: of wall clock.
            cases: at most.
            found: told of each finding at once.
        """
        report, memory = Report(), 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and (cases is None or report.cases < cases):
            number = report.cases
            why = self._one(number, report)
            report.cases += 1
            if why:
                report.findings.append((why, number))
                found(why, number)
            if report.cases == _WARM:
                memory = _resident()
        report.grown = max(0, _resident() - memory) if memory else 0
        if report.grown > MEMORY_BYTES:
            report.findings.append((f"memory grew by {report.grown} bytes", -1))
        if report.worst[0] > SLOW_SECONDS:
            report.findings.append((f"a decision took {report.worst[0] * 1000:.0f} ms of CPU", report.worst[1]))
        return report

    def _one(self, number: int, report: Report) -> str:
        case = self._generator.case(number)
        started = time.thread_time()
        status, answer = self._ask(case)
        spent = time.thread_time() - started
        report.seconds += spent
        report.worst = max(report.worst, (spent, number))
        verdict, why = _verdict(case, status, answer)
        report.counts[case.oracle, verdict] += 1
        if self._world.errors:
            why = why or f"an error of ours: {self._world.errors[0]}"
            self._world.errors.clear()
        return why

    def _ask(self, case: Case) -> tuple[int, bytes | None]:
        if not case.endpoint:
            return 200, self._world.answer(case.body)
        half = len(case.body) // 2
        said = asyncio.run(asgi.call(self._world.endpoint, [case.body[:half], case.body[half:]]))
        return said.status, said.body if said.status == 200 else None

    def wrong(self, case: Case) -> str:
        """What is wrong with the answer to one case; empty when nothing is."""
        return _verdict(case, *self._ask(case))[1]

    def shrink(self, number: int) -> Case:
        """The same case with the fewest disguises that is still answered wrongly."""
        whole = self._generator.case(number)
        names = set(whole.disguises)
        for size in range(len(names)):
            for kept in combinations(sorted(names), size):
                case = self._generator.case(number, without=frozenset(names - set(kept)))
                if whole.oracle is EVIL and self.wrong(case):
                    return case
        return whole


def _verdict(case: Case, status: int, answer: bytes | None) -> tuple[str, str]:
    """The verdict in a word, and what is wrong with it."""
    if answer is None:
        return "unreadable", "" if case.oracle is NOISE and status in {200, 400} else f"HTTP {status} instead of a verdict"
    try:
        review = json.loads(answer)
        allowed, uid = review["response"]["allowed"], review["response"]["uid"]
    except (ValueError, KeyError, TypeError) as error:
        return "broken", f"the answer is no AdmissionReview: {error!r}"
    if case.oracle is not NOISE and uid != reviews.UID:
        return "broken", f"the answer has uid {uid}"
    if not allowed:
        return "denied", ""
    if case.oracle is EVIL:
        return "admitted", f"admitted: {case.label}"
    return "admitted", "" if case.oracle is GOOD or may_admit(case.body) else f"admitted against the reference: {case.label}"


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def describe(case: Case) -> str:
    """A case for people: its label, disguises and object."""
    try:
        shown = json.dumps(json.loads(case.body)["request"]["object"], indent=1, ensure_ascii=True)
    except (ValueError, KeyError, TypeError):
        shown = repr(case.body)
    return f"{case.label} [{', '.join(case.disguises) or 'no disguise'}]\n{shown}"


def main() -> int:
    """1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int)
    parser.add_argument("--case", type=int, help="show one case and its verdict")
    options = parser.parse_args()
    fuzzer = Fuzzer(options.seed)
    write = sys.stdout.write
    if options.case is not None:
        case = fuzzer.shrink(options.case)
        write(f"{describe(case)}\n{fuzzer.wrong(case) or 'as it should be'}\n")
        return int(bool(fuzzer.wrong(case)))

    def found(why: str, number: int) -> None:
        write(f"seed {options.seed} case {number}: {why}\n")
        sys.stdout.flush()

    report = fuzzer.run(seconds=options.seconds, cases=options.cases, found=found)
    for why, number in report.findings[:_SHOWN]:
        write(f"\nseed {options.seed} case {number}: {why}\n")
        if number >= 0:
            write(f"{describe(fuzzer.shrink(number))[:_SHOWN_CHARACTERS]}\n")
    write(f"{report.summary()}\n")
    return int(bool(report.findings))


if __name__ == "__main__":
    sys.exit(main())
