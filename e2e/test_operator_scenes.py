"""What becomes of models of all kinds, from the source to the denial, with real processes at a real API server (issue 5).

Not shown here, because no kubelet runs: Jobs that read every byte (the worker reads weights' digests from its source), and an S3
model in a Pod, whose digest counts only where the Pod carries the verifier (attack C4; e2e/test_node_load.py shows that).
"""

import contextlib
import itertools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.control_plane import ControlPlane, free_port
from e2e.operator import ACCOUNT, NAMESPACE, OperatorProcess, believe, install, leading
from e2e.origins import HubOrigin, RegistryOrigin, files_of, put_objects, serving_registry
from e2e.revoking import Asking, rounds
from e2e.scenes import SECONDS, Scene, modeltrust, ours, policy
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.api.attestations import attestation, attestation_name
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World, flip_one_byte
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.reference import Identity, model_reference, parse_identity
from tests.support import tools
from tests.support.certificates import URI, authority, leaf
from tests.support.hub import error
from tests.support.oms import private_pem
from tests.support.s3 import READER, serving_s3
from tests.support.worker import RunningWorker

Object = dict[str, Any]
QUIET_SECONDS = 10  # of the issue, on a quiet machine; on a busy one as much more as it is busier
REVOKED_SECONDS = 5


@pytest.fixture(scope="module")
def scene(
    plane: ControlPlane, world: World, webhook: WebhookProcess, hub: HubOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Scene:
    install(plane)
    believe(plane, world)
    team = f"x{uuid.uuid4().hex[:8]}"
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": team}})
    plane.apply(
        ours("ModelSource", team, hub.source("acme", "other", "renamed", "community")),
        objects.signer(team, "Author", world.author.public_pem, [hub.scope("acme")]),
        objects.signer(f"{team}-approvals", "Approval", world.approver.public_pem, [hub.scope("community")]),
        policy(team, [hub.scope("*")], team, f"{team}-late", f"{team}-certificate"),
    )
    assert webhook.ready()
    return Scene(plane, hub, world, tmp_path_factory.mktemp("models"), team)


@pytest.fixture(scope="module", autouse=True)
def operator(
    scene: Scene, worker: RunningWorker, webhook: WebhookProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    process = OperatorProcess(tmp_path_factory.mktemp("operator"), scene.plane.kubeconfig(ACCOUNT), worker)
    with leading(process, scene.plane, webhook):
        yield process


@pytest.fixture
def revoking(scene: Scene) -> Iterator[Callable[[Object], None]]:
    """Creates ModelRevocations that end with the test."""
    made: list[str] = []

    def revoke(spec: Object) -> None:
        made.append(f"r{uuid.uuid4().hex[:8]}")
        scene.plane.apply(objects.revocation(made[-1], {"reason": "a scene", **spec}))

    yield revoke
    for name in made:
        scene.plane.kubectl("delete", "modelrevocation", name)


def test_signed_is_admitted_within_ten_seconds_of_the_request(scene: Scene) -> None:
    model = scene.model(key=scene.world.author.path)
    workload = scene.workload(model)
    assert "[AttestationPending]" in scene.ask(workload)  # which is the request
    seconds = scene.admitted(workload)
    print(f"hub: admitted {seconds:.1f} s after it was asked for")  # noqa: T201 - the figure of the issue
    assert seconds <= QUIET_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert "SourceDigests" in scene.becomes(model, "Resolved", "True", "Resolved")
    assert scene.team in scene.becomes(model, "SignatureVerified", "True", "Trusted")


def test_unsigned_is_denied(scene: Scene) -> None:
    model = scene.model(key=None)
    workload = scene.workload(model)
    scene.ask(workload)
    scene.denied(workload, "Unsigned")
    scene.becomes(model, "SignatureVerified", "False", "Unsigned")


def test_a_strangers_signature_is_denied(scene: Scene) -> None:
    model = scene.model(key=scene.world.stranger.path)
    workload = scene.workload(model)
    scene.ask(workload)
    scene.denied(workload, "SignerNotTrusted")
    scene.becomes(model, "SignatureVerified", "False", "SignerNotTrusted")


def test_a_signer_counts_in_its_scope_alone(scene: Scene) -> None:
    model = scene.model(key=scene.world.author.path, owner="other")
    workload = scene.workload(model)
    scene.ask(workload)
    scene.denied(workload, "SignerOutOfScope")
    scene.becomes(model, "SignatureVerified", "False", "SignerOutOfScope")


def test_a_byte_changed_after_signing_is_denied(scene: Scene) -> None:
    model = scene.model(key=scene.world.author.path, after=flip_one_byte)
    workload = scene.workload(model)
    scene.ask(workload)
    scene.denied(workload, "SignatureInvalid")
    scene.becomes(model, "SignatureVerified", "False", "SignatureInvalid")


def test_a_signer_whose_validity_is_over_is_denied_until_it_is_extended(scene: Scene) -> None:
    key, signer = scene.world.attestor, f"{scene.team}-late"  # a key that no other signer of these models has
    made = objects.signer(signer, "Author", key.public_pem, [scene.hub.scope("acme")])
    over = {**made, "spec": {**made["spec"], "validity": {"notAfter": "2025-01-01T00:00:00Z"}}}
    scene.plane.apply(over)
    model = scene.model(key=key.path)
    workload = scene.workload(model)
    scene.ask(workload)
    scene.denied(workload, "SignerExpired")
    scene.becomes(model, "SignatureVerified", "False", "SignerExpired")
    scene.plane.apply(made | {"spec": {**made["spec"], "validity": {"notAfter": "2040-01-01T00:00:00Z"}}})
    assert scene.admitted(workload, seconds=REVOKED_SECONDS) <= REVOKED_SECONDS  # nothing is verified again


@pytest.mark.parametrize(("days", "reason"), [(1, ""), (-1, "SignerExpired")], ids=["valid", "expired"])
def test_a_certificate_counts_until_it_ends(scene: Scene, days: int, reason: str) -> None:
    from model_signing import signing  # noqa: PLC0415 - half a second, and it wants pyOpenSSL

    now = int(time.time())
    root = authority("root", start=now - 90 * 86_400, end=now + 90 * 86_400)
    mine = leaf(root, start=now - 30 * 86_400, end=now + days * 86_400)
    folder = scene.make(key=None)
    place = scene.folder / f"{folder.name}-pki"
    place.mkdir()
    for name, data in (("key.pem", private_pem(mine.key)), ("leaf.pem", mine.pem), ("root.pem", root.pem)):
        (place / name).write_bytes(data)
    made: Any = signing.Config()  # type: ignore[no-untyped-call] # the package's annotations are incomplete
    config = made.use_certificate_signer(
        private_key=place / "key.pem", signing_certificate=place / "leaf.pem", certificate_chain=[place / "root.pem"]
    )
    config.sign(folder, folder / "model.sig")
    name = f"{scene.team}-certificate"
    trust = {"roots": root.pem.decode(), "subjectAlternativeName": {"uri": URI}, "validity": "AtVerification"}
    spec = {"purposes": ["Author"], "certificate": trust, "scope": {"models": [scene.hub.scope("acme")]}}
    scene.plane.apply(ours("TrustedSigner", name, spec))
    model = scene.hub.push(folder, f"acme/{folder.name}")
    workload = scene.workload(model)
    scene.ask(workload)
    if reason:
        scene.denied(workload, reason)
        scene.becomes(model, "SignatureVerified", "False", reason)
    else:
        scene.admitted(workload)


def test_a_branch_is_no_pin_and_moving_it_changes_nothing_for_the_commit(scene: Scene) -> None:
    model = scene.model(key=scene.world.author.path)
    pinned = scene.workload(model)
    scene.ask(pinned)
    scene.admitted(pinned)
    scene.denied(scene.workload(model, revision="main"), "UnpinnedReference", seconds=1)
    moved = scene.hub.push(scene.make(key=None), model.reference.path)
    assert moved != model
    assert scene.ask(scene.workload(model), dry=True) == ""
    other = scene.workload(moved)
    scene.ask(other)
    scene.denied(other, "Unsigned")


def test_m10_a_renamed_repository_never_verifies(scene: Scene) -> None:
    model = scene.model(key=scene.world.author.path, owner="renamed")
    scene.hub.hub.renamed[model.reference.path] = f"acme/{model.reference.path.partition('/')[2]}"
    scene.hub.push(scene.folder / model.reference.path.partition("/")[2], scene.hub.hub.renamed[model.reference.path])
    workload = scene.workload(model)
    assert "[AttestationPending]" in scene.ask(workload)
    eventually(lambda: "redirects" in scene.condition(model, "Resolved")[2], seconds=SECONDS, what="its reason in the condition")
    assert scene.condition(model, "Resolved")[:2] == ("Unknown", "AttestationPending")
    assert "[AttestationPending]" in scene.ask(workload)
    assert not scene.plane.get("modelattestation", attestation_name(model))["status"].get("statement")


def test_an_approval_admits_a_model_that_nobody_signed(scene: Scene) -> None:
    folder = scene.make(key=None)
    model = scene.hub.push(folder, f"community/{folder.name}")
    workload = scene.workload(model)
    scene.ask(workload)
    scene.denied(workload, "Unsigned")
    digest = modeltrust("digest", str(folder)).split()[0]
    options = ("--key", str(scene.world.approver.path), "--ticket", "SEC-42", "--expires", "30", "--content-digest", digest)
    approved = yaml.safe_load(modeltrust("approve", model.key, *options))
    approved["metadata"]["name"] = attestation_name(model)  # evidence of the model that was asked for already
    scene.plane.apply(approved)
    print(f"admitted {scene.admitted(workload):.1f} s after its approval")  # noqa: T201 - a figure
    assert "approvals" in scene.becomes(model, "SignatureVerified", "True", "Trusted")


def test_every_revocation_denies_within_five_seconds(scene: Scene, revoking: Callable[[Object], None]) -> None:
    model, beside = scene.model(key=scene.world.author.path), scene.model(key=scene.world.author.path)
    workload, other = scene.workload(model), scene.workload(beside)
    for asked in (workload, other):
        scene.ask(asked)
    for asked in (workload, other):
        scene.admitted(asked)
    content = scene.plane.get("modelattestation", attestation_name(model))["status"]["contentDigest"]
    revocations: dict[str, Object] = {"model": {"models": [model.key]}, "content": {"contentDigests": [content]}}
    for what, spec in revocations.items():
        revoking(spec)
        fresh = scene.workload(model)
        print(f"{what}: denied after {scene.denied(fresh, 'ModelRevoked', seconds=REVOKED_SECONDS):.2f} s")  # noqa: T201
        assert scene.ask(scene.workload(beside), dry=True) == ""
    copy = scene.hub.push(scene.folder / model.reference.path.partition("/")[2], f"acme/copy-{uuid.uuid4().hex[:8]}")
    copied = scene.workload(copy)
    scene.ask(copied)
    scene.denied(copied, "ModelRevoked")  # H9: the same bytes under another name
    revoking({"signers": [{"fingerprint": scene.world.author.fingerprint}]})
    seconds = scene.denied(scene.workload(beside), "ModelRevoked", seconds=REVOKED_SECONDS)
    print(f"key: denied after {seconds:.2f} s")  # noqa: T201 - a figure


def test_a_revocation_reaches_every_replica_within_five_seconds(scene: Scene, webhook: WebhookProcess, tmp_path: Path) -> None:
    model = scene.model(key=scene.world.author.path)
    workload = scene.workload(model)
    scene.ask(workload)
    scene.admitted(workload)
    shutil.copy(webhook.folder / "attestors.yaml", tmp_path)
    second = WebhookProcess(tmp_path, scene.plane.kubeconfig("webhook"))
    with contextlib.ExitStack() as ending:
        ending.callback(second.stop, kill=True)
        second.start()
        second.wait_until_ready()
        asking = tuple(Asking(process, objects.review(workload)) for process in (webhook, second))
        for replica in asking:
            ending.callback(replica.close)
            replica.until(allowed=True)
        signer = objects.signer(scene.team, "Author", scene.world.author.public_pem, [scene.hub.scope("acme")])
        content = scene.plane.get("modelattestation", attestation_name(model))["status"]["contentDigest"]
        revocations: dict[str, Object] = {
            "key": {"signers": [{"fingerprint": scene.world.author.fingerprint}]},
            "model": {"models": [model.key]},
            "content": {"contentDigests": [content]},
        }
        for made in itertools.islice(rounds(scene.plane, asking, revocations, signer), 8):
            assert max(made.seconds) <= REVOKED_SECONDS, made


def test_s9_an_outage_of_the_hub_changes_nothing_for_what_is_attested_and_is_told_for_what_is_not(scene: Scene) -> None:
    known, new = scene.model(key=scene.world.author.path), scene.model(key=scene.world.author.path)
    workload = scene.workload(known)
    scene.ask(workload)
    scene.admitted(workload)
    before = scene.hub.hub.spoil
    scene.hub.hub.spoil = lambda _request, _answer: error(503, "", "down for maintenance")
    try:
        touched = {**attestation(known), "metadata": {"name": attestation_name(known), "labels": {"touched": "yes"}}}
        scene.plane.apply(touched)  # it is looked at again
        waiting = scene.workload(new)
        assert "[AttestationPending]" in scene.ask(waiting)
        eventually(lambda: "503" in scene.condition(new, "Reconciling")[2], seconds=SECONDS, what="the reason in the condition")
        assert scene.condition(new, "Reconciling")[:2] == ("True", "AttestationPending")
        assert scene.ask(scene.workload(known), dry=True) == ""
        assert scene.condition(known, "SignatureVerified")[0] == "True"
        assert "[AttestationPending]" in scene.ask(waiting)
    finally:
        scene.hub.hub.spoil = before
    print(f"admitted {scene.admitted(waiting, seconds=90):.1f} s after the outage")  # noqa: T201 - a figure


def test_forty_models_of_a_hub_that_is_down_do_not_keep_one_of_another_hub_waiting(scene: Scene) -> None:
    dead = f"hf+https://localhost:{free_port()}/acme"
    endpoint = dead.removeprefix("hf+").removesuffix("/acme")
    source = {"models": [f"{dead}/*"], "type": "HuggingFace", "endpoints": [endpoint], "allowPrivateAddresses": True}
    lost = [attestation(parse_identity(f"{dead}/m{number}@{number:040x}")) for number in range(40)]
    scene.plane.apply(ours("ModelSource", f"{scene.team}-dead", source), *lost)
    eventually(lambda: _told(scene, lost[0], "cannot connect"), seconds=SECONDS, what="the first of them tried in vain")
    workload = scene.workload(scene.model(key=scene.world.author.path))
    scene.ask(workload)
    seconds = scene.admitted(workload)
    print(f"beside a hub that is down: admitted {seconds:.1f} s after it was asked for")  # noqa: T201 - a figure
    assert seconds <= 2 * QUIET_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    scene.plane.kubectl("delete", "modelattestation", *(each["metadata"]["name"] for each in lost))
    scene.plane.kubectl("delete", "modelsource", f"{scene.team}-dead")


def _told(scene: Scene, made: Object, words: str) -> bool:
    return words in str(scene.plane.get("modelattestation", made["metadata"]["name"]).get("status", {}))


def test_a_source_taken_away_is_told_and_changes_nothing_for_what_is_attested(scene: Scene) -> None:
    model = scene.model(key=scene.world.author.path)
    workload = scene.workload(model)
    scene.ask(workload)
    scene.admitted(workload)
    scene.plane.kubectl("delete", "modelsource", scene.team)
    try:
        assert "no ModelSource covers" in scene.becomes(model, "Stalled", "True", "SourceNotAllowed")
        assert scene.condition(model, "SignatureVerified")[0] == "True"
        assert scene.ask(scene.workload(model), dry=True) == ""
        unknown = scene.model(key=scene.world.author.path)
        asked = scene.workload(unknown)
        scene.ask(asked)
        scene.becomes(unknown, "Stalled", "True", "SourceNotAllowed")
    finally:
        scene.plane.apply(ours("ModelSource", scene.team, scene.hub.source("acme", "other", "renamed", "community")))
    scene.admitted(asked)
    eventually(lambda: scene.condition(model, "Stalled")[0] == "", what="the end of the condition")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryOrigin]:
    with serving_registry(tmp_path_factory.mktemp("registry")) as origin:
        yield origin


@pytest.mark.skipif(not tools.built("cosign"), reason=tools.NO_COSIGN)
def test_what_cosign_signed_in_a_real_registry_is_admitted_and_what_it_did_not_is_denied(
    scene: Scene, registry: RegistryOrigin, tmp_path: Path
) -> None:
    name = f"{scene.team}-registry"
    for arguments in (
        ("generate-key-pair",),
        ("signing-config", "create", "--out", "sc.json"),
        ("trusted-root", "create", "--out", "tr.json"),
    ):
        registry.cosign(tmp_path, *arguments)
    models = [f"oci://{registry.host}/**"]
    scene.plane.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        ours("ModelSource", name, registry.source()),
        objects.signer(name, "Author", (tmp_path / "cosign.pub").read_text(), models),
        policy(name, models, name),
    )
    signed, unsigned = (registry.push(scene.make(key=None)) for _ in range(2))
    new = ("--signing-config", "sc.json", "--trusted-root", "tr.json")
    registry.cosign(tmp_path, "sign", "--key", "cosign.key", "--yes", *new, signed.key.removeprefix("oci://"))
    workload = objects.inference_service(signed.key, namespace=name)
    eventually(lambda: "[AttestationPending]" in scene.ask(workload), what="the request")
    print(f"registry: admitted {scene.admitted(workload):.1f} s after it was asked for")  # noqa: T201 - a figure
    scene.becomes(signed, "SignatureVerified", "True", "Trusted")
    other = objects.inference_service(unsigned.key, namespace=name)
    other["metadata"]["name"] = "unsigned"
    scene.ask(other)
    scene.denied(other, "Unsigned")
    scene.denied(objects.inference_service(f"{signed.reference.text}:latest", namespace=name), "UnpinnedReference", seconds=1)


def test_a_model_in_a_real_bucket_is_attested_by_content_and_another_content_is_not(scene: Scene, tmp_path: Path) -> None:
    name = f"{scene.team}-bucket"
    with serving_s3(tmp_path, readable="models") as server:
        owner = server.client()
        owner.create_bucket(Bucket="models")
        folder = scene.make(key=scene.world.author.path)
        put_objects(owner, "models", "guard", files_of(folder))
        scope = f"s3+{server.endpoint}/models/**"
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}}
        source = {"models": [scope], "type": "S3", "endpoints": [server.endpoint], "caBundle": server.ca.read_text()}
        scene.plane.apply(
            {**secret, "stringData": {"accessKeyId": READER[0], "secretAccessKey": READER[1]}},
            ours("ModelSource", name, {**source, "allowPrivateAddresses": True, "credentials": {"secretName": name}}),
            objects.signer(name, "Author", scene.world.author.public_pem, [scope]),
        )
        reference = model_reference("s3", "models/guard", resolver=server.endpoint)
        digest = modeltrust("digest", str(folder)).split()[0]
        good, wrong = (Identity(reference, ContentDigest.parse(text)) for text in (digest, "sha256:" + "ab" * 32))
        scene.plane.apply(attestation(good), attestation(wrong))
        scene.becomes(good, "SignatureVerified", "True", "Trusted")
        assert digest in scene.becomes(good, "Resolved", "True", "Resolved")
        eventually(lambda: "other files" in scene.condition(wrong, "Resolved")[2], seconds=SECONDS, what="its reason")
        assert scene.condition(wrong, "Resolved")[0] != "True"
        assert not scene.plane.get("modelattestation", attestation_name(wrong)).get("status", {}).get("statement")
