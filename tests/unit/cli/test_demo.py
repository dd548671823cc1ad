"""The demo in this process, and its table; tests/slow/test_demo.py runs it as a stranger does."""

import pytest
from rich.console import Console

from modeltrust.cli.demo.command import _table
from modeltrust.cli.demo.scenes import Played, Scene
from modeltrust.cli.demo.server import Answer
from tests.support.command_line import CommandLine, pod


def test_every_scene_ends_as_it_should(command_line: CommandLine) -> None:
    ran = command_line("demo", "--json")

    assert (ran.code, ran.err) == (0, "")
    assert [scene["name"] for scene in ran.document["scenes"] if scene["actual"] != scene["expected"]] == []
    assert len(ran.document["scenes"]) >= 14


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_reason_and_no_name_is_cut_however_narrow_the_terminal(width: int) -> None:
    answer = Answer(allowed=False, message="no", reasons=("EvaluationInconclusive",), warnings=(), milliseconds=12.34)
    played = Played(Scene("a third party's model, approved by the platform team", pod(), "deny"), "deny", answer)
    console = Console(width=width, highlight=False)

    with console.capture() as captured:
        console.print(_table([played], narrow=width < 120))

    shown = captured.get()
    assert "EvaluationInconclusive" in shown
    assert "…" not in shown
    assert " ".join(played.scene.name.split()[-1:]) in shown


def test_a_scene_that_ends_otherwise_is_marked() -> None:
    answer = Answer(allowed=True, message="", reasons=(), warnings=(), milliseconds=1.0)
    played = Played(Scene("something", pod(), "deny"), "admit", answer)
    console = Console(width=200, highlight=False)

    with console.capture() as captured:
        console.print(_table([played], narrow=False))

    assert "WRONG" in captured.get()
