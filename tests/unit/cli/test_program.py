"""The program around the commands: help, later commands, usage, pipes, and files that are none."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from modeltrust.cli.exits import Exit, of_outcomes, worst
from modeltrust.domain import limits
from modeltrust.domain.decision import Outcome
from tests.support.command_line import CommandLine, pod, policy

COMMANDS = ["demo", "check", "refs", "inspect", "sign", "verify", "digest", "attest", "approve"]
COMMANDS += ["pin", "evaluate", "inventory", "why", "revoke", "doctor"]
LATER = ["bom", "operator", "job"]
MODELTRUST = [sys.executable, "-m", "modeltrust"]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_shows_examples(command: str, command_line: CommandLine) -> None:
    ran = command_line(command, "--help")

    assert (ran.code, ran.err) == (0, "")
    assert f" modeltrust {command}" in ran.out.partition("\n  Examples:\n")[2]


def test_the_help_lists_what_there_is_and_nothing_that_comes_later(command_line: CommandLine) -> None:
    listed = command_line("--help").out.partition("Commands:")[2].splitlines()

    assert [line.split()[0] for line in listed if line] == [*COMMANDS, "webhook"]


@pytest.mark.parametrize("command", LATER)
def test_a_command_of_a_later_version_says_so_in_one_line(command: str, command_line: CommandLine) -> None:
    for more in ([], ["x"], ["--help"]):
        ran = command_line(command, *more)

        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith(f"modeltrust: {command}: not in this version")
        assert len(ran.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("check",),
        ("check", "x"),
        ("refs",),
        ("refs", "--nonsense"),
        ("sign", ".", "--key"),
        ("check", "-o", "xml"),
    ],
)
def test_wrong_usage_is_one_line_that_leads_to_the_help(arguments: tuple[str, ...], command_line: CommandLine) -> None:
    ran = command_line(*arguments)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert ran.err.startswith("modeltrust: ")


ORDER = [Exit.INTERNAL, Exit.USAGE, Exit.DENIED, Exit.UNDECIDED, Exit.PENDING, Exit.WARNED, Exit.OK]


@pytest.mark.parametrize(("mild", "bad"), [(ORDER[j], ORDER[i]) for i in range(len(ORDER)) for j in range(i, len(ORDER))])
def test_the_worst_of_several_exit_codes_wins(mild: Exit, bad: Exit) -> None:
    assert worst([mild, bad]) is worst([bad, mild]) is bad


@pytest.mark.parametrize(
    ("outcomes", "strict", "code"),
    [
        ((), False, 3),
        ((Outcome.ADMIT, Outcome.WARN), False, 0),
        ((Outcome.ADMIT, Outcome.WARN), True, 10),
        ((Outcome.PENDING, Outcome.WARN), True, 13),
        ((Outcome.ERROR, Outcome.PENDING), True, 12),
        ((Outcome.DENY, Outcome.ERROR), False, 11),
    ],
)
def test_several_decisions_give_one_exit_code(outcomes: Iterable[Outcome], strict: bool, code: int) -> None:  # noqa: FBT001
    assert of_outcomes(outcomes, strict=strict) == code


def test_a_reader_that_goes_away_is_no_error_to_speak_of(command_line: CommandLine) -> None:
    command_line.write("pods.json", {"apiVersion": "v1", "kind": "List", "items": [pod() for _ in range(2000)]})

    with subprocess.Popen([*MODELTRUST, "refs", "pods.json", "-o", "json"], stdout=-1, stderr=-1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("command", ["refs", "check"])
def test_what_never_ends_or_is_no_file_is_refused_at_once(command: str, command_line: CommandLine) -> None:
    command_line.trust(policy())
    os.mkfifo(command_line.folder / "pipe.yaml")
    (command_line.folder / "loop.yaml").symlink_to("loop.yaml")
    (command_line.folder / "gone.yaml").symlink_to("nowhere.yaml")
    (command_line.folder / "folder.yaml").mkdir()
    with (command_line.folder / "huge.yaml").open("wb") as stream:
        stream.truncate(limits.MANIFEST_BYTES + 1)

    for name in ("pipe.yaml", "/dev/zero", "/dev/null", "loop.yaml", "gone.yaml", "folder.yaml", "huge.yaml", "x" * 300):
        ran = command_line(command, name, *(("--trust", "trust") if command == "check" else ()))
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1), name


@pytest.mark.parametrize("name", ["pipe.yaml", "/dev/zero", "loop.yaml", "nowhere", "huge.yaml"])
def test_a_trust_file_that_never_ends_or_is_no_file_is_refused_at_once(name: str, command_line: CommandLine) -> None:
    os.mkfifo(command_line.folder / "pipe.yaml")
    (command_line.folder / "loop.yaml").symlink_to("loop.yaml")
    with (command_line.folder / "huge.yaml").open("wb") as stream:
        stream.truncate(limits.MANIFEST_BYTES + 1)
    command_line.write("pod.json", pod())

    ran = command_line("check", "pod.json", "--trust", name)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)


def test_standard_input_that_is_too_large_is_refused(command_line: CommandLine) -> None:
    ran = command_line("refs", "-", stdin=b"#" * (limits.MANIFEST_BYTES + 1))

    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("key", ["pipe", "/dev/zero", "folder", "nowhere"])
@pytest.mark.parametrize(
    "command",
    [
        ("sign", "model", "--key"),
        ("attest", "model", "--model", "hf://acme/m@" + "9" * 40, "--trust", "trust", "--audience", "a", "--key"),
        (
            "approve",
            "hf://acme/m@" + "9" * 40,
            "--ticket",
            "T",
            "--expires",
            "9",
            "--content-digest",
            "sha256:" + "0" * 64,
            "--key",
        ),
    ],
    ids=lambda command: command[0],
)
def test_a_key_that_is_no_file_is_refused_at_once(command: tuple[str, ...], key: str, command_line: CommandLine) -> None:
    command_line.write("model/config.json", "{}")
    command_line.write("trust/signer.json", SIGNER)
    os.mkfifo(command_line.folder / "pipe")
    (command_line.folder / "folder").mkdir()

    ran = command_line(*command, key)

    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1), ran.err
    assert not (command_line.folder / "model" / "model.sig").exists()


SIGNER = """apiVersion: modeltrust.dev/v1alpha1
kind: TrustedSigner
metadata: {name: acme}
spec:
  purposes: [Author]
  publicKey:
    pem: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEj76v325GajDfTW30qJfEEQY+MwOx
      ZJPstfVQdQggnvZ79yBchrHLd8GuPs6MqJ4nS1OoDxYz3F187x9C3xuckw==
      -----END PUBLIC KEY-----
  scope: {models: ["hf://acme/*"]}
"""


def test_many_objects_are_answered_one_by_one(command_line: CommandLine, tmp_path: Path) -> None:
    command_line.write("policy.json", policy("production", {"type": "Pinned"}))
    command_line.write("pods.json", {"apiVersion": "v1", "kind": "List", "items": [pod(name=f"p{n}") for n in range(500)]})

    ran = command_line("check", "pods.json", "--trust", "policy.json", "-o", "json")

    assert (ran.code, ran.document["summary"]["admitted"]) == (0, 500)
    assert [decision["index"] for decision in ran.document["decisions"]] == list(range(500))
    assert tmp_path.exists()
