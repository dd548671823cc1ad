"""Kinds: fields that name models, documents inside objects, what a controller supplies."""

from typing import Any

import pytest

from tests.support.workloads import COMMIT, container, env, extract, found, reasons


def _object(version: str, kind: str, spec: Any, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec, **fields}


def _service(**predictor: Any) -> dict[str, Any]:
    return _object("serving.kserve.io/v1beta1", "InferenceService", {"predictor": predictor})


@pytest.mark.parametrize(
    "framework",
    ["model", "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml", "lightgbm", "paddle"],
)
def test_every_framework_of_an_inference_service(framework: str) -> None:
    workload = extract(_service(**{framework: {"storageUri": f"hf://a/b:{COMMIT}"}}))
    assert found(workload) == [f"base hf://a/b@{COMMIT}"]
    assert workload.references[0].locator == f"/spec/predictor/{framework}/storageUri"
    assert workload.references[0].spelling == "kserve"
    assert workload.inference


@pytest.mark.parametrize("component", ["predictor", "transformer", "explainer"])
def test_every_component_counts(component: str) -> None:
    spec = {component: {"containers": [container(env=env(STORAGE_URI="gs://bucket/m"))]}}
    assert found(extract(_object("serving.kserve.io/v1beta1", "InferenceService", spec))) == ["base gs://bucket/m"]


def test_canaries_and_several_uris_count() -> None:
    spec = {"canary": [{"predictor": {"model": {"storageUri": "s3://b/canary"}, "storageUris": [{"uri": "s3://b/more"}]}}]}
    assert found(extract(_object("serving.kserve.io/v1beta1", "InferenceService", spec))) == [
        "base s3://b/canary",
        "base s3://b/more",
    ]


def test_a_store_from_a_secret_has_its_own_scheme() -> None:
    workload = extract(_service(model={"storage": {"key": "minio", "path": "sk", "parameters": {"bucket": "models"}}}))
    assert found(workload) == ["base storage://minio/models/sk"]
    assert workload.references[0].revision.state == "opaque"


def test_arguments_of_a_model_are_options_of_its_server() -> None:
    model = {"storageUri": "hf://a/b", "args": ["--model_dir=/mnt/models", "--trust_remote_code", "--lora-modules", "x=a/l"]}
    workload = extract(_service(model=model))
    assert sorted(found(workload)) == ["adapter hf://a/l", "base hf://a/b"]
    assert reasons(workload) == ["RemoteCode"]


def test_a_model_shares_the_volumes_of_its_component() -> None:
    model = {"args": ["--model_dir=/data/m"], "volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    workload = extract(_service(model=model, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]))
    assert found(workload) == ["base pvc://team/c/m"]


@pytest.mark.parametrize("predictor", [{}, {"model": {"modelFormat": {"name": "huggingface"}}}, {"minReplicas": 1}])
def test_an_inference_service_without_a_model_is_a_finding(predictor: dict[str, Any]) -> None:
    assert reasons(extract(_service(**predictor))) == ["UnresolvedReference"]


def test_the_annotations_of_kserve_act_on_any_pod() -> None:
    annotations = {"internal.serving.kserve.io/storage-initializer-sourceuri": "gs://bucket/m"}
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {"containers": [container()]},
    }
    assert found(extract(document)) == ["base gs://bucket/m"]
    template = {"metadata": {"annotations": annotations}, "spec": {"containers": [container()]}}
    assert found(extract(_object("apps/v1", "Deployment", {"template": template}))) == ["base gs://bucket/m"]
    assert found(extract(_service(annotations=annotations))) == ["base gs://bucket/m"]


SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
STORE = "https://minio.example"


def _initialized(*, uri: str = "s3://b/m", name: str = "storage-initializer", field: str = "initContainers") -> dict[str, Any]:
    """A Pod spec as KServe's Pod webhook leaves it, with the endpoint that a Secret states."""
    mount = {"name": "kserve-provision-location", "mountPath": "/mnt/models"}
    fetch = {"name": name, "image": "kserve/storage-initializer:v1", "args": [uri, "/mnt/models"], "volumeMounts": [mount]}
    fetch["env"] = [{"name": "AWS_ENDPOINT_URL", "value": STORE}]
    server = {"name": "kserve-container", "image": "kserve/huggingfaceserver:v1", "args": ["--model_dir=/mnt/models"]}
    spec: dict[str, Any] = {
        "containers": [{**server, "volumeMounts": [mount]}],
        "volumes": [{"name": mount["name"], "emptyDir": {}}],
    }
    spec[field] = [*spec.get(field, []), fetch]
    return spec


def _annotated(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": {SOURCE: "s3://b/m"}}, "spec": spec}


def test_an_annotation_that_kserve_has_made_a_container_of_says_nothing_beside_it() -> None:
    template = {"metadata": {"annotations": {SOURCE: "s3://b/m"}}, "spec": _initialized()}
    assert found(extract(_annotated(_initialized()))) == [f"base s3+{STORE}/b/m"]
    assert found(extract(_object("apps/v1", "Deployment", {"template": template}))) == [f"base s3+{STORE}/b/m"]


@pytest.mark.parametrize(
    "spec",
    [
        _initialized(uri="s3://b/other"),
        _initialized(name="storage-initializer-2"),
        _initialized(field="containers"),
        _initialized() | {"initContainers": None},
    ],
)
def test_an_annotation_that_no_such_container_shows_is_what_kserve_will_load(spec: dict[str, Any]) -> None:
    assert "base s3://b/m" in found(extract(_annotated(spec)))


def test_an_annotation_of_another_object_than_the_pod_is_shown_by_no_container() -> None:
    document = _object("apps/v1", "Deployment", {"template": {"spec": _initialized()}})
    document["metadata"]["annotations"] = {SOURCE: "s3://b/m"}
    assert found(extract(document)) == [f"base s3+{STORE}/b/m", "base s3://b/m"]


def test_an_annotation_that_chooses_a_store_is_undeclared() -> None:
    annotations = {"internal.serving.kserve.io/storage-spec-param": '{"type": "s3"}'}
    assert "UndeclaredResolver" in reasons(extract(_service(annotations=annotations, model={"storageUri": "s3://b/m"})))


def test_adapters_of_an_llm_inference_service_at_any_depth() -> None:
    spec = {"model": {"uri": f"hf://a/b:{COMMIT}", "name": "x", "lora": {"adapters": [{"name": "l", "uri": "hf://a/l"}]}}}
    workload = extract(_object("serving.kserve.io/v1alpha1", "LLMInferenceService", spec))
    assert found(workload) == [f"base hf://a/b@{COMMIT}", "adapter hf://a/l"]


def test_an_llm_inference_service_of_base_references_alone_is_a_finding() -> None:
    spec = {"baseRefs": [{"name": "base"}]}
    assert reasons(extract(_object("serving.kserve.io/v1alpha2", "LLMInferenceService", spec))) == ["UnresolvedReference"]


def test_kinds_without_pods_are_the_only_gate() -> None:
    workload = extract(_object("serving.kserve.io/v1alpha1", "TrainedModel", {"model": {"storageUri": "s3://b/m"}}))
    assert workload.runtime_loaded
    assert found(workload) == ["base s3://b/m"]


SERVE = """
applications:
- args:
    llm_configs:
    - {model_loading_config: {model_id: a/b}, engine_kwargs: {speculative_config: {model: a/d}, tokenizer: a/t}}
    - {model_loading_config: {model_id: served, model_source: s3://b/m}}
  runtime_env: {env_vars: {SUMMARY_MODEL_ID: a/s}}
"""


@pytest.mark.parametrize(
    ("version", "kind", "spec", "expected"),
    [
        ("kubeai.org/v1", "Model", {"url": "hf://a/b", "adapters": [{"url": "hf://a/l"}]}, ["base hf://a/b", "adapter hf://a/l"]),
        ("kubeai.org/v1", "Model", {"url": "ollama://phi?pull=true"}, ["base oci://registry.ollama.ai/library/phi@latest"]),
        ("kubeai.org/v1", "Model", {"url": "pvc://c/m?model=x"}, ["base pvc://team/c/m"]),
        (
            "apps.nvidia.com/v1alpha1",
            "NIMService",
            {"image": {"repository": "nvcr.io/nim/x", "tag": "1"}},
            ["base oci://nvcr.io/nim/x@1"],
        ),
        (
            "apps.nvidia.com/v1alpha1",
            "NIMCache",
            {"source": {"hf": {"namespace": "a", "modelName": "b", "revision": COMMIT, "endpoint": "https://h.example"}}},
            [f"base hf+https://h.example/a/b@{COMMIT}"],
        ),
        (
            "llmaz.io/v1alpha1",
            "OpenModel",
            {"source": {"modelHub": {"modelID": "a/b", "revision": "main"}}},
            ["base hf://a/b@main"],
        ),
        ("ollama.ayaka.io/v1", "Model", {"image": "phi"}, ["base oci://registry.ollama.ai/library/phi@latest"]),
        ("mlops.seldon.io/v1alpha1", "Model", {"storageUri": "minio:b/m"}, ["base rclone://minio/b/m"]),
        ("nvidia.com/v1alpha1", "DynamoModel", {"source": {"uri": f"hf://a/l@{COMMIT}"}}, [f"adapter hf://a/l@{COMMIT}"]),
        (
            "model.aibrix.ai/v1alpha1",
            "ModelClaim",
            {"artifactURL": "huggingface://a/b", "engineConfig": {"args": {"revision": "x"}}},
            ["base hf://a/b"],
        ),
        (
            "workload.serving.volcano.sh/v1alpha1",
            "ModelBooster",
            {"backend": {"modelURI": "ms://a/b", "workers": [{"config": {"speculative-model": "a/d"}}]}},
            ["base ms://a/b", "draft hf://a/d"],
        ),
        (
            "gmc.opea.io/v1alpha3",
            "GMConnector",
            {"nodes": {"r": {"steps": [{"internalService": {"config": {"MODEL_ID": "a/b"}}}]}}},
            ["base hf://a/b"],
        ),
        (
            "ray.io/v1",
            "RayService",
            {"serveConfigV2": SERVE},
            ["base s3://b/m", "draft hf://a/d", "tokenizer hf://a/t", "base hf://a/b", "base hf://a/s"],
        ),
        ("ray.io/v1", "RayJob", {"entrypoint": "vllm serve a/b"}, ["base hf://a/b"]),
    ],
)
def test_fields_of_other_kinds(version: str, kind: str, spec: dict[str, Any], expected: list[str]) -> None:
    assert sorted(found(extract(_object(version, kind, spec)))) == sorted(expected)


def test_an_object_inside_a_string_is_read() -> None:
    manifest = "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {name: x, command: [vllm, serve, a/b]}\n"
    workload = extract(_object("argoproj.io/v1alpha1", "Workflow", {"templates": [{"resource": {"manifest": manifest}}]}))
    assert found(workload) == ["base hf://a/b"]
    assert "#/spec/containers/0" in workload.references[0].locator


@pytest.mark.parametrize("manifest", ["a: [", "a: 1\na: 2", "x: &a [1]\ny: *a", "- \t{"])
def test_a_document_that_cannot_be_read_is_a_finding(manifest: str) -> None:
    workload = extract(_object("argoproj.io/v1alpha1", "Workflow", {"templates": [{"resource": {"manifest": manifest}}]}))
    assert reasons(workload) == ["UnresolvedReference"]


def test_a_data_set_container_is_no_model() -> None:
    containers = [
        container(name="dataset-initializer", env=env(STORAGE_URI="hf://x/data")),
        container(env=env(STORAGE_URI="hf://a/b")),
    ]
    template = {"spec": {"template": {"spec": {"containers": containers}}}}
    spec = {"template": {"spec": {"replicatedJobs": [{"template": template}]}}}
    assert found(extract(_object("trainer.kubeflow.org/v1alpha1", "ClusterTrainingRuntime", spec))) == ["base hf://a/b"]


@pytest.mark.parametrize(
    "value", [[1], {"containers": [{"name": "x", "image": {"repository": "r"}}]}, {"containers": [{"name": "x", "args": [1]}]}]
)
def test_a_part_of_another_form_is_a_finding_or_nothing(value: Any) -> None:
    workload = extract(_object("example.org/v1", "Thing", {"part": value}))
    assert not workload.references
    assert reasons(workload) in ([], ["UnresolvedReference"])


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "Service", "Namespace", "PersistentVolumeClaim"])
def test_kinds_that_load_nothing_yield_nothing(kind: str) -> None:
    workload = extract({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, "data": {"containers": "x"}})
    assert (workload.references, workload.unresolved, workload.inference) == ((), (), False)


def test_an_object_inside_an_object_keeps_what_its_kind_supplies() -> None:
    inner = _object(
        "serving.kserve.io/v1alpha1", "ServingRuntime", {"containers": [container(command=["vllm", "serve", "/mnt/models"])]}
    )
    template = {"apiVersion": "template.openshift.io/v1", "kind": "Template", "metadata": {"name": "t"}, "objects": [inner]}
    assert not extract(template).unresolved
    assert not extract(inner).unresolved
