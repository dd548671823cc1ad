"""What ``"$@"`` stands for: known where it surely is, and computed everywhere else (attack C1)."""

import pytest

from tests.support.workloads import COMMIT, found, reasons, run

SERVE = f"vllm serve a/b --revision {COMMIT}"
GOOD = [f"base hf://a/b@{COMMIT}"]


@pytest.mark.parametrize(
    ("script", "rest"),
    [
        (f'{SERVE} "$@"', []),  # nothing follows: a shell gives it no parameters, whatever the image is
        (f'{SERVE} "$@"', ["--"]),
        (f'{SERVE} "$@"', ["--", "--port", "80"]),
        (f"{SERVE} $*", ["--", "--port 80"]),
        (f'set -euo pipefail; set -o nounset +x; exec {SERVE} "$@"', ["--"]),
        (f'source /venv/bin/activate; exec {SERVE} "$@"', ["--"]),
        (f'shift; {SERVE} "$@"', ["--", "x", "--port=80"]),
        (f'set -e -- --port 80; {SERVE} "$@"', ["--"]),
        ('"$@"', ["--", *SERVE.split()]),
        ('sh -c "$*"', ["--", *SERVE.split()]),
        ("exec $@", ["--", SERVE]),
    ],
)
def test_parameters_that_stand_in_the_object_are_known(script: str, rest: list[str]) -> None:
    workload = run("bash", "-c", script, *rest)
    assert (found(workload), reasons(workload)) == (GOOD, [])


@pytest.mark.parametrize(
    "before",
    [
        "false && set -- --port 80;",
        "false && set --;",
        "if false; then set -- --port 80; fi;",
        "(set -- --port 80);",
        "set -- --port 80 &",
        "set -- --port 80 | cat;",
        "cat | set -- --port 80;",
        "set x --tokenizer a/t; shift;",
        "set --tokenizer a/t;",
        "set - --tokenizer a/t;",
        "eval 'set -- --tokenizer a/t';",
        "command set -- --tokenizer a/t;",
        "builtin shift;",
        "trap 'set -- --tokenizer a/t' DEBUG;",
        "shift 9;",
        "shift $N;",
        "while test $# -gt 2; do shift; done;",
        "f() { true; };",
    ],
)
@pytest.mark.parametrize("rest", [["--"], ["--", "--port", "80"], ["--", "--tokenizer", "a/t"]])
def test_parameters_that_may_have_changed_are_computed(before: str, rest: list[str]) -> None:
    workload = run("bash", "-c", f'{before} {SERVE} "$@"', *rest)
    assert "UnresolvedReference" in reasons(workload) or "tokenizer hf://a/t" in " ".join(found(workload))


@pytest.mark.parametrize("rest", [[], ["--"], ["--", "--port", "80"]])
@pytest.mark.parametrize("wrapper", [["xargs"], ["xargs", "-n", "1"], ["env", "xargs"], ["/usr/bin/parallel"]])
def test_parameters_behind_a_program_that_adds_some_are_computed(wrapper: list[str], rest: list[str]) -> None:
    assert "UnresolvedReference" in reasons(run(*wrapper, "sh", "-c", f'{SERVE} "$@"', *rest))


@pytest.mark.parametrize(
    ("script", "rest"),
    [
        (f'{SERVE} "$@"', ["--tokenizer", "a/t"]),
        (f"{SERVE} $@", ["--tokenizer a/t"]),
        (f"IFS=,; {SERVE} $@", ["--tokenizer,a/t"]),
        (f"{SERVE} $1", ["--tokenizer a/t"]),
    ],
)
def test_parameters_are_split_as_a_shell_splits_them(script: str, rest: list[str]) -> None:
    assert any(each.startswith("tokenizer hf://a/t") for each in found(run("bash", "-c", script, "--", *rest)))
