"""Paths lead to volumes, volumes to what fills them."""

from typing import Any

import pytest

from modeltrust.domain.image_folders import SYSTEM_FOLDERS
from modeltrust.domain.reference import RevisionState
from modeltrust.policy.requirements import signature
from modeltrust.policy.requirements.signature import may_stay_unsigned
from modeltrust.references import volumes
from modeltrust.references.volumes import is_covered
from tests.support.workloads import COMMIT, container, env, extract, found, pod, reasons

DIGEST = "sha256:" + "cd" * 32
MOUNT = [{"name": "models", "mountPath": "/models"}]


def _serve(path: str, volume: dict[str, Any] | None, *, mounts: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    server = container(command=["vllm", "serve", path], volumeMounts=MOUNT if mounts is None else mounts)
    volumes = [] if volume is None else [{"name": "models", **volume}]
    return pod(server, volumes=volumes, **spec)


def test_an_image_volume_behind_a_path_has_its_role() -> None:
    workload = extract(_serve("/models", {"image": {"reference": f"registry.example/m@{DIGEST}"}}))
    assert found(workload) == [f"base oci://registry.example/m@{DIGEST}"]


IMAGE_VOLUME = {"image": {"reference": f"registry.example/m@{DIGEST}"}}


@pytest.mark.parametrize(
    "path", ["/models", "/models/models", "/models/models/a", "/models/weights.gguf", "/models/m/opt", "/models/optx"]
)
def test_a_path_in_an_image_volume_outside_of_system_folders_is_the_model(path: str) -> None:
    workload = extract(_serve(path, IMAGE_VOLUME))
    assert found(workload) == [f"base oci://registry.example/m@{DIGEST}"]
    assert reasons(workload) == []


@pytest.mark.parametrize("folder", sorted(SYSTEM_FOLDERS))
def test_a_path_in_a_system_folder_of_an_image_volume_is_not_attested(folder: str) -> None:
    # The image's /models is a signed model; what is served lies beside it.
    assert reasons(extract(_serve(f"/models/{folder}/evil", IMAGE_VOLUME))) == ["UnresolvedReference"]
    assert reasons(extract(_serve(f"/models/{folder}", IMAGE_VOLUME))) == ["UnresolvedReference"]


@pytest.mark.parametrize("spelled", ["/models/./usr/evil", "/models//usr/evil", "/models/models/../usr/evil"])
def test_no_spelling_of_a_system_folder_escapes(spelled: str) -> None:
    assert reasons(extract(_serve(spelled, IMAGE_VOLUME))) == ["UnresolvedReference"]


@pytest.mark.parametrize(
    "mount", [{"subPath": "usr"}, {"subPath": "/usr/"}, {"subPath": "./usr"}, {"subPath": "a/../usr"}, {"subPathExpr": "$(FOLDER)"}]
)
def test_a_sub_path_into_a_system_folder_is_not_attested(mount: dict[str, str]) -> None:
    mounts = [{"name": "models", "mountPath": "/models"} | mount]
    assert reasons(extract(_serve("/models", IMAGE_VOLUME, mounts=mounts))) == ["UnresolvedReference"]


def test_a_sub_path_of_the_model_folder_is_the_model() -> None:
    mounts = [{"name": "models", "mountPath": "/mnt/models", "subPath": "models"}]
    assert reasons(extract(_serve("/mnt/models", IMAGE_VOLUME, mounts=mounts))) == []


@pytest.mark.parametrize("name", ["oci", "oci+fetch"])
def test_an_image_that_kserve_unpacks_by_itself_is_not_what_is_attested(name: str) -> None:
    # It knows no whiteouts: what they hide from a container is what it serves.
    initializer = container(name="storage-initializer", image="x", args=[f"{name}://registry.example/m@{DIGEST}", "/mnt/models"])
    assert "UnresolvedReference" in reasons(extract(pod(container(), initContainers=[initializer])))


def test_an_image_volume_of_unknown_use_is_reported() -> None:
    workload = extract(pod(container(), volumes=[{"name": "v", "image": {"reference": "quay.io/crio/artifact:v2"}}]))
    assert found(workload) == ["image oci://quay.io/crio/artifact@v2"]


@pytest.mark.parametrize(
    ("path", "mounts", "expected"),
    [
        ("/models/a", MOUNT, "base pvc://team/claim/a"),
        ("/models/./x/../a", MOUNT, "base pvc://team/claim/a"),
        ("/models//a/", MOUNT, "base pvc://team/claim/a"),
        ("/models", [{"name": "models", "mountPath": "/models/", "subPath": "s"}], "base pvc://team/claim/s"),
        ("/m/n/a", [{"name": "other", "mountPath": "/m"}, {"name": "models", "mountPath": "/m/n"}], "base pvc://team/claim/a"),
    ],
)
def test_a_claim_is_named_with_namespace_and_path(path: str, mounts: list[dict[str, Any]], expected: str) -> None:
    assert found(extract(_serve(path, {"persistentVolumeClaim": {"claimName": "claim"}}, mounts=mounts))) == [expected]


def test_a_computed_sub_path_is_opaque() -> None:
    mounts = [{"name": "models", "mountPath": "/models", "subPathExpr": "$(POD)"}]
    assert reasons(extract(_serve("/models", {"persistentVolumeClaim": {"claimName": "c"}}, mounts=mounts))) == ["OpaqueSource"]


@pytest.mark.parametrize(
    "volume",
    [{"hostPath": {"path": "/m"}}, {"nfs": {"server": "s", "path": "/m"}}, {"csi": {"driver": "csi.juicefs.com"}}],
)
def test_node_paths_and_unknown_drivers_are_opaque(volume: dict[str, Any]) -> None:
    assert reasons(extract(_serve("/models", volume))) == ["OpaqueSource"]


@pytest.mark.parametrize("volume", [{"emptyDir": {}}, {"configMap": {"name": "c"}}, {"ephemeral": {}}])
def test_a_volume_that_nobody_fills_is_a_finding(volume: dict[str, Any]) -> None:
    assert reasons(extract(_serve("/models", volume))) == ["UnresolvedReference"]


def test_a_path_in_no_volume_is_a_finding() -> None:
    assert reasons(extract(_serve("/opt/model", {"emptyDir": {}}))) == ["UnresolvedReference"]
    assert reasons(extract(_serve("/models", None))) == ["OpaqueSource"]


@pytest.mark.parametrize("path", ["/models/a", "/models"])
def test_a_download_into_the_volume_answers_the_path(path: str) -> None:
    command = ["sh", "-c", f"hf download a/b --revision {COMMIT} --local-dir /data/a"]
    init = container(command=command, volumeMounts=[{"name": "models", "mountPath": "/data"}])
    workload = extract(_serve(path, {"emptyDir": {}}, initContainers=[init]))
    assert found(workload) == [f"base hf://a/b@{COMMIT}"]
    assert not workload.unresolved


def test_a_download_elsewhere_does_not_answer_the_path() -> None:
    init = container(
        command=["hf", "download", "a/b", "--local-dir", "/data/x"], volumeMounts=[{"name": "models", "mountPath": "/data"}]
    )
    assert reasons(extract(_serve("/models/a", {"emptyDir": {}}, initContainers=[init]))) == ["UnresolvedReference"]


def test_a_storage_initializer_fills_its_destination() -> None:
    mounts = [{"name": "models", "mountPath": "/mnt/models"}]
    init = {"name": "storage-initializer", "image": "x", "args": [f"hf://a/b:{COMMIT}", "/mnt/models"], "volumeMounts": mounts}
    workload = extract(_serve("/mnt/models", {"emptyDir": {}}, mounts=mounts, initContainers=[init]))
    assert found(workload) == [f"base hf://a/b@{COMMIT}"]
    assert not workload.unresolved


@pytest.mark.parametrize(
    ("attributes", "state", "expected"),
    [
        ({"sourceId": "a/b"}, RevisionState.LIVE, "hf://a/b"),
        ({"sourceId": "a/b", "revision": "main"}, RevisionState.LIVE, "hf://a/b"),
        ({"sourceId": "a/b", "revision": COMMIT}, RevisionState.COMMIT, "hf://a/b"),
        (
            {"sourceId": "a/b", "sourceType": "repo", "hubEndpoint": "https://h.example"},
            RevisionState.LIVE,
            "hf+https://h.example/a/b",
        ),
    ],
)
def test_a_hub_volume_is_live_unless_pinned(attributes: dict[str, str], state: RevisionState, expected: str) -> None:
    volume = {"csi": {"driver": "hf.csi.huggingface.co", "volumeAttributes": attributes}}
    for document in (_serve("/models", volume), pod(container(), volumes=[{"name": "v", **volume}])):
        reference = extract(document).references[0]
        assert (reference.role, str(reference.reference), reference.revision.state) == ("base", expected, state)


@pytest.mark.parametrize("attributes", [{"sourceType": "bucket", "sourceId": "a/b"}, {"sourceId": "/x"}, {}, {"sourceId": "a b"}])
def test_a_hub_volume_without_a_repository_is_opaque(attributes: dict[str, str]) -> None:
    volume = {"csi": {"driver": "hf.csi.huggingface.co", "volumeAttributes": attributes}}
    assert reasons(extract(_serve("/models", volume))) == ["OpaqueSource"]


def test_model_drivers_are_references_on_persistent_volumes_too() -> None:
    source = {"csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": {"bucketName": "bucket"}}}
    workload = extract({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"}, "spec": source})
    assert found(workload) == ["base gs://bucket"]
    assert workload.runtime_loaded
    assert workload.namespace == ""


@pytest.mark.parametrize(
    ("mount", "variables"),
    [
        ("/root/.cache/huggingface", {}),
        ("/root/.cache", {}),
        ("/cache", {"HF_HOME": "/cache"}),
        ("/cache", {"HF_HUB_CACHE": "/cache/hub"}),
        ("/app/a", {}),
        ("/app/a/b", {}),
    ],
)
def test_26_a_cache_that_others_can_fill_is_opaque(mount: str, variables: dict[str, str]) -> None:
    server = container(command=["vllm", "serve", "a/b"], env=env(**variables), volumeMounts=[{"name": "c", "mountPath": mount}])
    for volume in ({"persistentVolumeClaim": {"claimName": "c"}}, {"hostPath": {"path": "/c"}}):
        assert reasons(extract(pod(server, volumes=[{"name": "c", **volume}]))) == ["OpaqueSource"]
    assert not reasons(extract(pod(server, volumes=[{"name": "c", "emptyDir": {}}])))


def test_a_volume_beside_the_model_is_nobodys_business() -> None:
    server = container(command=["vllm", "serve", "a/b"], volumeMounts=[{"name": "c", "mountPath": "/logs"}])
    assert not reasons(extract(pod(server, volumes=[{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}])))
    plain = container(image="nginx", volumeMounts=[{"name": "c", "mountPath": "/data"}])
    assert not extract(pod(plain, volumes=[{"name": "c", "hostPath": {"path": "/"}}])).unresolved


def test_an_image_volume_that_is_no_image_is_a_finding() -> None:
    assert reasons(extract(pod(container(), volumes=[{"name": "v", "image": {"reference": "UPPER/x"}}]))) == ["UnresolvedReference"]


def test_a_claim_without_a_namespace_is_opaque() -> None:
    document = _serve("/models/a", {"persistentVolumeClaim": {"claimName": "claim"}})
    assert reasons(extract(document, namespace="")) == ["OpaqueSource"]


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "LICENSE",
        "figures/x.PNG",
        "evil.sig",
        ".gitattributes",
        ".cache/huggingface/download/evil.lock",
        ".cache/huggingface/download/a/evil.metadata",
    ],
)
@pytest.mark.parametrize("image", [True, False])
def test_a_file_that_no_signature_covers_is_no_part_of_the_model_that_is_signed(path: str, image: bool) -> None:  # noqa: FBT001 - a table
    # Anybody may propose a commit that adds it; the signature of the others still verifies (attack H6).
    download = ["hf", "download", "acme/guard", "--revision", COMMIT, "--local-dir", "/models"]
    server = container(command=["llama-server", "--model", f"/models/{path}"], volumeMounts=MOUNT)
    if image:
        workload = extract(pod(server, volumes=[{"name": "models", "image": {"reference": f"registry.example/m@{DIGEST}"}}]))
    else:
        fill = container(name="fill", command=download, volumeMounts=MOUNT)
        workload = extract(pod(server, volumes=[{"name": "models", "emptyDir": {}}], initContainers=[fill]))
    assert reasons(workload) == ["UnresolvedReference"]
    assert len(found(workload)) == 1


@pytest.mark.parametrize(
    "name", ["README.md", "LICENSE", "NOTICE.txt", "a.rst", "a.pdf", "a.png", "a.jpg", "a.JPEG", "a.gif", "a.webp", "a.svg"]
)
def test_what_a_policy_may_leave_unsigned_is_never_taken_for_a_signed_file(name: str) -> None:
    assert may_stay_unsigned(f"docs/{name}")
    assert not is_covered(f"/models/docs/{name}")


def test_every_suffix_that_may_stay_unsigned_is_known_here() -> None:
    assert set(signature._UNSIGNED_SUFFIXES) == set(volumes._DOCUMENT_SUFFIXES)
    assert signature._UNSIGNED_NAMES == volumes._DOCUMENT_NAMES
    assert is_covered("/models/model.safetensors")
    assert is_covered("/models")


def test_of_two_volumes_of_one_name_both_are_reported() -> None:
    images = [{"name": "models", "image": {"reference": f"registry.example/{name}@{DIGEST}"}} for name in "ab"]
    workload = extract(_serve("/models", None) | {"spec": _serve("/models", None)["spec"] | {"volumes": images}})
    assert found(workload) == [f"base oci://registry.example/a@{DIGEST}", f"image oci://registry.example/b@{DIGEST}"]
