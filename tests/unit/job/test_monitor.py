"""`modeltrust job monitor`: the fingerprint, then a report of distances, as the last line; nothing else."""

import base64
from pathlib import Path

import pytest

from modeltrust.api.evaluation_work import (
    decode_monitor_order,
    decode_monitor_report,
    encode_monitor_order,
    encode_monitor_report,
)
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.evaluation.fingerprint import decode_fingerprint, digest_of, encode_fingerprint
from modeltrust.evaluation.monitor import Level, begin, check, moved
from modeltrust.job.monitor import Exit, main
from tests.support import evaluation_runs as runs
from tests.support.confinement import left_alone
from tests.support.endpoints import PROMPTS, ToyModel, model_speaks, send, served
from tests.support.monitoring import a_round, an_order, attested

Captured = pytest.CaptureFixture[str]


def job(folder: Path, captured: Captured, order: bytes, fingerprint: bytes | None = None) -> tuple[int, list[str]]:
    (folder / "order.json").write_bytes(order)
    arguments = ["--order", str(folder / "order.json"), "--prompts", str(PROMPTS)]
    if fingerprint is not None:
        (folder / "fingerprint").write_bytes(fingerprint)
        arguments += ["--fingerprint", str(folder / "fingerprint")]
    code = main(arguments, confine=left_alone)
    return code, captured.readouterr().out.splitlines()


def test_a_round_against_another_model_is_numbers_that_raise_the_alarm(tmp_path: Path, capsys: Captured) -> None:
    fingerprint, digest = attested()
    with served(model_speaks(ToyModel("another", noise=0.09))) as where:
        order = an_order(1, digest, served=where)
        code, lines = job(tmp_path, capsys, encode_monitor_order(order), encode_fingerprint(fingerprint))

    report = decode_monitor_report(lines[-1].encode())
    check(report, order, fingerprint.triggers)
    assert code == Exit.MEASURED
    assert moved(begin(digest, fingerprint.triggers), report).level is Level.ALARM


def test_without_a_fingerprint_in_the_order_one_is_recorded(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modeltrust.domain.limits.MONITOR_POOL", 10)
    with served(model_speaks(runs.BASE)) as where:
        code, lines = job(tmp_path, capsys, encode_monitor_order(an_order(1, "", served=where)))

    data = base64.b64decode(lines[-1])
    assert code == Exit.MEASURED
    assert decode_fingerprint(data, digest=digest_of(data)).content == runs.CONTENT


def test_a_server_that_answers_nonsense_is_a_problem_in_the_report(tmp_path: Path, capsys: Captured) -> None:
    fingerprint, digest = attested()
    with served(lambda handler, _: send(handler, {"choices": []})) as where:
        order = encode_monitor_order(an_order(1, digest, served=where))
        code, lines = job(tmp_path, capsys, order, encode_fingerprint(fingerprint))

    report = decode_monitor_report(lines[-1].encode())
    assert (code, report.shifts, report.canaries) == (Exit.MEASURED, (), ())
    assert report.problem


@pytest.mark.parametrize("fingerprint", [None, b"something else"])
def test_an_order_without_its_fingerprint_measures_nothing(tmp_path: Path, capsys: Captured, fingerprint: bytes | None) -> None:
    code, lines = job(tmp_path, capsys, encode_monitor_order(an_order(1, attested()[1])), fingerprint)

    assert code == Exit.USAGE
    assert "fingerprint" in lines[-1]


def test_orders_and_reports_are_read_as_strictly_as_they_are_written() -> None:
    order, report = an_order(1, attested()[1]), a_round(1, runs.BASE)

    assert decode_monitor_order(encode_monitor_order(order)) == order
    assert decode_monitor_report(encode_monitor_report(report)) == report
    for data in (b"", b"{}", b"[" * 9_000, encode_monitor_report(report)[:-1], encode_monitor_report(report) + b" "):
        with pytest.raises(MalformedError):
            decode_monitor_report(data)
        with pytest.raises(MalformedError):
            decode_monitor_order(data)
    with pytest.raises(LimitExceededError):
        decode_monitor_report(b" " * 70_000)
    with pytest.raises(MalformedError, match="deadline"):
        decode_monitor_order(encode_monitor_order(order).replace(b'"deadline_seconds":600', b'"deadline_seconds":6000'))
