"""What stands outside quotes may become several words: options hide in what nobody here can read (attack C1)."""

from typing import Any

import pytest

from tests.support.workloads import COMMIT, found, reasons, shell

SERVE = f"vllm serve a/b --revision {COMMIT}"
GOOD = [f"base hf://a/b@{COMMIT}"]
ELSEWHERE = [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]


def _field(path: str) -> list[dict[str, Any]]:
    return [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}]


@pytest.mark.parametrize(
    ("script", "env"),
    [
        (f"{SERVE} --port $X", ELSEWHERE),
        (f"{SERVE} --port=$X", ELSEWHERE),
        (f"{SERVE} --port ${{X}}", ELSEWHERE),
        (f"{SERVE} --port ${{X:-80}}", ELSEWHERE),
        (f"{SERVE} --port 8$X", ELSEWHERE),
        (f"{SERVE} --port $X", _field("metadata.annotations['a']")),
        (f"{SERVE} --port $X", [{"name": "X", "valueFrom": {"fieldRef": "x"}}]),
        (f"{SERVE} --port $(cat /x)", []),
        (f"{SERVE} --port `cat /x`", []),
        (f"{SERVE} --port $(nproc; cat /x)", []),
        (f"{SERVE} --port $(nproc)$(cat /x)", []),
        (f"X=$(cat /x); {SERVE} --port $X", []),
        (f"read X < /x; {SERVE} --port $X", []),
        (f"{SERVE} --port $X", _field("metadata.name") + ELSEWHERE),
        (f"read X < /x; {SERVE} --port $X", _field("metadata.name")),
        (f"for X in $(cat /x); do {SERVE} --port $X; done", _field("metadata.name")),
        (f"if test -f /x; then X=$(cat /x); fi; {SERVE} --port $X", _field("metadata.name")),
        (f"test -f /x && X=$(cat /x); {SERVE} --port $X", _field("metadata.name")),
        (f"read X < /x; sh -c '{SERVE} --port $X'", _field("metadata.name")),
        (f"nproc() {{ cat /x; }}; {SERVE} --port $(nproc)", []),
        (f"env $X {SERVE}", ELSEWHERE),
        (f"nice -n $X {SERVE}", ELSEWHERE),
        (f"env $(cat /x) {SERVE}", []),
        (f"hf download a/b --revision {COMMIT} --local-dir $X", ELSEWHERE),
        (f"cat /x | xargs bash -c 'hf download --revision \"$@\"' -- {COMMIT}", []),
        (f"cat /x | xargs bash -c 'hf download a/b --revision {COMMIT} \"$@\"' -- y", []),
        (f"cat /x | xargs bash -c 'hf download a/b --revision {COMMIT} --local-dir $*' -- y", []),
        (f"cat /x | xargs bash -c 'hf download a/b --revision {COMMIT} --local-dir \"${{@:1}}\"' -- y", []),
        (f"cat /x | xargs bash -c '{SERVE} --port \"$@\"' --", []),
        (f'run() {{ hf download a/b --revision {COMMIT} --local-dir "$@"; }}; run /m --repo-type model', []),
        (f'mapfile A < /x; hf download a/b --revision {COMMIT} --local-dir "${{A[@]}}"', []),
    ],
)
def test_a_value_without_quotes_that_cannot_be_known_is_a_finding(script: str, env: list[dict[str, Any]]) -> None:
    assert "UnresolvedReference" in reasons(shell(script, env=env))


@pytest.mark.parametrize(
    ("script", "env"),
    [
        (f'{SERVE} --port "$X"', ELSEWHERE),
        (f'{SERVE} --port "${{X:-80}}"', ELSEWHERE),
        (f'{SERVE} --port "$(cat /x)"', []),
        (f"{SERVE} --port $PORT", ELSEWHERE),  # nobody here sets it: the image does, and the image is a program anyway
        (f"{SERVE} --host $X", _field("status.podIP")),
        (f"{SERVE} --host $X", ELSEWHERE + _field("status.podIP")),
        (f"{SERVE} --host $X", [{"name": "X", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]),
        (f"{SERVE} --tensor-parallel-size $(nproc)", []),
        (f"N=$(nvidia-smi --list-gpus | wc -l); {SERVE} --tensor-parallel-size $N", []),
        (f"X=80; {SERVE} --port $X", []),
        (f"{SERVE} --port $X", [{"name": "X", "value": "80"}]),
        (f"echo $X $(cat /x); {SERVE}", ELSEWHERE),
    ],
)
def test_a_value_that_is_one_word_hides_nothing(script: str, env: list[dict[str, Any]]) -> None:
    workload = shell(script, env=env)
    assert (found(workload), reasons(workload)) == (GOOD, [])


@pytest.mark.parametrize(
    "script",
    [
        "cat /x | xargs -I% bash -c 'exec hf download --revision \"$@\"' -- {COMMIT} evil/model",
        "cat /x | xargs -I% bash -c 'exec setpriv \"$@\"' -- --reuid 1000 hf download evil/model --revision {COMMIT}",
        "cat /x | xargs -I% bash -c 'hf download \"$1\" --revision {COMMIT}' -- evil/model",
    ],
)
def test_words_in_front_of_those_that_xargs_appends_are_read(script: str) -> None:
    assert any("evil/model" in each for each in found(shell(script.replace("{COMMIT}", COMMIT))))


def test_a_known_value_is_split() -> None:
    workload = shell(f"{SERVE} --port $X", env=[{"name": "X", "value": "80 --tokenizer a/t"}])
    assert any(each.startswith("tokenizer hf://a/t") for each in found(workload))
