"""The runner's process, called as a Job calls it: an order in a file, a report as the last line."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.api.evaluation_work import decode_evaluation_report, encode_evaluation_order
from modeltrust.domain.evaluation import EvaluationReport, Served
from modeltrust.job.evaluate import main
from tests.support import evaluation_runs as runs
from tests.support.confinement import environment, left_alone
from tests.support.endpoints import PROMPTS

BANK = runs.private_bank()
SUITE = replace(  # with the start of a user's turn, so that the runner mines, as in a cluster
    runs.suite(BANK, families=("DeploymentTag",), per_stratum=12),
    user_prefix=runs.SERVED.user_prefix,
    turn_end=runs.SERVED.turn_end,
)


def an_order(folder: Path, candidate: Served, baseline: Served | None, **changes: object) -> Path:
    """A file with an order about these engines."""
    order = replace(runs.order(SUITE), candidate=candidate, baseline=baseline)
    path = folder / "order.json"
    path.write_bytes(encode_evaluation_order(replace(order, **changes)))  # type: ignore[arg-type]  # fields of an order
    return path


def evaluate(order: Path, capsys: pytest.CaptureFixture[str], *, patience: float = 0.1) -> tuple[int, list[str]]:
    """In this process, which is not confined: the exit code, and the lines of the log."""
    code = main(["--order", str(order), "--prompts", str(PROMPTS)], patience=patience, confine=left_alone)
    return code, capsys.readouterr().out.splitlines()


def evaluate_confined(order: Path) -> tuple[int, list[str]]:
    """In a process of its own; nothing may be said on stderr."""
    arguments = ["job", "evaluate", "--order", str(order), "--prompts", str(PROMPTS)]
    command = [sys.executable, "-I", "-m", "modeltrust", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def read(lines: Iterable[str]) -> EvaluationReport:
    """The report in the last line."""
    return decode_evaluation_report([*lines][-1].encode())
