"""The same reference, however it is written, is the same reference (facts/workloads.md §10.9)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.workloads import COMMIT, container, env, extract, found

MODEL = "acme/guard-7b"
EXPECTED = f"base hf://{MODEL}@{COMMIT}"

FLAGS: list[Callable[[str, str], list[str]]] = [
    lambda model, revision: ["--model", model, "--revision", revision],
    lambda model, revision: [f"--model={model}", f"--revision={revision}"],
    lambda model, revision: [model, "--revision", revision],
    lambda model, revision: ["--port", "8000", "--revision", revision, "--enable-prefix-caching", model],
    lambda model, revision: ["--mode", model, "--rev", revision],
    lambda model, revision: ["--model", "other/model", "--model", model, "--revision", revision],
    lambda model, revision: ["--revision", "main", "--revision", revision, f"hf://{model}"],
    lambda model, revision: [f"https://huggingface.co/{model}/tree/{revision}"],
    lambda model, revision: ["--max_model_len=10", "--revision", revision, "--model", f"huggingface://{model}"],
]
INDIRECTIONS: list[Callable[[list[str]], tuple[list[str], list[dict[str, Any]]]]] = [
    lambda words: (words, []),
    lambda words: ([word.replace(MODEL, "$(MODEL)") for word in words], env(MODEL=MODEL)),
    lambda words: (
        [word.replace(COMMIT, "$(REVISION)") for word in words],
        env(PART=COMMIT[:20], REVISION=f"$(PART){COMMIT[20:]}"),
    ),
    lambda words: ([word.replace(MODEL, "$(MODEL)") for word in words], env(MODEL="decoy/x") + env(MODEL=MODEL)),
]


def _quoted(words: list[str]) -> str:
    return " ".join(f"'{word}'" if "$" not in word else f'"{word}"' for word in words)


SHELLS: list[Callable[[list[str]], list[str]]] = [
    lambda words: words,
    lambda words: ["/bin/sh", "-c", " ".join(words)],
    lambda words: ["bash", "-lc", "--", "set -e; exec " + _quoted(words)],
    lambda words: ["bash", "-exc", 'exec "$@"', "--", *words],
    lambda words: ["sh", "-c", "if ! " + " \\\n  ".join(words) + "; then exit 1; fi"],
    lambda words: ["bash", "-c", f"eval {_quoted([' '.join(words)])}"],
    lambda words: ["sh", "-c", f"bash -c {_quoted([' '.join(words)])} # comment"],
    lambda words: ["tini", "--", *words],
    lambda words: ["sh", "-c", f"ulimit -n 1 && A=1 {' '.join(words)} 2>&1 | tee /log &\nwait"],
    lambda words: ["sh", "-c", f"M={MODEL}\nexport R={COMMIT}\n{' '.join(words).replace(MODEL, '${M}').replace(COMMIT, '$R')}"],
]


def _pod_spec(words: list[str], entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"containers": [container(command=words, env=entries)]}


def _template(spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"labels": None}, "spec": spec}


KINDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "v1/Pod": lambda spec: spec,
    "v1/ReplicationController": lambda spec: {"template": _template(spec)},
    "apps/v1/Deployment": lambda spec: {"replicas": 1, "template": _template(spec)},
    "apps/v1/StatefulSet": lambda spec: {"template": _template(spec)},
    "apps/v1/DaemonSet": lambda spec: {"template": _template(spec)},
    "apps/v1/ReplicaSet": lambda spec: {"template": _template(spec)},
    "batch/v1/Job": lambda spec: {"template": _template(spec)},
    "batch/v1/CronJob": lambda spec: {"jobTemplate": {"spec": {"template": _template(spec)}}},
    "jobset.x-k8s.io/v1alpha2/JobSet": lambda spec: {"replicatedJobs": [{"template": {"spec": {"template": _template(spec)}}}]},
    "serving.knative.dev/v1/Service": lambda spec: {"template": _template(spec)},
    "serving.knative.dev/v1/Revision": lambda spec: spec,
    "leaderworkerset.x-k8s.io/v1/LeaderWorkerSet": lambda spec: {"leaderWorkerTemplate": {"workerTemplate": _template(spec)}},
    "serving.kserve.io/v1beta1/InferenceService": lambda spec: {"predictor": spec},
    "serving.kserve.io/v1alpha1/ServingRuntime": lambda spec: spec,
    "serving.kserve.io/v1alpha2/LLMInferenceService": lambda spec: {"prefill": {"worker": spec}},
    "argoproj.io/v1alpha1/Workflow": lambda spec: {"templates": [{"container": spec["containers"][0]}]},
    "argoproj.io/v1alpha1/Rollout": lambda spec: {"template": _template(spec)},
    "example.org/v1/Unknown": lambda spec: {"deeply": [{"nested": {"podTemplate": _template(spec)}}]},
    "workload.codeflare.dev/v1beta2/AppWrapper": lambda spec: {
        "components": [{"template": {"apiVersion": "v1", "kind": "Pod", "spec": spec}}]
    },
    "nvidia.com/v1alpha1/DynamoGraphDeployment": lambda spec: {
        "services": {"worker": {"extraPodSpec": {"mainContainer": spec["containers"][0]}}}
    },
}


def _object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    version, _, name = kind.rpartition("/")
    return {"apiVersion": version, "kind": name, "metadata": {"name": "x"}, "spec": KINDS[kind](spec)}


@given(st.sampled_from(FLAGS), st.sampled_from(INDIRECTIONS), st.sampled_from(SHELLS), st.sampled_from(sorted(KINDS)))
@settings(max_examples=250, deadline=None)
def test_every_encoding_names_the_same_model(
    flags: Callable[[str, str], list[str]],
    indirection: Callable[[list[str]], tuple[list[str], list[dict[str, Any]]]],
    shell: Callable[[list[str]], list[str]],
    kind: str,
) -> None:
    words, entries = indirection(["vllm", "serve", *flags(MODEL, COMMIT)])
    workload = extract(_object(kind, _pod_spec(shell(words), entries)))
    assert found(workload) == [EXPECTED]
    assert not workload.unresolved


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_shows_the_model_of_its_pods(kind: str) -> None:
    workload = extract(_object(kind, _pod_spec(["vllm", "serve", MODEL, f"--revision={COMMIT}"], [])))
    assert found(workload) == [EXPECTED]
    assert workload.references[0].locator.endswith("/command/2")


@pytest.mark.parametrize("place", ["initContainers", "ephemeralContainers"])
def test_every_list_of_containers_counts(place: str) -> None:
    spec = {"containers": [container()], place: [container(command=["vllm", "serve", f"--model={MODEL}", "--revision", COMMIT])]}
    assert found(extract(_object("v1/Pod", spec))) == [EXPECTED]


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("lifecycle", {"postStart": {"exec": {"command": ["ollama", "pull", "phi"]}}}),
        ("lifecycle", {"preStop": {"exec": {"command": ["ollama", "pull", "phi"]}}}),
        ("startupProbe", {"exec": {"command": ["sh", "-c", "ollama list | grep phi || ollama pull phi"]}}),
        ("livenessProbe", {"exec": {"command": ["ollama", "pull", "phi"]}}),
        ("readinessProbe", {"exec": {"command": ["ollama", "pull", "phi"]}}),
    ],
)
def test_hooks_and_probes_pull_models(place: str, content: dict[str, Any]) -> None:
    spec = {"containers": [container(**{place: content})]}
    assert found(extract(_object("v1/Pod", spec))) == ["base oci://registry.ollama.ai/library/phi@latest"]


def test_nulls_everywhere_mean_nothing() -> None:
    nothing = dict.fromkeys(("command", "args", "env", "envFrom", "volumeMounts", "resources", "lifecycle", "startupProbe"))
    spec = {"containers": [container(**nothing)], "initContainers": None, "volumes": None, "hostAliases": None, "dnsConfig": None}
    document = _object("v1/Pod", spec)
    document["metadata"]["annotations"] = None
    assert not extract(document).references
    assert json.dumps(document)
