"""The chart at a real API server: every object of every variant is valid to the last field, and every Pod restricted."""

import base64
import copy
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import cert_manager
from e2e.control_plane import ControlPlane
from e2e.kinds_of_others import monitoring
from e2e.waiting import eventually
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer
from modeltrust.operator.certificates import Certificates
from modeltrust.operator.interception import Interception
from modeltrust.store.sink import Kind
from tests.support import api_objects, chart, trusted
from tests.support.helm import NAMESPACE, objects, template

Object = dict[str, Any]
NOW = 1_800_000_000
DOCS = Path(__file__).parent.parent / "docs"
DIGEST = "sha256:" + "a" * 64
FOREIGN = {"ServiceMonitor", "PrometheusRule", "Certificate", "Issuer"}  # kinds of others: there for their own tests alone
VARIANTS: dict[str, tuple[Object, tuple[str, ...]]] = {
    "defaults": ({}, ()),
    "injecting": ({"image": {"digest": DIGEST}, "verifyAtLoad": {"inject": True}, "webhook": {"clientCASecret": "clients"}}, ()),
    "provided": ({"certificates": {"mode": "provided", "caBundle": "{ca}"}, "monitoring": {"dashboard": {"enabled": True}}}, ()),
    "cert-manager": ({"certificates": {"mode": "certManager"}}, ("--api-versions", "cert-manager.io/v1")),
    "ranges": ({"networkPolicies": {"sources": {"cidrs": ["10.0.0.0/8", "fd00::/8"]}}, "imagePullSecrets": [{"name": "pull"}]}, ()),
    "nowhere": ({"networkPolicies": {"sources": {"cidrs": []}}}, ()),
    "off": ({"mode": "Disabled", "networkPolicies": {"apiServer": {"cidrs": ["10.0.0.1/32", "fd00::/8"]}}}, ()),
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


@pytest.fixture(scope="module", autouse=True)
def namespaces(plane: ControlPlane) -> Iterator[None]:
    """Both namespaces, the release's as docs/install.md labels it, with their accounts."""
    levels = {f"pod-security.kubernetes.io/{level}": "restricted" for level in ("enforce", "warn", "audit")}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": levels}})
    plane.apply(*(each for each in rendered(plane, "defaults") if each["kind"] == "Namespace"))
    plane.apply(*(each for each in rendered(plane, "defaults") if each["kind"] == "ServiceAccount"))
    yield
    plane.kubectl("delete", "namespace", NAMESPACE, "modeltrust-jobs", "--wait=false", check=False)


def rendered(plane: ControlPlane, variant: str) -> list[Object]:
    values, flags = copy.deepcopy(VARIANTS[variant])
    if "caBundle" in values.get("certificates", {}):
        ca = from_kubeconfig(plane.admin).ca
        assert ssl.PEM_cert_to_DER_cert(ca)
        values["certificates"]["caBundle"] = base64.b64encode(ca.encode()).decode()
    return [each for each in objects(template(values, *flags)) if each["kind"] not in FOREIGN]


def pods(found: list[Object]) -> Iterator[Object]:
    for each in found:
        if each["kind"] == "Pod":
            yield each
        elif "template" in (each.get("spec") or {}):
            template = each["spec"]["template"]
            metadata = {**template["metadata"], "name": each["metadata"]["name"], "namespace": each["metadata"]["namespace"]}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


@every_variant
def test_every_object_is_valid_to_the_last_field(plane: ControlPlane, variant: str) -> None:
    found = rendered(plane, variant)

    result = plane.apply(*found, flags=("--dry-run=server", "--validate=strict"))

    assert len(result.stdout.splitlines()) == len(found)
    assert "would violate" not in result.stderr
    assert "unknown field" not in result.stderr


def test_a_field_that_does_not_exist_would_be_found(plane: ControlPlane) -> None:
    deployment = next(each for each in rendered(plane, "defaults") if each["kind"] == "Deployment")
    deployment["spec"]["replicaz"] = 2

    result = plane.apply(deployment, check=False, flags=("--dry-run=server", "--validate=strict"))

    assert 'unknown field "spec.replicaz"' in result.stderr


@pytest.fixture(scope="module")
def foreign(plane: ControlPlane) -> Iterator[ControlPlane]:
    """With the kinds of cert-manager and of the Prometheus operator; skipped, loudly, only where they cannot be had."""
    rules, missing = monitoring(), cert_manager.missing()
    if missing or rules is None:
        pytest.skip(f"KINDS OF OTHERS WERE NOT ASKED ABOUT: {missing or 'there is no Go to fetch the Prometheus operator with'}")
    places = ("-f", str(cert_manager.kinds()), "-f", str(rules))
    plane.kubectl("apply", "--server-side", *places)
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    yield plane
    plane.kubectl("delete", *places, "--wait=false")


@pytest.mark.parametrize("variant", ["everything", "issuer"])
def test_every_object_of_a_kind_of_others_is_valid_to_the_last_field(foreign: ControlPlane, variant: str) -> None:
    found = [each for each in chart.rendered(variant) if each["kind"] in FOREIGN]

    result = foreign.apply(*found, flags=("--dry-run=server", "--validate=strict"))

    assert len(result.stdout.splitlines()) == len(found)
    assert {each["kind"] for each in found} == (FOREIGN if variant == "everything" else {"Certificate"})
    wrong = copy.deepcopy(found[0])
    wrong["spec"]["nobodyKnows"] = "it"
    refused = foreign.apply(wrong, check=False, flags=("--dry-run=server", "--validate=strict"))
    assert 'unknown field "spec.nobodyKnows"' in refused.stderr


@every_variant
def test_every_pod_is_restricted_says_the_api_server(plane: ControlPlane, variant: str) -> None:
    made = list(pods(rendered(plane, variant)))

    result = plane.apply(*(pod for pod in made if "test" not in pod["metadata"]["name"]), flags=("--dry-run=server",))

    assert len(result.stdout.splitlines()) == 3


def test_a_pod_that_is_not_restricted_would_be_found(plane: ControlPlane) -> None:
    pod = next(pods(rendered(plane, "defaults")))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True

    result = plane.apply(pod, check=False, flags=("--dry-run=server",))

    assert 'violates PodSecurity "restricted' in result.stderr


@pytest.fixture
def operator(plane: ControlPlane) -> Iterator[Path]:
    """An account with exactly the chart's rights of the operator, and the chart's webhook configuration to look after."""
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "chart-operator"}
    roles = [
        {**each, "subjects": [user]} if "subjects" in each else each
        for each in rendered(plane, "defaults")
        if each["metadata"]["name"] in {"modeltrust-operator", "modeltrust-operator-mapped"}
        and each["kind"].startswith(("Role", "ClusterRole"))
    ]
    configuration = next(each for each in rendered(plane, "defaults") if each["kind"] == "ValidatingWebhookConfiguration")
    never = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["nowhere"]}
    for webhook in configuration["webhooks"]:  # nobody answers at this Service: other tests go on
        webhook["namespaceSelector"]["matchExpressions"].append(never)
        webhook["rules"] = [rule for rule in webhook["rules"] if rule["apiGroups"] == ["apps"]]
    taken = plane.kubectl("get", "validatingwebhookconfiguration", "modeltrust", "-o", "name", check=False).returncode == 0
    if taken:
        pytest.skip("another module's webhook holds the name")
    mapped = next(each for each in rendered(plane, "defaults") if each["metadata"]["name"] == "modeltrust-mapped")
    plane.apply(*roles, configuration, mapped)
    try:
        yield plane.kubeconfig("chart-operator")
    finally:
        plane.kubectl("delete", "validatingwebhookconfiguration", "modeltrust", "modeltrust-mapped")
        for role in roles:
            plane.kubectl("delete", role["kind"], role["metadata"]["name"], *_within(role))


def _within(value: Object) -> tuple[str, ...]:
    namespace = value["metadata"].get("namespace")
    return ("-n", namespace) if namespace else ()


def test_certificates_are_made_and_changed_with_the_charts_rights_alone_and_past_the_guards(
    plane: ControlPlane, operator: Path
) -> None:
    events: list[tuple[str, str]] = []
    drifts: list[tuple[str, ...]] = []
    certificates = Certificates(
        ApiServer(from_kubeconfig(operator)),
        NAMESPACE,
        drifted=drifts.append,
        event=lambda reason, text: events.append((reason, text)),
    )

    eventually(lambda: _tried(certificates, NOW), seconds=20)  # rights take a moment to arrive
    first = _bundles(plane)
    certificates.reconcile(NOW + 250 * 24 * 3600)
    staged = _bundles(plane)
    certificates.reconcile(NOW + 250 * 24 * 3600 + 3_600)

    assert len(first) == len(staged) == 1
    assert staged != first
    assert next(iter(_bundles(plane))) != next(iter(staged))
    for name in ("modeltrust-webhook-tls", "modeltrust-worker-tls", "modeltrust-worker-client"):
        secret = plane.get("secret", name, "-n", NAMESPACE)
        assert secret["type"] == "kubernetes.io/tls"
        assert set(secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert drifts[-1] == ()


def test_kinds_of_mappings_are_asked_about_with_the_charts_rights_alone_and_past_the_guards(
    plane: ControlPlane, operator: Path
) -> None:
    api, store = ApiServer(from_kubeconfig(operator)), trusted.a_store()
    store.replace(Kind.MAPPINGS, [api_objects.mapping()])
    interception = Interception(api, api, store=store, logs=Told())

    def asked() -> bool:
        interception()
        return interception.missing("gmc.opea.io", ["GMConnector"]) == ""

    eventually(asked, seconds=20)  # rights take a moment to arrive
    first = plane.get("validatingwebhookconfiguration", "modeltrust")["webhooks"]
    second = plane.get("validatingwebhookconfiguration", "modeltrust-mapped")["webhooks"]
    assert [webhook["clientConfig"] for webhook in first] == [webhook["clientConfig"] for webhook in second]
    assert {rule["resources"][0] for webhook in second for rule in webhook["rules"]} == {"gmconnectors"}
    version = plane.get("validatingwebhookconfiguration", "modeltrust-mapped")["metadata"]["resourceVersion"]
    interception()
    assert plane.get("validatingwebhookconfiguration", "modeltrust-mapped")["metadata"]["resourceVersion"] == version
    store.replace(Kind.MAPPINGS, [])
    interception()
    assert not plane.get("validatingwebhookconfiguration", "modeltrust-mapped").get("webhooks")


def test_a_kind_of_a_mapping_may_be_listed_where_a_role_with_our_label_allows_it(plane: ControlPlane, operator: Path) -> None:
    def allowed(name: str = "") -> bool:  # nothing of the kind is served: who may ask is told that, and who may not is refused
        path = f"/apis/serving.acme.example/v1/pipelines{name}"
        return "Forbidden" not in plane.kubectl("get", "--raw", path, user=operator, check=False).stderr

    role = next(
        each
        for text in re.findall(r"^```yaml\n(.*?)^```$", (DOCS / "mappings.md").read_text(), re.MULTILINE | re.DOTALL)
        if (each := yaml.safe_load(text))["kind"] == "ClusterRole"
    )
    assert not allowed()
    plane.apply(role)
    try:
        eventually(allowed, seconds=20, what="the right to list them")
        assert not allowed("/one")
    finally:
        plane.kubectl("delete", "clusterrole", role["metadata"]["name"])


class Told:
    def log(self, event: str, **fields: Any) -> None:
        assert event
        assert fields


def test_f108_a_break_glass_by_hand_stays_and_is_told(plane: ControlPlane, operator: Path) -> None:
    drifts: list[tuple[str, ...]] = []
    certificates = Certificates(ApiServer(from_kubeconfig(operator)), NAMESPACE, drifted=drifts.append, event=lambda *_: None)
    eventually(lambda: _tried(certificates, NOW), seconds=20)
    patch = '[{"op": "replace", "path": "/webhooks/1/failurePolicy", "value": "Ignore"}]'
    plane.kubectl("patch", "validatingwebhookconfiguration", "modeltrust", "--type=json", "-p", patch)

    certificates.reconcile(NOW + 60)

    assert drifts[-1] == ("closed.admission.modeltrust.dev has failurePolicy Ignore, expected Fail",)
    found = plane.get("validatingwebhookconfiguration", "modeltrust")
    assert found["webhooks"][1]["failurePolicy"] == "Ignore"


def test_the_operator_starts_from_nothing_with_the_charts_rights_alone(plane: ControlPlane, operator: Path, tmp_path: Path) -> None:
    """Nothing that it asks for on its way is forbidden: certificates, keys, the attestor file, Lease, watches."""
    plane.kubectl("delete", "secrets", "--all", "-n", NAMESPACE)
    log = tmp_path / "operator.log"
    client = [f"--worker-{name}={tmp_path / name}" for name in ("ca", "cert", "key")]
    command = [sys.executable, "-m", "modeltrust", "operator", f"--namespace={NAMESPACE}", "--jobs-namespace=modeltrust-jobs"]
    command += [f"--kubeconfig={operator}", "--worker=https://127.0.0.1:1", *client, "--metrics-listen=", "--rotate-certificates"]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)
    try:
        eventually(lambda: '"event":"leading"' in log.read_text(), seconds=60, what=f"leading, see {log}")
        for kind, name in (
            ("secret", "modeltrust-webhook-tls"),
            ("secret", "modeltrust-attestor"),
            ("configmap", "modeltrust-attestors"),
            ("lease", "modeltrust-operator"),
        ):
            assert plane.get(kind, name, "-n", NAMESPACE)
        assert next(iter(_bundles(plane)))
    finally:
        process.terminate()
        process.wait(30)
    assert "forbidden" not in log.read_text()
    owners = plane.get("secret", "modeltrust-webhook-tls", "-n", NAMESPACE)["metadata"]["ownerReferences"]
    assert [owner["kind"] for owner in owners] == ["ServiceAccount"]


def _tried(certificates: Certificates, now: int) -> bool:
    try:
        return certificates.reconcile(now) > now
    except Exception:  # noqa: BLE001 - whatever it is: the deadline tells
        return False


def _bundles(plane: ControlPlane) -> set[str]:
    found = plane.get("validatingwebhookconfiguration", "modeltrust")
    return {webhook["clientConfig"].get("caBundle", "") for webhook in found["webhooks"]}
