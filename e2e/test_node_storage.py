"""KServe's real downloader on a real node, over a real S3 server: only what was attested starts, whatever it fetched.

The whole product is installed by the chart. A bucket has no revisions, so that only the content pins a model (C4): the Pod's
annotation states it, and our init container, which comes after KServe's, compares.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import storage_initializer
from e2e.kserve import ended, load_stand_ins
from e2e.node import ADDRESS, Node
from e2e.origins import files_of, put_objects
from e2e.release import Release, built, fresh_namespace
from e2e.scenes import modeltrust
from e2e.storage_initializer import Place
from e2e.waiting import eventually
from modeltrust.admission.mutate import NAME as VERIFIER
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.domain.digest import ContentDigest
from tests.support.helm import NAMESPACE
from tests.support.s3 import READER, S3, serving_s3

pytestmark = pytest.mark.skipif(
    not os.environ.get("MODELTRUST_NODE"),
    reason="KServe's downloader needs 66 packages that nothing else does: `make node` runs it",
)

Object = dict[str, Any]
HOST = "s3.test"
BUCKET = "models"
SIGNER = "bucket-research"


@pytest.fixture(scope="module")
def release(node: Node) -> Iterator[Release]:
    """The chart with injection."""
    fresh_namespace(node)
    release = Release(node, built(node) | {"webhook.replicas": "2", "worker.replicas": "1", "verifyAtLoad.inject": "true"})
    release.install()
    try:
        release.rolled_out()
        yield release
    finally:
        release.uninstall(check=False)


@pytest.fixture(scope="module")
def server(node: Node, release: Release, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A bucket that Pods reach and a ModelSource names, and KServe's images."""
    assert release.pods()
    storage_initializer.load(node)
    world.model("stand-in", sign=world.author)
    load_stand_ins(node, [world.models / "stand-in"], tmp_path_factory.mktemp("stand-ins"))
    with serving_s3(tmp_path_factory.mktemp("s3"), readable=BUCKET, host=HOST, address=ADDRESS) as server:
        server.client(plain=True).create_bucket(Bucket=BUCKET)
        node.names.hosts[HOST] = ADDRESS
        scope = [f"s3+{server.endpoint}/{BUCKET}/**"]
        node.apply(*_source(server, scope), objects.signer(SIGNER, "Author", world.author.public_pem, scope))
        yield server
    node.kubectl("delete", f"modelsource/{BUCKET}", f"trustedsigner/{SIGNER}")


@pytest.fixture
def space(node: Node, release: Release, server: S3) -> Iterator[str]:
    """A namespace that wants every model verified when it is loaded."""
    name = f"s{uuid.uuid4().hex[:8]}"
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    storage_initializer.prepare(node, name, server)
    signature = {"anyOf": [{"purpose": "Author", "signers": [{"name": SIGNER}]}], "minimumAssurance": "VerifiedAtLoad"}
    node.apply(objects.policy(name, [name], [{"type": "Pinned"}, {"type": "Signature", "signature": signature}]))
    release.enforced(name)
    yield name
    node.kubectl("delete", "modelpolicy", name)
    node.kubectl("delete", "namespace", name, "--wait=false")


def test_what_kserves_downloader_fetched_starts_where_it_is_what_was_attested(
    node: Node, space: str, server: S3, world: World
) -> None:
    place = _put(server, world, "clean-7b")
    _admitted(node, place.pod(space, "clean"))
    running = node.wait_for_pod("clean", "Running", namespace=space)
    assert [init["name"] for init in running["spec"]["initContainers"]] == ["storage-initializer", VERIFIER]
    assert ended(running, VERIFIER)["exitCode"] == 0
    assert f"Successfully copied s3://{place.path}" in node.logs("clean", "--container=storage-initializer", namespace=space)


def test_an_inference_service_knows_no_endpoint_and_is_not_taken_for_the_model_of_this_store(
    node: Node, space: str, server: S3, world: World
) -> None:
    """C1: `s3://` is AWS's, whose bucket of this name is somebody else's; KServe reads the endpoint from a Secret later."""
    place = _put(server, world, "served-7b")
    _admitted(node, place.pod(space, "served"))
    service = objects.inference_service(f"s3://{place.path}", namespace=space)
    service["metadata"]["annotations"] = place.stated
    denied = node.apply(service, check=False)
    assert denied.returncode != 0
    assert f"s3://{place.path} at spec.predictor.model.storageUri" in denied.stderr


def test_c4_an_object_that_was_swapped_after_it_was_attested_never_starts(node: Node, space: str, server: S3, world: World) -> None:
    place = _put(server, world, "swapped-7b")
    _admitted(node, place.pod(space, "before"))
    files = files_of(world.models / "swapped-7b")
    (weights,) = (path for path in files if path.endswith(".safetensors"))
    flipped = files[weights][:-1] + bytes([files[weights][-1] ^ 1])
    put_objects(server.client(plain=True), BUCKET, "swapped-7b", {weights: flipped})
    node.apply(place.pod(space, "swapped"))
    _refused(node, space, "swapped")


def test_objects_under_a_longer_prefix_which_kserves_downloader_takes_along_never_start(
    node: Node, space: str, server: S3, world: World
) -> None:
    """It lists every key that begins with the model's, so who may write `guard-2/` writes into the folder of `guard`, too."""
    place = _put(server, world, "guard")
    _admitted(node, place.pod(space, "before"))
    put_objects(server.client(plain=True), BUCKET, "guard-2", {"modeling_guard.py": b"import os\n"})
    node.apply(place.pod(space, "longer"))
    _refused(node, space, "longer")


def test_a_digest_that_nobody_attested_is_not_admitted(node: Node, space: str, server: S3, world: World) -> None:
    place = _put(server, world, "other-7b")
    other = Place(server, place.path, ContentDigest.parse(f"sha256:{'ab' * 32}"))
    denied = node.apply(other.pod(space, "other"), check=False)
    assert denied.returncode != 0
    assert "AttestationPending" in denied.stderr or "NotAttested" in denied.stderr


def _put(server: S3, world: World, name: str) -> Place:
    """A signed model in the bucket, and what its content is."""
    world.model(name, sign=world.author)
    folder: Path = world.models / name
    put_objects(server.client(plain=True), BUCKET, name, files_of(folder))
    return Place(server, f"{BUCKET}/{name}", ContentDigest.parse(modeltrust("digest", str(folder)).split()[0]))


def _admitted(node: Node, pod: Object) -> None:
    """Ask until its model is attested."""
    said = [""]

    def admitted() -> bool:
        answer = node.apply(pod, check=False)
        said[0] = answer.stderr.partition("  https://")[0]  # without the number of the answer
        return answer.returncode == 0

    eventually(admitted, seconds=60, what="its admission", progress=lambda: said[0])


def _refused(node: Node, space: str, name: str) -> None:
    found: Object = {}

    def over() -> bool:
        found.update(node.get("pod", name, "--namespace", space))
        return bool(ended(found, VERIFIER))

    eventually(over, seconds=60, what="the verifier's end", progress=lambda: node.progress(space))
    assert ended(found, "storage-initializer")["exitCode"] == 0
    assert ended(found, VERIFIER)["exitCode"] == 11
    assert "running" not in found["status"]["containerStatuses"][0]["state"]


def _source(server: S3, scope: list[str]) -> tuple[Object, Object]:
    secret: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bucket", "namespace": NAMESPACE}}
    spec = {"models": scope, "type": "S3", "endpoints": [server.endpoint], "caBundle": server.ca.read_text()}
    source = {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelSource", "metadata": {"name": BUCKET}}
    return (
        secret | {"stringData": {"accessKeyId": READER[0], "secretAccessKey": READER[1]}},
        source | {"spec": {**spec, "allowPrivateAddresses": True, "credentials": {"secretName": "bucket"}}},
    )
