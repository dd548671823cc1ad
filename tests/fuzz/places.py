"""Where a launch stands: which container, which Pod, which kind of object; and what stands around it without meaning."""

import copy
import random
from collections.abc import Callable
from typing import Any

from tests.fuzz.launches import Launch, good
from tests.fuzz.world import ENFORCED
from tests.support import reviews

Object = dict[str, Any]


def container(rng: random.Random, launch: Launch) -> Object:
    """The launch as a container; its words are split between command and args."""
    made: Object = {"name": rng.choice(["vllm", "main", "server", "istio-proxy", "kserve-container"]), "image": launch.image}
    words = launch.words
    if words:
        place = len(words) if rng.random() < 0.3 else rng.randrange(1, len(words) + 1)
        made["command"] = words[:place]
        if place < len(words):
            made["args"] = words[place:]
    if launch.env:
        made["env"] = launch.env
    return {**made, **copy.deepcopy(launch.more)}


def pod_spec(rng: random.Random, launch: Launch) -> tuple[Object, str]:
    """A Pod spec that holds the launch somewhere; returns the place, too."""
    spec = base_spec() if rng.random() < 0.5 else {"containers": [container(rng, good())]}
    made = container(rng, launch)
    place, put = rng.choice(_PLACES)
    put(spec, made)
    for key, value in launch.spec.items():
        spec[key] = [*spec.get(key, []), *copy.deepcopy(value)] if isinstance(value, list) else copy.deepcopy(value)
    return spec, place


def base_spec() -> Object:
    """The attested Pod spec of tests/support/reviews.py."""
    return copy.deepcopy(reviews.pod_spec(model="acme/guard-7b", revision=reviews.COMMIT, name="guard"))


def _replace(spec: Object, made: Object) -> None:
    spec["containers"][0] = made


def _append(spec: Object, made: Object) -> None:
    spec["containers"].append({**made, "name": "second"})


def _init(spec: Object, made: Object) -> None:
    spec.setdefault("initContainers", []).append({**made, "name": "first"})


def _sidecar(spec: Object, made: Object) -> None:
    spec.setdefault("initContainers", []).insert(0, {**made, "name": "side", "restartPolicy": "Always"})


def _ephemeral(spec: Object, made: Object) -> None:
    spec["ephemeralContainers"] = [{**made, "name": "debug"}]


def _hook(*keys: str) -> Callable[[Object, Object], None]:
    def put(spec: Object, made: Object) -> None:
        words = made.pop("command", []) + made.pop("args", [])
        if not words:
            spec["containers"].append({**made, "name": "second"})
            return
        server: Object = {"name": "hooked", "image": "registry.acme.example/web@sha256:" + "77" * 32, "command": ["nginx"]}
        server.update({key: value for key, value in made.items() if key not in {"name", "image"}})
        inner = server
        for key in keys:
            inner = inner.setdefault(key, {})
        inner["exec"] = {"command": words}
        spec["containers"].append(server)

    return put


_PLACES: tuple[tuple[str, Callable[[Object, Object], None]], ...] = (
    ("the server", _replace),
    ("the server", _replace),
    ("second container", _append),
    ("init container", _init),
    ("native sidecar", _sidecar),
    ("ephemeral container", _ephemeral),
    ("postStart", _hook("lifecycle", "postStart")),
    ("preStop", _hook("lifecycle", "preStop")),
    ("startupProbe", _hook("startupProbe")),
    ("livenessProbe", _hook("livenessProbe")),
    ("readinessProbe", _hook("readinessProbe")),
)


def _nested(api_version: str, kind: str, *path: str) -> Callable[[Object], Object]:
    def build(spec: Object) -> Object:
        inner: Any = spec
        for key in reversed(path):
            inner = [inner] if key == "[]" else {key: inner}
        return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "guard", "namespace": ENFORCED}, **inner}

    return build


KINDS: tuple[tuple[str, Callable[[Object], Object]], ...] = tuple(
    (kind, _nested(version, kind, *path.split(".")))
    for version, kind, path in (
        ("v1", "Pod", "spec"),
        ("v1", "Pod", "spec"),
        ("apps/v1", "Deployment", "spec.template.spec"),
        ("apps/v1", "StatefulSet", "spec.template.spec"),
        ("apps/v1", "DaemonSet", "spec.template.spec"),
        ("apps/v1", "ReplicaSet", "spec.template.spec"),
        ("v1", "ReplicationController", "spec.template.spec"),
        ("batch/v1", "Job", "spec.template.spec"),
        ("batch/v1", "CronJob", "spec.jobTemplate.spec.template.spec"),
        ("jobset.x-k8s.io/v1alpha2", "JobSet", "spec.replicatedJobs.[].template.spec.template.spec"),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "spec.leaderWorkerTemplate.workerTemplate.spec"),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "spec.leaderWorkerTemplate.leaderTemplate.spec"),
        ("serving.knative.dev/v1", "Service", "spec.template.spec"),
        ("serving.knative.dev/v1", "Revision", "spec"),
        ("argoproj.io/v1alpha1", "Rollout", "spec.template.spec"),
        ("kubeflow.org/v1", "PyTorchJob", "spec.pytorchReplicaSpecs.Worker.template.spec"),
        ("ray.io/v1", "RayCluster", "spec.headGroupSpec.template.spec"),
        ("ray.io/v1", "RayCluster", "spec.workerGroupSpecs.[].template.spec"),
        ("ray.io/v1", "RayService", "spec.rayClusterConfig.headGroupSpec.template.spec"),
        ("grove.io/v1alpha1", "PodCliqueSet", "spec.template.cliques.[].spec.podSpec"),
        ("nvidia.com/v1beta1", "DynamoGraphDeployment", "spec.components.[].podTemplate.spec"),
        ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor"),
        ("serving.kserve.io/v1beta1", "InferenceService", "spec.transformer"),
        ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.workerSpec"),
        ("serving.kserve.io/v1alpha1", "LLMInferenceService", "spec.template"),
        ("serving.kserve.io/v1alpha1", "LLMInferenceService", "spec.prefill.worker"),
        ("machinelearning.seldon.io/v1", "SeldonDeployment", "spec.predictors.[].componentSpecs.[].spec"),
        ("workloads.x-k8s.io/v1alpha1", "RoleBasedGroup", "spec.roles.[].template.spec"),
        ("workloads.x-k8s.io/v1alpha2", "RoleBasedGroup", "spec.roles.[].standalonePattern.templateRef.patch.spec"),
        ("orchestration.aibrix.ai/v1alpha1", "StormService", "spec.template.spec.roles.[].template.spec"),
        ("batch.volcano.sh/v1alpha1", "Job", "spec.tasks.[].template.spec"),
        ("example.com/v1", "Unheard", "spec.deep.er.podThing"),
        ("workload.codeflare.dev/v1beta2", "AppWrapper", "spec.components.[].template.spec.template.spec"),
    )
)

EVIL_FIELDS: tuple[tuple[str, str, str, str], ...] = (  # apiVersion, kind, path, value
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "hf://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "hf://acme/guard-7b"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "hf://acme/guard-7b:main"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "HF://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "s3://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "pvc://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "model-registry://evil/1"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storageUri", "oci://registry.evil.example/model:1"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.sklearn.storageUri", "gs://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.storageUris.[].uri", "hf://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.canary.[].predictor.model.storageUri", "hf://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.explainer.art.storageUri", "s3://evil/model"),
    ("serving.kserve.io/v1beta1", "InferenceService", "spec.predictor.model.storage.path", "evil/model"),
    ("serving.kserve.io/v1alpha1", "TrainedModel", "spec.model.storageUri", "hf://evil/model"),
    ("serving.kserve.io/v1alpha1", "Predictor", "spec.path", "evil/model"),
    ("serving.kserve.io/v1alpha1", "LLMInferenceService", "spec.model.uri", "hf://evil/model"),
    ("serving.kserve.io/v1alpha1", "LLMInferenceService", "spec.model.lora.adapters.[].uri", "hf://evil/model"),
    ("serving.kserve.io/v1alpha1", "LocalModelCache", "spec.sourceModelUri", "hf://evil/model"),
    ("ome.io/v1beta1", "ClusterBaseModel", "spec.storage.storageUri", "hf://evil/model"),
    ("kubeai.org/v1", "Model", "spec.url", "hf://evil/model"),
    ("kubeai.org/v1", "Model", "spec.adapters.[].url", "hf://evil/model"),
    ("model.aibrix.ai/v1alpha1", "ModelAdapter", "spec.artifactURL", "huggingface://evil/model"),
    ("nvidia.com/v1alpha1", "DynamoModel", "spec.source.uri", "hf://evil/model"),
    ("mlops.seldon.io/v1alpha1", "Model", "spec.storageUri", "gs://evil/model"),
    ("machinelearning.seldon.io/v1", "SeldonDeployment", "spec.predictors.[].graph.modelUri", "gs://evil/model"),
    ("machinelearning.seldon.io/v1", "SeldonDeployment", "spec.predictors.[].graph.children.[].modelUri", "gs://evil/model"),
    ("production-stack.vllm.ai/v1alpha1", "VLLMRuntime", "spec.model.modelURL", "evil/model"),
    ("kaito.sh/v1beta1", "Workspace", "inference.preset.name", "evil/model"),
    ("kaito.sh/v1alpha1", "ModelMirror", "spec.source.modelID", "evil/model"),
)


def field_object(rng: random.Random) -> tuple[str, Object]:
    """An object of a kind that names a model in a field of its own; returns a label, too."""
    version, kind, path, value = rng.choice(EVIL_FIELDS)
    inner: Any = value
    for key in reversed(path.split(".")):
        inner = [inner] if key == "[]" else {key: inner}
    return f"{path}: {value}", {"apiVersion": version, "kind": kind, "metadata": {"name": "guard", "namespace": ENFORCED}, **inner}


def annotated(rng: random.Random) -> tuple[str, Object]:
    """A Pod whose annotation makes a controller download [16]."""
    key = rng.choice(
        ["internal.serving.kserve.io/storage-initializer-sourceuri", "internal.serving.kserve.io/localmodel-sourceuri"]
    )
    metadata = {"annotations": {key: "hf://evil/model"}, "labels": {"serving.kserve.io/inferenceservice": "guard"}}
    if rng.random() < 0.5:
        made = reviews.pod()
        made["metadata"].update(metadata)
        return key, made
    made = reviews.deployment()
    made["spec"]["template"]["metadata"].update(metadata)
    return key, made
