"""What the API server is told to ask about, and what follows when nobody answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from modeltrust.api.v1alpha1.kinds import KINDS
from modeltrust.api.webhooks import FAIL_CLOSED, NEVER_SENT, configuration, plural, rules
from modeltrust.references.schema import KindRow
from modeltrust.wiring.rows import load_tables

ROWS = list({id(row): row for row in load_tables().kinds.values()}.values())
CLIENT = {"service": {"namespace": "modeltrust-system", "name": "webhook", "path": "/validate"}, "caBundle": "Y2E="}
IGNORE, FAIL = rules(ROWS, fail=False), rules(ROWS, fail=True)


def a_row(**changes: Any) -> KindRow:
    return KindRow(**{"group": "g.example", "kinds": ["Thing"], "versions": ["v1"], "pod_specs": ["spec"], **changes})


def the_webhooks(**changes: Any) -> list[dict[str, Any]]:
    arguments: dict[str, Any] = {"ignore": IGNORE, "fail": FAIL, "client": CLIENT, **changes}
    webhooks: list[dict[str, Any]] = configuration("modeltrust", **arguments)["webhooks"]
    return webhooks


def sent_to(webhook: dict[str, Any], labels: dict[str, str]) -> bool:
    """As the API server reads a namespaceSelector: NotIn holds where the label is missing, In does not."""
    expressions = webhook["namespaceSelector"]["matchExpressions"]
    return all((labels.get(e["key"]) in e["values"]) is (e["operator"] == "In") for e in expressions)


def resources(found: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for rule in found:
        yield from ((rule["apiGroups"][0], resource) for resource in rule["resources"])


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("Pod", "pods"),
        ("InferenceService", "inferenceservices"),
        ("ModelPolicy", "modelpolicies"),
        ("Gateway", "gateways"),
        ("DaemonSet", "daemonsets"),
        ("Ingress", "ingresses"),
        ("Box", "boxes"),
        ("Batch", "batches"),
        ("Cache", "caches"),
    ],
)
def test_a_kind_has_the_plural_that_generators_give_it(kind: str, resource: str) -> None:
    assert plural(kind) == resource


@pytest.mark.parametrize("closed", [None, "", "true", "false", "True", "yes"])
@pytest.mark.parametrize("name", ["team-a", "default", "modeltrust", *NEVER_SENT, "jobs"])
def test_a_namespace_is_sent_to_exactly_one_of_the_two_or_never(name: str, closed: str | None) -> None:
    labels = {"kubernetes.io/metadata.name": name} | ({} if closed is None else {FAIL_CLOSED: closed})
    asked = [webhook["failurePolicy"] for webhook in the_webhooks(never=["jobs"]) if sent_to(webhook, labels)]
    wanted = [] if name in {*NEVER_SENT, "jobs"} else ["Fail"] if closed == "true" else ["Ignore"]
    assert asked == wanted


def test_only_namespaced_objects_fail_closed() -> None:
    assert {rule["scope"] for rule in FAIL} == {"Namespaced"}
    assert {rule["scope"] for rule in IGNORE} == {"*"}


def test_no_cluster_scoped_kind_fails_closed() -> None:
    row = a_row(cluster=True)
    assert rules([row], fail=True) == []
    assert ("g.example", "things") in resources(rules([row], fail=False))


def test_no_kind_of_ours_fails_closed() -> None:
    assert "modeltrust.dev" not in {group for group, _ in resources(FAIL)}


def test_every_kind_of_ours_is_guarded() -> None:
    ours = {resource for group, resource in resources(IGNORE) if group == "modeltrust.dev"}
    assert ours == {plural(name) for name in KINDS}


def test_a_kind_of_which_nothing_is_loaded_is_not_asked_about() -> None:
    row = a_row(pod_specs=[], closed=True)
    assert rules([row], fail=True) == []
    assert "g.example" not in {group for group, _ in resources(rules([row], fail=False))}


def test_a_debug_container_is_asked_about_like_its_pod() -> None:
    pods = [rule for rule in FAIL if "pods" in rule["resources"]]
    assert ["pods/ephemeralcontainers" in rule["resources"] for rule in pods] == [True]
    assert [name for _, name in resources(FAIL) if "/" in name] == ["pods/ephemeralcontainers"]


def test_no_rule_asks_about_everything_or_about_what_goes_away() -> None:
    for rule in [*IGNORE, *FAIL]:
        assert rule["operations"] == ["CREATE", "UPDATE"]
        assert "*" not in {*rule["apiGroups"], *rule["resources"]}
        assert rule["resources"]
        assert rule["apiVersions"]


def test_no_resource_is_asked_about_twice() -> None:
    for found in (IGNORE, FAIL):
        named = [
            (rule["apiGroups"][0], version, name) for rule in found for version in rule["apiVersions"] for name in rule["resources"]
        ]
        assert len(named) == len(set(named))


def test_whatever_fails_closed_is_asked_about_when_failing_open() -> None:
    assert set(resources(FAIL)) < set(resources(IGNORE))


def test_kinds_of_one_group_and_version_share_a_rule_and_are_sorted() -> None:
    rows = [a_row(kinds=["Zebra"]), a_row(kinds=["Ant", "Bee"]), a_row(kinds=["Cat"], versions=["v2", "v1"])]
    assert [(rule["apiVersions"], rule["resources"]) for rule in rules(rows, fail=True)] == [
        (["v1"], ["ants", "bees", "zebras"]),
        (["v1", "v2"], ["cats"]),
    ]


def test_what_is_common_to_both() -> None:
    for webhook in the_webhooks():
        assert webhook["timeoutSeconds"] == 3
        assert webhook["matchPolicy"] == "Equivalent"
        assert webhook["sideEffects"] == "NoneOnDryRun"
        assert webhook["admissionReviewVersions"] == ["v1"]
        assert webhook["clientConfig"] == CLIENT
        assert "objectSelector" not in webhook  # labels of workloads opt nobody out


def test_each_has_its_own_name_and_rules() -> None:
    opened, closed = the_webhooks()
    assert (opened["name"], closed["name"]) == ("open.admission.modeltrust.dev", "closed.admission.modeltrust.dev")
    assert (opened["rules"], closed["rules"]) == (IGNORE, FAIL)


def test_kinds_that_are_walked_generically_are_asked_about_too() -> None:
    asked = {resource for rule in FAIL for resource in rule["resources"]}
    assert asked >= {"dynamographdeployments", "gmconnectors", "servingruntimes", "trainingruntimes"}
    assert not asked & {"secrets", "configmaps", "inferencegraphs"}
