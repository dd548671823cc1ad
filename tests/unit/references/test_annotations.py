"""Our annotations: they add, they hide nothing."""

import json
from typing import Any

import pytest

from tests.support.workloads import COMMIT, container, extract, found, reasons

MODELS = "modeltrust.dev/models"
DIGESTS = "modeltrust.dev/content-digests"
HEX = "ab" * 32


def _pod(**annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "annotations": annotations},
        "spec": {"containers": [container()]},
    }


def _annotated(key: str, value: str) -> dict[str, Any]:
    return _pod(**{key: value})


def test_a_declared_model_is_a_reference() -> None:
    workload = extract(_annotated(MODELS, json.dumps([f"hf://a/b@{COMMIT}"])))
    assert found(workload) == [f"unknown hf://a/b@{COMMIT}"]
    assert workload.declared == {"hf://a/b"}


def test_a_declaration_on_the_template_counts() -> None:
    template = {"metadata": {"annotations": {MODELS: '["hf://a/b"]'}}, "spec": {"containers": [container()]}}
    workload = extract({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template}})
    assert workload.declared == {"hf://a/b"}


@pytest.mark.parametrize(
    "value", ["", "x", "{}", "[1]", '["a/b"]', '["hf://a/b@"]', '["hf://A B"]', "[" * 100, '"hf://a/b"', "[null]"]
)
def test_a_malformed_declaration_is_a_finding(value: str) -> None:
    workload = extract(_annotated(MODELS, value))
    assert reasons(workload) == ["UnresolvedReference"]
    assert workload.declared == frozenset()


def test_content_digests_are_read_by_canonical_text() -> None:
    workload = extract(_annotated(DIGESTS, json.dumps({"s3://bucket/m": f"sha256:{HEX}"})))
    assert {name: str(digest) for name, digest in workload.content_digests.items()} == {"s3://bucket/m": f"sha256:{HEX}"}


@pytest.mark.parametrize(
    "value", ["[]", '{"s3://b/m": 1}', '{"s3://b/m": "md5:x"}', '{"m": "sha256:00"}', '{"s3://b/m": "x", "s3://b/m": "y"}']
)
def test_malformed_content_digests_are_a_finding(value: str) -> None:
    workload = extract(_annotated(DIGESTS, value))
    assert reasons(workload) == ["UnresolvedReference"]
    assert not workload.content_digests
