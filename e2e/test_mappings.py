"""A kind that nobody built in, taught by a ModelReferenceMapping: asked about, judged, and said where it cannot be."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.control_plane import ControlPlane
from e2e.operator import ACCOUNT, NAMESPACE, OperatorProcess, install
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess, attach
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World
from modeltrust.cli.main import main
from modeltrust.domain.reference import Identity, parse_identity
from tests.support.worker import running_worker

Object = dict[str, Any]
GROUP = "gmc.opea.io"
VERSION = f"{GROUP}/v1beta1"  # of which the rows that ship know nothing
MAPPED = "modeltrust-mapped"
DRY = ("--dry-run=server",)
VWC = "admissionregistration.k8s.io/v1"
SECONDS = 30


@pytest.fixture(scope="module")
def operator(
    plane: ControlPlane, webhook: WebhookProcess, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The real operator, a CRD with an open schema, and the configuration that the chart makes empty."""
    install(plane)
    text = json.dumps(yaml.safe_load((world.trust / "attestors.yaml").read_text()))
    metadata = {"name": "modeltrust-attestors", "namespace": NAMESPACE}
    plane.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"attestors.yaml": text}})
    plane.apply(_crd(), {"apiVersion": VWC, "kind": "ValidatingWebhookConfiguration", "metadata": {"name": MAPPED}})
    # The guard lets the operator name the chart's Service alone. Here the webhook has an address instead, so the account may more.
    plane.apply(*_may_delete_policies())
    plane.kubectl("wait", "--for=condition=Established", "crd", f"gmconnectors.{GROUP}", "--timeout=60s")
    with running_worker(tmp_path_factory.mktemp("worker")) as worker:
        process = OperatorProcess(tmp_path_factory.mktemp("operator"), plane.kubeconfig(ACCOUNT), worker)
        process.start()
        try:
            process.wait_until_leading()
            yield process
        finally:
            process.stop()
            plane.kubectl("delete", "modelreferencemappings", "--all", check=False)
            plane.kubectl("delete", "validatingwebhookconfiguration", MAPPED, check=False)
            plane.kubectl("delete", "clusterrolebinding,clusterrole", "mappings-e2e", check=False)
            plane.kubectl("delete", "crd", f"gmconnectors.{GROUP}", check=False)
    assert webhook.ready()


@pytest.fixture
def mapped(plane: ControlPlane, operator: OperatorProcess) -> Iterator[str]:
    """A mapping that is Ready: from then on the API server asks."""
    assert operator.leads()
    plane.apply(_mapping("gmc"))
    plane.kubectl("wait", "--for=condition=Ready", "modelreferencemapping/gmc", f"--timeout={SECONDS}s")
    eventually(lambda: _said(plane, _connector("hf://acme/guard-7b")), seconds=SECONDS, what="the API server asking")
    yield "gmc"
    plane.kubectl("delete", "modelreferencemapping", "gmc", "--ignore-not-found")


def test_without_a_mapping_nobody_is_asked_about_the_kind(plane: ControlPlane, operator: OperatorProcess, world: World) -> None:
    assert operator.leads()
    assert _said(plane, _connector(_uri(_identity(world, "unsigned")))) == ""


def test_with_it_an_unsigned_model_is_denied_by_its_reason_and_a_signed_one_admitted(
    plane: ControlPlane, mapped: str, world: World
) -> None:
    assert mapped
    assert "[Unsigned]" in _said(plane, _connector(_uri(_identity(world, "unsigned"))))
    assert "[UnpinnedReference]" in _said(plane, _connector("hf://acme/guard-7b"))
    assert "[SourceNotAllowed]" in _said(plane, _connector(f"hf://evil/guard-7b:{'0' * 40}"))
    assert "[UnresolvedReference]" in _said(plane, _connector(["hf://acme/guard-7b"]))
    assert "[UnresolvedReference]" in _said(plane, _connector("$(MODEL)"))
    assert _said(plane, _connector(_uri(_identity(world, "guard-7b")))) == ""


def test_an_update_to_an_unsigned_model_is_denied_and_a_label_is_not(plane: ControlPlane, mapped: str, world: World) -> None:
    assert mapped
    signed = _connector(_uri(_identity(world, "guard-7b")))
    plane.apply(signed)
    try:
        changed = {**signed, "spec": _connector(_uri(_identity(world, "unsigned")))["spec"]}
        assert "[Unsigned]" in _said(plane, changed)
        assert _said(plane, {**signed, "metadata": {**signed["metadata"], "labels": {"a": "b"}}}) == ""
    finally:
        _remove(plane, signed)


def test_what_is_asked_is_what_the_mapping_says_and_nothing_else_of_the_chart_changes(plane: ControlPlane, mapped: str) -> None:
    assert mapped
    first = plane.get("validatingwebhookconfiguration", "modeltrust")["webhooks"]
    second = plane.get("validatingwebhookconfiguration", MAPPED)["webhooks"]
    assert [webhook["name"] for webhook in second] == [f"{name}.mapped.admission.modeltrust.dev" for name in ("open", "closed")]
    for one, other in zip(first, second, strict=True):
        assert {**one, "name": "", "rules": []} == {**other, "name": "", "rules": []}
        (rule,) = other["rules"]
        assert (rule["apiGroups"], rule["apiVersions"], rule["resources"]) == ([GROUP], ["*"], ["gmconnectors"])
        assert rule["operations"] == ["CREATE", "UPDATE"]
    assert [webhook["rules"][0]["scope"] for webhook in second] == ["*", "Namespaced"]


def test_a_kind_that_the_operator_may_not_list_is_said_in_its_status(plane: ControlPlane, mapped: str) -> None:
    def audited() -> tuple[str, str]:
        found = plane.get("modelreferencemapping", mapped)["status"]["conditions"]
        return next(((entry["status"], entry["reason"]) for entry in found if entry["type"] == "Audited"), ("", ""))

    eventually(lambda: audited() == ("False", "NotListed"), seconds=SECONDS, what="the condition")


def test_every_door_says_the_same(
    plane: ControlPlane, mapped: str, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mapped
    trust = tmp_path / "trust"
    trust.mkdir()
    for path in world.trust.rglob("*.yaml"):
        (trust / path.name).write_bytes(path.read_bytes())
    (trust / "mapping.yaml").write_text(yaml.safe_dump(_mapping("gmc")))
    unsigned = _connector(_uri(_identity(world, "unsigned")))
    (tmp_path / "connector.yaml").write_text(yaml.safe_dump(unsigned))
    assert main(["check", str(tmp_path / "connector.yaml"), "--trust", str(trust)]) == 11
    assert "[Unsigned]" in capsys.readouterr().out
    assert main(["refs", str(tmp_path / "connector.yaml"), "--trust", str(trust / "mapping.yaml"), "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["objects"]
    assert [entry["canonical"] for entry in found["references"]] == ["hf://acme/unsigned"]

    signed = _connector(_uri(_identity(world, "guard-7b")))
    plane.apply(signed)
    try:
        name, kubeconfig = signed["metadata"]["name"], str(plane.admin)
        assert main(["why", f"gmconnector/{name}", "-n", objects.ENFORCED, "--kubeconfig", kubeconfig, "--attestors",
                     str(world.trust / "attestors.yaml"), "-o", "json"]) == 0  # fmt: skip
        assert "hf://acme/guard-7b" in capsys.readouterr().out
        main(["inventory", "-n", objects.ENFORCED, "--kubeconfig", kubeconfig, "-o", "json"])
        assert name in capsys.readouterr().out
    finally:
        _remove(plane, signed)


def test_a_mapping_whose_tests_do_not_hold_is_refused_where_somebody_applies_it(
    plane: ControlPlane, operator: OperatorProcess
) -> None:
    assert operator.leads()
    refused = plane.apply(_mapping("wrong", expect="hf://acme/another"), check=False)
    assert 'spec.tests[0].expect[0]: got "hf://acme/guard@' in refused.stderr
    assert 'expected "hf://acme/another"' in refused.stderr


def test_one_that_slipped_in_is_not_ready_is_counted_and_denies_its_kind_alone(
    plane: ControlPlane, mapped: str, webhook: WebhookProcess, world: World
) -> None:
    assert mapped
    signed = _connector(_uri(_identity(world, "guard-7b")))
    plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust")
    try:
        eventually(lambda: plane.apply(_mapping("wrong", expect="hf://acme/another"), check=False).returncode == 0, seconds=SECONDS)
        attach(plane, webhook)
        eventually(lambda: _ready(plane, "wrong") == ("False", "TestsFailed"), seconds=SECONDS, what="its condition")
        assert "expected" in str(plane.get("modelreferencemapping", "wrong")["status"])
        eventually(lambda: "[UnresolvedReference]" in _said(plane, signed), seconds=SECONDS, what="the denial")
        assert "ModelReferenceMapping wrong" in _said(plane, signed)
        eventually(lambda: webhook.metric("modeltrust_broken_objects", 'kind="mappings"') == 1, seconds=SECONDS)
        assert webhook.ready()
        good = _identity(world, "guard-7b")
        assert _said(plane, objects.deployment(good.reference.path, str(good.pin))) == ""
        assert _ready(plane, "gmc")[0] == "True"
    finally:
        plane.kubectl("delete", "modelreferencemapping", "wrong", "--ignore-not-found")
        attach(plane, webhook)
    eventually(lambda: _said(plane, signed) == "", seconds=SECONDS, what="its admission, once the broken mapping is gone")


def test_a_status_that_somebody_writes_switches_nothing_on_or_off(plane: ControlPlane, mapped: str, world: World) -> None:
    condition = {"type": "Ready", "status": "False", "reason": "X", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    status = {"status": {"conditions": [condition]}}
    patch = ("patch", "modelreferencemapping", mapped, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    plane.kubectl(*patch)
    assert "[Unsigned]" in _said(plane, _connector(_uri(_identity(world, "unsigned"))))


def test_a_mapping_taken_away_takes_its_rule_along(plane: ControlPlane, mapped: str, world: World) -> None:
    plane.kubectl("delete", "modelreferencemapping", mapped)
    eventually(lambda: not plane.get("validatingwebhookconfiguration", MAPPED).get("webhooks"), seconds=SECONDS)
    eventually(lambda: _said(plane, _connector(_uri(_identity(world, "unsigned")))) == "", seconds=SECONDS)


def _said(plane: ControlPlane, value: Object) -> str:
    ran = plane.apply(value, check=False, flags=DRY)
    assert ran.returncode == 0 or ran.stderr
    return "" if ran.returncode == 0 else ran.stderr


def _remove(plane: ControlPlane, connector: Object) -> None:
    plane.kubectl("delete", f"gmconnector.{GROUP}", connector["metadata"]["name"], "-n", objects.ENFORCED)


def _ready(plane: ControlPlane, name: str) -> tuple[str, str]:
    found = plane.get("modelreferencemapping", name).get("status", {}).get("conditions", [])
    return next(((entry["status"], entry["reason"]) for entry in found if entry["type"] == "Ready"), ("", ""))


def _identity(world: World, name: str) -> Identity:
    (found,) = yaml.safe_load_all((world.trust / "attestations" / f"{name}.yaml").read_text())
    return parse_identity(found["spec"]["model"])


def _uri(identity: Identity) -> str:
    return f"hf://{identity.reference.path}:{identity.pin}"


def _connector(model: Any) -> Object:
    steps = [{"name": "Llm", "internalService": {"serviceName": "llm", "config": {"MODEL": model}}}]
    metadata = {"name": f"c{uuid.uuid4().hex[:8]}", "namespace": objects.ENFORCED}
    return {"apiVersion": VERSION, "kind": "GMConnector", "metadata": metadata, "spec": {"nodes": {"root": {"steps": steps}}}}


def _mapping(name: str, *, expect: str = f"hf://acme/guard@{'1' * 40}") -> Object:
    sample = _connector(f"hf://acme/guard:{'1' * 40}")
    sample["metadata"] = {"name": "sample"}
    spec = {
        "match": {"group": GROUP, "kinds": ["GMConnector"]},
        "refs": [{"path": "$.spec.nodes.*.steps[*].internalService.config.MODEL", "role": "Base", "uriProfile": "KServe"}],
        "tests": [{"object": sample, "expect": [expect]}],
    }
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelReferenceMapping", "metadata": {"name": name}, "spec": spec}


def _crd() -> Object:
    names = {"kind": "GMConnector", "listKind": "GMConnectorList", "plural": "gmconnectors", "singular": "gmconnector"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gmconnectors.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _may_delete_policies() -> tuple[Object, Object]:
    group = "rbac.authorization.k8s.io"
    metadata = {"name": "mappings-e2e"}
    rule = {"apiGroups": ["modeltrust.dev"], "resources": ["modelpolicies"], "verbs": ["delete"]}
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": [rule]}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "mappings-e2e"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": ACCOUNT}],
    }
    return role, binding
