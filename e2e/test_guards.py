"""The guards hold at a real API server: against a tenant with `edit`, and not against who may change trust."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.control_plane import ControlPlane
from e2e.waiting import eventually

Object = dict[str, Any]


@pytest.fixture
def name() -> str:
    return f"x{uuid.uuid4().hex[:8]}"


@pytest.fixture(scope="module")
def namespace_admin(plane: ControlPlane) -> Path:
    """Somebody who may do anything to namespaces and webhook configurations, and nothing to our kinds."""
    plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "namespace-admin"},
            "rules": [
                {"apiGroups": [""], "resources": ["namespaces", "namespaces/status", "namespaces/finalize"], "verbs": ["*"]},
                {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["modeltrust.dev"], "resources": ["*/status"], "verbs": ["*"]},
                {"apiGroups": ["modeltrust.dev"], "resources": ["*"], "verbs": ["get", "list"]},
            ],
        },
        _binding("namespace-admin", "namespace-admin", "nadia"),
    )
    return plane.kubeconfig("nadia")


@pytest.fixture(scope="module", autouse=True)
def guarded(plane: ControlPlane, namespace_admin: Path) -> None:
    """Policies take a moment to be compiled by the API server: wait until one denies."""
    probe = _namespace("guard-probe", {"modeltrust.dev/tier": "x"})
    eventually(lambda: "modeltrust.dev/" in _create(plane, probe, namespace_admin, dry_run=True), seconds=30)


def test_h16_a_namespace_admin_can_neither_set_nor_change_nor_drop_our_labels(
    plane: ControlPlane, namespace_admin: Path, name: str
) -> None:
    plane.apply(_namespace(name, {"modeltrust.dev/tier": "prod"}))

    assert "only who may update modelpolicies" in _create(
        plane, _namespace(f"{name}-2", {"modeltrust.dev/tier": "dev"}), namespace_admin
    )
    for change in ("modeltrust.dev/tier-", "modeltrust.dev/tier=dev", "modeltrust.dev/new=x"):
        result = plane.kubectl("label", "ns", name, change, "--overwrite", user=namespace_admin, check=False)
        assert "only who may update modelpolicies" in result.stderr, change


@pytest.mark.parametrize("subresource", ["status", "finalize"])
def test_h16_nor_through_a_subresource_of_the_namespace(
    plane: ControlPlane, namespace_admin: Path, name: str, subresource: str
) -> None:
    """The API server takes labels from an update of either."""
    plane.apply(_namespace(name, {"modeltrust.dev/tier": "prod"}))
    found = json.loads(plane.kubectl("get", "ns", name, "-o", "json").stdout)
    found["metadata"]["labels"]["modeltrust.dev/tier"] = "dev"
    path = f"/api/v1/namespaces/{name}/{subresource}"
    result = plane.kubectl("replace", "--raw", path, "-f", "-", stdin=_json(found), user=namespace_admin, check=False)
    after = json.loads(plane.kubectl("get", "ns", name, "-o", "json").stdout)
    assert after["metadata"]["labels"]["modeltrust.dev/tier"] == "prod", result
    assert "only who may update modelpolicies" in result.stderr, result


def test_h16_other_labels_and_plain_namespaces_are_nobodys_business(plane: ControlPlane, namespace_admin: Path, name: str) -> None:
    plane.apply(_namespace(name, {"modeltrust.dev/tier": "prod"}))

    plane.kubectl("label", "ns", name, "team=a", user=namespace_admin)
    assert _create(plane, _namespace(f"{name}-2", {}), namespace_admin) == ""


def test_h16_who_may_update_policies_may_label(plane: ControlPlane, name: str) -> None:
    plane.apply(_namespace(name, {"modeltrust.dev/tier": "prod"}))

    plane.kubectl("label", "ns", name, "modeltrust.dev/tier=dev", "--overwrite")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["webhooks"][0].update(failurePolicy="Ignore"),
        lambda c: c["webhooks"][0].update(rules=[]),
        lambda c: c["webhooks"].clear(),
        lambda c: c["webhooks"][0].update(namespaceSelector={"matchLabels": {"never": "x"}}),
        lambda c: c["webhooks"][0].update(timeoutSeconds=1),
        lambda c: c["webhooks"][0]["clientConfig"].update(url="https://127.0.0.1:1/elsewhere"),
        lambda c: c["webhooks"][0].update(matchConditions=[{"name": "never", "expression": "false"}]),
    ],
)
def test_our_webhook_configuration_cannot_be_softened(
    change: Callable[[Object], None], plane: ControlPlane, namespace_admin: Path
) -> None:
    plane.apply(_configuration("modeltrust-guarded"))
    changed = _configuration("modeltrust-guarded")
    change(changed)

    result = plane.kubectl("replace", "-f", "-", stdin=_json(changed), user=namespace_admin, check=False)

    assert "only who may delete modelpolicies" in result.stderr


def test_our_webhook_configuration_cannot_be_deleted_and_others_can(plane: ControlPlane, namespace_admin: Path) -> None:
    plane.apply(_configuration("modeltrust-guarded"), _configuration("somebody-elses"))

    ours = plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust-guarded", user=namespace_admin, check=False)
    plane.kubectl("delete", "validatingwebhookconfiguration", "somebody-elses", user=namespace_admin)

    assert "only who may delete modelpolicies" in ours.stderr


@pytest.mark.parametrize("plural", ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"])
def test_our_webhook_configuration_cannot_be_deleted_with_the_whole_collection(
    plane: ControlPlane, namespace_admin: Path, plural: str
) -> None:
    """A request to delete a collection names no object: ``request.name`` is empty, whatever it deletes."""
    ours, other = _configuration("modeltrust-guarded"), _configuration("somebody-elses")
    for value in (ours, other):
        value["kind"] = {"v": "ValidatingWebhookConfiguration", "m": "MutatingWebhookConfiguration"}[plural[0]]
    plane.apply(ours, other)
    for name in ("modeltrust-guarded", "somebody-elses"):
        path = f"/apis/admissionregistration.k8s.io/v1/{plural}?fieldSelector=metadata.name%3D{name}"
        plane.kubectl("delete", "--raw", path, user=namespace_admin, check=False)

    left = json.loads(plane.kubectl("get", plural, "-o", "json").stdout)
    names = {item["metadata"]["name"] for item in left["items"]}
    assert "modeltrust-guarded" in names
    assert "somebody-elses" not in names


def test_configurations_of_others_whose_name_is_generated_are_nobodys_business_and_ours_is(
    plane: ControlPlane, namespace_admin: Path
) -> None:
    """Installers of other operators create theirs so."""
    for prefix, refused in (("somebody-", False), ("modeltrust-", True)):
        value = _configuration("unused")
        value["metadata"] = {"generateName": prefix}
        result = plane.kubectl("create", "-f", "-", stdin=_json(value), user=namespace_admin, check=False)
        assert ("only who may delete modelpolicies" in result.stderr) is refused, result
        assert (result.returncode != 0) is refused, result


def test_the_operator_may_change_the_ca_bundle_and_nothing_else(plane: ControlPlane) -> None:
    plane.apply(
        _configuration("modeltrust-guarded"),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "test-operator"},
            "rules": [
                {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["modeltrust.dev"], "resources": ["modelattestations"], "verbs": ["attest"]},
            ],
        },
        _binding("test-operator", "test-operator", "olga"),
    )
    operator = plane.kubeconfig("olga")
    bundle, softened = _configuration("modeltrust-guarded"), _configuration("modeltrust-guarded")
    bundle["webhooks"][0]["clientConfig"]["caBundle"] = "bmV3"
    softened["webhooks"][0]["clientConfig"]["caBundle"] = "bmV3"
    softened["webhooks"][0]["failurePolicy"] = "Ignore"

    plane.kubectl("replace", "-f", "-", stdin=_json(bundle), user=operator)
    result = plane.kubectl("replace", "-f", "-", stdin=_json(softened), user=operator, check=False)

    assert "only who may delete modelpolicies" in result.stderr


@pytest.fixture(scope="module")
def interceptor(plane: ControlPlane) -> Path:
    """The operator's right to have the webhook asked about kinds that mappings teach."""
    plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "test-interceptor"},
            "rules": [
                {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["*"], "verbs": ["*"]},
                {"apiGroups": ["modeltrust.dev"], "resources": ["webhookconfigurations"], "verbs": ["intercept"]},
            ],
        },
        _binding("test-interceptor", "test-interceptor", "ines"),
    )
    return plane.kubeconfig("ines")


def test_m6_the_operator_may_have_the_webhook_asked_about_further_groups(plane: ControlPlane, interceptor: Path) -> None:
    plane.apply(_mapped())
    try:
        changed = _mapped("teach.example", "x-k8s.example")
        plane.kubectl("replace", "-f", "-", stdin=_json(changed), user=interceptor)
        plane.kubectl("replace", "-f", "-", stdin=_json(_mapped()), user=interceptor)
    finally:
        plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust-mapped")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["webhooks"][0]["rules"][0].update(apiGroups=["*"]),
        lambda c: c["webhooks"][0]["rules"][0].update(apiGroups=[""], resources=["secrets"]),
        lambda c: c["webhooks"][0]["rules"][0].update(apiGroups=["teach.example", "apps"]),
        lambda c: c["webhooks"][0]["rules"][0].update(apiGroups=["rbac.authorization.k8s.io"]),
        lambda c: c["webhooks"][0]["rules"][0].update(apiGroups=["modeltrust.dev"]),
        lambda c: c["webhooks"][0]["rules"][0].update(resources=["*"]),
        lambda c: c["webhooks"][0]["rules"][0].update(resources=["things/exec"]),
        lambda c: c["webhooks"][0]["rules"][0].update(operations=["CONNECT"]),
        lambda c: c["webhooks"][0].update(clientConfig={"url": "https://127.0.0.1:1/validate"}),
        lambda c: c["webhooks"][0]["clientConfig"]["service"].update(name="somebody-elses"),
        lambda c: c["webhooks"][0]["clientConfig"]["service"].pop("path"),
        lambda c: c["webhooks"][0]["clientConfig"]["service"].update(namespace="default"),
        lambda c: c["metadata"]["annotations"].update({"modeltrust.dev/release-namespace": "elsewhere"}),
        lambda c: (
            c["metadata"]["annotations"].update({"modeltrust.dev/release-namespace": "elsewhere"}),
            c["webhooks"][0]["clientConfig"]["service"].update(namespace="elsewhere"),
        ),
        lambda c: c["metadata"].pop("annotations"),
        lambda c: c["webhooks"][0].update(name="other.modeltrust.dev"),
        lambda c: c["metadata"].update(name="modeltrust-guarded"),
    ],
)
def test_m6_and_nothing_else(change: Callable[[Object], object], plane: ControlPlane, interceptor: Path) -> None:
    plane.apply(_mapped(), _configuration("modeltrust-guarded"))
    try:
        changed = _mapped("teach.example")
        change(changed)
        result = plane.kubectl("replace", "-f", "-", stdin=_json(changed), user=interceptor, check=False)
        assert "only who may delete modelpolicies" in result.stderr
        gone = plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust-mapped", user=interceptor, check=False)
        assert "only who may delete modelpolicies" in gone.stderr
    finally:
        plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust-mapped")


def test_f53_a_status_is_written_by_who_may_attest_and_by_nobody_else(
    plane: ControlPlane, namespace_admin: Path, name: str
) -> None:
    spec = {"model": "hf://acme/guard-7b@" + "9" * 40}
    plane.apply({"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelAttestation", "metadata": {"name": name}, "spec": spec})
    patch = ("patch", "modelattestation", name, "--subresource=status", "--type=merge", "-p", '{"status": {"statement": "{}"}}')

    result = plane.kubectl(*patch, user=namespace_admin, check=False)
    plane.kubectl(*patch)

    assert "written by the modeltrust operator alone" in result.stderr


def _create(plane: ControlPlane, value: Object, user: Path, *, dry_run: bool = False) -> str:
    flags = ["--dry-run=server"] if dry_run else []
    return plane.kubectl("create", "-f", "-", *flags, stdin=_json(value), user=user, check=False).stderr.strip()


def _namespace(name: str, labels: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _configuration(name: str) -> Object:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "x.modeltrust.dev",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "clientConfig": {"url": "https://127.0.0.1:1/validate"},
                "rules": [
                    {"apiGroups": ["example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["nothings"]}
                ],
            }
        ],
    }


def _mapped(*groups: str) -> Object:
    service = {"name": "modeltrust-webhook", "namespace": "modeltrust-system", "path": "/validate"}
    webhook = {
        "name": "open.mapped.admission.modeltrust.dev",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Ignore",
        "clientConfig": {"service": service},
        "rules": [{"apiGroups": list(groups), "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["things"]}],
    }
    metadata = {"name": "modeltrust-mapped", "annotations": {"modeltrust.dev/release-namespace": "modeltrust-system"}}
    value = {**_configuration("modeltrust-mapped"), "metadata": metadata}
    value.pop("webhooks")
    return value | ({"webhooks": [webhook]} if groups else {})


def _binding(name: str, role: str, user: str) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


def _json(value: Object) -> str:
    return json.dumps(value)
