"""What an evaluation is made of in the jobs namespace: a runner, and an engine for each model with a Service in front.

All of it belongs to the runner's Job and goes with it. Every Pod is restricted, without token; an engine is given its model by an
init container that compares every byte with what was attested, so that nothing else is evaluated than what may be served (H15).
"""

import base64
from collections.abc import Mapping
from typing import Any

from modeltrust.api.compile.suites import SuiteSettings
from modeltrust.domain import limits
from modeltrust.kube.client import Object

RUNNER, ENGINE, FETCH = "evaluate", "engine", "fetch"
MONITOR = "monitor"
JOB = "modeltrust.dev/job"  # which kind of Job: what NetworkPolicies select by, and what is counted
MONITORED = "modeltrust.dev/monitored"  # namespace that a round may reach, for the NetworkPolicy of that namespace
PORT = 8000
MODEL = "model"  # the name under which an engine serves
LABELS = {"app.kubernetes.io/name": "modeltrust", "app.kubernetes.io/component": "job"}
_FOLDER = "/models/model"
_USER = 65532  # as in our image; engines' images run as root unless told
_PART = "modeltrust.dev/part"
FINGERPRINT = "fingerprint.gz"
_ORDER = {"name": "order", "mountPath": "/order", "readOnly": True}
_CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_POD = {
    "restartPolicy": "Never",
    "serviceAccountName": "modeltrust-job",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "runAsGroup": _USER,
        "fsGroup": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}


def labels(job: str, *, part: str = "") -> dict[str, str]:
    """Of every object of one kind: ``evaluate`` or ``evaluate-engine``; with the part, of one engine's Pod and Service."""
    return {**LABELS, JOB: job} | ({_PART: part} if part else {})


def owned(owner: Object, name: str, marks: Mapping[str, str]) -> dict[str, Any]:
    """The metadata of an object that goes with the runner's Job."""
    reference = {"apiVersion": "batch/v1", "kind": "Job", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {"name": name, "labels": dict(marks), "ownerReferences": [reference]}


def secret(owner: Object, name: str, files: Mapping[str, bytes]) -> Object:
    """A Secret with files."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "immutable": True,
        "metadata": owned(owner, name, labels(RUNNER)),
        "data": {key: base64.b64encode(data).decode("ascii") for key, data in files.items()},
    }


def service(owner: Object, name: str) -> Object:
    """What the runner asks."""
    marks = labels("evaluate-engine", part=name)
    spec = {"selector": marks, "ports": [{"name": "http", "port": PORT, "targetPort": PORT}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": owned(owner, name, marks), "spec": spec}


def runner(name: str, *, image: str, deadline_seconds: int, private: bool, records: bool = False) -> Object:
    """The Job of a runner, suspended: it is released when its engines are ready and its order stands in the Secret of its name.

    Args:
        name: of the Job and of its Secret.
        image: ours, by digest.
        deadline_seconds: of the Job.
        private: whether the operator's prompts lie beside the order.
        records: it records a fingerprint instead of evaluating; engines answer it all the same.
    """
    does = MONITOR if records else RUNNER
    marks = labels(RUNNER)
    pod = _runner(name, does, image, [_ORDER], private=private)
    return _job({"name": name, "labels": marks}, pod, marks, container=does, seconds=deadline_seconds)


def round_of(name: str, *, image: str, deadline_seconds: int, private: bool, fingerprint: str, namespace: str) -> Object:
    """The Job of one round against a live server, suspended likewise.

    Args:
        name: of the Job and of its Secret.
        image: ours, by digest.
        deadline_seconds: of the Job.
        private: whether the operator's prompts lie beside the order.
        fingerprint: name of its Secret.
        namespace: of the Service that is asked.
    """
    marks = labels(MONITOR) | {MONITORED: namespace}
    place = {"name": "fingerprint", "mountPath": "/fingerprint", "readOnly": True}
    pod = _runner(name, MONITOR, image, [_ORDER, place], private=private)
    pod["containers"][0]["args"] += ["--fingerprint", f"/fingerprint/{FINGERPRINT}"]
    pod["volumes"].append({"name": "fingerprint", "secret": {"secretName": fingerprint}})
    return _job({"name": name, "labels": marks}, pod, marks, container=MONITOR, seconds=deadline_seconds)


def _runner(name: str, does: str, image: str, mounts: list[Object], *, private: bool) -> Object:
    container = {
        "name": does,
        "image": image,
        "args": ["job", does, "--order", "/order/order.json"] + (["--prompts", "/order/prompts.json"] if private else []),
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "securityContext": {**_CONFINED, "readOnlyRootFilesystem": True},
        "volumeMounts": mounts,
    }
    return {**_POD, "containers": [container], "volumes": [{"name": "order", "secret": {"secretName": name}}]}


def engine(  # noqa: PLR0913 - what one engine is made of
    owner: Object, name: str, *, settings: SuiteSettings, image: str, digest: str, file: str, max_bytes: int
) -> Object:
    """The Job that serves one model until it is deleted.

    Args:
        owner: the runner's Job.
        name: of the Job, its Secret and its Service.
        settings: engine, image, arguments and placement.
        image: ours, by digest: fetches the model.
        digest: content digest of the model, ``sha256:…``.
        file: of the model that the engine is pointed at, relative; empty for the folder.
        max_bytes: of the model, as its ModelSource says.
    """
    placement = settings.placement
    mount = {"name": "models", "mountPath": "/models"}
    fetch = {
        "name": FETCH,
        "image": image,
        "args": ["job", "fetch", _FOLDER, "--order", "/order/order.json", "--digest", digest],
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {**_CONFINED, "readOnlyRootFilesystem": True},
        "volumeMounts": [mount, _ORDER],
    }
    serve = {
        "name": ENGINE,
        "image": settings.image,
        "args": _arguments(settings, f"{_FOLDER}/{file}" if file else _FOLDER),
        "env": [{"name": key, "value": value} for key, value in sorted(_ENVIRONMENT.items())],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 5, "timeoutSeconds": 5},
        "resources": dict(placement.resources) or {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "16Gi"}},
        "securityContext": dict(_CONFINED),
        "volumeMounts": [{**mount, "readOnly": True}, {"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108 - in a container
    }
    pod: Object = {**_POD, "initContainers": [fetch], "containers": [serve]}
    pod["volumes"] = [
        {"name": "models", "emptyDir": {"sizeLimit": str(max_bytes)}},
        {"name": "scratch", "emptyDir": {"sizeLimit": str(limits.EVALUATION_SCRATCH_BYTES)}},
        {"name": "order", "secret": {"secretName": name}},
    ]
    pod |= {"nodeSelector": dict(placement.node_selector)} if placement.node_selector else {}
    pod |= {"tolerations": [dict(one) for one in placement.tolerations]} if placement.tolerations else {}
    pod |= {"resourceClaims": [dict(one) for one in placement.resource_claims]} if placement.resource_claims else {}
    marks = labels("evaluate-engine", part=name)
    queue = {"kueue.x-k8s.io/queue-name": placement.queue} if placement.queue else {}
    metadata = owned(owner, name, marks | queue)
    seconds = limits.EVALUATION_SECONDS + limits.EVALUATION_START_SECONDS
    job = _job(metadata, pod, marks, container=ENGINE, seconds=seconds)
    job["spec"]["suspend"] = bool(queue)  # Kueue lets it run
    return job


_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HOME": "/tmp",  # noqa: S108 - in a container
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_BATCH_INVARIANT": "1",  # answers must not depend on what else is computed (facts/evals.md, section 6)
    "VLLM_DO_NOT_TRACK": "1",
}


def _arguments(settings: SuiteSettings, path: str) -> list[str]:
    if settings.engine == "LlamaCpp":
        own = ["--model", path, "--host", "0.0.0.0", "--port", str(PORT), "--parallel", "1"]  # noqa: S104 - behind a Service
    else:
        own = [path, "--served-model-name", MODEL, "--host", "0.0.0.0", "--port", str(PORT), "--seed", "0", "--max-logprobs", "20"]  # noqa: S104 - the same
    return [*own, *settings.arguments]


def _job(metadata: Object, pod: Object, marks: Mapping[str, str], *, container: str, seconds: int) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "suspend": True,
            "backoffLimit": limits.JOB_RETRIES,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": limits.JOB_KEPT_SECONDS,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    # a Pod that was evicted says nothing about the model; whatever else ends badly is not tried until it passes
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {"action": "FailJob", "onExitCodes": {"containerName": container, "operator": "NotIn", "values": [0]}},
                ]
            },
            "template": {"metadata": {"labels": dict(marks)}, "spec": pod},
        },
    }
