"""What the chart renders to, asked of helm itself: every value's effect, exactly these rights."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from modeltrust.api.webhooks import configuration, mutating_configuration
from tests.support.chart import BUNDLE, DIGEST, VARIANTS, Object, rendered
from tests.support.helm import CHART, NAMESPACE, objects, template

pytestmark = pytest.mark.slow


def one(found: list[Object], kind: str, name: str = "modeltrust", namespace: str = "") -> Object:
    matching = [
        each
        for each in found
        if each["kind"] == kind
        and each["metadata"]["name"] == name
        and (not namespace or each["metadata"].get("namespace") == namespace)
    ]
    assert len(matching) == 1, (kind, name, len(matching))
    return matching[0]


def pods(found: list[Object]) -> Iterator[tuple[str, Object]]:
    for each in found:
        if each["kind"] == "Pod":
            yield each["metadata"]["name"], each["spec"]
        elif "template" in (each.get("spec") or {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


every_variant = pytest.mark.parametrize("variant", VARIANTS)


def rights(found: list[Object], account: str) -> set[str]:
    """Everything that an account may do, one line for each verb: where, what, which."""
    lines = set()
    roles = {(each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each for each in found}
    for binding in found:
        if binding["kind"] not in ("ClusterRoleBinding", "RoleBinding"):
            continue
        if not any(subject["name"] == account for subject in binding["subjects"]):
            continue
        where = binding["metadata"].get("namespace", "")
        role = roles[binding["roleRef"]["kind"], where, binding["roleRef"]["name"]]
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for name in rule.get("resourceNames", [""]):
                        for verb in rule["verbs"]:
                            lines.add(f"{where or '*'}: {verb} {group + '/' if group else ''}{resource} {name}".rstrip())
    return lines


READ = [
    "evaluationsuites",
    "modelattestations",
    "modelpolicies",
    "modelreferencemappings",
    "modelrevocations",
    "policyexemptions",
    "trustedsigners",
]


def test_the_webhook_may_read_what_it_judges_by_ask_for_evidence_and_nothing_else() -> None:
    expected = {f"*: {verb} modeltrust.dev/{kind}" for kind in READ for verb in ("get", "list", "watch")}
    expected |= {"*: create modeltrust.dev/modelattestations"}
    expected |= {f"*: {verb} namespaces" for verb in ("get", "list", "watch")}

    assert rights(rendered("defaults"), "modeltrust-webhook") == expected


OPERATOR = {
    *(f"*: {verb} modeltrust.dev/{kind}" for kind in (*READ, "modelsources") for verb in ("get", "list", "watch")),
    *(f"*: patch modeltrust.dev/{kind}/status" for kind in (*READ, "modelsources")),
    *(f"*: {verb} namespaces" for verb in ("get", "list", "watch")),
    "*: attest modeltrust.dev/modelattestations",
    "*: delete modeltrust.dev/modelattestations",
    "*: create modeltrust.dev/modelrevocations",
    "*: create events.k8s.io/events",
    "*: inject modeltrust.dev/webhookconfigurations",
    "*: intercept modeltrust.dev/webhookconfigurations",
    *(f"*: {verb} admissionregistration.k8s.io/validatingwebhookconfigurations modeltrust-mapped" for verb in ("get", "patch")),
    *(
        f"*: {verb} admissionregistration.k8s.io/{kind}webhookconfigurations modeltrust"
        for kind in ("validating", "mutating")
        for verb in ("get", "patch")
    ),
    f"{NAMESPACE}: create coordination.k8s.io/leases",
    *(f"{NAMESPACE}: {verb} coordination.k8s.io/leases modeltrust-operator" for verb in ("get", "update")),
    f"{NAMESPACE}: create configmaps",
    *(f"{NAMESPACE}: {verb} configmaps modeltrust-attestors" for verb in ("get", "update")),
    f"{NAMESPACE}: get serviceaccounts modeltrust-operator",
    *(f"{NAMESPACE}: {verb} secrets" for verb in ("create", "get", "update")),
    *(f"modeltrust-jobs: {verb} batch/jobs" for verb in ("create", "delete", "get", "list", "patch")),
    *(f"modeltrust-jobs: {verb} pods" for verb in ("get", "list")),
    "modeltrust-jobs: get pods/log",
    *(f"modeltrust-jobs: {verb} configmaps" for verb in ("create", "patch")),
    *(f"modeltrust-jobs: {verb} {kind}" for verb in ("create", "delete", "get") for kind in ("secrets", "services")),
}


def test_the_operator_may_do_exactly_this_and_list_workloads() -> None:
    lines = rights(rendered("defaults"), "modeltrust-operator")

    listed = {line for line in lines - OPERATOR if line.startswith("*: list ")}
    assert lines - listed == OPERATOR
    rules = yaml.safe_load((CHART / "files" / "webhook-rules.yaml").read_text())["ignore"]
    kinds = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"] if "/" not in name}
    kinds = {(group, name) for group, name in kinds if group != "modeltrust.dev"}
    assert listed == {f"*: list {group + '/' if group else ''}{name}" for group, name in kinds}


@pytest.mark.parametrize("account", ["modeltrust-worker", "modeltrust-job"])
def test_who_parses_foreign_bytes_may_nothing(account: str) -> None:
    for name in VARIANTS:
        assert rights(rendered(name), account) == set()


@every_variant
def test_only_the_operator_reads_secrets_and_only_of_the_release(variant: str) -> None:
    found = rendered(variant)
    accounts = {each["metadata"]["name"] for each in found if each["kind"] == "ServiceAccount"}
    for account in accounts:
        for line in rights(found, account):
            where, _, right = line.partition(": ")
            if "secrets" in right:
                assert account == "modeltrust-operator", line
                assert where in (NAMESPACE, "modeltrust-jobs"), line
                assert not right.startswith(("list", "watch")), line


@every_variant
def test_no_account_may_do_everything_escalate_or_touch_pods_of_others(variant: str) -> None:
    found = rendered(variant)
    for each in found:
        if each["kind"] == "ServiceAccount":
            for line in rights(found, each["metadata"]["name"]):
                right = line.partition(": ")[2]
                verb, what = right.split()[:2]
                assert verb not in {"*", "impersonate", "escalate", "bind"}, line
                assert "*" not in what, line
                assert not what.startswith("rbac.authorization.k8s.io"), line
                if what.startswith("pods"):  # the audit lists them; nobody reads a log or deletes one outside the jobs' namespace
                    assert line.startswith("modeltrust-jobs: ") or right == "list pods", line
                if what.startswith("admissionregistration"):
                    assert verb in {"get", "patch"}, line
                    assert right.endswith((" modeltrust", " modeltrust-mapped")), line


def test_nobody_writes_the_charts_webhook_configurations_where_the_operator_does_not_rotate() -> None:
    lines = rights(rendered("provided"), "modeltrust-operator")

    configurations = "*: {} admissionregistration.k8s.io/validatingwebhookconfigurations {}"
    assert {line for line in lines if "admissionregistration" in line or "inject" in line} == {
        configurations.format("get", "modeltrust"),
        configurations.format("get", "modeltrust-mapped"),
        configurations.format("patch", "modeltrust-mapped"),
    }


def test_the_cainjector_may_write_the_bundle_in_its_mode_alone() -> None:
    assert rights(rendered("everything"), "cert-manager-cainjector") == {"*: inject modeltrust.dev/webhookconfigurations"}
    assert rights(rendered("defaults"), "cert-manager-cainjector") == set()


@every_variant
def test_every_pod_is_restricted(variant: str) -> None:
    """The API server says the same of a namespace that enforces it (e2e/test_chart.py)."""
    seen = 0
    for name, spec in pods(rendered(variant)):
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"}, name
        assert spec["automountServiceAccountToken"] is (not name.endswith(("worker", "job"))), name
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert "runAsUser" not in security  # OpenShift chooses one (F101)
            assert "cpu" not in container["resources"]["limits"]
            assert container["resources"]["limits"]["memory"]
            seen += 1
        for volume in spec["volumes"]:
            assert volume.keys() & {"secret", "configMap", "emptyDir"}, volume
            # Nobody knows the user (OpenShift chooses one), and there is no fsGroup: what root owns must be readable by others.
            assert volume.get("secret", {}).get("defaultMode", 0o444) & 0o004, volume
    assert seen >= 3


@every_variant
def test_rolling_updates_lose_nobody(variant: str) -> None:
    for each in rendered(variant):
        if each["kind"] == "Deployment":
            assert each["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
            assert each["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] >= 45
            assert each["spec"]["replicas"] >= 2


def test_both_webhooks_are_what_the_code_says_they_are() -> None:
    """e2e/ asks through api.webhooks, installations through the chart: one text."""
    rules = yaml.safe_load((CHART / "files" / "webhook-rules.yaml").read_text())
    never = (NAMESPACE, "modeltrust-jobs", "istio-system")
    found = rendered("everything")

    def client(path: str) -> Object:
        return {"service": {"name": "modeltrust-webhook", "namespace": NAMESPACE, "path": path, "port": 443}}

    expected = configuration("modeltrust", ignore=rules["ignore"], fail=rules["fail"], client=client("/validate"), never=never)
    mutating = mutating_configuration("modeltrust", client=client("/mutate"), never=never)
    for wanted in (expected, mutating):
        rendered_webhooks = one(found, wanted["kind"])["webhooks"]
        assert [webhook | {"objectSelector": {}} for webhook in wanted["webhooks"]] == rendered_webhooks


def test_the_mutating_webhook_is_there_when_it_is_asked_for_alone() -> None:
    assert not [each for each in rendered("defaults") if each["kind"] == "MutatingWebhookConfiguration"]
    webhook = next(spec for name, spec in pods(rendered("everything")) if name == "modeltrust-webhook")
    assert f"--inject-image=modeltrust@{DIGEST}" in webhook["containers"][0]["args"]


@pytest.mark.parametrize(("variant", "policies"), [("defaults", ["Ignore", "Fail"]), ("fail open", ["Ignore", "Ignore"])])
def test_the_mode_says_what_follows_when_nobody_answers(variant: str, policies: list[str]) -> None:
    webhooks = one(rendered(variant), "ValidatingWebhookConfiguration")["webhooks"]

    assert [webhook["failurePolicy"] for webhook in webhooks] == policies


@pytest.mark.parametrize("variant", ["defaults", "fail open"])
def test_the_configuration_for_kinds_of_mappings_is_empty_and_names_the_release(variant: str) -> None:
    found = one(rendered(variant), "ValidatingWebhookConfiguration", "modeltrust-mapped")

    assert "webhooks" not in found  # what the operator writes there is no part of the release, and no upgrade takes it away
    assert found["metadata"]["annotations"] == {"modeltrust.dev/release-namespace": NAMESPACE}


def test_kinds_of_mappings_may_be_listed_where_somebody_allows_it() -> None:
    role = one(rendered("defaults"), "ClusterRole", "modeltrust-operator-mapped")

    assert role["rules"] == []
    assert role["aggregationRule"] == {"clusterRoleSelectors": [{"matchLabels": {"modeltrust.dev/aggregate-to-operator": "true"}}]}


def test_nobody_is_asked_when_it_is_off() -> None:
    assert not [each for each in rendered("off") if "Webhook" in each["kind"]]


@every_variant
def test_no_bundle_is_rendered_that_somebody_else_writes(variant: str) -> None:
    for each in rendered(variant):
        if "Webhook" in each["kind"]:
            for webhook in each.get("webhooks", []):
                assert webhook["clientConfig"].get("caBundle") == (BUNDLE if variant == "provided" else None)


def test_f97_an_uninstall_keeps_the_kinds_and_takes_everything_else() -> None:
    for each in rendered("everything"):
        annotations = each["metadata"].get("annotations") or {}
        kept = annotations.get("helm.sh/resource-policy") == "keep"
        assert kept is (each["kind"] == "CustomResourceDefinition"), each["metadata"]["name"]


def test_the_kinds_are_those_of_crds() -> None:
    own = sorted((CHART.parent.parent / "crds").glob("*.yaml"))
    found = [each for each in rendered("defaults") if each["kind"] == "CustomResourceDefinition"]

    assert len(own) == len(found) == 8
    for path in own:
        wanted = yaml.safe_load(path.read_text())
        assert one(found, "CustomResourceDefinition", wanted["metadata"]["name"])["spec"] == wanted["spec"]


def test_every_process_is_reached_by_whom_it_should_and_by_nobody_else() -> None:
    found = rendered("everything")
    worker = one(found, "NetworkPolicy", "modeltrust-worker")["spec"]
    assert worker["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "modeltrust", "app.kubernetes.io/component": "operator"}}}
    ]
    blocks = [peer["ipBlock"] for rule in worker["egress"] for peer in rule.get("to", [])]
    assert {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]} in blocks
    webhook = one(found, "NetworkPolicy", "modeltrust-webhook")["spec"]
    assert [rule.get("to") for rule in webhook["egress"]] == [None, [{"ipBlock": {"cidr": "10.0.0.1/32"}}]]
    closed = {
        each["metadata"]["namespace"] for each in found if each["kind"] == "NetworkPolicy" and each["spec"]["podSelector"] == {}
    }
    for each in found:
        if each["kind"] == "NetworkPolicy" and each["metadata"]["namespace"] not in closed:
            assert each["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("cidr", "excepted"),
    [
        ("0.0.0.0/0", ["169.254.0.0/16", "10.1.0.0/16", "10.0.0.0/8"]),
        ("10.0.0.0/8", ["10.1.0.0/16"]),
        ("10.1.0.0/16", None),
        ("10.1.2.0/24", None),
        ("10.0.0.0/15", ["10.1.0.0/16"]),
        ("10.2.0.0/15", None),
        ("192.0.2.1/32", None),
        ("169.254.0.0/15", ["169.254.0.0/16"]),
        ("::/0", None),
    ],
)
def test_an_exception_is_cut_out_of_the_ranges_that_hold_it_alone(cidr: str, excepted: list[str] | None) -> None:
    """The API server refuses any other; the default one must not make a narrower range impossible."""
    sources = {"cidrs": [cidr], "except": ["169.254.0.0/16", "10.1.0.0/16", "10.0.0.0/8"]}

    worker = one(objects(template({"networkPolicies": {"sources": sources}})), "NetworkPolicy", "modeltrust-worker")

    assert [peer["ipBlock"].get("except") for peer in worker["spec"]["egress"][1]["to"]] == [excepted]


def test_no_range_of_sources_is_no_way_out_and_not_every_way() -> None:
    found = objects(template({"networkPolicies": {"sources": {"cidrs": []}}}))

    for name in ("modeltrust-worker", "modeltrust-jobs-reading"):
        egress = one(found, "NetworkPolicy", name)["spec"]["egress"]
        assert [{port["port"] for port in rule["ports"]} for rule in egress] == [{53}]


def test_jobs_pull_with_the_same_secrets() -> None:
    for name in ("modeltrust-job", "modeltrust-worker"):
        account = one(rendered("everything"), "ServiceAccount", name)
        assert account.get("imagePullSecrets") == ([{"name": "pull"}] if name == "modeltrust-job" else None)


def test_in_the_jobs_namespace_a_runner_reaches_its_engines_and_nothing_else() -> None:
    found = rendered("everything")
    closed = one(found, "NetworkPolicy", "modeltrust-jobs")["spec"]
    runner = one(found, "NetworkPolicy", "modeltrust-jobs-runners")["spec"]
    engine = one(found, "NetworkPolicy", "modeltrust-jobs-engines")["spec"]

    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert [rule["to"] for rule in runner["egress"]] == [[{"podSelector": engine["podSelector"]}]]
    assert [rule["from"] for rule in engine["ingress"]] == [[{"podSelector": runner["podSelector"]}]]


def test_h2_a_round_of_monitoring_reaches_the_pods_of_its_namespace_and_nothing_else() -> None:
    found = rendered("everything")
    for name in ("serving", "42"):
        policy = one(found, "NetworkPolicy", f"modeltrust-jobs-monitor-{name}", "modeltrust-jobs")["spec"]
        dns, pods = policy["egress"]
        assert policy["podSelector"] == {"matchLabels": {"modeltrust.dev/job": "monitor", "modeltrust.dev/monitored": name}}
        assert pods == {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}]}
        assert {port["port"] for port in dns["ports"]} == {53}
    (operator,) = one(found, "Deployment", "modeltrust-operator")["spec"]["template"]["spec"]["containers"]
    assert "--monitored-namespaces=serving,42" in operator["args"]
    bare = rendered("defaults")
    assert [each["metadata"]["name"] for each in bare if "monitor-" in each["metadata"]["name"]] == []
    (operator,) = one(bare, "Deployment", "modeltrust-operator")["spec"]["template"]["spec"]["containers"]
    assert not [word for word in operator["args"] if "monitored" in word]


def test_every_deployment_has_a_policy_a_budget_and_an_account_of_its_own() -> None:
    found = rendered("defaults")
    for component in ("webhook", "operator", "worker"):
        deployment = one(found, "Deployment", f"modeltrust-{component}")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/component"] == component
        assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == f"modeltrust-{component}"
        for kind in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = one(found, kind, f"modeltrust-{component}")["spec"]
            wanted = (selector.get("selector") or selector.get("podSelector"))["matchLabels"]
            assert wanted.items() <= labels.items()


def promtool() -> Path:
    """Debian's, unpacked into a cache: no service is started."""
    found = shutil.which("promtool")
    if found:
        return Path(found)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modeltrust" / "prometheus"
    if not (cache / "usr/bin/promtool").exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=cache, check=True)
        subprocess.run(["dpkg", "-x", next(cache.glob("prometheus_*.deb")), cache], check=True)
    return cache / "usr/bin/promtool"


def test_the_alerts_ring_when_they_should_and_are_silent_otherwise(tmp_path: Path) -> None:
    rules = one(rendered("everything"), "PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    tests = Path(__file__).parent.parent / "assets" / "alerts.yaml"
    (tmp_path / "tests.yaml").write_text(tests.read_text())

    for command in (["check", "rules", "rules.yaml"], ["test", "rules", "tests.yaml"]):
        result = subprocess.run([promtool(), *command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_leads_to_its_paragraph() -> None:
    rules = one(rendered("everything"), "PrometheusRule")["spec"]
    page = (CHART.parent.parent / "docs" / "troubleshooting.md").read_text().lower()
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["annotations"]["runbook_url"].endswith("#" + rule["alert"].lower())
                assert f"### {rule['alert'].lower()}" in page
