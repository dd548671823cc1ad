"""What the webhook asks for: one ModelAttestation for each model that misses a statement, and never many."""

import concurrent.futures
import copy
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.calls import Calls
from e2e.control_plane import ControlPlane
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.api.attestations import EXPIRATION_TIME, REQUESTED_BY, REQUESTED_FOR, attestation_name
from modeltrust.cli.demo import objects
from modeltrust.domain import limits
from modeltrust.domain.reference import parse_identity

Object = dict[str, Any]
FLOOD = 300

pytestmark = pytest.mark.usefixtures("webhook")


@pytest.fixture
def calls(plane: ControlPlane) -> Iterator[Calls]:
    with Calls(plane) as calls:
        yield calls


@pytest.fixture
def namespace(plane: ControlPlane, calls: Calls) -> str:
    return _namespace(plane, calls)


@pytest.fixture
def commit() -> str:
    return f"{uuid.uuid4().hex}{uuid.uuid4().hex[:8]}"


def test_a_pending_deployment_creates_exactly_one_attestation_of_its_model(
    plane: ControlPlane, calls: Calls, namespace: str, commit: str
) -> None:
    status, said = calls.create(objects.deployment("acme/never-seen", commit, namespace=namespace))
    eventually(lambda: _requested(plane, namespace), what="the request")

    (made,) = _requested(plane, namespace)
    identity = parse_identity(f"hf://acme/never-seen@{commit}")
    assert status == 403
    assert "[AttestationPending]" in said
    assert made["spec"] == {"model": identity.key}
    assert made["metadata"]["name"] == attestation_name(identity)
    assert made["metadata"]["labels"] == {REQUESTED_BY: "webhook"}
    assert EXPIRATION_TIME in made["metadata"]["annotations"]


def test_f10_the_same_request_two_hundred_times_in_parallel_creates_one_object(
    plane: ControlPlane, calls: Calls, webhook: WebhookProcess, namespace: str, commit: str
) -> None:
    workload = objects.deployment("acme/never-seen", commit, namespace=namespace)
    before = _count(webhook, "repeated")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(lambda _: calls.create(workload)[0], range(200)))
    eventually(lambda: _requested(plane, namespace), what="the request")

    assert answers == {403}
    assert len(_requested(plane, namespace)) == 1
    assert _count(webhook, "repeated") == before + 199


def test_f09_neither_a_dry_run_nor_a_model_that_fails_first_is_asked_for(
    plane: ControlPlane, calls: Calls, namespace: str, commit: str
) -> None:
    calls.create(objects.deployment("acme/dry", commit, namespace=namespace), dry_run=True)
    calls.create(objects.deployment("evil/elsewhere", commit, namespace=namespace))
    calls.create(objects.deployment("acme/unpinned", "main", namespace=namespace))
    calls.create(objects.deployment("acme/last", commit, namespace=namespace))
    eventually(lambda: _requested(plane, namespace), what="the last request")

    assert [made["spec"]["model"] for made in _requested(plane, namespace)] == [f"hf://acme/last@{commit}"]


def test_h1_a_flood_of_commits_from_one_namespace_stays_in_its_share_and_another_gets_through(
    plane: ControlPlane, calls: Calls, webhook: WebhookProcess, namespace: str, commit: str
) -> None:
    other = _namespace(plane, calls)
    before = _count(webhook, "namespace_full")
    workloads = [objects.deployment("acme/flood", f"{commit[:32]}{number:08x}", namespace=namespace) for number in range(FLOOD)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda workload: calls.create(workload)[0], workloads))
    calls.create(objects.deployment("acme/never-seen", commit, namespace=other))
    eventually(lambda: _requested(plane, other), what="the other namespace's request")

    assert answers == {403}
    assert len(_requested(plane, namespace)) == limits.REQUESTS_PER_NAMESPACE
    assert _count(webhook, "namespace_full") == before + FLOOD - limits.REQUESTS_PER_NAMESPACE
    assert webhook.metric("modeltrust_requests_waiting") == 0


def test_m4_a_name_taken_for_another_model_is_left_alone_and_told(
    plane: ControlPlane, calls: Calls, webhook: WebhookProcess, namespace: str, commit: str
) -> None:
    identity = parse_identity(f"hf://acme/never-seen@{commit}")
    squatter = {
        "apiVersion": "modeltrust.dev/v1alpha1",
        "kind": "ModelAttestation",
        "metadata": {"name": attestation_name(identity)},
        "spec": {"model": "hf://acme/other@" + "1" * 40},
    }
    plane.apply(squatter)

    calls.create(objects.deployment("acme/never-seen", commit, namespace=namespace))

    eventually(lambda: ("request-mismatched", identity.key) in _told(webhook), what="the word about it")
    assert plane.get("modelattestation", attestation_name(identity))["spec"] == squatter["spec"]


def _namespace(plane: ControlPlane, calls: Calls) -> str:
    """A namespace of its own, with the demo's policy production, known to the webhook."""
    name = f"x{uuid.uuid4().hex[:8]}"
    policy = copy.deepcopy(objects.policies()[0])
    policy["metadata"]["name"] = name
    policy["spec"]["match"]["namespaces"] = {"names": [name]}
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    plane.apply(policy)
    unpinned = objects.deployment("acme/guard-7b", "main", namespace=name)
    eventually(lambda: "[UnpinnedReference]" in calls.create(unpinned, dry_run=True)[1], what="the policy's effect")
    return name


def _requested(plane: ControlPlane, namespace: str) -> list[Object]:
    made = plane.get("modelattestations", "-l", f"{REQUESTED_BY}=webhook")["items"]
    return [item for item in made if item["metadata"]["annotations"].get(REQUESTED_FOR) == namespace]


def _count(webhook: WebhookProcess, outcome: str) -> float:
    return webhook.metric("modeltrust_requests_total", f'outcome="{outcome}"')


def _told(webhook: WebhookProcess) -> set[tuple[str, str]]:
    return {(line["event"], line.get("model", "")) for line in webhook.log()}
