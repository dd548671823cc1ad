import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from modeltrust.api.yaml_reader import read_yaml
from modeltrust.attestation.attestors import parse_attestors
from modeltrust.attestation.keys import new_key
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, ModelTrustError, UnavailableError
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError
from modeltrust.operator.keys import ATTESTORS_KEY, ROTATE, Keys, Places
from modeltrust.operator.writes import Writes
from tests.support.cluster import ClusterSimulator
from tests.support.statements import AUDIENCE, NOW, an_attestor_key, attestor_entry

SECRETS = paths.core("secrets", namespace="release")
MAPS = paths.core("configmaps", namespace="release")
SECRET, MAP = "modeltrust-attestor", "modeltrust-attestors"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[[], Keys]


@pytest.fixture
def make(writes: Writes, clock: Clock) -> Make:
    believed: list[bytes] = []

    def make() -> Keys:
        return Keys(writes, places=Places("release", SECRET, MAP), audience=AUDIENCE, now=clock, believe=believed.append)

    return make


@pytest.fixture
def keys(make: Make) -> Keys:
    return make()


def listed(cluster: ClusterSimulator) -> list[dict[str, Any]]:
    found = cluster.find(MAPS, MAP)
    assert found is not None
    (document,) = read_yaml(found["data"][ATTESTORS_KEY])
    parse_attestors(document.value)  # what the webhook does with it
    return list(document.value)


def ids(cluster: ClusterSimulator) -> list[str]:
    return [entry["keyId"] for entry in listed(cluster)]


def annotate(cluster: ClusterSimulator, value: str) -> None:
    secret = cluster.find(SECRETS, SECRET)
    assert secret is not None
    secret["metadata"]["annotations"][ROTATE] = value
    cluster.put(SECRETS, secret)


def entry_of(text: str) -> dict[str, Any]:
    return attestor_entry(an_attestor_key(), audience=text)


def put_map(cluster: ClusterSimulator, entries: Any) -> None:
    text = entries if isinstance(entries, str) else json.dumps(entries)
    found = cluster.find(MAPS, MAP) or {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MAP}}
    cluster.put(MAPS, {**found, "data": {ATTESTORS_KEY: text, "other": "kept"}})


def test_the_first_start_makes_a_key_and_publishes_its_public_half(keys: Keys, cluster: ClusterSimulator) -> None:
    assert keys.held() == ()
    assert keys.refresh() is True
    assert len(keys.held()) == 1
    assert all(keys.ours(key) for key in ids(cluster))
    (entry,) = listed(cluster)
    assert (entry["audience"], entry["models"], entry["maximumAssurance"]) == (AUDIENCE, ["**"], "BytesHashed")
    assert "PRIVATE" not in str(cluster.find(MAPS, MAP))


def test_a_second_look_changes_nothing(keys: Keys, cluster: ClusterSimulator) -> None:
    keys.refresh()
    before = len(cluster.writes())
    assert keys.refresh() is False
    assert len(cluster.writes()) == before


def test_a_second_operator_uses_the_same_key(make: Make, cluster: ClusterSimulator) -> None:
    first, second = make(), make()
    first.refresh()
    second.refresh()
    assert len(ids(cluster)) == 1
    assert second.ours(ids(cluster)[0])


def test_a_key_that_somebody_made_first_is_used(keys: Keys, make: Make, cluster: ClusterSimulator) -> None:
    make().refresh()
    cluster.faults = [("GET", "secrets", 404)]  # it was not there yet when we looked
    keys.refresh()
    assert len(ids(cluster)) == 1


def test_an_empty_secret_of_the_chart_is_filled(keys: Keys, cluster: ClusterSimulator) -> None:
    cluster.put(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "annotations": {"helm.sh/keep": "1"}}})
    keys.refresh()
    found = cluster.find(SECRETS, SECRET)
    assert found is not None
    assert found["metadata"]["annotations"]["helm.sh/keep"] == "1"
    assert set(found["data"]) == {"current.pem"}


def test_entries_that_other_people_added_stay_as_they_are(keys: Keys, cluster: ClusterSimulator) -> None:
    ci = {**entry_of("fleet"), "models": ["hf://acme/*"], "minimumIssuedAt": "2026-01-01T00:00:00Z"}
    put_map(cluster, [ci])
    keys.refresh()
    assert listed(cluster)[1:] == [ci]
    found = cluster.find(MAPS, MAP)
    assert found is not None
    assert found["data"]["other"] == "kept"


@pytest.mark.parametrize("text", ["{", "a: b", "- 7", "[{}]", "--- []\n--- []", "[{keyId: 1}]"])
def test_a_trust_file_that_cannot_be_read_is_not_overwritten(text: str, keys: Keys, cluster: ClusterSimulator) -> None:
    put_map(cluster, text)
    with pytest.raises(ModelTrustError):
        keys.refresh()
    found = cluster.find(MAPS, MAP)
    assert found is not None
    assert found["data"][ATTESTORS_KEY] == text
    assert keys.held() == ()  # and nothing is signed that nobody could believe


@pytest.mark.parametrize("text", ["", "[]", "# nothing yet\n", "null"])
def test_an_empty_trust_file_is_begun(text: str, keys: Keys, cluster: ClusterSimulator) -> None:
    put_map(cluster, text)
    keys.refresh()
    assert len(listed(cluster)) == 1


def test_a_rotation_lists_the_new_key_first_then_signs_with_it_then_drops_the_old(
    keys: Keys, cluster: ClusterSimulator, clock: Clock
) -> None:
    keys.refresh()
    old = keys.held()[0]
    annotate(cluster, "Planned")
    assert keys.refresh() is False
    assert len(ids(cluster)) == 2
    assert keys.held()[0].private_numbers() == old.private_numbers()
    secret = cluster.find(SECRETS, SECRET)
    assert secret is not None
    assert ROTATE not in secret["metadata"]["annotations"]

    clock.now += limits.KEY_SETTLE_SECONDS - 1
    keys.refresh()
    assert keys.held()[0].private_numbers() == old.private_numbers()
    clock.now += 2
    keys.refresh()
    assert keys.held()[0].private_numbers() != old.private_numbers()
    assert len(ids(cluster)) == 2

    clock.now += limits.STATEMENT_SECONDS + limits.CLOCK_SKEW_SECONDS
    assert keys.refresh() is True
    assert len(ids(cluster)) == 1
    assert len(keys.held()) == 1


def test_a_new_key_that_somebody_took_off_the_list_waits_anew(keys: Keys, cluster: ClusterSimulator, clock: Clock) -> None:
    keys.refresh()
    old = keys.held()[0]
    annotate(cluster, "Planned")
    keys.refresh()
    put_map(cluster, listed(cluster)[:1])  # as GitOps restores what it knows
    clock.now += limits.KEY_SETTLE_SECONDS - 10
    keys.refresh()
    clock.now += 20
    keys.refresh()
    assert keys.held()[0].private_numbers() == old.private_numbers()
    clock.now += limits.KEY_SETTLE_SECONDS
    keys.refresh()
    assert keys.held()[0].private_numbers() != old.private_numbers()


def test_a_compromised_key_is_no_longer_believed_from_the_next_look(keys: Keys, cluster: ClusterSimulator) -> None:
    keys.refresh()
    (old,) = ids(cluster)
    ci = entry_of("fleet")
    put_map(cluster, [*listed(cluster), ci])
    annotate(cluster, "Compromised")
    assert keys.refresh() is True
    assert old not in ids(cluster)
    assert listed(cluster)[1:] == [ci]
    assert not keys.ours(old)


def test_a_lost_secret_makes_a_new_key_and_the_lost_one_counts_for_a_statements_life(
    keys: Keys, cluster: ClusterSimulator, clock: Clock
) -> None:
    keys.refresh()
    (lost,) = ids(cluster)
    cluster.remove(SECRETS, SECRET)
    assert keys.refresh() is True  # so that everything is verified and signed again
    new, old = listed(cluster)
    assert old["keyId"] == lost
    assert "notAfter" in old
    assert keys.ours(new["keyId"])
    assert not keys.ours(lost)

    clock.now += limits.STATEMENT_SECONDS + 1
    keys.refresh()
    assert ids(cluster) == [new["keyId"]]


def test_a_lost_key_that_was_taken_off_the_list_by_hand_stays_off(keys: Keys, cluster: ClusterSimulator) -> None:
    keys.refresh()
    (lost,) = ids(cluster)
    cluster.remove(SECRETS, SECRET)
    put_map(cluster, [entry_of("fleet")])
    keys.refresh()
    assert lost not in ids(cluster)


def test_a_lost_key_keeps_its_end_although_the_first_write_failed(keys: Keys, cluster: ClusterSimulator) -> None:
    keys.refresh()
    cluster.remove(SECRETS, SECRET)
    cluster.faults = [("PUT", "configmaps", 409)]
    with pytest.raises(ConflictError):
        keys.refresh()
    keys.refresh()
    assert len(ids(cluster)) == 2


@pytest.mark.parametrize("fault", [("GET", "secrets", 500), ("GET", "configmaps", 500), ("PUT", "secrets", 500)])
def test_an_outage_keeps_the_key_that_signs(fault: tuple[str, str, int], keys: Keys, cluster: ClusterSimulator) -> None:
    keys.refresh()
    held = keys.held()
    annotate(cluster, "Planned")
    cluster.faults = [fault]
    with pytest.raises(UnavailableError):
        keys.refresh()
    assert keys.held() == held


@pytest.mark.parametrize("data", [{"other": "eA=="}, {"current.pem": "no base64!"}, {"current.pem": "eHg="}, {"current.pem": ""}])
def test_a_broken_secret_is_an_error_that_shows_nothing_of_it(data: dict[str, str], keys: Keys, cluster: ClusterSimulator) -> None:
    cluster.put(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "data": data})
    with pytest.raises(InvalidInputError) as caught:
        keys.refresh()
    assert "eHg" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_private_key_in_the_wrong_place_is_not_shown(keys: Keys, cluster: ClusterSimulator) -> None:
    keys.refresh()
    annotate(cluster, new_key().decode())
    with pytest.raises(InvalidInputError) as caught:
        keys.refresh()
    assert "BEGIN" not in str(caught.value)


def test_a_secret_without_times_is_as_old_as_can_be(keys: Keys, cluster: ClusterSimulator) -> None:
    data = {"current.pem": base64.b64encode(new_key()).decode(), "previous.pem": base64.b64encode(new_key()).decode()}
    metadata = {"name": SECRET, "annotations": {"modeltrust.dev/current-key-signing-at": "yesterday"}}
    cluster.put(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    keys.refresh()
    assert len(keys.held()) == 1


def test_what_the_operator_makes_goes_with_the_release_and_a_trust_file_of_somebody_elses_stays(
    cluster: ClusterSimulator, make: Make
) -> None:
    cluster.put(paths.core("serviceaccounts", namespace="release"), {"metadata": {"name": "modeltrust-operator", "uid": "an-uid"}})
    make().refresh()
    assert [owners(cluster, *where) for where in ((SECRETS, SECRET), (MAPS, MAP))] == [["an-uid"], ["an-uid"]]

    cluster.remove(MAPS, MAP)
    cluster.put(MAPS, {"metadata": {"name": MAP}, "data": {}})
    make().refresh()
    assert owners(cluster, MAPS, MAP) == []


def owners(cluster: ClusterSimulator, collection: str, name: str) -> list[str]:
    found = cluster.find(collection, name)
    assert found is not None
    return [entry["uid"] for entry in found["metadata"].get("ownerReferences", [])]
