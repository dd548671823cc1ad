from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain.errors import LimitExceededError, NotFoundError, UnavailableError
from modeltrust.kube import paths
from modeltrust.kube.client import ApiServer, ConflictError, RefusedError
from tests.support.cluster import ClusterSimulator

MAPS = paths.core("configmaps", namespace="a")
MAP = paths.core("configmaps", "m", namespace="a")
OURS = paths.ours("modelattestations")


def config_map(name: str = "m", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def api(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[ApiServer]:
    with cluster.serving(tmp_path) as access:
        yield ApiServer(access)


def test_a_name_never_leaves_its_place_in_the_path() -> None:
    assert paths.core("secrets", "../pods?x=y", namespace="a/b") == "/api/v1/namespaces/a%2Fb/secrets/..%2Fpods%3Fx%3Dy"
    assert paths.group("batch/v1", "jobs", "j", namespace="a") == "/apis/batch/v1/namespaces/a/jobs/j"
    assert paths.ours("modelsources") == "/apis/modeltrust.dev/v1alpha1/modelsources"


def test_an_object_is_created_read_and_deleted(api: ApiServer) -> None:
    made = api.create_object(MAPS, config_map(a="1"))

    assert made is not None
    assert api.get_object(MAP)["data"] == {"a": "1"}
    assert api.create_object(MAPS, config_map(a="2")) is None
    assert api.delete(MAP, uid=made["metadata"]["uid"]) is True
    assert api.delete(MAP) is False


def test_what_is_not_there_is_told_apart_from_what_cannot_be_seen(api: ApiServer, cluster: ClusterSimulator) -> None:
    with pytest.raises(NotFoundError):
        api.get_object(MAP)
    with pytest.raises(NotFoundError):
        api.merge_patch(MAP, {"data": {}})
    with pytest.raises(NotFoundError):
        api.replace(MAP, config_map())
    cluster.faults = [("GET", "configmaps", 503)]
    with pytest.raises(UnavailableError, match="503"):
        api.get_object(MAP)


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_a_refusal_is_told_apart_since_asking_again_is_in_vain(status: int, api: ApiServer, cluster: ClusterSimulator) -> None:
    cluster.faults = [("POST", "configmaps", status)]
    with pytest.raises(RefusedError, match="as you wished"):
        api.create_object(MAPS, config_map())


@pytest.mark.parametrize("status", [401, 429, 500, 504])
def test_a_server_in_trouble_is_no_refusal(status: int, api: ApiServer, cluster: ClusterSimulator) -> None:
    cluster.faults = [("POST", "configmaps", status)]
    with pytest.raises(UnavailableError) as caught:
        api.create_object(MAPS, config_map())
    assert not isinstance(caught.value, RefusedError)


def test_a_list_is_read_to_its_last_page(api: ApiServer, cluster: ClusterSimulator) -> None:
    cluster.page_size = 2
    for number in range(5):
        api.create_object(MAPS, config_map(f"m{number}") | {"metadata": {"name": f"m{number}", "labels": {"odd": str(number % 2)}}})

    assert [value["metadata"]["name"] for value in api.list_objects(MAPS)] == ["m0", "m1", "m2", "m3", "m4"]
    assert [value["metadata"]["name"] for value in api.list_objects(MAPS, {"labelSelector": "odd=1"})] == ["m1", "m3"]


def test_a_page_that_is_missing_is_no_end_of_the_list(api: ApiServer, cluster: ClusterSimulator) -> None:
    cluster.page_size = 1
    api.create_object(MAPS, config_map("a"))
    api.create_object(MAPS, config_map("b"))
    cluster.faults = [("GET", "continue=", 500)]
    with pytest.raises(UnavailableError):
        list(api.list_objects(MAPS))


def test_replacing_another_version_is_a_conflict(api: ApiServer) -> None:
    made = api.create_object(MAPS, config_map(a="1"))
    assert made is not None
    api.merge_patch(MAP, {"data": {"a": "2"}})

    with pytest.raises(ConflictError):
        api.replace(MAP, made | {"data": {"a": "3"}})
    with pytest.raises(ConflictError):
        api.merge_patch(MAP, {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "3"}})
    assert api.get_object(MAP)["data"] == {"a": "2"}


def test_deleting_another_object_of_the_same_name_is_a_conflict(api: ApiServer) -> None:
    made = api.create_object(MAPS, config_map())
    assert made is not None
    with pytest.raises(ConflictError):
        api.delete(MAP, uid="another")
    with pytest.raises(ConflictError):
        api.delete(MAP, resource_version="0")
    assert api.get_object(MAP)


def test_applying_keeps_what_others_wrote_and_drops_what_we_no_longer_write(api: ApiServer) -> None:
    api.apply(MAP, config_map(ours="1", also="1"), manager="us")
    api.apply(MAP, config_map(theirs="1"), manager="them")
    api.apply(MAP, config_map(ours="2"), manager="us")

    assert api.get_object(MAP)["data"] == {"ours": "2", "theirs": "1"}


def test_a_field_of_another_manager_is_taken_by_force_alone(api: ApiServer) -> None:
    api.apply(MAP, config_map(a="1"), manager="them")
    with pytest.raises(ConflictError):
        api.apply(MAP, config_map(a="2"), manager="us")
    api.apply(MAP, config_map(a="2"), manager="us", force=True)
    assert api.get_object(MAP)["data"] == {"a": "2"}


def test_a_status_is_written_through_its_subresource_alone(api: ApiServer) -> None:
    value = {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelAttestation", "metadata": {"name": "x"}, "spec": {"model": "m"}}
    api.create_object(OURS, value | {"status": {"assurance": "no"}})
    api.merge_patch(f"{OURS}/x", {"status": {"assurance": "no"}})
    assert "status" not in api.get_object(f"{OURS}/x")

    api.apply(
        f"{OURS}/x", {**value, "status": {"assurance": "yes"}, "spec": {"model": "other"}}, manager="us", subresource="status"
    )
    found = api.get_object(f"{OURS}/x")
    assert (found["status"], found["spec"]) == ({"assurance": "yes"}, {"model": "m"})


def test_a_log_is_read_up_to_its_bound_and_no_further(api: ApiServer, cluster: ClusterSimulator) -> None:
    cluster.logs["jobs/p"] = b"progress\nreport\n"

    assert api.pod_log("jobs", "p", max_bytes=16) == b"progress\nreport\n"
    assert api.pod_log("jobs", "p", max_bytes=16, tail_lines=1) == b"report\n"
    with pytest.raises(LimitExceededError):
        api.pod_log("jobs", "p", max_bytes=15)
    with pytest.raises(NotFoundError):
        api.pod_log("jobs", "q", max_bytes=15)
