"""Minutes of the structure-aware fuzzer; ``python -m tests.fuzz.reviews --seconds N --seed S`` runs it by hand for longer."""

import os
import sys

import pytest

from tests.fuzz.reviews import Fuzzer, describe

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("MODELTRUST_FUZZ_SECONDS", "120"))
SEED = int(os.environ.get("MODELTRUST_FUZZ_SEED", "1"))  # the same cases in every run
CASES = 40_000  # or SECONDS, whichever is first
SHOWN = 5


def test_nothing_evil_is_admitted_however_it_is_disguised() -> None:
    fuzzer = Fuzzer(SEED)
    report = fuzzer.run(seconds=SECONDS, cases=CASES)
    sys.stdout.write(f"seed {SEED}: {report.summary()}\n")
    shown = [f"seed {SEED} case {number}: {why}" for why, number in report.findings]
    shown += [describe(fuzzer.shrink(number)) for _, number in report.findings[:SHOWN] if number >= 0]
    assert not report.findings, "\n".join(shown)
    assert report.cases > 0
