"""A real API server asks the real webhook, which answers from what it watches."""

import concurrent.futures
import copy
import functools
import json
import time
import uuid
from typing import Any

import pytest

from e2e.conftest import apply_trust
from e2e.control_plane import ControlPlane
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.scenes import Scene
from modeltrust.cli.demo.world import World

Object = dict[str, Any]

pytestmark = pytest.mark.usefixtures("webhook")


def test_every_scene_of_the_demo_has_the_same_answer_through_kubectl_apply(
    plane: ControlPlane, world: World, scenes: tuple[Scene, ...]
) -> None:
    wrong = []
    for scene in scenes:
        if scene.change is not None:
            scene.change()
            apply_trust(plane, world)
        if scene.old is not None:
            continue  # needs an object admitted before the revocation: test_what_runs_outlives_a_revocation
        try:
            eventually(functools.partial(_as_expected, plane, scene), seconds=10)
        except AssertionError:
            wrong.append((scene.name, scene.expected, _apply(plane, scene.workload)))
    _forget_revocations(plane, world)
    assert wrong == []


def test_f09_a_dry_run_gives_the_verdict_and_leaves_nothing_behind(
    plane: ControlPlane, scenes: tuple[Scene, ...], name: str
) -> None:
    before = plane.get("modelattestations")["items"]
    unpinned = _named(objects.deployment("acme/guard-7b", "main"), name)
    pending = _named(objects.deployment("acme/never-seen", "1" * 40), name)
    good = _named(scenes[0].workload, name)

    denied = plane.apply(unpinned, check=False, flags=("--dry-run=server",))
    warned = plane.apply(pending, check=False, flags=("--dry-run=server",))
    admitted = plane.apply(good, check=False, flags=("--dry-run=server",))

    assert "[UnpinnedReference]" in denied.stderr
    assert warned.returncode == 0
    assert "AttestationPending" in warned.stderr
    assert admitted.returncode == 0
    assert plane.get("modelattestations")["items"] == before
    assert plane.kubectl("get", "deployment", name, "-n", objects.ENFORCED, check=False).returncode != 0


def test_a_denial_is_what_kubectl_shows(plane: ControlPlane, name: str) -> None:
    said = _apply(plane, _named(objects.deployment("acme/guard-7b", "main"), name))

    assert f"modeltrust: 1 problem in Deployment {objects.ENFORCED}/{name} (policy production, ask #ml-platform)" in said
    assert 'names tag "main"; expected a 40-hex commit' in said


def test_h15_a_suite_that_changes_takes_effect_at_watch_speed_with_no_operator_and_changing_it_back_too(
    plane: ControlPlane, world: World, webhook: WebhookProcess, name: str
) -> None:
    model = world.model(f"suite-{name}", sign=world.author)
    world.attest(model, evaluated=60)
    apply_trust(plane, world)
    workload = _named(objects.deployment(model.reference.path, str(model.pin), namespace=objects.EVALUATED), name)
    eventually(lambda: _apply(plane, workload, dry_run=True) == "", what="its admission")

    def patch(spec: Object) -> None:
        plane.kubectl("patch", "evaluationsuite", "canary", "--type=merge", "-p", _json({"spec": spec}))

    try:
        patch({"runtime": {"nodeSelector": {"gpu": "h100"}}})
        patch({"probes": {"perFamily": 64}})
        began = time.monotonic()
        eventually(lambda: "[EvaluationMissing]" in _apply(plane, workload, dry_run=True), seconds=5, what="the denial")
        print(f"a changed suite counted after {time.monotonic() - began:.2f} s")  # noqa: T201 - a figure of the issue
        assert "asks something else by now than what was run" in _apply(plane, workload)
        patch({"probes": {"perFamily": None}, "runtime": None})
        eventually(lambda: _apply(plane, workload, dry_run=True) == "", seconds=5, what="its admission again")
        plane.kubectl("delete", "evaluationsuite", "canary")
        eventually(lambda: "[EvaluationMissing]" in _apply(plane, workload, dry_run=True), seconds=5, what="the denial")
        assert "which is not there, or cannot be read" in _apply(plane, workload)
    finally:
        apply_trust(plane, world)
    assert webhook.ready()


def test_f17_an_ephemeral_container_with_a_model_is_judged(plane: ControlPlane, name: str) -> None:
    plane.apply(_plain_pod(name))
    debugger = {
        "name": "debug",
        "image": "vllm/vllm-openai:v1",
        "command": ["vllm", "serve", "evil/model"],
        "targetContainerName": "web",
    }
    patch = _json({"spec": {"ephemeralContainers": [debugger]}})

    result = plane.kubectl(
        "patch",
        "pod",
        name,
        "-n",
        objects.ENFORCED,
        "--subresource=ephemeralcontainers",
        "--type=strategic",
        "-p",
        patch,
        check=False,
    )

    assert "[UnpinnedReference]" in result.stderr


def test_c2_f22_an_image_swapped_after_admission_is_judged_as_a_creation(plane: ControlPlane, name: str) -> None:
    _serving_images(plane, name)
    allowed = "registry.acme.example/web@sha256:" + "1" * 64
    plane.apply(_gpu_pod(name, allowed))

    swap = _json({"spec": {"containers": [{"name": "web", "image": "docker.io/evil/web:latest"}]}})
    result = plane.kubectl("patch", "pod", name, "-n", name, "-p", swap, check=False)
    plane.kubectl("label", "pod", name, "-n", name, "harmless=yes")

    assert "[ImageNotAllowed]" in result.stderr


def test_f23_a_pod_that_is_being_deleted_is_not_exempt(plane: ControlPlane, name: str) -> None:
    _serving_images(plane, name)
    pod = _gpu_pod(name, "registry.acme.example/web@sha256:" + "1" * 64)
    pod["metadata"]["finalizers"] = ["example.com/wait"]
    plane.apply(pod)
    plane.kubectl("delete", "pod", name, "-n", name, "--wait=false")

    swap = _json({"spec": {"containers": [{"name": "web", "image": "docker.io/evil/web:latest"}]}})
    result = plane.kubectl("patch", "pod", name, "-n", name, "-p", swap, check=False)
    plane.kubectl("patch", "pod", name, "-n", name, "--type=merge", "-p", _json({"metadata": {"finalizers": None}}))

    assert "[ImageNotAllowed]" in result.stderr


def test_f24_f25_a_denied_update_leaves_what_serves_and_pods_get_the_verdict_of_their_template(
    plane: ControlPlane, scenes: tuple[Scene, ...], name: str
) -> None:
    plane.apply(_named(scenes[0].workload, name))
    eventually(lambda: len(_pods(plane, name)) == 2, what="the Pods of an admitted Deployment")
    before = {pod["metadata"]["uid"] for pod in _pods(plane, name)}

    said = _apply(plane, _named(objects.deployment("acme/guard-7b", "main"), name))

    assert "[UnpinnedReference]" in said
    assert {pod["metadata"]["uid"] for pod in _pods(plane, name)} == before


def test_what_runs_outlives_a_revocation_and_nothing_new_starts(
    plane: ControlPlane, world: World, scenes: tuple[Scene, ...], name: str
) -> None:
    plane.apply(_named(scenes[0].workload, name))
    eventually(lambda: len(_pods(plane, name)) == 2, what="the Pods of an admitted Deployment")
    world.revoke("signer", {"signers": [{"fingerprint": world.author.fingerprint}], "reason": "stolen", "reference": "INC-1"})
    apply_trust(plane, world)
    try:
        other = _named(scenes[0].workload, f"{name}-2")
        eventually(lambda: "[ModelRevoked]" in _apply(plane, other, dry_run=True), what="the denial of a revoked model")
        labelled = plane.kubectl("label", "deployment", name, "-n", objects.ENFORCED, "incident=INC-1")
        victim = _pods(plane, name)[0]["metadata"]["name"]
        plane.kubectl("delete", "pod", victim, "-n", objects.ENFORCED, "--wait=false", "--grace-period=0", "--force")

        eventually(lambda: "ModelRevoked" in _events(plane, name), seconds=20, what="the ReplicaSet's failure to replace a Pod")
        assert "ModelRevoked" in labelled.stderr
        plane.kubectl("delete", "deployment", name, "-n", objects.ENFORCED)
    finally:
        _forget_revocations(plane, world)


@pytest.mark.parametrize("trick", ["label", "annotation", "gate", "nodeName", "deletion annotation"])
def test_f26_f95_f96_nothing_that_the_author_writes_exempts(trick: str, plane: ControlPlane, name: str) -> None:
    pod = objects.pod("acme/guard-7b", "main")
    pod["metadata"]["name"] = name
    if trick == "label":
        pod["metadata"]["labels"] = {"modeltrust.dev/skip": "true", "skip": "true"}
    elif trick == "gate":
        pod["spec"]["schedulingGates"] = [{"name": "example.com/wait"}]
    elif trick == "nodeName":
        pod["spec"]["nodeName"] = "somewhere"
    else:
        pod["metadata"]["annotations"] = {"modeltrust.dev/exempt": "true", "modeltrust.dev/models": "[]"}

    assert "[UnpinnedReference]" in _apply(plane, pod)


def test_c1_the_good_commit_from_another_hub_is_another_model(plane: ControlPlane, scenes: tuple[Scene, ...], name: str) -> None:
    workload = _named(scenes[0].workload, name)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": "HF_ENDPOINT", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "url"}}}]

    assert "[UndeclaredResolver]" in _apply(plane, workload)


@pytest.mark.parametrize("uri", ["s3://models/guard", "gs://models/guard", "pvc://models/guard", "https://example.com/guard.tar"])
def test_c4_a_declared_digest_does_not_pin_a_source_that_can_change(uri: str, plane: ControlPlane, name: str) -> None:
    service = _named(objects.inference_service(uri), name)
    service["metadata"]["annotations"] = {"modeltrust.dev/content-digests": _json({uri: "sha256:" + "1" * 64})}

    assert "[UnpinnedReference]" in _apply(plane, service)


def test_h8_a_model_from_elsewhere_does_not_slip_between_policies(plane: ControlPlane, name: str) -> None:
    said = _apply(plane, _named(objects.inference_service("s3://evil/guard"), name))

    assert "[SourceNotAllowed]" in said


def test_h9_an_alias_of_a_revoked_model_is_revoked(plane: ControlPlane, world: World, name: str) -> None:
    world.revoke("model", {"models": ["hf://ACME/Guard-7B"], "reason": "backdoor", "reference": "INC-2"})
    apply_trust(plane, world)
    try:
        workload = _named(objects.deployment("acme/guard-7b", "2" * 40), name)
        eventually(lambda: "[ModelRevoked]" in _apply(plane, workload, dry_run=True), what="the denial of the alias")
    finally:
        _forget_revocations(plane, world)


def test_h10_an_object_inflated_by_escaping_gets_a_verdict(plane: ControlPlane, name: str) -> None:
    workload = _named(objects.deployment("acme/guard-7b", "main"), name)
    workload["spec"]["template"]["metadata"]["annotations"] = {"filler": "\u0001" * 200_000}

    result = plane.kubectl("create", "-f", "-", stdin=_json(workload), check=False)

    assert "[UnpinnedReference]" in result.stderr


def test_h11_two_kilobytes_that_expand_without_end_are_denied_quickly(plane: ControlPlane, name: str) -> None:
    workload = _named(objects.deployment("acme/guard-7b", "$(Z)"), name)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    names = [chr(ord("A") + index) for index in range(26)]
    container["env"] = [{"name": "A", "value": "x" * 50}]
    container["env"] += [{"name": n, "value": f"$({names[i]})" * 10} for i, n in enumerate(names[1:])]

    started = time.monotonic()
    said = _apply(plane, workload)

    assert "denied the request" in said
    assert time.monotonic() - started < 5


def test_f28_f29_a_namespace_made_a_moment_ago_is_covered(plane: ControlPlane, name: str) -> None:
    plane.apply(_policy(name, {"selector": {"matchLabels": {"modeltrust.dev/tier": name}}}))
    pod = objects.pod("acme/guard-7b", "main", namespace=name)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"modeltrust.dev/tier": name}}}
    eventually(lambda: _knows_policy(plane, name), what="the webhook's knowledge of the policy")

    said = plane.apply(namespace, pod, check=False).stderr

    assert "[UnpinnedReference]" in said


def test_a_policy_that_the_compiler_refuses_is_refused_with_the_path(plane: ControlPlane, name: str) -> None:
    broken = _policy(name, {"names": ["x"]})
    broken["spec"]["requirements"] = [{"type": "Pinned"}, {"type": "Sources", "sources": {"alowed": ["hf://a/*"]}}]

    said = plane.apply(broken, check=False).stderr

    assert "spec.requirements[1]" in said


def test_the_identity_of_an_attestation_is_immutable(plane: ControlPlane, name: str) -> None:
    spec = {"model": "hf://acme/guard-7b@" + "9" * 40}
    attestation = {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelAttestation", "metadata": {"name": name}, "spec": spec}
    plane.apply(attestation)
    attestation["spec"] = {"model": "hf://acme/guard-7b@" + "8" * 40}

    assert plane.apply(attestation, check=False).returncode != 0


def test_f10_two_hundred_identical_requests_in_parallel_get_one_answer(
    plane: ControlPlane, webhook: WebhookProcess, name: str
) -> None:
    workload = _named(objects.deployment("acme/guard-7b", "main"), name)
    before = webhook.metric("modeltrust_decisions_total")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        said = set(pool.map(lambda _: "[UnpinnedReference]" in _apply(plane, workload, dry_run=True), range(40)))

    assert said == {True}
    assert webhook.metric("modeltrust_decisions_total") >= before + 40


@pytest.fixture
def name() -> str:
    return f"x{uuid.uuid4().hex[:8]}"


def _as_expected(plane: ControlPlane, scene: Scene) -> bool:
    said = _apply(plane, scene.workload)
    plane.kubectl("delete", scene.workload["kind"].lower(), "--all", "-n", scene.workload["metadata"]["namespace"], "--wait=false")
    denied = "denied the request" in said
    if scene.expected in {"admit", "warn"}:
        return not denied and ("Warning" in said) == (scene.expected == "warn")
    return denied and all(f"[{reason.value}]" in said for reason in scene.reasons)


def _apply(plane: ControlPlane, workload: Object, *, dry_run: bool = False) -> str:
    """What kubectl says on stderr; empty when it was admitted without a word."""
    return plane.apply(workload, check=False, flags=("--dry-run=server",) if dry_run else ()).stderr


def _named(workload: Object, name: str) -> Object:
    changed = copy.deepcopy(workload)
    changed["metadata"]["name"] = name
    if workload["kind"] == "Deployment":
        changed["spec"]["selector"] = {"matchLabels": {"app": name}}
        changed["spec"]["template"]["metadata"]["labels"] = {"app": name}
    return changed


def _plain_pod(name: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": objects.ENFORCED},
        "spec": {"containers": [{"name": "web", "image": "nginx:1"}]},
    }


def _gpu_pod(name: str, image: str) -> Object:
    pod = _plain_pod(name)
    pod["metadata"]["namespace"] = name
    pod["spec"]["containers"][0] |= {"image": image, "command": ["vllm", "serve", "acme/guard-7b", "--revision", "1" * 40]}
    pod["spec"]["containers"][0]["env"] = [{"name": "HF_ENDPOINT", "value": "https://huggingface.co"}]
    pod["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    return pod


def _serving_images(plane: ControlPlane, name: str) -> None:
    policy = _policy(name, {"names": [name]})
    images = {"allowed": ["registry.acme.example/*@sha256:*"]}
    policy["spec"]["requirements"].append({"type": "ServingImage", "servingImage": images})
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, policy)
    bad = _gpu_pod(f"{name}-probe", "docker.io/evil/web:latest")
    bad["metadata"]["namespace"] = name
    eventually(lambda: "[ImageNotAllowed]" in _apply(plane, bad, dry_run=True), what="the policy's effect")


def _policy(name: str, namespaces: Object) -> Object:
    spec = {"mode": "Enforce", "match": {"namespaces": namespaces, "models": ["**"]}, "requirements": [{"type": "Pinned"}]}
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelPolicy", "metadata": {"name": name}, "spec": spec}


def _knows_policy(plane: ControlPlane, name: str) -> bool:
    pod = objects.pod("acme/guard-7b", "main", namespace="default")
    plane.kubectl("label", "ns", "default", f"modeltrust.dev/tier={name}", "--overwrite")
    knows = f"policy {name}" in _apply(plane, pod, dry_run=True)
    if knows:
        plane.kubectl("label", "ns", "default", "modeltrust.dev/tier-")
    return knows


def _pods(plane: ControlPlane, name: str) -> list[Object]:
    found: list[Object] = plane.get("pods", "-n", objects.ENFORCED, "-l", f"app={name}")["items"]
    return found


def _events(plane: ControlPlane, name: str) -> str:
    events = plane.get("events", "-n", objects.ENFORCED)["items"]
    return "\n".join(event["message"] for event in events if event["involvedObject"]["name"].startswith(name))


def _forget_revocations(plane: ControlPlane, world: World) -> None:
    for path in world.trust.glob("revocation-*.yaml"):
        path.unlink()
    plane.kubectl("delete", "modelrevocations", "--all")
    workload = _named(objects.deployment("acme/guard-7b", "2" * 40), "probe")
    eventually(lambda: "[ModelRevoked]" not in _apply(plane, workload, dry_run=True), what="the end of the revocation")


def _json(value: Object) -> str:
    return json.dumps(value)
