"""AdmissionReviews as a real API server sends them: compact JSON, managedFields, probes, tolerations, userInfo with extra.

Sizes are those of facts/performance.md: a vLLM Deployment CREATE of about 8 KiB, a KServe InferenceService UPDATE of about
15 KiB with both objects, a Pod as its ReplicaSet makes it.
"""

import copy
import json
from typing import Any

Object = dict[str, Any]

COMMIT = "9f2c41d0a6e1b7c35d8e4f7a90b1c2d3e4f5a6b7"
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
_MANAGERS = ("kubectl-client-side-apply", "kube-controller-manager")
HF_ENDPOINT = {"name": "HF_ENDPOINT", "value": "https://huggingface.co"}


def deployment(*, model: str = "acme/guard-7b", revision: str = COMMIT, namespace: str = "team-a", name: str = "guard") -> Object:
    """A vLLM Deployment, with what an API server and kubectl add to it."""
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "inference", "team": "a"}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": _metadata(name, namespace, labels, fields="f:template"),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {
                "metadata": {
                    "creationTimestamp": None,
                    "labels": labels,
                    "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8000"},
                },
                "spec": pod_spec(model=model, revision=revision, name=name),
            },
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 1800,
        },
        "status": {},
    }


def pod(
    *, model: str = "acme/guard-7b", revision: str = COMMIT, namespace: str = "team-a", name: str = "guard-6d5f7c9b8d-x2k4v"
) -> Object:
    """A Pod as a ReplicaSet creates it."""
    labels = {"app.kubernetes.io/name": "guard", "pod-template-hash": "6d5f7c9b8d", "team": "a"}
    metadata = _metadata(name, namespace, labels, fields="f:containers")
    metadata["generateName"] = "guard-6d5f7c9b8d-"
    metadata["ownerReferences"] = [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "guard-6d5f7c9b8d",
            "uid": "0b0b0b0b-1111-2222-3333-444444444444",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": pod_spec(model=model, revision=revision, name="guard"),
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


def pod_spec(*, model: str, revision: str, name: str) -> Object:
    """A vLLM server with a download container, caches, probes and tolerations."""
    mounts = [{"name": "models", "mountPath": "/models"}, {"name": "shm", "mountPath": "/shm"}]
    return {
        "volumes": [
            {"name": "models", "emptyDir": {"sizeLimit": "64Gi"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
            {
                "name": "adapters",
                "image": {"reference": "registry.acme.example/adapters/guard@sha256:" + "ab" * 32, "pullPolicy": "IfNotPresent"},
            },
            {"name": "config", "configMap": {"name": f"{name}-config", "defaultMode": 420}},
            _token_volume(),
        ],
        "initContainers": [
            {
                "name": "fetch",
                "image": "registry.acme.example/tools/hf-cli@sha256:" + "cd" * 32,
                "command": ["sh", "-c", f"set -eu; hf download {model} --revision {revision} --local-dir /models/guard"],
                "env": [HF_ENDPOINT, _secret("HF_TOKEN", "hf-token", "token")],
                "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
                "volumeMounts": [*mounts, _token_mount()],
                **_container_defaults(),
            }
        ],
        "containers": [_server(model, revision, mounts)],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 120,
        "dnsPolicy": "ClusterFirst",
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        "serviceAccountName": name,
        "serviceAccount": name,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
        ],
        "priority": 0,
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def inference_service(*, uri: str = f"hf://acme/guard-7b:{COMMIT}", namespace: str = "team-a", name: str = "guard") -> Object:
    """A KServe InferenceService with the status that its controller writes."""
    labels = {"app.kubernetes.io/name": name, "team": "a"}
    metadata = _metadata(name, namespace, labels, fields="f:predictor", managers=(*_MANAGERS, "argocd-controller", "manager"))
    metadata["annotations"].update(
        {"serving.kserve.io/deploymentMode": "RawDeployment", "serving.kserve.io/autoscalerClass": "hpa"}
    )
    metadata["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = json.dumps(
        {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": name, "namespace": namespace}}
        | {"spec": {"predictor": {"model": {"storageUri": uri, "env": _environment(), "resources": _resources()}}}}
    )
    metadata["finalizers"] = ["inferenceservice.finalizers"]
    url = f"http://{name}.{namespace}.example.com"
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata,
        "spec": {
            "predictor": {
                "minReplicas": 1,
                "maxReplicas": 4,
                "scaleMetric": "cpu",
                "scaleTarget": 70,
                "serviceAccountName": name,
                "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
                "model": {
                    "modelFormat": {"name": "huggingface"},
                    "name": "",
                    "protocolVersion": "v1",
                    "runtime": "kserve-huggingfaceserver",
                    "storageUri": uri,
                    "args": ["--model_name=guard", "--dtype=bfloat16", "--max-model-len=32768", "--gpu-memory-utilization=0.92"],
                    "env": _environment(),
                    "resources": _resources(),
                    "readinessProbe": _probe("/health", 10),
                    "livenessProbe": _probe("/health", 30),
                },
            },
            "transformer": {
                "containers": [
                    {
                        "name": "kserve-container",
                        "image": "registry.acme.example/transformer@sha256:" + "ef" * 32,
                        "args": ["--predictor_protocol", "v2", "--workers", "4"],
                        "env": [{"name": "LOG_LEVEL", "value": "info"}],
                        "resources": {"limits": {"cpu": "4", "memory": "8Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}},
                    }
                ]
            },
        },
        "status": {
            "address": {"url": f"http://{name}-predictor.{namespace}.svc.cluster.local"},
            "components": {part: {"url": f"{url}/{part}", "latestCreatedRevision": "1"} for part in ("predictor", "transformer")},
            "conditions": [
                {"type": kind, "status": "True", "severity": "Info", "lastTransitionTime": "2026-11-20T10:11:12Z"}
                for kind in ("IngressReady", "PredictorReady", "Ready", "TransformerReady")
            ],
            "modelStatus": {
                "copies": {"failedCopies": 0, "totalCopies": 1},
                "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
                "transitionStatus": "UpToDate",
            },
            "observedGeneration": 3,
            "url": url,
        },
    }


def review(
    obj: Object | None,
    *,
    old: Object | None = None,
    operation: str | None = None,
    sub_resource: str = "",
    dry_run: bool = False,
    uid: str = UID,
) -> bytes:
    """One AdmissionReview, fields in the order in which the API server writes them (uid first).

    Args:
        obj: the object; None for DELETE.
        old: the object before, for UPDATE.
        operation: CREATE or UPDATE by default.
        sub_resource: such as ``ephemeralcontainers``.
        dry_run: as sent for ``--dry-run=server``.
        uid: of the request.
    """
    shown = obj or old or {}
    group, _, version = shown["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": shown["kind"]}
    resource = {"group": group, "version": version, "resource": f"{shown['kind'].lower()}s"}
    doing = operation or ("CREATE" if old is None else "UPDATE")
    options_kind = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}.get(doing, "CreateOptions")
    request: Object = {"uid": uid, "kind": kind, "resource": resource}
    if sub_resource:
        request["subResource"] = sub_resource
    request |= {"requestKind": kind, "requestResource": resource}
    if name := shown["metadata"].get("name"):
        request["name"] = name
    if namespace := shown["metadata"].get("namespace"):
        request["namespace"] = namespace
    request |= {
        "operation": doing,
        "userInfo": _user(),
        "object": obj,
        "oldObject": old,
        "dryRun": dry_run,
        "options": {"kind": options_kind, "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-client-side-apply"},
    }
    return dump({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})


def deployment_create() -> bytes:
    """CREATE of a vLLM Deployment, about 8 KiB."""
    return review(deployment())


def inference_service_update() -> bytes:
    """UPDATE of a KServe InferenceService to another commit, about 15 KiB."""
    old = inference_service()
    new = copy.deepcopy(old)
    new["spec"]["predictor"]["model"]["storageUri"] = "hf://acme/guard-7b:" + "a" * 40
    return review(new, old=old)


def pod_create() -> bytes:
    """CREATE of a Pod by its ReplicaSet."""
    return review(pod())


def dump(value: Any) -> bytes:
    """Compact JSON, as Go writes it; not ASCII-escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _metadata(name: str, namespace: str, labels: Object, *, fields: str, managers: tuple[str, ...] = _MANAGERS) -> Object:
    managed: Object = {
        f"f:{key}": {} for key in ("image", "imagePullPolicy", "name", "resources", "args", "command", "securityContext")
    }
    return {
        "name": name,
        "namespace": namespace,
        "uid": "5c1b2f9e-0d55-4a55-9f0e-2f7d1f4b9f10",
        "resourceVersion": "81234567",
        "generation": 3,
        "creationTimestamp": "2026-11-20T10:11:12Z",
        "labels": labels,
        "annotations": {
            "deployment.kubernetes.io/revision": "3",
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"apiVersion": "apps/v1", "metadata": {"name": name}})
            * 4,
        },
        "managedFields": [
            {
                "manager": manager,
                "operation": "Update",
                "apiVersion": "apps/v1",
                "time": "2026-11-20T10:11:12Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {
                        "f:annotations": {".": {}, "f:deployment.kubernetes.io/revision": {}},
                        "f:labels": {".": {}, "f:team": {}},
                    },
                    "f:spec": {"f:replicas": {}, "f:selector": {}, fields: {'k:{"name":"vllm"}': {".": {}, **managed}}},
                },
            }
            for manager in managers
        ],
    }


def _server(model: str, revision: str, mounts: list[Object]) -> Object:
    return {
        "name": "vllm",
        "image": "registry.acme.example/vllm/vllm-openai@sha256:" + "12" * 32,
        "command": ["vllm", "serve"],
        "args": [
            model,
            "--revision",
            revision,
            "--tokenizer-revision",
            revision,
            "--served-model-name",
            "guard",
            "--tensor-parallel-size",
            "2",
            "--max-model-len",
            "32768",
            "--gpu-memory-utilization",
            "0.92",
            "--enable-prefix-caching",
        ],
        "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
        "env": _environment(),
        "resources": _resources(),
        "volumeMounts": [
            *mounts,
            {"name": "adapters", "readOnly": True, "mountPath": "/adapters"},
            {"name": "config", "mountPath": "/etc/guard"},
            _token_mount(),
        ],
        "livenessProbe": _probe("/health", 30),
        "readinessProbe": _probe("/health", 10),
        "startupProbe": _probe("/health", 600),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "15"]}}},
        **_container_defaults(),
    }


def _environment() -> list[Object]:
    return [
        HF_ENDPOINT,
        _secret("HF_TOKEN", "hf-token", "token"),
        {"name": "HF_HOME", "value": "/models/.cache"},
        {"name": "VLLM_LOGGING_LEVEL", "value": "INFO"},
        {"name": "VLLM_WORKER_MULTIPROC_METHOD", "value": "spawn"},
        {"name": "NCCL_DEBUG", "value": "WARN"},
        {"name": "CUDA_VISIBLE_DEVICES", "value": "0,1"},
        {"name": "OMP_NUM_THREADS", "value": "8"},
        {"name": "TOKENIZERS_PARALLELISM", "value": "false"},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel-collector.observability:4317"},
    ]


def _resources() -> Object:
    return {
        "limits": {"cpu": "16", "memory": "128Gi", "nvidia.com/gpu": "2", "ephemeral-storage": "100Gi"},
        "requests": {"cpu": "8", "memory": "96Gi", "nvidia.com/gpu": "2", "ephemeral-storage": "50Gi"},
    }


def _probe(path: str, seconds: int) -> Object:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "initialDelaySeconds": 5,
        "timeoutSeconds": 5,
        "periodSeconds": seconds,
        "successThreshold": 1,
        "failureThreshold": 6,
    }


def _secret(name: str, secret: str, key: str) -> Object:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _container_defaults() -> Object:
    return {
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
        "securityContext": {
            "capabilities": {"drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
    }


def _token_volume() -> Object:
    return {
        "name": "kube-api-access-7xk2p",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {
                    "downwardAPI": {
                        "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
                    }
                },
            ],
            "defaultMode": 420,
        },
    }


def _token_mount() -> Object:
    return {"name": "kube-api-access-7xk2p", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}


def _user() -> Object:
    return {
        "username": "system:serviceaccount:argocd:argocd-application-controller",
        "uid": "6f9a3b1e-27a4-4f0c-8c1f-9b7f0d3a2c11",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:argocd", "system:authenticated"],
        "extra": {
            "authentication.kubernetes.io/credential-id": ["JTI=5a1c3b0e-79f2-4a0e-93a3-6f2d7a0c8e21"],
            "authentication.kubernetes.io/node-name": ["node-17.acme.example"],
            "authentication.kubernetes.io/pod-name": ["argocd-application-controller-0"],
        },
    }
