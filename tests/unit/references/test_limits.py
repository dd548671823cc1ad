"""Hostile objects end in LimitExceeded, quickly (attack H11)."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.workload import Workload
from tests.support.steps import calls
from tests.support.workloads import COMMIT, container, env, extract, extractor, pod, reasons

CALLS = 600_000  # about 50 ms, the promise; tests/slow/test_costs.py measures the time itself


def _bomb() -> list[dict[str, Any]]:
    first = env(A0="x" * 1000)
    return first + [{"name": f"A{index}", "value": f"$(A{index - 1})" * 10} for index in range(1, 30)]


def _nested(depth: int) -> Any:
    value: Any = {"name": "x"}
    for _ in range(depth):
        value = {"a": [value]}
    return value


def _script(text: str) -> dict[str, Any]:
    return pod(container(command=["sh", "-c", text]))


HOSTILE: dict[str, dict[str, Any]] = {
    "an environment that expands for ever": pod(container(env=_bomb())),
    "words that expand for ever": pod(container(command=["$(A)" * 5000], env=env(A="x" * 30_000))),
    "130,000 arguments": pod(container(command=["vllm"], args=["x"] * 130_000)),
    "500 containers": pod(*[container() for _ in range(500)]),
    "3,000 env entries": pod(container(env=[{"name": f"N{index}", "value": "x"} for index in range(3000)])),
    "1,000 volumes": pod(container(), volumes=[{"name": f"v{index}", "emptyDir": {}} for index in range(1000)]),
    "a script of 1 MB": _script("a;" * 500_000),
    "a script of many words": _script("a 'b' " * 10_000),
    "shells inside shells": _script("sh -c 'sh -c \"sh -c x\"';" + "eval " * 20 + "$(" * 10 + "x" + ")" * 10),
    "variables that grow": _script("A=xxxxxxxx\n" + "A=$A$A$A$A\n" * 40),
    "braces without end": _script("${" * 30_000),
    "quotes without end": _script("a'" * 20_001),
    "substitutions without end": _script('"$(' * 20_000),
    "cases without end": _script('"$(case x in ' * 5_000),
    "open cases in open substitutions": _script("$(case x in x) " * 4_000),
    "here-documents without end": _script("cat <<A\n" * 8_000),
    "many here-documents on one line": _script("cat " + "<<A " * 8_000 + "\nA"),
    "backquotes without end": _script("`\\" * 20_000),
    "arithmetic in arithmetic": _script("$((" * 20_000),
    "alternatives without end": _script("${X:+a} " * 8_000),
    "parameters without end": pod(container(command=["sh", "-c", '"$@" ' * 8_000, *["x"] * 4_000])),
    "parameters in one word": pod(container(command=["sh", "-c", '"$*" ' * 8_000, *["x"] * 4_000])),
    "a tree of 320,000 brackets": {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "spec": [[[], {}, []]] * 80_000},
    "Python without end": pod(container(command=["python", "-c", "x=1\n" * 10_000])),
    "many scripts": pod(*[container(command=["sh", "-c", "a;b;c;" * 300]) for _ in range(100)]),
    "many long command lines": pod(*[container(command=["vllm", "serve"] + ["--x=/y"] * 4000) for _ in range(14)]),
    "many environments": pod(
        *[container(env=[{"name": f"N{index}", "value": "$(N0)x"} for index in range(1000)]) for _ in range(50)]
    ),
    "a document of 200 kB": {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {},
        "spec": {"serveConfigV2": "\n".join(f"k{index}: [1, {{a: b}}]" for index in range(9000))},
    },
    "many models": pod(container(command=["vllm", "serve", "a/b", "--lora-modules", *[f"x=a/l{index}" for index in range(400)]])),
    "many findings": pod(container(command=["vllm", "serve", "a/b", "--lora-modules", *[f"x=${index}" for index in range(400)]])),
    "an unknown kind of many nodes": {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "a": [[1, 2, 3]] * 100_000},
    "an unknown kind of many Pods": {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "a": [{"containers": [container()]}] * 100},
    "an unknown kind of great depth": {"apiVersion": "x/v1", "kind": "X", "metadata": {}, "a": _nested(60)},
}


HARMLESS = {
    "braces without end",
    "quotes without end",
    "substitutions without end",
    "here-documents without end",
    "many here-documents on one line",
    "backquotes without end",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_objects_cost_a_bounded_number_of_calls(name: str) -> None:
    body, answers = json.dumps(HOSTILE[name]).encode(), []
    assert calls(lambda: answers.append(extractor().extract(body))) < CALLS
    assert answers[0].unresolved or name in HARMLESS


@pytest.mark.parametrize(
    "name", ["130,000 arguments", "500 containers", "1,000 volumes", "many models", "many findings", "a script of 1 MB"]
)
def test_a_reached_limit_is_a_finding(name: str) -> None:
    assert reasons(extract(HOSTILE[name]))[0] == "LimitExceeded"


def test_what_was_found_before_the_limit_is_kept() -> None:
    document = pod(container(command=["vllm", "serve", "a/b"]), container(args=["x"] * 130_000))
    assert extract(document).references


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\xff",
        b'{"kind": 1}',
        b'{"kind": "Pod"}',
        b'{"kind":"Pod","apiVersion":"v1","spec":[]}',
    ],
)
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        extractor().extract(body)


def test_nesting_that_no_parser_takes_is_a_limit() -> None:
    body = b'{"apiVersion":"v1","kind":"Pod","spec":' + b"[" * 100_000
    with pytest.raises(LimitExceededError):
        extractor().extract(body)


def test_a_wrong_guess_of_the_kind_changes_nothing() -> None:
    spec = b'"spec":{"containers":[{"command":["vllm","serve","a/b"]}]}'
    body = b'{"x":{"kind":"Deployment","apiVersion":"apps/v1"},"apiVersion":"v1","kind":"Pod",' + spec + b"}"
    workload = extractor().extract(body)
    assert workload.kind == "Pod"
    assert workload.references


def _mutate(value: Any, choice: st.DataObject) -> Any:
    if isinstance(value, dict) and value:
        key = choice.draw(st.sampled_from(sorted(value)))
        action = choice.draw(st.sampled_from(["drop", "null", "wrong", "deeper", "deeper", "deeper"]))
        if action == "drop":
            return {name: item for name, item in value.items() if name != key}
        replaced = {"null": None, "wrong": choice.draw(st.sampled_from([1, "$(", [], {}, True, "\x00", "é://", [None]]))}
        return value | {key: replaced[action] if action in replaced else _mutate(value[key], choice)}
    if isinstance(value, list) and value:
        return [_mutate(value[0], choice), *value[1:]]
    return choice.draw(st.sampled_from(["", "$(A)", "${A", "'", "hf://", "a/b@", "-", "--model", "{", None]))


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_mutant_raises_anything_but_ours(data: st.DataObject) -> None:
    volumes = [{"name": "v", "csi": {"driver": "hf.csi.huggingface.co", "volumeAttributes": {"sourceId": "a/b"}}}]
    main = container(
        command=["sh", "-c", f"vllm serve a/b --revision {COMMIT}"],
        env=env(A="$(A)"),
        volumeMounts=[{"name": "v", "mountPath": "/m"}],
    )
    kind = data.draw(st.sampled_from([("v1", "Pod"), ("x/v1", "Unknown"), ("serving.kserve.io/v1beta1", "InferenceService")]))
    document: Any = pod(main, volumes=volumes) | {"apiVersion": kind[0], "kind": kind[1]}
    for _ in range(data.draw(st.integers(1, 3))):
        document = _mutate(document, data)
    try:
        workload = extractor().extract(json.dumps(document).encode())
    except MalformedError:
        return
    assert isinstance(workload, Workload)
    assert len(workload.unresolved) <= limits.EXTRACT_FINDINGS + 1
