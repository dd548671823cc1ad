"""The runner's process: a report as the last line, whatever the engines do; never a verdict."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.api.evaluation_work import encode_evaluation_order
from modeltrust.domain.evaluation import EvaluationOrder, Served
from modeltrust.domain.evidence import Verdict
from modeltrust.evaluation.judge import judge
from modeltrust.job.evaluate import Exit, main
from modeltrust.wiring.confinement import possible
from tests.support import evaluation_runs as runs
from tests.support.confinement import environment, left_alone
from tests.support.endpoints import PROMPTS, send, served
from tests.support.evaluation_job import SUITE, an_order, evaluate, evaluate_confined, read


@pytest.mark.parametrize("changes", [{"suite": replace(SUITE, bank="0" * 64)}, {"suite": replace(SUITE, prompts="")}])
def test_another_bank_than_was_ordered_is_refused(
    changes: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, lines = evaluate(an_order(tmp_path, runs.SERVED, None, **changes), capsys)

    assert code == Exit.USAGE
    assert "another probe bank" in lines[-1]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_an_order_that_is_none_is_refused(content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = tmp_path / "order.json"
    if content is not None:
        order.write_bytes(content)
    code, lines = evaluate(order, capsys)

    assert code == Exit.USAGE
    assert "Traceback" not in "".join(lines)


def test_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], confine=left_alone) == Exit.USAGE
    assert main(["--surprise"], confine=left_alone) == Exit.USAGE
    assert "order" in capsys.readouterr().out


def test_the_tokens_of_engines_are_not_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served(lambda handler, _: send(handler, {}, status=401)) as closed:
        secret: Served = replace(closed, token="hidden-token")  # noqa: S106 - shows that it stays hidden
        order: EvaluationOrder = replace(runs.order(SUITE), candidate=secret, baseline=None)
        path = tmp_path / "order.json"
        path.write_bytes(encode_evaluation_order(order))
        _, lines = evaluate(path, capsys)

    assert "hidden-token" not in "".join(lines)


def test_a_confined_process_asks_its_engines_and_reports(tmp_path: Path) -> None:
    with served(lambda handler, _: send(handler, {"choices": []})) as liar:
        code, lines = evaluate_confined(an_order(tmp_path, liar, None))

    assert code == Exit.MEASURED
    assert json.loads(lines[0])["confined"] is possible()
    assert judge(read(lines), SUITE).verdict is Verdict.INCONCLUSIVE


def test_a_log_that_is_redirected_into_a_file_is_written(tmp_path: Path) -> None:
    with served(lambda handler, _: send(handler, {}, status=401)) as closed:
        order = an_order(tmp_path, closed, None)
        arguments = ["job", "evaluate", "--order", str(order), "--prompts", str(PROMPTS)]
        with (tmp_path / "log").open("wb") as log:
            command = [sys.executable, "-I", "-m", "modeltrust", *arguments]
            done = subprocess.run(command, stdout=log, stderr=log, check=False, env=environment())

    assert done.returncode == Exit.MEASURED
    assert read((tmp_path / "log").read_text().splitlines()).nonce == runs.order(SUITE).nonce


def test_an_engine_that_answers_nonsense_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    with served(lambda handler, _: send(handler, {"choices": []})) as liar:
        _, lines = evaluate(an_order(tmp_path, liar, None), capsys, patience=600)

    assert time.monotonic() - started < 60
    assert "engine" in "".join(lines)
