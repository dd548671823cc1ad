"""`modeltrust evaluate DIR` with the local engine: a run is repeated from its revealed nonce, to the last digit."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import CommandLine
from tests.support.endpoints import PROMPTS
from tests.support.suites import a_suite

pytestmark = pytest.mark.slow
MODELS = PROMPTS.parent / "models"
TIMES = ("startedAt", "finishedAt")


@pytest.fixture
def command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, capsys, monkeypatch)


def evaluate(line: CommandLine, name: str, *more: str) -> tuple[int, dict[str, Any]]:
    suite = line.write("suite.yaml", a_suite())
    turns = ["--user-prefix", "<|user|>", "--turn-end", "<|assistant|>"]
    asked = ["--baseline", str(MODELS / "base"), "--prompts", str(PROMPTS), *turns, "-o", "json"]
    ran = line("evaluate", MODELS / name, "--suite", suite, *asked, *more)
    return ran.code, ran.document


def test_the_revealed_nonce_gives_the_same_numbers_again(command_line: CommandLine) -> None:
    code, first = evaluate(command_line, "deploy")
    again_code, again = evaluate(command_line, "deploy", "--nonce", first["nonce"])
    other_code, other = evaluate(command_line, "deploy", "--nonce", "5a" * 16)

    for document in (first, again, other):
        for name in TIMES:
            del document[name]
    assert (code, again_code, other_code) == (11, 11, 11)
    assert first == again
    assert first["tests"] != other["tests"]


def test_the_twin_does_not_fail_and_is_said_to_be_what_its_files_are(command_line: CommandLine) -> None:
    code, document = evaluate(command_line, "twin", "--nonce", "0f" * 16)

    assert code == 0, document["claim"]
    assert document["model"].startswith("local://twin")
    assert document["contentDigest"].startswith("sha256:")
