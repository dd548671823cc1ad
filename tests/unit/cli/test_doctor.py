import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modeltrust.api.v1alpha1.kinds import KINDS
from modeltrust.api.webhooks import configuration, rules
from modeltrust.wiring.rows import load_tables
from tests.support import trusted
from tests.support.api_server import certificate_files
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import CommandLine, Object, Ran
from tests.support.rollouts import attestors
from tests.support.served import a_cluster, put_trust, reached

NAMESPACE = "modeltrust"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPPED = "modeltrust-operator-mapped"
GUARDS = ("namespace-labels.modeltrust.dev", "webhook-configurations.modeltrust.dev", "status-writers.modeltrust.dev")


def named(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name}, **more}


def binding(name: str, role: str) -> Object:
    subject = {"kind": "ServiceAccount", "name": "modeltrust-operator", "namespace": NAMESPACE}
    return named(name, roleRef={"name": role}, subjects=[subject])


@pytest.fixture
def cluster(tmp_path: Path) -> ClusterSimulator:
    """A healthy installation without policies."""
    cluster = a_cluster()
    put_trust(cluster, trusted.namespace("team-a"))
    for kind in KINDS.values():
        crd = named(f"{kind.plural}.modeltrust.dev", spec={"versions": [{"name": "v1alpha1", "served": True}]})
        cluster.put(CRDS, {**crd, "status": {"conditions": [{"type": "Established", "status": "True"}]}})
    folder = tmp_path / "certificates"
    folder.mkdir()
    pem = certificate_files(folder)[0].read_bytes()
    rows = list(load_tables().kinds.values())
    asked = [rules(rows, fail=fail) for fail in (False, True)]
    client = {"service": {"namespace": NAMESPACE, "name": "x"}, "caBundle": base64.b64encode(pem).decode()}
    hooks = configuration("modeltrust", ignore=asked[0], fail=asked[1], client=client, never=[NAMESPACE])
    cluster.put(f"{ADMISSION}/validatingwebhookconfigurations", hooks)
    for component in ("webhook", "operator", "worker"):
        cluster.put(DEPLOYMENTS, named(f"modeltrust-{component}", spec={"replicas": 2}, status={"readyReplicas": 2}))
    core = f"/api/v1/namespaces/{NAMESPACE}"
    cluster.put(f"{core}/secrets", named("modeltrust-webhook-tls", data={"tls.crt": base64.b64encode(pem).decode()}))
    cluster.put(f"{core}/configmaps", named("modeltrust-attestors", data={"attestors.yaml": "[]"}))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease = {"holderIdentity": "one", "leaseDurationSeconds": 600, "renewTime": now}
    cluster.put(LEASES, named("modeltrust-operator", spec=lease))
    for guard in GUARDS:
        cluster.put(f"{ADMISSION}/validatingadmissionpolicies", named(guard))
        bound = named(guard, spec={"policyName": guard, "validationActions": ["Deny"]})
        cluster.put(f"{ADMISSION}/validatingadmissionpolicybindings", bound)
    cluster.put(f"{RBAC}/clusterrolebindings", binding("modeltrust-operator", "modeltrust-operator"))
    return cluster


@pytest.fixture
def doctor(cluster: ClusterSimulator, command_line: CommandLine, tmp_path: Path) -> Iterator[Any]:
    with reached(cluster, tmp_path) as kubeconfig:

        def _doctor(*arguments: str) -> Ran:
            return command_line("doctor", "--kubeconfig", kubeconfig, "--attestors", attestors(tmp_path), *arguments)

        yield _doctor


def states(ran: Ran) -> dict[str, str]:
    found: dict[str, str] = {}
    for check in ran.document["checks"]:
        if found.get(check["name"]) in {None, "ok"}:
            found[check["name"]] = check["state"]
    return found


def test_a_healthy_installation_is_well_and_its_namespace_is_found(doctor: Any) -> None:
    ran = doctor("-o", "json")
    wrong = [check for check in ran.document["checks"] if check["state"] != "ok"]
    assert not [check for check in wrong if "certificate" not in check["name"] and "caBundle" not in check["name"]], wrong
    assert ran.document["namespace"] == NAMESPACE


def change(cluster: ClusterSimulator, collection: str, name: str, **fields: Any) -> None:
    found = cluster.find(collection, name)
    assert found is not None
    cluster.put(collection, {**found, **fields})


def _old_lease(cluster: ClusterSimulator) -> None:
    then = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 15, "renewTime": then}
    change(cluster, LEASES, "modeltrust-operator", spec=spec)


def _hooks(cluster: ClusterSimulator, **fields: Any) -> None:
    path = f"{ADMISSION}/validatingwebhookconfigurations"
    found = cluster.find(path, "modeltrust")
    assert found is not None
    found["webhooks"][0] |= fields
    cluster.put(path, found)


BREAKS: dict[str, Callable[[ClusterSimulator], object]] = {
    "kinds": lambda cluster: cluster.remove(CRDS, "modelpolicies.modeltrust.dev"),
    "webhook configuration": lambda cluster: cluster.remove(f"{ADMISSION}/validatingwebhookconfigurations", "modeltrust"),
    "webhook open": lambda cluster: _hooks(cluster, rules=[]),
    "webhook": lambda cluster: change(cluster, DEPLOYMENTS, "modeltrust-webhook", status={"readyReplicas": 1}),
    "operator": lambda cluster: cluster.remove(DEPLOYMENTS, "modeltrust-operator"),
    "leader": _old_lease,
    "guards": lambda cluster: cluster.remove(f"{ADMISSION}/validatingadmissionpolicybindings", GUARDS[1]),
    "accounts": lambda cluster: cluster.put(f"{RBAC}/clusterrolebindings", binding("helpful", "cluster-admin")),
    "attestors": lambda cluster: change(cluster, f"/api/v1/namespaces/{NAMESPACE}/configmaps", "modeltrust-attestors", data={}),
    "objects": lambda cluster: put_trust(cluster, {**trusted.policy(), "spec": {"mode": "Enforce"}}),
    "a denial": lambda cluster: put_trust(cluster, trusted.policy()),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_named_with_a_fix_and_the_exit_code_says_so(name: str, cluster: ClusterSimulator, doctor: Any) -> None:
    BREAKS[name](cluster)
    arguments = ("--release-namespace", NAMESPACE, "-o", "json")
    ran = doctor(*arguments)
    assert ran.code == 11
    assert states(ran)[name] == "failed"
    assert all(check["fix"] for check in ran.document["checks"] if check["state"] == "failed")


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["*"], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["*"], "verbs": ["list"]},
    ],
)
def test_c5_a_widened_role_of_ours_is_named(rule: Object, cluster: ClusterSimulator, doctor: Any) -> None:
    cluster.put(f"{RBAC}/clusterroles", named("modeltrust-operator", rules=[rule]))
    assert states(doctor("-o", "json"))["accounts"] == "failed"


ACCOUNT = {"kind": "ServiceAccount", "name": "modeltrust-webhook", "namespace": NAMESPACE}


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("modeltrust-evil", ACCOUNT),  # a role that only looks like one of ours
        ("modeltrust-operator", ACCOUNT),  # another one's
        ("modeltrust-operator-mapped", ACCOUNT),
        ("cluster-admin", {"kind": "User", "name": f"system:serviceaccount:{NAMESPACE}:modeltrust-worker"}),
        ("view", {"kind": "Group", "name": f"system:serviceaccounts:{NAMESPACE}"}),
        ("view", {"kind": "Group", "name": "system:serviceaccounts"}),
        ("cluster-admin", {"kind": "Group", "name": "system:authenticated"}),
    ],
)
@pytest.mark.parametrize("plural", ["clusterrolebindings", "rolebindings"])
def test_c5_whatever_is_given_to_an_account_of_ours_beside_its_own_role_is_named(
    role: str, subject: Object, plural: str, cluster: ClusterSimulator, doctor: Any
) -> None:
    given = named("helpful", roleRef={"kind": "ClusterRole", "name": role}, subjects=[subject])
    cluster.put(f"{RBAC}/{plural}", given)
    assert states(doctor("-o", "json"))["accounts"] == "failed"


def test_the_role_of_kinds_that_mappings_teach_is_the_operators_too(cluster: ClusterSimulator, doctor: Any) -> None:
    cluster.put(f"{RBAC}/clusterrolebindings", binding(MAPPED, MAPPED))
    reading = {"apiGroups": ["acme.example"], "resources": ["pipelines"], "verbs": ["list"]}
    cluster.put(f"{RBAC}/clusterroles", named(MAPPED, rules=[reading]))
    assert states(doctor("-o", "json"))["accounts"] == "ok"


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["acme.example"], "resources": ["pipelines"], "verbs": ["list", "delete"]},
        {"apiGroups": ["acme.example"], "resources": ["pipelines"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]},
    ],
)
def test_c5_more_than_reading_kinds_that_mappings_teach_is_named(rule: Object, cluster: ClusterSimulator, doctor: Any) -> None:
    cluster.put(f"{RBAC}/clusterrolebindings", binding(MAPPED, MAPPED))
    cluster.put(f"{RBAC}/clusterroles", named(MAPPED, rules=[rule]))
    assert states(doctor("-o", "json"))["accounts"] == "failed"


def test_what_kubernetes_gives_every_service_account_is_nothing_of_note(cluster: ClusterSimulator, doctor: Any) -> None:
    name = "system:service-account-issuer-discovery"
    subject = {"kind": "Group", "name": "system:serviceaccounts"}
    cluster.put(f"{RBAC}/clusterrolebindings", named(name, roleRef={"kind": "ClusterRole", "name": name}, subjects=[subject]))
    cluster.put(f"{RBAC}/clusterrolebindings", named("others", roleRef={"name": "view"}, subjects=[{**ACCOUNT, "namespace": "x"}]))
    assert states(doctor("-o", "json"))["accounts"] == "ok"


def test_what_may_not_be_looked_at_is_no_success(cluster: ClusterSimulator, doctor: Any) -> None:
    cluster.faults.append(("GET", "leases", 403))
    assert states(doctor("-o", "json"))["leader"] == "unknown"


def test_the_text_has_one_line_for_each_check_and_its_fix(cluster: ClusterSimulator, doctor: Any) -> None:
    cluster.remove(DEPLOYMENTS, "modeltrust-operator")
    out = doctor().out
    assert "failed   operator: there is no Deployment modeltrust-operator\n         Fix: helm upgrade" in out
    assert "ok       guards: all 3 are bound" in out


def test_neither_keys_nor_tokens_are_asked_for(cluster: ClusterSimulator, doctor: Any) -> None:
    doctor()
    assert not [path for _, path in cluster.requests if "modeltrust-attestor?" in path or path.endswith("/modeltrust-attestor")]
    assert [path for method, path in cluster.requests if method != "GET"] == []
