import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from modeltrust.api.attestations import EXPIRATION_TIME, REQUESTED_BY, REQUESTED_FOR, attestation_name
from modeltrust.api.compile import check_object
from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.kube.client import ApiServer
from modeltrust.telemetry import Telemetry
from modeltrust.webhook import requests
from modeltrust.webhook.requests import Requests
from tests.support import reviews, trusted
from tests.support.api_server import ApiServerSimulator
from tests.support.hooks import Hook

NOW = 1_800_000_000.0
GUARD = parse_identity("hf://acme/guard-7b@" + "1" * 40)


class Cluster:
    """Objects by name, and refusals to come."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.faults: list[Exception] = []
        self.calls = 0

    def create(self, path: str, body: bytes) -> bool:
        assert path == requests.PATH
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        value = json.loads(body)
        name = value["metadata"]["name"]
        if name in self.objects:
            return False
        self.objects[name] = value
        return True

    def get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        assert not parameters
        return json.dumps(self.objects[path.removeprefix(f"{requests.PATH}/")]).encode()


class Asking:
    """Requests over a cluster, with its clock in the test's hands."""

    def __init__(self, cluster: Any = None) -> None:
        self.cluster = Cluster() if cluster is None else cluster
        self.now = NOW
        self.attested: set[str] = set()
        self.lines: list[dict[str, Any]] = []
        self.telemetry = Telemetry(sink=lambda line: self.lines.append(json.loads(line)))
        self.requests = Requests(
            objects=self.cluster,
            known=lambda namespace: namespace.startswith("team-"),
            attested=lambda identity: identity.key in self.attested,
            telemetry=self.telemetry,
            clock=lambda: self.now,
            uniform=lambda _low, high: high,
        )

    def count(self, outcome: str) -> int:
        return int(self.telemetry.registry.get_sample_value("modeltrust_requests_total", {"outcome": outcome}) or 0)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_PAUSE_SECONDS", 0.0)


def commits(count: int, start: int = 0) -> list[Identity]:
    return [parse_identity(f"hf://acme/guard-7b@{number:040x}") for number in range(start, start + count)]


def test_a_model_is_asked_for_with_its_name_its_end_and_who_asked() -> None:
    asking = Asking()
    asking.requests.ask("team-a", [GUARD])
    assert asking.cluster.objects == {}  # nothing is sent while a review is answered
    asking.requests.drain()
    (made,) = asking.cluster.objects.values()
    assert made["spec"] == {"model": GUARD.key}
    assert made["metadata"] == {
        "name": attestation_name(GUARD),
        "labels": {REQUESTED_BY: "webhook"},
        "annotations": {EXPIRATION_TIME: "2027-01-15T09:00:00Z", REQUESTED_FOR: "team-a"},
    }
    check_object(made, trusted.EXTRACTOR)
    assert (asking.count("taken"), asking.count("created")) == (1, 1)


def test_a_source_without_revisions_is_asked_for_by_its_content() -> None:
    asking = Asking()
    identity = parse_identity("s3://models/guard", content=ContentDigest("ab" * 32))
    asking.requests.ask("team-a", [identity])
    asking.requests.drain()
    (made,) = asking.cluster.objects.values()
    assert made["spec"] == {"model": "s3://models/guard", "contentDigest": "sha256:" + "ab" * 32}
    check_object(made, trusted.EXTRACTOR)


def test_a_model_is_asked_for_once_whoever_repeats_it() -> None:
    asking = Asking()
    for namespace in ("team-a", "team-a", "team-b"):
        asking.requests.ask(namespace, [GUARD])
        asking.requests.drain()
    assert (asking.cluster.calls, asking.count("repeated")) == (1, 2)


def test_h1_a_flood_from_one_namespace_stays_within_its_share_and_others_get_through() -> None:
    asking = Asking()
    asking.requests.ask("team-a", commits(300))
    asking.requests.ask("team-b", [GUARD])
    asking.requests.drain()
    assert len(asking.cluster.objects) == limits.REQUESTS_PER_NAMESPACE + 1
    assert attestation_name(GUARD) in asking.cluster.objects
    assert asking.count("namespace_full") == 300 - limits.REQUESTS_PER_NAMESPACE


def test_h1_made_up_namespaces_share_one_place() -> None:
    asking = Asking()
    for number, identity in enumerate(commits(300)):
        asking.requests.ask(f"made-up-{number}", [identity])
    asking.requests.drain()
    assert len(asking.cluster.objects) == limits.REQUESTS_PER_NAMESPACE
    assert all(REQUESTED_FOR not in value["metadata"]["annotations"] for value in asking.cluster.objects.values())


def test_h1_all_namespaces_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUESTS", 10)
    asking = Asking()
    for number in range(20):
        asking.requests.ask(f"team-{number}", commits(1, number))
    assert (asking.count("taken"), asking.count("full")) == (10, 10)


def test_a_statement_or_the_end_of_its_time_frees_a_place() -> None:
    asking = Asking()
    asking.requests.ask("team-a", commits(limits.REQUESTS_PER_NAMESPACE))
    asking.attested = {commits(1)[0].key}
    asking.requests.drain()
    asking.requests.ask("team-a", commits(2, 1_000))
    assert asking.count("namespace_full") == 1
    asking.now += limits.REQUEST_SECONDS
    asking.requests.drain()
    asking.requests.ask("team-a", commits(limits.REQUESTS_PER_NAMESPACE, 2_000))
    assert asking.count("namespace_full") == 1


def test_a_clock_set_back_frees_places_too() -> None:
    asking = Asking()
    asking.requests.ask("team-a", [GUARD])
    asking.now -= 1
    asking.requests.drain()
    asking.requests.ask("team-a", [GUARD])
    assert asking.count("repeated") == 0


def test_an_object_that_is_there_already_is_no_failure() -> None:
    first, second = Asking(), Asking()
    second.cluster.objects = first.cluster.objects
    for asking in (first, second):
        asking.requests.ask("team-a", [GUARD])
        asking.requests.drain()
    assert (first.count("created"), second.count("existing"), second.count("failed")) == (1, 1, 0)


@pytest.mark.parametrize(
    "spec", [{"model": "hf://evil/model@" + "1" * 40}, {"model": GUARD.key, "contentDigest": "sha256:" + "ab" * 32}]
)
def test_m4_the_name_of_one_model_taken_for_another_is_told(spec: dict[str, str]) -> None:
    asking = Asking()
    asking.cluster.objects[attestation_name(GUARD)] = {"spec": spec}
    asking.requests.ask("team-a", [GUARD])
    asking.requests.drain()
    assert asking.count("mismatched") == 1
    assert asking.lines == [
        {"event": "request-mismatched", "name": attestation_name(GUARD), "model": GUARD.key, "namespace": "team-a"}
    ]


def test_a_refusal_is_tried_again_later_and_later_and_then_given_up() -> None:
    asking = Asking()
    asking.cluster.faults = [UnavailableError("refused")] * limits.REQUEST_ATTEMPTS
    asking.requests.ask("team-a", [GUARD])
    for expected in range(1, limits.REQUEST_ATTEMPTS):
        asking.requests.drain()
        asking.requests.drain()  # not due yet
        assert asking.cluster.calls == expected
        assert asking.telemetry.registry.get_sample_value("modeltrust_requests_waiting") == 1
        asking.now += limits.BACK_OFF_SECONDS[0] * 2**expected
    asking.requests.drain()
    assert (asking.count("failed"), asking.lines[-1]["event"], asking.lines[-1]["why"]) == (1, "request-failed", '"refused"')
    asking.requests.ask("team-a", [GUARD])
    asking.requests.drain()
    assert (asking.count("taken"), asking.count("created")) == (2, 1)


def test_one_request_that_breaks_does_not_stop_those_behind_it() -> None:
    asking = Asking()
    asking.cluster.faults = [RuntimeError()]
    asking.requests.ask("team-a", commits(2))
    asking.requests.drain()
    assert list(asking.cluster.objects) == [attestation_name(commits(1, 1)[0])]


def test_an_answer_that_is_no_object_is_a_failure_and_no_crash() -> None:
    asking = Asking()
    asking.cluster.objects[attestation_name(GUARD)] = []
    asking.requests.ask("team-a", [GUARD])
    asking.requests.drain()
    assert (asking.count("existing"), asking.count("mismatched")) == (0, 0)


def test_the_thread_asks_by_itself_survives_a_bug_and_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "REQUEST_POLL_SECONDS", 0.01)
    simulator = ApiServerSimulator()
    with simulator.serving(tmp_path) as access:
        asking = Asking(ApiServer(access))
        asking.requests.ask("team-a", [GUARD])
        asking.requests._attested = _Once(asking.requests._attested)
        asking.requests.start()
        _until(lambda: simulator.created)
        asking.requests.stop()
    assert simulator.created[0]["spec"] == {"model": GUARD.key}
    assert any(line["event"] == "background-error" for line in asking.lines)


def test_stopping_ends_a_round_after_the_creation_under_way() -> None:
    asking = Asking()
    asking.requests.ask("team-a", commits(3))
    asking.requests.stop()
    asking.requests.drain()
    assert asking.cluster.calls == 1


def test_metrics_have_bounded_labels() -> None:
    asking = Asking()
    asking.requests.ask("team-a", [GUARD])
    asking.requests.drain()
    assert b"team-a" not in generate_latest(asking.telemetry.registry)


class _Once:
    """Raises once, then answers."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.raised = False

    def __call__(self, identity: Identity) -> Any:
        if not self.raised:
            self.raised = True
            raise RuntimeError
        return self.answer(identity)


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_decision_misses_is_asked_for_and_nothing_on_a_dry_run() -> None:
    asking, hook = Asking(), Hook()
    hook.answerer._ask = asking.requests.ask
    unknown = reviews.inference_service(uri="hf://acme/never-seen:" + "1" * 40)
    hook.ask(reviews.review(unknown, dry_run=True))
    asking.requests.drain()
    assert asking.cluster.objects == {}
    hook.ask(reviews.review(unknown))
    asking.requests.drain()
    assert [made["spec"]["model"] for made in asking.cluster.objects.values()] == ["hf://acme/never-seen@" + "1" * 40]


def test_h1_a_model_that_fails_what_needs_no_evidence_is_never_asked_for() -> None:
    asking, hook = Asking(), Hook()
    hook.answerer._ask = asking.requests.ask
    for uri in ("hf://acme/never-seen:main", "hf://evil/never-seen:" + "1" * 40, "s3://models/never-seen"):
        hook.ask(reviews.review(reviews.inference_service(uri=uri)))
    asking.requests.drain()
    assert asking.cluster.objects == {}
