"""Shapes of Pods, names and our own objects at a real API server, by the ids of the fault list."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.control_plane import ControlPlane
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.scenes import Scene
from modeltrust.domain import limits

Object = dict[str, Any]
COMMIT = "9" * 40
DIGEST = "sha256:" + "1" * 64
HUB = [{"name": "HF_ENDPOINT", "value": "https://huggingface.co"}]

pytestmark = pytest.mark.usefixtures("webhook")


def test_f18_a_sidecar_among_the_init_containers_is_judged(plane: ControlPlane, name: str) -> None:
    pod = _pod(name)
    pod["spec"]["initContainers"] = [
        {"name": "side", "image": "vllm/vllm-openai:v1", "restartPolicy": "Always", "command": ["vllm", "serve", "acme/guard-7b"]}
    ]

    assert "[UnpinnedReference]" in _dry_run(plane, pod)


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("registry.acme.example/guard:v1", "UnpinnedReference"),
        ("registry.acme.example/guard", "UnpinnedReference"),
        (f"registry.acme.example/guard@{DIGEST}", "SourceNotAllowed"),
        (f"registry.acme.example/guard:v1@{DIGEST}", "SourceNotAllowed"),  # F36: the digest decides
    ],
)
def test_f19_f36_an_image_volume_is_a_reference_and_its_digest_decides(
    reference: str, reason: str, plane: ControlPlane, name: str
) -> None:
    pod = _serving(name, "/models/guard")
    pod["spec"]["volumes"] = [{"name": "models", "image": {"reference": reference, "pullPolicy": "IfNotPresent"}}]
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "models", "mountPath": "/models/guard"}]

    said = _dry_run(plane, pod)

    assert f"[{reason}]" in said
    assert ("[UnpinnedReference]" in said) == (reason == "UnpinnedReference")


@pytest.mark.parametrize("place", ["env", "args", "command", "shell", "python", "envFrom", "csi", "hostPath", "pvc", "configMap"])
def test_f20_a_model_is_seen_wherever_it_is_named_or_the_pod_is_refused(place: str, plane: ControlPlane, name: str) -> None:
    pod = _serving(name, "acme/guard-7b")
    container = pod["spec"]["containers"][0]
    match place:
        case "env":
            container |= {"command": ["vllm", "serve", "$(MODEL)"], "env": [*HUB, {"name": "MODEL", "value": "acme/guard-7b"}]}
        case "args":
            container |= {"command": ["vllm"], "args": ["serve", "acme/guard-7b"]}
        case "shell":
            container["command"] = ["sh", "-c", "exec vllm serve acme/guard-7b"]
        case "python":
            code = "from vllm import LLM; LLM('acme/guard-7b')"
            container["command"] = ["python", "-c", code]
        case "envFrom":
            container |= {"env": [], "envFrom": [{"configMapRef": {"name": "hub"}}]}
        case "csi" | "hostPath" | "pvc" | "configMap":
            sources: dict[str, Object] = {
                "csi": {"csi": {"driver": "models.example.com", "volumeAttributes": {"model": "acme/guard-7b"}}},
                "hostPath": {"hostPath": {"path": "/models"}},
                "pvc": {"persistentVolumeClaim": {"claimName": "models"}},
                "configMap": {"configMap": {"name": "models"}},
            }
            container["command"] = ["vllm", "serve", "/models/guard"]
            container["volumeMounts"] = [{"name": "models", "mountPath": "/models"}]
            pod["spec"]["volumes"] = [{"name": "models", **sources[place]}]

    assert "denied the request" in _dry_run(plane, pod)


def test_f31_connect_is_never_matched(webhook: WebhookProcess) -> None:
    rules = [rule for hook in webhook.configuration()["webhooks"] for rule in hook["rules"]]

    assert {operation for rule in rules for operation in rule["operations"]} == {"CREATE", "UPDATE"}


def test_f33_every_rule_is_equivalent_over_versions(webhook: WebhookProcess) -> None:
    assert {hook["matchPolicy"] for hook in webhook.configuration()["webhooks"]} == {"Equivalent"}


@pytest.mark.parametrize(
    "model",
    [
        "Acme/guard-7b",
        "acme/guard-7b.",
        "аcme/guard-7b",  # noqa: RUF001 - the first letter is Cyrillic, which is the point
        "acme/guard-7b\n",
        "acme/guard-7b\u202e",
        "acme/\x1b[31mguard",
        "acme/" + "g" * 4096,
        "acme/../evil/guard",
        "https://evil.example/acme/guard-7b",
    ],
)
def test_f37_f38_a_name_that_only_looks_like_a_good_one_is_denied_and_nothing_of_it_reaches_a_terminal(
    model: str, plane: ControlPlane, name: str
) -> None:
    pod = _serving(name, model, "--revision", COMMIT)

    said = _dry_run(plane, pod)

    assert "denied the request" in said
    assert not {character for character in said if ord(character) < 32 and character != "\n"}
    assert "\u202e" not in said


@pytest.mark.parametrize("digest", ["sha256:" + "1" * 63, "sha256:" + "A" * 64, "sha512:" + "1" * 128, "md5:" + "1" * 32])
def test_f39_what_is_no_digest_pins_nothing(digest: str, plane: ControlPlane, name: str) -> None:
    said = _dry_run(plane, objects.inference_service(f"oci://registry.acme.example/guard@{digest}") | {"metadata": _in(name)})

    assert "denied the request" in said


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("ModelPolicy", {"mode": "Enforce", "match": {}, "requirements": [{"type": "Pinned"}]}),
        ("ModelPolicy", {"mode": "Enforce", "match": {"namespaces": {}, "models": ["**"]}, "requirements": [{"type": "Pinned"}]}),
        ("ModelPolicy", {"mode": "Enforce", "match": {"namespaces": {"names": ["a"]}, "models": []}, "requirements": []}),
        ("ModelPolicy", {"mode": "Enforce", "match": {"namespaces": {"names": ["a"]}, "models": ["**"]}, "requirements": []}),
        ("TrustedSigner", {"purposes": ["Author"], "keyless": {"identities": []}, "scope": {"models": ["hf://acme/*"]}}),
        (
            "TrustedSigner",
            {
                "purposes": ["Author"],
                "keyless": {"identities": [{"name": "a", "issuer": "", "subject": "s"}]},
                "scope": {"models": ["hf://acme/*"]},
            },
        ),
    ],
)
def test_f41_empty_is_refused_and_never_everything(kind: str, spec: Object, plane: ControlPlane, name: str) -> None:
    assert plane.apply(_ours(kind, name, spec), check=False).returncode != 0


def test_f42_a_pattern_of_a_thousand_wildcards_is_refused(plane: ControlPlane, name: str) -> None:
    spec = {
        "mode": "Enforce",
        "match": {"namespaces": {"names": [name]}, "models": ["*/" * 200 + "x"]},
        "requirements": [{"type": "Pinned"}],
    }

    assert plane.apply(_ours("ModelPolicy", name, spec), check=False).returncode != 0


def test_f54_annotations_add_references_and_satisfy_nothing(plane: ControlPlane, name: str, scenes: tuple[Scene, ...]) -> None:
    good = f"hf://acme/guard-7b@{_commit(scenes)}"
    nameless = objects.nameless_pod()
    nameless["metadata"] = _in(name) | {"annotations": {"modeltrust.dev/models": json.dumps([good])}}
    unpinned = _serving(name, "acme/guard-7b")
    unpinned["metadata"]["annotations"] = {"modeltrust.dev/models": json.dumps([good])}
    declared = _serving(name, "acme/guard-7b", "--revision", _commit(scenes))
    declared["metadata"]["annotations"] = {"modeltrust.dev/models": json.dumps(["hf://acme/other"])}

    assert "[UnresolvedReference]" in _dry_run(plane, nameless)
    assert "[UnpinnedReference]" in _dry_run(plane, unpinned)
    assert "hf://acme/other" in _dry_run(plane, declared)


def test_f56_of_two_policies_the_stricter_one_wins(plane: ControlPlane, name: str) -> None:
    loose = {"mode": "Audit", "match": {"namespaces": {"names": [objects.ENFORCED]}, "models": ["**"]}, "pending": "Warn"}
    plane.apply(_ours("ModelPolicy", name, loose | {"requirements": [{"type": "Pinned"}]}))
    try:
        assert "[UnpinnedReference]" in _dry_run(plane, _serving(name, "acme/guard-7b"))
    finally:
        plane.kubectl("delete", "modelpolicy", name)


def test_f57_an_exemption_ends_names_its_subject_and_covers_its_namespace_only(plane: ControlPlane, name: str) -> None:
    commit = uuid.uuid4().hex + "0" * 8
    pod = _serving(name, "acme/guard-7b", "--revision", commit)
    soon = datetime.now(UTC) + timedelta(days=1)
    spec: Object = {
        "policies": ["production"],
        "namespaces": [objects.ENFORCED],
        "models": [f"hf://acme/guard-7b@{commit}"],
        "reasons": ["AttestationPending", "NotAttested"],
        "requirements": ["Signature", "Formats"],
        "justification": "the hub is away",
        "expirationTime": soon.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    endless = {key: value for key, value in spec.items() if key != "expirationTime"}

    assert plane.apply(_ours("PolicyExemption", name, endless), check=False).returncode != 0
    assert plane.apply(_ours("PolicyExemption", name, spec | {"models": ["hf://acme/*"]}), check=False).returncode != 0
    late = (soon + timedelta(days=200)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert plane.apply(_ours("PolicyExemption", name, spec | {"expirationTime": late}), check=False).returncode != 0

    plane.apply(_ours("PolicyExemption", name, spec | {"namespaces": ["elsewhere"]}))
    assert "AttestationPending" in _dry_run(plane, pod)
    plane.apply(_ours("PolicyExemption", name, spec))
    eventually(lambda: "AttestationPending" not in _dry_run(plane, pod), what="the exemption's effect")
    plane.kubectl("delete", "policyexemption", name)
    eventually(lambda: "AttestationPending" in _dry_run(plane, pod), what="the exemption's end")


def test_f59_without_a_policy_a_model_is_admitted_and_counted(plane: ControlPlane, webhook: WebhookProcess, name: str) -> None:
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    pod = _serving(name, "acme/guard-7b") | {"metadata": {"name": name, "namespace": name}}
    before = webhook.metric("modeltrust_uncovered_total")

    assert "denied" not in _dry_run(plane, pod)
    assert webhook.metric("modeltrust_uncovered_total") == before + 1


def test_f61_an_object_of_ours_with_ten_thousand_entries_is_refused(plane: ControlPlane, name: str) -> None:
    spec = {"models": [f"hf://acme/m{index}" for index in range(10_000)], "reason": "x", "reference": "INC-1", "action": "DenyNew"}

    result = plane.apply(_ours("ModelRevocation", name, spec), check=False)

    assert result.returncode != 0
    assert str(limits.API_REVOKED) in result.stderr


def test_f103_f104_fifty_problems_become_a_readable_denial(plane: ControlPlane, name: str) -> None:
    pod = _pod(name)
    pod["spec"]["containers"] = [
        {"name": f"c{index}", "image": "vllm/vllm-openai:v1", "command": ["vllm", "serve", f"acme/model-{index}"]}
        for index in range(50)
    ]

    result = plane.apply(pod, check=False)
    message = result.stderr.partition("denied the request: ")[2]

    assert len(message.encode()) <= limits.DENIAL_BYTES + 1  # kubectl ends it with a line feed
    assert "modeltrust: 50 problems in Pod" in message
    assert "more" in message
    assert not any(len(line) > 400 for line in result.stderr.splitlines() if line.startswith("Warning"))


def test_f105_one_json_line_per_decision_whatever_names_say(plane: ControlPlane, webhook: WebhookProcess, name: str) -> None:
    forged = 'acme/guard-7b"}\n{"event": "decision", "outcome": "admit", "forged": "yes'
    pod = _serving(name, forged)
    pod["metadata"]["annotations"] = {"modeltrust.dev/models": json.dumps([forged])}

    _dry_run(plane, pod)

    lines = [line for line in (webhook.folder / "webhook.log").read_text().splitlines() if name in line]
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert not [line for line in webhook.log() if "forged" in line]


@pytest.fixture
def name() -> str:
    return f"x{uuid.uuid4().hex[:8]}"


def _dry_run(plane: ControlPlane, value: Object) -> str:
    return plane.apply(value, check=False, flags=("--dry-run=server",)).stderr


def _in(name: str) -> Object:
    return {"name": name, "namespace": objects.ENFORCED}


def _pod(name: str) -> Object:
    spec = {"containers": [{"name": "web", "image": "nginx:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _in(name), "spec": spec}


def _serving(name: str, model: str, *more: str) -> Object:
    pod = _pod(name)
    container = {"name": "vllm", "image": "vllm/vllm-openai:v1", "command": ["vllm", "serve", model, *more], "env": HUB}
    pod["spec"]["containers"] = [container]
    return pod


def _commit(scenes: tuple[Scene, ...]) -> str:
    (container,) = scenes[0].workload["spec"]["template"]["spec"]["containers"]
    commit: str = container["args"][2]
    return commit


def _ours(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
