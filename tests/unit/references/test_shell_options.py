"""Every way to give a shell its program (attack C1)."""

import pytest

from modeltrust.references.shell_options import shell_options, split_strings
from tests.support.workloads import found, reasons, run, shell

EVIL = "vllm serve a/b"


@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c"],
        ["sh", "-c", "-c"],
        ["sh", "-ce"],
        ["sh", "-ec"],
        ["bash", "-c", "-x"],
        ["bash", "-c", "+x"],
        ["bash", "-c", "--"],
        ["bash", "-c", "-"],
        ["bash", "-c", "-e", "--"],
        ["bash", "-o", "pipefail", "-c"],
        ["bash", "-c", "-o", "pipefail"],
        ["bash", "-oc", "pipefail"],
        ["bash", "-co", "pipefail"],
        ["bash", "-eo", "pipefail", "-c"],
        ["bash", "-euxo", "pipefail", "-c"],
        ["bash", "-ooc", "pipefail", "nounset"],
        ["bash", "-Oc", "extglob"],
        ["bash", "+O", "extglob", "-c"],
        ["bash", "--norc", "--rcfile", "/x", "-c"],
        ["/bin/busybox", "ash", "-euo", "pipefail", "-c"],
        ["/x/unknown", "sh", "+e", "-c"],
        ["env", "-S", "bash -c"],
    ],
)
def test_a_shell_s_program_is_found_behind_its_options(command: list[str]) -> None:
    assert found(run(*command, EVIL)) == ["base hf://a/b"]


@pytest.mark.parametrize(
    "command",
    [
        ["env", "-S", EVIL],
        ["env", "-iS", EVIL],
        ["/usr/bin/env", f"-S{EVIL}"],
        ["env", f"-vS{EVIL}"],
        ["env", "--split-string", EVIL],
        ["env", f"--split-string={EVIL}"],
        ["env", "-i", "A=b", "-S", "vllm serve", "a/b"],
    ],
)
def test_env_takes_a_string_apart(command: list[str]) -> None:
    assert found(run(*command)) == ["base hf://a/b"]


@pytest.mark.parametrize("command", [["sh", "/x.sh"], ["sh"], ["sh", "-e"], ["bash", "--", "-c"], ["bash", "-", "-c", EVIL]])
def test_a_shell_without_a_program_is_given_none(command: list[str]) -> None:
    assert found(run(*command)) == []


def test_options_end_where_the_shell_ends_them() -> None:
    assert shell_options(["sh"], 1) == (False, 1)
    assert shell_options(["sh", "-o"], 1) == (False, 3)
    assert shell_options(["sh", "--", "-c", "x"], 1) == (False, 2)
    assert shell_options(["sh", "-c", "x", "-e"], 1) == (True, 2)
    assert split_strings(["env", "-S"]) == ["env"]


def test_what_is_appended_to_a_variable_is_unknown() -> None:
    assert reasons(
        shell("HF_ENDPOINT+=.evil.example; export HF_ENDPOINT; vllm serve a/b", env=[{"name": "HF_ENDPOINT", "value": "https://a"}])
    )


def test_a_shell_that_is_fed_by_another_program_is_a_finding() -> None:
    assert "UnresolvedReference" in reasons(shell(f"echo {EVIL} | tee >(bash)"))
