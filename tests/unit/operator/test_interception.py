"""The API server is asked to ask about kinds of mappings; whatever goes wrong is said, and nothing else is changed."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.kube.client import ApiServer
from modeltrust.operator.interception import FIRST, SECOND, Interception
from modeltrust.store.sink import Kind
from tests.support import api_objects as objects
from tests.support import trusted
from tests.support.api_objects import changed
from tests.support.cluster import ClusterSimulator
from tests.support.served import a_cluster

Object = dict[str, Any]
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
GROUP = "gmc.opea.io"
CHART_RULES: list[Object] = [
    {"apiGroups": [GROUP], "apiVersions": ["v1alpha3"], "resources": ["gmconnectors"]},
    {"apiGroups": ["every.example"], "apiVersions": ["*"], "resources": ["things"]},
]


class Logged(list[tuple[str, Object]]):
    def log(self, event: str, **fields: Any) -> None:
        self.append((event, fields))


class World:
    """A cluster with both configurations, a store with mappings, and who has the API server ask."""

    def __init__(self, api: ApiServer, cluster: ClusterSimulator) -> None:
        self.cluster, self.api, self.store, self.logs = cluster, api, trusted.a_store(), Logged()
        self.put(FIRST, [webhook("open", "*"), webhook("closed", "Namespaced")])
        self.put(SECOND, None)
        self.interception = Interception(api, api, store=self.store, logs=self.logs)

    def put(self, name: str, webhooks: list[Object] | None) -> None:
        value = {"metadata": {"name": name}} | ({} if webhooks is None else {"webhooks": copy.deepcopy(webhooks)})
        self.cluster.put(CONFIGURATIONS, value)

    def serve(self, *kinds: tuple[str, str], version: str = "v1", group: str = GROUP) -> None:
        entry = {"name": group, "versions": [{"version": version}], "preferredVersion": {"version": version}}
        self.cluster.documents["/apis"]["groups"].append(entry)
        resources = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["list"]} for kind, name in kinds]
        self.cluster.documents[f"/apis/{group}/{version}"] = {"resources": resources}

    def teach(self, *mappings: Object) -> None:
        self.store.replace(Kind.MAPPINGS, mappings)
        self.interception()

    @property
    def second(self) -> list[Object]:
        found = self.cluster.find(CONFIGURATIONS, SECOND)
        assert found is not None
        webhooks: list[Object] = found.get("webhooks", [])
        return webhooks

    def resources(self) -> list[tuple[list[str], list[str]]]:
        return [(rule["apiGroups"], rule["resources"]) for rule in self.second[0]["rules"]] if self.second else []


def webhook(name: str, scope: str) -> Object:
    return {
        "name": f"{name}.admission.modeltrust.dev",
        "clientConfig": {"service": {"name": "modeltrust-webhook", "path": "/validate"}, "caBundle": "Y2E="},
        "failurePolicy": "Fail" if name == "closed" else "Ignore",
        "rules": [{**rule, "operations": ["CREATE", "UPDATE"], "scope": scope} for rule in CHART_RULES],
        "timeoutSeconds": 3,
    }


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    cluster = a_cluster()
    with cluster.serving(tmp_path) as access:
        yield World(ApiServer(access), cluster)


def test_the_second_configuration_is_the_first_with_other_names_and_rules(world: World) -> None:
    world.serve(("GMConnector", "gmconnectors"))
    world.teach(objects.mapping())
    for first, second in zip([webhook("open", "*"), webhook("closed", "Namespaced")], world.second, strict=True):
        assert {**first, "name": "", "rules": []} == {**second, "name": "", "rules": []}
        assert second["name"] == first["name"].replace(".admission.", ".mapped.admission.")
    rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["gmconnectors"]}
    assert [entry["rules"] for entry in world.second] == [[{**rule, "scope": "*"}], [{**rule, "scope": "Namespaced"}]]
    assert world.interception.missing(GROUP, ["GMConnector"]) == ""


def test_a_resource_is_called_as_the_server_calls_it(world: World) -> None:
    world.serve(("GMConnector", "connectorz"))
    world.teach(objects.mapping())
    assert world.resources() == [([GROUP], ["connectorz"])]


@pytest.mark.parametrize("name", ["*", "gm*", "GMConnectors", "gm connectors", "-", "", "x" * 300, 7, None])
def test_m6_a_name_that_no_resource_has_is_not_asked_about_and_spoils_no_other_rule(world: World, name: Any) -> None:
    # who serves a group says how its kinds are called; the API server would refuse the whole configuration
    world.serve(("GMConnector", name))
    world.teach(objects.mapping())
    assert world.resources() == [([GROUP], ["gmconnectors"])]


def test_m6_a_kind_that_is_served_under_two_names_is_asked_about_under_both(world: World) -> None:
    world.serve(("GMConnector", "gmconnectors"), ("GMConnector", "aliases"))
    entry = world.cluster.documents["/apis"]["groups"][-1]
    entry["versions"].append({"version": "v2"})
    resources = [{"name": "others", "kind": "GMConnector", "namespaced": True, "verbs": ["create"]}]
    world.cluster.documents[f"/apis/{GROUP}/v2"] = {"resources": resources}
    world.teach(objects.mapping())
    assert world.resources() == [([GROUP], ["aliases", "gmconnectors", "others"])]


def test_a_kind_that_is_not_served_yet_is_asked_about_from_its_first_object_on(world: World) -> None:
    world.teach(objects.mapping())
    assert world.resources() == [([GROUP], ["gmconnectors"])]


def test_what_the_chart_asks_about_in_every_version_is_not_asked_twice(world: World) -> None:
    mapping = changed(objects.mapping(), "spec.match", {"group": "every.example", "kinds": ["Thing"]})
    mapping["spec"]["tests"][0]["object"] |= {"apiVersion": "every.example/v1", "kind": "Thing"}
    world.teach(mapping)
    assert world.second == []
    assert world.interception.missing("every.example", ["Thing"]) == ""


def test_a_broken_mapping_is_asked_about_too_since_its_kinds_are_denied(world: World) -> None:
    world.teach(changed(objects.mapping(), "spec.refs", [{"path": "$..x", "role": "Base", "uriProfile": "BareHF"}]))
    assert world.resources() == [([GROUP], ["gmconnectors"])]


@pytest.mark.parametrize("group", ["apps", "admissionregistration.k8s.io", "modeltrust.dev", "*"])
def test_m6_no_mapping_makes_it_ask_about_a_group_that_none_may_name(world: World, group: str) -> None:
    world.teach(changed(objects.mapping(), "spec.match.group", group))
    assert world.second == []


def test_nothing_is_written_twice_and_nothing_asked_without_mappings(world: World) -> None:
    world.teach(objects.mapping())
    for _ in range(3):
        world.interception()
    assert len(world.cluster.writes()) == 1
    world.teach()
    assert world.second == []
    before = len(world.cluster.requests)
    world.interception()
    assert len(world.cluster.requests) == before


def test_what_a_predecessor_left_is_taken_away(world: World) -> None:
    world.put(SECOND, [webhook("open", "*")])
    world.interception()
    assert world.second == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failurePolicy", "Ignore"),
        ("timeoutSeconds", 7),
        ("clientConfig", {"service": {"name": "modeltrust-webhook"}, "caBundle": "bmV3"}),
    ],
)
def test_what_changes_in_the_first_changes_in_the_second(world: World, field: str, value: Any) -> None:
    world.teach(objects.mapping())
    world.put(FIRST, [webhook("open", "*"), webhook("closed", "Namespaced") | {field: value}])
    world.interception()
    assert world.second[1][field] == value


def test_what_somebody_changed_in_the_second_is_set_back(world: World) -> None:
    world.teach(objects.mapping())
    world.put(SECOND, [{**entry, "rules": []} for entry in world.second])
    world.interception()
    assert world.resources() == [([GROUP], ["gmconnectors"])]


@pytest.mark.parametrize(
    ("missing", "why"),
    [(FIRST, "nothing is asked at all"), (SECOND, "there is no ValidatingWebhookConfiguration modeltrust-mapped")],
)
def test_a_configuration_that_is_not_there_is_said(world: World, missing: str, why: str) -> None:
    world.cluster.remove(CONFIGURATIONS, missing)
    world.teach(objects.mapping())
    said = world.interception.missing(GROUP, ["GMConnector"])
    assert said.startswith(f"the API server does not ask about GMConnector of {GROUP} yet")
    assert why in said


@pytest.mark.parametrize(("method", "status"), [("GET", 403), ("GET", 503), ("PATCH", 403), ("PATCH", 409), ("PATCH", 422)])
def test_what_is_refused_is_said_logged_once_and_tried_again(world: World, method: str, status: int) -> None:
    world.cluster.faults = [(method, "webhookconfigurations", status)] * 2
    world.teach(objects.mapping())
    first = world.interception.missing(GROUP, ["GMConnector"])
    world.interception()
    assert first
    assert [event for event, _ in world.logs] == ["interception-failed"]
    world.interception()
    assert world.interception.missing(GROUP, ["GMConnector"]) == ""


@pytest.mark.parametrize(("status", "expected"), [(403, ("gmconnectors.gmc.opea.io",)), (404, ())])
def test_a_kind_that_may_not_be_listed_is_said(world: World, status: int, expected: tuple[str, ...]) -> None:
    world.serve(("GMConnector", "gmconnectors"))
    world.cluster.faults = [("GET", "/v1/gmconnectors", status)]
    world.teach(objects.mapping())
    assert world.interception.unlisted(GROUP, ["GMConnector"]) == expected
    assert world.interception.missing(GROUP, ["GMConnector"]) == ""
    world.interception()
    assert world.interception.unlisted(GROUP, ["GMConnector"]) == ()


def other_mapping() -> Object:
    value = changed(objects.mapping(), "spec.match", {"group": "other.example", "kinds": ["Thing"]})
    value["metadata"]["name"] = "other"
    value["spec"]["tests"][0]["object"] = {**objects.CONNECTOR, "apiVersion": "other.example/v1", "kind": "Thing"}
    return value


@pytest.mark.parametrize("answer", [{"resources": [{}]}, {"resources": 7}, {"resources": [7]}, {"resources": [{"kind": "Thing"}]}])
def test_a_group_that_says_nothing_sensible_keeps_no_other_from_being_asked_about(world: World, answer: Object) -> None:
    world.serve(("GMConnector", "connectorz"))
    world.serve(("Thing", "thingz"), group="other.example")
    world.cluster.documents["/apis/other.example/v1"] = answer
    world.teach(objects.mapping(), other_mapping())
    assert ([GROUP], ["connectorz"]) in world.resources()
    assert world.interception.missing(GROUP, ["GMConnector"]) == ""
    assert world.interception.missing("other.example", ["Thing"]).endswith("it does not say how they are called")
    assert "interception-undiscovered" in [event for event, _ in world.logs]


def test_a_group_that_once_said_how_its_kinds_are_called_keeps_the_names(world: World) -> None:
    world.serve(("GMConnector", "connectorz"))
    world.teach(objects.mapping())
    world.cluster.faults = [("GET", f"/apis/{GROUP}/v1", 503)]
    world.interception()
    assert world.resources() == [([GROUP], ["connectorz"])]
    assert world.interception.missing(GROUP, ["GMConnector"]) == ""


def test_before_the_first_look_nothing_counts_as_asked_about(world: World) -> None:
    assert "has not looked yet" in world.interception.missing(GROUP, ["GMConnector"])


def test_a_first_configuration_without_webhooks_asks_nobody(world: World) -> None:
    world.put(FIRST, [])
    world.teach(objects.mapping())
    assert "has no webhooks" in world.interception.missing(GROUP, ["GMConnector"])


def test_a_kind_of_no_mapping_is_not_asked_about(world: World) -> None:
    world.teach(objects.mapping())
    assert world.interception.missing(GROUP, ["GMConnector", "Other"]).startswith("the API server does not ask about Other of")
