import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from modeltrust.domain.workload import Workload
from modeltrust.store.sink import Kind
from tests.support import reviews, trusted
from tests.support.hooks import Hook
from tests.support.statements import NOW

UNPINNED = "hf://acme/guard-7b:main"


def update(change: dict[str, Any] | None = None, *, uri: str = UNPINNED, path: str = "metadata") -> bytes:
    old = reviews.inference_service(uri=uri)
    new = copy.deepcopy(old)
    new[path].update(change or {})
    return reviews.review(new, old=old)


def test_an_update_that_changes_nothing_that_matters_passes_after_a_policy_tightened() -> None:
    changes: list[dict[str, Any]] = [
        {"finalizers": []},
        {"labels": {"team": "b"}},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        {"ownerReferences": []},
    ]
    for change in changes:
        assert Hook().ask(update(change))["allowed"] is True
    assert Hook().ask(update({"url": "x"}, path="status"))["allowed"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": {"modeltrust.dev/models": "[]"}},
        {"annotations": {"internal.serving.kserve.io/storage-initializer-sourceuri": "hf://evil/x"}},
    ],
)
def test_an_update_of_an_annotation_that_is_read_is_judged(change: dict[str, Any]) -> None:
    assert Hook().ask(update(change))["allowed"] is False


def test_an_update_of_an_image_is_judged_as_a_creation() -> None:
    old = reviews.pod(revision="main")
    new = copy.deepcopy(old)
    new["spec"]["initContainers"][0]["image"] = "evil"
    assert Hook().ask(reviews.review(new, old=old))["allowed"] is False
    assert Hook().ask(reviews.review(old, old=old))["allowed"] is True


def test_an_unchanged_update_of_a_revoked_model_passes_with_a_warning() -> None:
    hook = Hook()
    hook.store.upsert(Kind.REVOCATIONS, trusted.revocation())
    response = hook.ask(update({"labels": {"x": "y"}}))
    assert response["allowed"] is True
    assert "ModelRevoked" in response["warnings"][0]
    hook.store.replace(Kind.REVOCATIONS, [trusted.revocation(models=["hf://acme/other"])])
    assert "warnings" not in hook.ask(update({"labels": {"x": "y"}}))


def test_deleting_is_never_held_up() -> None:
    body = reviews.review(None, old=reviews.deployment(), operation="DELETE")
    assert Hook().ask(body)["allowed"] is True


@pytest.mark.parametrize("obj", [None, [], "main", 7, [{"kind": "Pod"}]])
@pytest.mark.parametrize("namespace", ["team-a", "nobody-s", ""])
def test_a_review_without_an_object_is_denied_wherever_it_goes(obj: Any, namespace: str) -> None:
    document = json.loads(reviews.review(reviews.pod()))
    document["request"].update(object=obj, namespace=namespace)
    response = Hook().ask(json.dumps(document).encode())
    assert (response["allowed"], "without an object" in response["status"]["message"]) == (False, True)


def test_an_ephemeral_container_is_judged() -> None:
    document = reviews.pod()
    document["spec"]["ephemeralContainers"] = [
        {"name": "debug", "image": "vllm/vllm-openai", "args": ["evil/model"], "command": ["vllm", "serve"]}
    ]
    old = reviews.pod()
    assert Hook().ask(reviews.review(document, old=old, sub_resource="ephemeralcontainers"))["allowed"] is False


def test_our_own_kinds_are_refused_where_the_compiler_refuses_them() -> None:
    hook = Hook()
    assert hook.ask(reviews.review(trusted.policy()))["allowed"] is True
    broken = trusted.policy(requirements=[{"type": "Pined"}])
    response = hook.ask(reviews.review(broken))
    assert (response["allowed"], response["status"]["code"]) == (False, 422)
    assert "spec.requirements" in response["status"]["message"]
    assert hook.ask(reviews.review(broken, old=broken))["allowed"] is True
    assert hook.ask(reviews.review(broken, old=trusted.policy()))["allowed"] is False
    assert hook.ask(reviews.review(trusted.thing("ModelPolicyy", "x", {})))["allowed"] is False
    assert hook.ask(reviews.review(trusted.policy()).replace(b'"spec":{', b'"spec":[' * 5000 + b"{", 1))["allowed"] is False


def test_a_made_up_name_is_shown_as_its_author_wrote_it() -> None:
    document = reviews.pod(revision="main")
    del document["metadata"]["name"]
    message = Hook().ask(reviews.review(document))["status"]["message"]
    assert "in Pod team-a/guard-6d5f7c9b8d-*" in message.partition("\n")[0]


def test_a_dry_run_gives_the_verdict_and_asks_for_nothing() -> None:
    hook = Hook()
    document = reviews.inference_service(uri="hf://acme/guard-7b:" + "1" * 40)
    assert hook.ask(reviews.review(document))["allowed"] is False
    dry = hook.ask(reviews.review(document, dry_run=True))
    assert dry["allowed"] is True
    assert "AttestationPending" in dry["warnings"][0]
    assert [line["wanted"] for line in hook.lines] == [["hf://acme/guard-7b@" + "1" * 40], []]
    assert b"modeltrust_wanted_total 1.0" in generate_latest(hook.telemetry.registry)
    assert hook.ask(reviews.review(reviews.inference_service(uri=UNPINNED), dry_run=True))["allowed"] is False


def test_every_verdict_is_one_log_line_and_one_count() -> None:
    hook = Hook()
    hook.ask(reviews.review(reviews.inference_service(uri=UNPINNED)))
    (line,) = hook.lines
    assert line["event"] == "decision"
    assert line["uid"] == reviews.UID
    assert (line["kind"], line["namespace"], line["name"]) == ("InferenceService", "team-a", "guard")
    assert (line["outcome"], line["id"], line["operation"]) == ("deny", "7f3a91", "CREATE")
    assert "UnpinnedReference" in line["reasons"]
    assert line["policies"] == ["baseline", "production"]
    text = generate_latest(hook.telemetry.registry).decode()
    assert 'modeltrust_decisions_total{operation="CREATE",outcome="deny"} 1.0' in text


def test_the_audit_log_of_the_api_server_is_told_what_an_audit_policy_found() -> None:
    response = Hook().ask(reviews.review(reviews.inference_service(uri=UNPINNED, namespace="team-b")))
    assert response["allowed"] is True
    assert "warnings" not in response
    assert response["auditAnnotations"]["reasons"] == "UnpinnedReference"
    assert response["auditAnnotations"]["outcome"] == "admit"


def test_causes_are_for_machines() -> None:
    status = Hook().ask(reviews.review(reviews.inference_service(uri=UNPINNED)))["status"]
    assert status["details"]["causes"][0]["reason"] == "UnpinnedReference"
    assert status["details"]["causes"][0]["field"] == "spec.predictor.model.storageUri"


class Failing:
    def extract(self, document: bytes, *, namespace: str = "") -> Workload:
        raise RuntimeError(f"{document!r} {namespace}")


def test_a_bug_is_a_denial_with_an_id_that_is_in_the_log() -> None:
    hook = Hook(extractor=Failing())
    response = hook.ask(reviews.review(reviews.deployment()))
    assert response["allowed"] is False
    assert "InternalError" in response["status"]["message"]
    assert "e77077" in response["status"]["message"]
    assert [line["event"] for line in hook.lines] == ["internal-error", "decision"]
    assert hook.lines[0]["id"] == "e77077"


def test_a_bug_before_the_decision_is_a_denial_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> bool:
        raise ZeroDivisionError

    hook = Hook()
    monkeypatch.setattr("modeltrust.webhook.answer.reviews.unchanged", failing)
    response = hook.ask(reviews.review(reviews.deployment()))
    assert response["allowed"] is False
    assert hook.lines[-1]["outcome"] == "error"


def test_an_answer_names_no_secret_of_the_object() -> None:
    response = Hook().ask(reviews.review(reviews.inference_service(uri="https://user:hunter2@evil.example/m?X-Amz-Signature=abc")))
    assert "hunter2" not in str(response)
    assert "abc" not in str(response["status"]["message"])


FUZZED = Hook()
BODY = reviews.review(reviews.inference_service(uri=UNPINNED))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(BODY) - 1), st.integers(0, 40), st.binary(max_size=12))
def test_no_damage_turns_a_denied_review_into_an_allow(at: int, cut: int, put: bytes) -> None:
    damaged = BODY[:at] + put + BODY[at + cut :]
    answer = FUZZED.answerer.answer(damaged, now=NOW, started=0.0)
    if answer is None or not json.loads(answer)["response"]["allowed"]:
        return
    # Allowed: then a slow and obvious reader finds another operation, another namespace or no such reference in it.
    request = json.loads(damaged.decode("utf-8", "replace"))["request"]
    uri = request["object"].get("spec", {}).get("predictor", {}).get("model", {}).get("storageUri")
    assert (request.get("operation"), request.get("namespace"), uri, request.get("kind", {}).get("group")) != (
        "CREATE",
        "team-a",
        UNPINNED,
        "serving.kserve.io",
    )
