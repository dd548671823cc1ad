"""The objects of the demo: workloads as an ML engineer writes them, trust as a platform team writes it."""

import json
import uuid
from typing import Any

ENFORCED = "team-a"  # policy production
EVALUATED = "team-b"  # policies production and evaluated
WARNED = "team-w"  # policy trial, which only warns

Object = dict[str, Any]


def deployment(
    model: str, revision: str, *, namespace: str = ENFORCED, extra: tuple[str, ...] = (), env: Object | None = None
) -> Object:
    """A vLLM Deployment that serves ``model`` at ``revision``."""
    container = {
        "name": "vllm",
        "image": "vllm/vllm-openai:v0.11.0",
        "command": ["vllm", "serve"],
        "args": [model, "--revision", revision, "--served-model-name", "guard", *extra],
        "env": [{"name": "HF_ENDPOINT", "value": "https://huggingface.co"}] if env is None else [env],
        "ports": [{"containerPort": 8000}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    labels = {"app": "guard"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "guard", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def inference_service(uri: str, *, namespace: str = ENFORCED) -> Object:
    """A KServe InferenceService with a storage URI."""
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": uri, "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "guard", "namespace": namespace},
        "spec": {"predictor": {"model": model}},
    }


def pod(model: str, revision: str, *, namespace: str = ENFORCED) -> Object:
    """A Pod whose init container downloads the model into a volume that the server reads."""
    mount = [{"name": "models", "mountPath": "/models"}]
    fetch = f"hf download {model} --revision {revision} --local-dir /models/guard"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "guard", "namespace": namespace},
        "spec": {
            "initContainers": [
                {
                    "name": "fetch",
                    "image": "registry.acme.example/hf-cli:1",
                    "command": ["sh", "-c", fetch],
                    "env": [{"name": "HF_ENDPOINT", "value": "https://huggingface.co"}],
                    "volumeMounts": mount,
                }
            ],
            "containers": [
                {"name": "vllm", "image": "vllm/vllm-openai:v0.11.0", "args": ["--model", "/models/guard"], "volumeMounts": mount}
            ],
            "volumes": [{"name": "models", "emptyDir": {}}],
        },
    }


def nameless_pod() -> Object:
    """A Pod that asks for a GPU and names no model that anybody could read."""
    container = {
        "name": "server",
        "image": "registry.acme.example/llm:latest",
        "command": ["sh", "-c", 'vllm serve "$(cat /etc/model-name)"'],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "anything", "namespace": ENFORCED},
        "spec": {"containers": [container]},
    }


def review(obj: Object, *, old: Object | None = None) -> bytes:
    """An AdmissionReview as the API server sends it: CREATE, or UPDATE where there is an old object."""
    group, _, version = obj["apiVersion"].rpartition("/")
    request: Object = {
        "uid": str(uuid.uuid4()),
        "kind": {"group": group, "version": version, "kind": obj["kind"]},
        "resource": {"group": group, "version": version, "resource": f"{obj['kind'].lower()}s"},
        "name": obj["metadata"]["name"],
        "namespace": obj["metadata"]["namespace"],
        "operation": "CREATE" if old is None else "UPDATE",
        "userInfo": {"username": "system:serviceaccount:team-a:deployer", "groups": ["system:authenticated"]},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        "options": None,
    }
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    return json.dumps(body, separators=(",", ":")).encode("utf-8")


def policies() -> list[Object]:
    """Three ModelPolicies: production, evaluated (on top of it), and one that only warns."""
    signed = {
        "type": "Signature",
        "signature": {
            "anyOf": [
                {"purpose": "Author", "signers": [{"name": "acme-research"}]},
                {"purpose": "Approval", "signers": [{"name": "platform-approvals"}]},
            ],
            "minimumAssurance": "SourceDigests",
            "unsignedPaths": ["README.md"],
        },
    }
    sources = {"type": "Sources", "sources": {"allowed": ["hf://acme/*", "hf://community/*"]}}
    requirements: list[Object] = [{"type": "Pinned"}, sources, signed, {"type": "Formats", "formats": {"allowed": ["Safetensors"]}}]
    canary: Object = {
        "type": "Evaluation",
        "evaluation": {"suites": [{"name": "canary"}], "maxAgeSeconds": 3600, "inconclusive": "Deny"},
    }
    return [
        policy("production", [ENFORCED, EVALUATED], requirements),
        policy("evaluated", [EVALUATED], [canary]),
        policy("trial", [WARNED], requirements, mode="Warn"),
    ]


def suite() -> Object:
    """The EvaluationSuite that the policy evaluated names."""
    spec = {
        "probes": {"families": ["DeploymentTag", "Date", "RareToken"]},
        "decision": {"alpha": "0.01", "margin": "0.05"},
        "baseline": {"from": "Lineage"},
        "serving": {"engine": "VLLM", "image": f"registry.acme.example/vllm@sha256:{'5' * 64}"},
    }
    return _ours("EvaluationSuite", "canary", spec)


def policy(name: str, namespaces: list[str], requirements: list[Object], *, mode: str = "Enforce") -> Object:
    """One ModelPolicy over every model in the namespaces."""
    spec = {
        "mode": mode,
        "match": {"namespaces": {"names": namespaces}, "models": ["**"]},
        "contact": "#ml-platform",
        "requirements": requirements,
    }
    return _ours("ModelPolicy", name, spec)


def signer(name: str, purpose: str, pem: str, models: list[str]) -> Object:
    """One TrustedSigner with a public key."""
    return _ours("TrustedSigner", name, {"purposes": [purpose], "publicKey": {"pem": pem}, "scope": {"models": models}})


def revocation(name: str, spec: Object) -> Object:
    """One ModelRevocation."""
    return _ours("ModelRevocation", name, {"action": "DenyNew", **spec})


def _ours(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def namespaces() -> list[Object]:
    """The namespaces of the demo."""
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": {}}} for n in (ENFORCED, EVALUATED, WARNED)]
