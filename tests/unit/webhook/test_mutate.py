import asyncio
import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.store.sink import Kind
from modeltrust.webhook.app import build_app
from tests.support import json_patch, reviews, trusted
from tests.support.asgi import Answer, call
from tests.support.hooks import Hook
from tests.support.statements import NOW

IMAGE = "registry.acme.example/modeltrust@sha256:" + "5a" * 32


def a_pod() -> dict[str, Any]:
    document = reviews.pod()
    document["spec"]["containers"][0].update(command=["vllm", "serve", "/models/guard"], args=[])
    return document


POD = reviews.review(a_pod())


def a_hook(**changes: Any) -> Hook:
    signature = {"anyOf": [{"purpose": "Author", "signers": [{"name": "acme"}]}], "minimumAssurance": "VerifiedAtLoad"}
    store = trusted.a_store()
    store.replace(Kind.POLICIES, [trusted.policy(requirements=[{"type": "Signature", "signature": signature}])])
    return Hook(store=store, inject_image=IMAGE, **changes)


def post(body: bytes, hook: Hook | None = None) -> Answer:
    hook = hook or a_hook()
    return asyncio.run(call(build_app(hook.validate, hook.mutate, hook.health), [body], path="/mutate"))


def patch_of(answer: Answer) -> list[dict[str, Any]]:
    response = answer.response
    assert response["allowed"] is True
    assert response.keys() <= {"uid", "allowed", "patch", "patchType"}
    assert ("patch" in response) is ("patchType" in response)
    if "patch" not in response:
        return []
    assert response["patchType"] == "JSONPatch"
    operations: list[dict[str, Any]] = json.loads(base64.b64decode(response["patch"]))
    return operations


def test_mutate_then_validate_admits_and_mutating_again_changes_nothing() -> None:
    hook = a_hook()
    assert hook.ask(POD)["allowed"] is False
    patched = reviews.review(json_patch.apply(a_pod(), patch_of(post(POD, hook))))
    assert hook.ask(patched)["allowed"] is True
    assert patch_of(post(patched, hook)) == []
    assert hook.telemetry.registry.get_sample_value("modeltrust_mutations_total", {"outcome": "patched"}) == 1
    assert hook.telemetry.registry.get_sample_value("modeltrust_mutations_total", {"outcome": "unpatched"}) == 1


def test_a_dry_run_is_patched_as_the_real_thing_is() -> None:
    assert patch_of(post(reviews.review(a_pod(), dry_run=True)))


@pytest.mark.parametrize(
    "body",
    [
        reviews.review(a_pod(), old=a_pod()),
        reviews.review(a_pod(), operation="DELETE"),
        reviews.review(a_pod(), operation="CONNECT"),
        reviews.review(a_pod(), sub_resource="ephemeralcontainers"),
        reviews.review(reviews.deployment()),
        reviews.review(reviews.inference_service()),
        POD.replace(b'"operation":"CREATE"', b'"operation":7'),
        POD[:-40],
        POD.replace(b"admission.k8s.io/v1", b"admission.k8s.io/v2", 1),
        POD.replace(b'"containers":[', b'"containers":[7,'),
        POD.replace(b'"initContainers":[', b'"initContainers":[[],'),
        POD.replace(b'"volumes":[', b'"volumes":["x",'),
        b" " * limits.REVIEW_BYTES + POD,
        POD + b" " * limits.REVIEW_BYTES,
    ],
)
def test_everything_else_is_left_alone_and_allowed_or_has_no_answer(body: bytes) -> None:
    answer = post(body)
    if answer.status == 200:
        assert patch_of(answer) == []
    else:
        assert (answer.status, answer.body) == (400, b"not an AdmissionReview\n")


def test_an_error_of_ours_leaves_the_pod_alone() -> None:
    class Failing:
        def extract(self, document: bytes, *, namespace: str = "") -> Any:
            raise ZeroDivisionError(document, namespace)

    hook = a_hook(extractor=Failing())
    assert patch_of(post(POD, hook)) == []
    assert hook.ask(POD)["allowed"] is False


def test_not_ready_is_no_answer() -> None:
    hook = a_hook()
    hook.store.freshness.confirm(Kind.POLICIES, NOW - 10_000)
    assert post(POD, hook).status == 503


@settings(max_examples=40)
@given(start=st.integers(0, len(POD)), length=st.integers(0, 40), other=st.binary(max_size=8))
def test_no_bytes_make_it_fail_or_deny(start: int, length: int, other: bytes) -> None:
    answer = post(POD[:start] + other + POD[start + length :])
    assert answer.status in {200, 400}
    if answer.status == 200:
        patch_of(answer)
