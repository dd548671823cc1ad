"""Extraction against ``json.loads`` of the same bytes: ratios of one run, never microseconds (facts/performance.md §9).

Prints for a vLLM Deployment and a KServe InferenceService how much CPU extraction takes, relative to parsing the object,
and to parsing the AdmissionReview that brings it (with ``oldObject`` for the InferenceService, which is an UPDATE).
"""

import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from modeltrust.references.extract import Extractor
from modeltrust.wiring.rows import load_tables

_BATCH_NANOSECONDS = 8_000_000
_REPEATS = 15
_COMMIT = "9f2c41d0a6e1b79f2c41d0a6e1b79f2c41d0a6e1"


def _managed_fields(count: int) -> list[dict[str, Any]]:
    fields = {
        f"f:{name}": {".": {}, "f:type": {}} for name in ("spec", "replicas", "selector", "strategy", "template", "containers")
    }
    env = {f'k:{{"name":"VARIABLE_{index}"}}': {".": {}, "f:name": {}, "f:value": {}} for index in range(count)}
    nested = {"f:spec": fields | {"f:template": {"f:spec": {"f:containers": {'k:{"name":"server"}': {".": {}, "f:env": env}}}}}}
    entry = {
        "manager": "kubectl",
        "operation": "Update",
        "apiVersion": "apps/v1",
        "time": "2026-11-24T06:00:00Z",
        "fieldsType": "FieldsV1",
    }
    return [entry | {"fieldsV1": nested}, entry | {"manager": "kube-controller-manager", "fieldsV1": {"f:status": fields}}]


def _metadata(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "team-a",
        "uid": "0b7c6a7e-5f0d-4a55-9a50-3f6f8f2f1c11",
        "resourceVersion": "8812345",
        "generation": 3,
        "creationTimestamp": "2026-11-24T06:00:00Z",
        "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "inference", "team": "a"},
        "annotations": {"deployment.kubernetes.io/revision": "3", "prometheus.io/scrape": "true"},
        "managedFields": _managed_fields(18),
    }


def _probe(path: str) -> dict[str, Any]:
    get = {"path": path, "port": 8000, "scheme": "HTTP"}
    return {"httpGet": get, "initialDelaySeconds": 120, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3}


def _server() -> dict[str, Any]:
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}
    env = [token, *({"name": f"VLLM_VARIABLE_{index}", "value": f"value-{index}"} for index in range(11))]
    args = [
        "--model",
        "acme/guard-7b",
        "--revision",
        _COMMIT,
        "--port=8000",
        "--max-model-len",
        "8192",
        "--gpu-memory-utilization=0.9",
    ]
    return {
        "name": "server",
        "image": "registry.acme.example/vllm-openai@sha256:" + "ab" * 32,
        "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        "args": [*args, "--tensor-parallel-size", "2", "--enable-prefix-caching", "--served-model-name", "guard"],
        "ports": [{"containerPort": 8000, "name": "http", "protocol": "TCP"}],
        "env": env,
        "resources": {"limits": {"nvidia.com/gpu": "2", "memory": "64Gi"}, "requests": {"cpu": "8", "memory": "64Gi"}},
        "volumeMounts": [{"name": "shm", "mountPath": "/shm"}, {"name": "adapter", "mountPath": "/adapter", "readOnly": True}],
        "readinessProbe": _probe("/health"),
        "livenessProbe": _probe("/health"),
        "startupProbe": _probe("/health"),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True},
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
    }


def _pod_spec() -> dict[str, Any]:
    script = f"hf download acme/draft-1b --revision {_COMMIT} --local-dir /models/draft"
    init = {"name": "fetch", "image": "registry.acme.example/hf:1", "command": ["sh", "-c", script], "resources": {}}
    return {
        "initContainers": [init | {"volumeMounts": [{"name": "models", "mountPath": "/models"}]}],
        "containers": [_server()],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
            {"name": "models", "emptyDir": {}},
            {
                "name": "adapter",
                "image": {"reference": "registry.acme.example/adapter@sha256:" + "cd" * 32, "pullPolicy": "IfNotPresent"},
            },
        ],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "nodeSelector": {"gpu": "h100"},
        "serviceAccountName": "server",
        "schedulerName": "default-scheduler",
        "restartPolicy": "Always",
    }


def deployment() -> dict[str, Any]:
    """A vLLM Deployment as the API server sends it."""
    template = {"metadata": {"labels": {"app": "vllm"}, "creationTimestamp": None}, "spec": _pod_spec()}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "vllm"}},
        "template": template,
        "strategy": {"type": "RollingUpdate"},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata("vllm"), "spec": spec, "status": {}}


def inference_service() -> dict[str, Any]:
    """A KServe InferenceService as the API server sends it."""
    server = _server()
    model = {
        "modelFormat": {"name": "huggingface"},
        "storageUri": f"hf://acme/guard-7b:{_COMMIT}",
        "args": ["--model_name=guard", "--max-model-len=8192"],
        "env": server["env"],
        "resources": server["resources"],
        "readinessProbe": server["readinessProbe"],
        "name": "",
    }
    predictor = {
        "minReplicas": 1,
        "maxReplicas": 4,
        "model": model,
        "tolerations": _pod_spec()["tolerations"],
        "nodeSelector": {"gpu": "h100"},
    }
    status = {
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T06:00:00Z"}],
        "url": "http://guard",
    }
    spec = {"predictor": predictor}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": _metadata("guard"),
        "spec": spec,
        "status": status,
    }


def review(document: dict[str, Any], *, update: bool) -> bytes:
    """An AdmissionReview that brings an object."""
    user = {
        "username": "system:serviceaccount:flux-system:kustomize-controller",
        "groups": ["system:authenticated"],
        "extra": {"k": ["v"]},
    }
    request: dict[str, Any] = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "operation": "UPDATE" if update else "CREATE",
        "name": document["metadata"]["name"],
        "namespace": "team-a",
        "userInfo": user,
        "object": document,
        "oldObject": document if update else None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return json.dumps(
        {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}, separators=(",", ":")
    ).encode()


def _microseconds(pieces: dict[str, Callable[[], object]]) -> dict[str, float]:
    counts = {}
    for name, piece in pieces.items():
        start = time.thread_time_ns()
        for _ in range(20):
            piece()
        counts[name] = max(20, _BATCH_NANOSECONDS // max(1, (time.thread_time_ns() - start) // 20))
    samples: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(_REPEATS):
        names = list(pieces)
        random.shuffle(names)
        for name in names:
            gc.collect()
            piece, count = pieces[name], counts[name]
            start = time.thread_time_ns()
            for _ in range(count):
                piece()
            samples[name].append((time.thread_time_ns() - start) / count / 1000)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> int:
    """Print the ratios."""
    extractor = Extractor(load_tables())
    for name, document, update in (("Deployment", deployment(), False), ("InferenceService", inference_service(), True)):
        body = json.dumps(document, separators=(",", ":")).encode()
        whole = review(document, update=update)
        workload = extractor.extract(body, namespace="team-a")
        found = ", ".join(f"{item.role} {item.reference}" for item in workload.references)
        costs = _microseconds(
            {
                "extract": lambda body=body: extractor.extract(body, namespace="team-a"),  # type: ignore[misc] # bound per round
                "json.loads object": lambda body=body: json.loads(body),  # type: ignore[misc] # bound per round
                "json.loads review": lambda whole=whole: json.loads(whole),  # type: ignore[misc] # bound per round
            }
        )
        print(f"{name}: object {len(body)} bytes, review {len(whole)} bytes; {found}; findings {len(workload.unresolved)}")
        for piece, cost in costs.items():
            print(f"  {piece:<18} {cost:8.1f} us")
        print(f"  extract / json.loads(object) = {costs['extract'] / costs['json.loads object']:.2f}")
        print(f"  extract / json.loads(review) = {costs['extract'] / costs['json.loads review']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
