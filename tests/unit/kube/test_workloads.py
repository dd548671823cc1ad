import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeltrust.domain.errors import InvalidInputError, ModelTrustError, NotFoundError, UnavailableError
from modeltrust.kube.client import ApiServer, GoneError, RefusedError
from modeltrust.kube.workloads import Item, Link, Owners, Served, called, discover, discover_mapped, item, objects
from modeltrust.references.mappings import EVERY_KIND, KindMapping, by_kind
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import BRANCH, pod
from tests.support.rollouts import PODS, deployment
from tests.support.served import a_cluster, put
from tests.support.trusted import TABLES

POD = Served("", "v1", "Pod", "pods", namespaced=True)
REPLICA_SET = Served("apps", "v1", "ReplicaSet", "replicasets", namespaced=True)
JOB = Served("batch", "v1", "Job", "jobs", namespaced=True)


@pytest.fixture
def cluster() -> ClusterSimulator:
    return a_cluster()


@pytest.fixture
def api(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[ApiServer]:
    with cluster.serving(tmp_path) as access:
        yield ApiServer(access)


def test_only_what_is_served_and_can_name_a_model_is_found_owners_first(api: ApiServer) -> None:
    kinds = [served.kind for served in discover(api, TABLES)]
    assert sorted(kinds) == sorted(
        ["InferenceService", "ClusterServingRuntime", "DaemonSet", "Deployment", "Job", "ReplicaSet", "Pod"]
    )
    assert kinds.index("Deployment") < kinds.index("ReplicaSet") < kinds.index("Pod")
    assert kinds.index("InferenceService") < kinds.index("Deployment")


def test_a_group_served_in_several_versions_is_listed_once(cluster: ClusterSimulator, api: ApiServer) -> None:
    group = next(entry for entry in cluster.documents["/apis"]["groups"] if entry["name"] == "serving.kserve.io")
    group["versions"].append({"version": "v1alpha1"})
    kinds = {"resources": [{"name": "inferenceservices", "kind": "InferenceService", "namespaced": True, "verbs": ["list"]}]}
    cluster.documents["/apis/serving.kserve.io/v1alpha1"] = kinds
    found = [served for served in discover(api, TABLES) if served.kind == "InferenceService"]
    assert [served.version for served in found] == ["v1beta1"]


def test_a_version_that_no_row_knows_is_listed_all_the_same(cluster: ClusterSimulator, api: ApiServer) -> None:
    group = next(entry for entry in cluster.documents["/apis"]["groups"] if entry["name"] == "serving.kserve.io")
    group |= {"versions": [{"version": "v9"}], "preferredVersion": {"version": "v9"}}
    cluster.documents["/apis/serving.kserve.io/v9"] = cluster.documents.pop("/apis/serving.kserve.io/v1beta1")
    assert ("InferenceService", "v9") in {(served.kind, served.version) for served in discover(api, TABLES)}


def test_kinds_of_mappings_are_found_where_they_are_served(cluster: ClusterSimulator, api: ApiServer) -> None:
    taught = KindMapping("m", "teach.example", ("Connector", "Absent"))
    everything = KindMapping("n", "other.example", (EVERY_KIND,), broken="why")
    versions = [{"version": "v2"}, {"version": "v1"}]
    for group in ("teach.example", "other.example"):
        cluster.documents["/apis"]["groups"].append({"name": group, "versions": versions, "preferredVersion": versions[0]})
        for version in ("v1", "v2"):
            resources = [{"name": "connectors", "kind": "Connector", "namespaced": True, "verbs": ["list"]}]
            cluster.documents[f"/apis/{group}/{version}"] = {"resources": resources}
    mapped = by_kind([taught, everything])
    found = discover_mapped(api, mapped)
    assert [(served.group, served.version, served.plural) for served in found] == [("teach.example", "v2", "connectors")]
    assert set(discover(api, TABLES, mapped)) == {*discover(api, TABLES), *found}
    assert discover_mapped(api, {}) == ()


def test_a_mapping_changes_nothing_about_how_a_kind_that_is_built_in_is_listed(api: ApiServer) -> None:
    mapped = by_kind([KindMapping("m", "serving.kserve.io", ("InferenceService",))])
    assert discover(api, TABLES, mapped) == discover(api, TABLES)


@pytest.mark.parametrize("resources", [7, ["x"], [{}], [{"name": "jobs"}], [{"name": "jobs", "kind": "Job"}], [{"kind": []}]])
def test_a_group_that_answers_nonsense_is_unavailable(cluster: ClusterSimulator, api: ApiServer, resources: object) -> None:
    cluster.documents["/apis/batch/v1"] = {"resources": resources}
    with pytest.raises(UnavailableError, match="batch/v1"):
        discover(api, TABLES)


def test_a_group_that_is_removed_between_two_questions_is_nothing(cluster: ClusterSimulator, api: ApiServer) -> None:
    del cluster.documents["/apis/batch/v1"]
    cluster.unserved.add("/apis/batch")
    assert "Job" not in {served.kind for served in discover(api, TABLES)}


def test_a_kind_is_called_as_people_call_it(api: ApiServer) -> None:
    served = discover(api, TABLES)
    for name in ("deploy", "Deployment", "deployments", "deployment.apps"):
        assert called(served, name).kind == "Deployment"
    with pytest.raises(NotFoundError):
        called(served, "secret")
    with pytest.raises(InvalidInputError, match="expected one of"):
        called([*served, Served("x.io", "v1", "Deployment", "deployments", namespaced=True, names=frozenset({"deploy"}))], "deploy")


def test_pages_are_read_one_after_another_and_items_get_their_kind(cluster: ClusterSimulator, api: ApiServer) -> None:
    cluster.page_size = 2
    for number in range(5):
        put(cluster, PODS, pod(BRANCH, name=f"p{number}"))
    waits: list[int] = []
    found = list(objects(api, POD, between=lambda: waits.append(1)))
    assert [entry.link.name for entry in found] == [f"p{number}" for number in range(5)]
    assert {(json.loads(entry.data)["kind"], json.loads(entry.data)["apiVersion"]) for entry in found} == {("Pod", "v1")}
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("status", "error"), [(410, GoneError), (403, RefusedError), (404, NotFoundError), (500, UnavailableError)]
)
def test_a_list_that_fails_is_never_an_empty_one(
    status: int, error: type[ModelTrustError], cluster: ClusterSimulator, api: ApiServer
) -> None:
    cluster.faults.append(("GET", PODS, status))
    with pytest.raises(error):
        list(objects(api, POD))


@pytest.mark.parametrize(
    "body", [{}, {"items": []}, {"metadata": {}, "items": [{}]}, {"metadata": {}, "items": [{"metadata": {"name": 7}}]}]
)
def test_an_answer_that_is_no_list_is_no_empty_one(body: object, cluster: ClusterSimulator, api: ApiServer) -> None:
    cluster.documents[PODS] = body  # type: ignore[assignment] # that is the point
    with pytest.raises(UnavailableError):
        list(objects(api, POD))


@pytest.mark.parametrize(
    ("served", "value", "finished"),
    [
        (POD, {"status": {"phase": "Running"}}, False),
        (POD, {"status": {"phase": "Succeeded"}}, True),
        (POD, {"status": {"phase": "Failed"}}, True),
        (POD, {}, False),
        (JOB, {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}, True),
        (JOB, {"status": {"conditions": [{"type": "Complete", "status": "False"}]}}, False),
        (JOB, {"status": {"conditions": [{"type": "Suspended", "status": "True"}]}}, False),
        (REPLICA_SET, {"spec": {"replicas": 0}}, False),
        (REPLICA_SET, {"spec": {"replicas": 0}, "metadata": {"name": "x", "ownerReferences": []}}, False),
        (
            REPLICA_SET,
            {"spec": {"replicas": 0}, "metadata": {"name": "x", "ownerReferences": [{"kind": "D", "name": "d", "uid": "u"}]}},
            True,
        ),
    ],
)
def test_what_runs_nothing_any_more_is_told_apart(served: Served, value: dict[str, object], finished: bool) -> None:  # noqa: FBT001
    assert item(json.dumps({"metadata": {"name": "x"}, **value}).encode(), served).finished is finished


def test_the_chain_of_controllers_leads_to_what_a_person_wrote() -> None:
    owners = Owners()
    top, middle = Link("Deployment", "a", "guard", "1"), Link("ReplicaSet", "a", "guard-7d9f", "2")
    low = Link("Pod", "a", "guard-7d9f-0", "3")
    owners.add(Item(b"", low, middle, finished=False))
    owners.add(Item(b"", middle, top, finished=False))
    owners.add(Item(b"", top, None, finished=False))
    assert owners.root(low) == top
    assert owners.root(Link("Pod", "a", "alone", "9")).name == "alone"


def test_owners_that_own_each_other_end_somewhere() -> None:
    owners = Owners()
    one, two = Link("A", "a", "one", "1"), Link("B", "a", "two", "2")
    owners.add(Item(b"", one, two, finished=False))
    owners.add(Item(b"", two, one, finished=False))
    assert owners.root(one) in {one, two}


def test_an_owner_that_does_not_control_is_none() -> None:
    value = deployment("x", BRANCH, ownerReferences=[{"kind": "App", "name": "a", "uid": "1"}])
    assert item(json.dumps(value).encode(), REPLICA_SET).owner is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [("\x1b[2J", "x"), ("Deployment", "a\nok all well"), ("Deployment", "UPPER"), ("", "x"), ("D", ""), ("D", "x" * 254)],
)
def test_an_owner_that_no_object_can_be_is_none(kind: str, name: str) -> None:
    """A tenant writes ownerReferences: escape sequences for a terminal, names that no status would take."""
    value = deployment("x", BRANCH, ownerReferences=[{"kind": kind, "name": name, "uid": "1", "controller": True}])
    assert item(json.dumps(value).encode(), REPLICA_SET).owner is None


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60) | st.recursive(st.none() | st.text(), lambda inner: st.dictionaries(st.text(), inner)).map(str))
def test_no_object_raises_anything_but_our_errors(data: bytes | str) -> None:
    with contextlib.suppress(UnavailableError):
        item(data.encode() if isinstance(data, str) else data, POD)
