import json

import pytest
from prometheus_client import generate_latest

from modeltrust.telemetry import Telemetry


def telemetry() -> tuple[Telemetry, list[str]]:
    lines: list[str] = []
    return Telemetry(sink=lambda line: lines.append(line.decode())), lines


def test_verdicts_are_counted_with_bounded_labels() -> None:
    metrics, _ = telemetry()
    metrics.decided("CREATE", "deny", ("UnpinnedReference", "SignerNotTrusted"), 0.002)
    metrics.decided("chosen by somebody", "admit", (), 0.2)
    metrics.refused("not_ready")
    text = generate_latest(metrics.registry).decode()
    assert 'modeltrust_decisions_total{operation="CREATE",outcome="deny"} 1.0' in text
    assert 'modeltrust_decisions_total{operation="OTHER",outcome="admit"} 1.0' in text
    assert 'modeltrust_decision_seconds_bucket{le="0.005",operation="CREATE"} 1.0' in text
    assert 'modeltrust_reasons_total{reason="UnpinnedReference"} 1.0' in text
    assert 'modeltrust_refused_total{why="not_ready"} 1.0' in text
    assert "chosen by somebody" not in text


def test_a_log_line_is_one_line_of_json_whatever_is_in_it() -> None:
    metrics, lines = telemetry()
    metrics.log("decision", name="a\nb\x1b[31m")
    (line,) = lines
    assert line.index("\n") == len(line) - 1
    assert "\x1b" not in line
    assert json.loads(line) == {"event": "decision", "name": "a\nb\x1b[31m"}


def test_a_failure_is_logged_with_its_trace_in_one_line() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        raise ValueError("inside")

    metrics, lines = telemetry()
    with pytest.raises(ValueError, match="inside") as caught:
        deeper(50)
    metrics.failed("internal-error", caught.value, id="7f")
    (line,) = lines
    value = json.loads(line)
    assert (value["event"], value["error"], value["id"]) == ("internal-error", "ValueError", "7f")
    assert value["trace"].endswith("ValueError: inside\n")


def test_two_processes_worth_of_telemetry_do_not_share_a_registry() -> None:
    first, second = telemetry()[0], telemetry()[0]
    first.refused("too_slow")
    assert b'why="too_slow"} 0.0' in generate_latest(second.registry)
    assert Telemetry().registry is not Telemetry().registry


def test_a_line_that_cannot_be_written_stops_nothing_and_is_counted() -> None:
    def full(_: bytes) -> None:
        raise OSError(28, "no space left")

    metrics = Telemetry(sink=full)
    metrics.log("decision")
    assert b"modeltrust_log_lines_lost_total 1.0" in generate_latest(metrics.registry)
    metrics, lines = telemetry()
    metrics.log("decision", name="\ud800")
    assert lines == []


def test_lines_go_to_stderr_unless_told_otherwise(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Telemetry().log("start")
    assert capfdbinary.readouterr().err == b'{"event":"start"}\n'
