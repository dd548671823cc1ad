"""Verify-at-load on real Pods: the right bytes start, no others do, and nothing changes them afterwards.

The downloader and the server are stand-ins under the names of KServe's images, since no hub is reachable here: the downloader
copies what "the hub" serves out of its own image. Containers, kubelet, admission and our verifier are real.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import images
from e2e.conftest import ACCOUNT, permissions
from e2e.kserve import DOWNLOADER, SERVER, TAMPERED, ended, load_stand_ins, serving_deployment, serving_pod
from e2e.node import Node, only_asked
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess, attach
from modeltrust.admission.mutate import NAME
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import AUDIENCE, World
from modeltrust.domain.reference import Identity

pytestmark = only_asked

Object = dict[str, Any]
SPACE, RESTRICTED = "loading", "loading-restricted"


@pytest.fixture(scope="module")
def verifier(node: Node) -> str:
    """The verifier's image by digest, imported: what `make image` built where it did, else a stand-in."""
    built, name = os.environ.get("MODELTRUST_IMAGE", ""), "modeltrust.test/modeltrust:1"
    if built and Path(built).exists():
        return node.containers.load(Path(built), name, images.digest_of(Path(built)))
    archive = node.folder / "verifier.tar"
    return node.containers.load(archive, name, images.verifier(archive, name))


@pytest.fixture(scope="module")
def guard(world: World) -> Identity:
    """A signed model."""
    return world.model("loaded-7b", sign=world.author)


@pytest.fixture(scope="module")
def later(world: World) -> Identity:
    """Another one, which nobody has attested when the tests begin."""
    return world.model("later-7b", sign=world.author)


@pytest.fixture(scope="module")
def hub(node: Node, world: World, guard: Identity, later: Identity, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The downloaders and the server, imported."""
    folders = [world.models / identity.reference.path.rpartition("/")[2] for identity in (guard, later)]
    load_stand_ins(node, folders, tmp_path_factory.mktemp("stand-ins"))


@pytest.fixture(scope="module")
def webhook(
    node: Node, world: World, guard: Identity, hub: None, verifier: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebhookProcess]:
    """Both webhooks, asked by the node's API server; one policy that demands VerifiedAtLoad in one namespace."""
    del hub
    world.attest(guard)
    levels = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name, labels in ((SPACE, {}), (RESTRICTED, levels)):
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    node.apply(*permissions())
    node.kubectl("apply", "-f", str(world.trust / "signers.yaml"), "-f", str(world.trust / "attestations" / "loaded-7b.yaml"))
    signature = {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme-research"}]}], "minimumAssurance": "VerifiedAtLoad"}
    node.apply(objects.policy("at-load", [SPACE, RESTRICTED], [{"type": "Pinned"}, {"type": "Signature", "signature": signature}]))
    folder = tmp_path_factory.mktemp("webhook")
    shutil.copy(world.trust / "attestors.yaml", folder)
    process = WebhookProcess(folder, node.kubeconfig(ACCOUNT), ("--inject-image", verifier))
    process.start()
    try:
        process.wait_until_ready()
        attach(node, process)
        node.apply(process.mutating_configuration())
        eventually(lambda: _asks(node, process), what="the API server asking to mutate")
        yield process
    finally:
        node.kubectl("delete", "validatingwebhookconfiguration,mutatingwebhookconfiguration", "modeltrust", check=False)
        process.stop()
        node.kubectl("delete", "namespace", SPACE, RESTRICTED, "--wait=false")  # some of its Pods are tried again for ever
        node.kubectl("delete", "modelpolicy", "at-load")


@pytest.fixture
def name() -> str:
    return f"l{uuid.uuid4().hex[:8]}"


def test_the_attested_bytes_start(node: Node, webhook: WebhookProcess, guard: Identity, name: str) -> None:
    node.apply(_pod(name, guard))
    running = node.wait_for_pod(name, "Running", namespace=SPACE)
    assert [init["name"] for init in running["spec"]["initContainers"]] == ["storage-initializer", NAME]
    assert ended(running, NAME)["exitCode"] == 0
    last = json.loads(node.logs(name, "--container", NAME, namespace=SPACE).splitlines()[-1])
    assert (last["event"], last["files"] > 0) == ("same", True)
    eventually(lambda: webhook.metric("modeltrust_mutations_total", 'outcome="patched"') >= 1, what="the count")


@pytest.mark.usefixtures("webhook")
def test_where_pods_are_restricted_what_is_added_to_them_is_too(node: Node, guard: Identity, name: str) -> None:
    document = serving_pod(RESTRICTED, name, guard)
    refused = node.apply(document, check=False, flags=("--dry-run=server",)).stderr
    assert 'violates PodSecurity "restricted' in refused
    assert NAME not in refused  # it names containers of the author's alone
    spec = document["spec"]
    spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in (*spec["initContainers"], *spec["containers"]):
        container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    node.apply(document)
    running = node.wait_for_pod(name, "Running", namespace=RESTRICTED)
    assert ended(running, NAME)["exitCode"] == 0


@pytest.mark.usefixtures("webhook")
def test_h13_other_bytes_than_the_attested_never_start(node: Node, guard: Identity, name: str) -> None:
    node.apply(_pod(name, guard, downloader=TAMPERED))
    failed: Object = {}

    def refused() -> bool:
        failed.update(node.get("pod", name, "--namespace", SPACE))
        return bool(ended(failed, NAME))

    eventually(refused, seconds=60, what="the verifier's end", progress=lambda: node.progress(SPACE))
    assert ended(failed, NAME)["exitCode"] == 11
    assert '"event": "different"' in ended(failed, NAME)["message"]
    assert "running" not in failed["status"]["containerStatuses"][0]["state"]
    assert failed["status"]["containerStatuses"][0]["restartCount"] == 0


@pytest.mark.usefixtures("webhook")
def test_c2_the_verifiers_image_cannot_be_swapped_after_admission(node: Node, guard: Identity, name: str) -> None:
    node.apply(_pod(name, guard, downloader=TAMPERED))
    change = {"spec": {"initContainers": [{"name": NAME, "image": DOWNLOADER}]}}
    swapped = node.kubectl("patch", "pod", name, "--namespace", SPACE, "--patch", json.dumps(change), check=False)
    assert swapped.returncode != 0
    assert f"init container {NAME} is not the one that modeltrust adds" in swapped.stderr
    harmless = node.kubectl("label", "pod", name, "--namespace", SPACE, "team=a", check=False)
    assert harmless.returncode == 0, harmless.stderr


@pytest.mark.usefixtures("webhook")
def test_f93_a_container_of_our_name_with_other_content_is_denied(node: Node, guard: Identity, name: str) -> None:
    document = _pod(name, guard, downloader=TAMPERED)
    document["spec"]["initContainers"].append({"name": NAME, "image": SERVER, "command": ["true"]})
    denied = node.apply(document, check=False)
    assert denied.returncode != 0
    assert "AssuranceTooLow" in denied.stderr


@pytest.mark.usefixtures("webhook")
def test_h12_a_server_that_rewrites_its_model_and_restarts_serves_the_same_bytes(
    node: Node, world: World, guard: Identity, name: str
) -> None:
    document = _pod(name, guard)
    server = document["spec"]["containers"][0]
    server["env"] = [{"name": "ATTACK", "value": "1"}]
    server["terminationMessagePolicy"] = "FallbackToLogsOnError"  # what each run said stands in the status, however long ago
    server["volumeMounts"][0].pop("readOnly")  # mutate puts it back
    node.apply(document)
    said: set[str] = set()

    def attacked() -> bool:
        again, last = _ended(node, name)
        said.add(last)
        return again >= 2  # so that one run at least came after an attack

    eventually(attacked, seconds=60, what="two restarts", progress=lambda: node.progress(SPACE))
    digest = hashlib.sha256((world.models / "loaded-7b" / "config.json").read_bytes()).hexdigest()
    for run in said - {""}:
        for part in (f"serving {digest} /mnt/models/config.json", "Read-only file system", "refused"):
            assert part in run


def test_h12_a_server_that_may_write_is_denied_where_nothing_mutates(
    node: Node, webhook: WebhookProcess, guard: Identity, name: str
) -> None:
    document = _pod(name, guard)
    document["spec"]["containers"][0]["volumeMounts"][0]["readOnly"] = False
    node.kubectl("delete", "mutatingwebhookconfiguration", "modeltrust")
    try:
        eventually(lambda: node.apply(document, check=False, flags=("--dry-run=server",)).returncode != 0, what="a denial")
        denied = node.apply(document, check=False).stderr
        assert "is not verified when it is loaded" in denied
    finally:
        node.apply(webhook.mutating_configuration())
        eventually(lambda: _asks(node, webhook), what="the API server asking to mutate")


@pytest.mark.usefixtures("webhook")
def test_a_job_runs_on_verified_bytes(node: Node, guard: Identity, name: str) -> None:
    spec = _pod(name, guard)["spec"]
    spec["containers"][0]["command"] = ["sh", "-c", "test -s /mnt/models/config.json"]
    template = {"spec": {**spec, "restartPolicy": "Never"}}
    job: Object = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": SPACE}}
    node.apply(job | {"spec": {"template": template}})
    node.wait_for_job(name, namespace=SPACE)


def test_a_deployment_whose_model_is_not_attested_yet_becomes_ready_by_itself(
    node: Node, webhook: WebhookProcess, world: World, later: Identity, name: str
) -> None:
    _mode(node, "Audit")
    deployment = serving_deployment(SPACE, name, later, replicas=0)
    eventually(lambda: node.apply(deployment, check=False).returncode == 0, what="a Deployment from before enforcement")
    _mode(node, "Enforce")
    eventually(lambda: "AttestationPending" in node.apply(_pod(f"{name}-x", later), check=False).stderr, what="enforcement")
    node.kubectl("scale", f"deployment/{name}", "--namespace", SPACE, "--replicas=1")
    eventually(lambda: _waits(webhook, name), seconds=60, what="a controller that is told to wait")
    asked = [line["wanted"] for line in webhook.log() if line.get("wanted")]
    assert [later.key] in asked
    node.kubectl("apply", "-f", "-", stdin=_attest(world, later))
    node.wait_for_rollout(name, namespace=SPACE)


def _attest(world: World, identity: Identity) -> str:
    """What `modeltrust attest` prints: a ModelAttestation with the statement as evidence."""
    folder = world.models / identity.reference.path.rpartition("/")[2]
    flags = ("--model", identity.key, "--trust", str(world.trust), "--key", str(world.attestor.path), "--audience", AUDIENCE)
    command = [sys.executable, "-m", "modeltrust", "attest", str(folder), *flags]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert yaml.safe_load(printed)["spec"]["evidence"]
    return printed


def _mode(node: Node, mode: str) -> None:
    node.kubectl("patch", "modelpolicy", "at-load", "--type=merge", "--patch", json.dumps({"spec": {"mode": mode}}))


def _pod(name: str, identity: Identity, *, downloader: str = DOWNLOADER) -> Object:
    return serving_pod(SPACE, name, identity, downloader=downloader)


def _ended(node: Node, name: str) -> tuple[int, str]:
    """How often a Pod's server was started again, and what its last run that is over said."""
    for status in node.get("pod", name, "--namespace", SPACE)["status"].get("containerStatuses", []):
        for state in (status["state"], status.get("lastState", {})):
            if "terminated" in state:
                return status["restartCount"], state["terminated"].get("message", "")
    return 0, ""


def _waits(webhook: WebhookProcess, name: str) -> bool:
    """Whether a controller was told to wait: at the ReplicaSet, whose change says so in no event, or at the Pod."""
    told = [line for line in webhook.log() if line.get("outcome") == "pending" and line["kind"] in {"ReplicaSet", "Pod"}]
    return any(line["name"].startswith(f"{name}-") and not line["name"].endswith("-x") for line in told)


def _asks(node: Node, webhook: WebhookProcess) -> bool:
    before = webhook.metric("modeltrust_mutations_total")
    probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": "default"}}
    node.apply(probe | {"spec": {"containers": [{"name": "probe", "image": "probe"}]}}, check=False, flags=("--dry-run=server",))
    return webhook.metric("modeltrust_mutations_total") > before
