"""What a real API server adds to our Jobs and their Pods is no change, and what somebody else writes into them is (attack C6)."""

import copy
import json
import uuid
from typing import Any

import pytest

from e2e.control_plane import ControlPlane
from modeltrust.kube.jobs import runs
from modeltrust.operator import evaluation_pods
from modeltrust.operator.jobs import JobWorker
from tests.unit.api.test_work import ORDER

Object = dict[str, Any]
IMAGE = f"registry.example/modeltrust@sha256:{'a' * 64}"


def written(kind: str, name: str) -> Object:
    """The Job as the operator writes it."""
    if kind == "examine":
        return JobWorker(None, namespace="default", image=IMAGE)._job(name, ORDER)  # type: ignore[arg-type]  # noqa: SLF001 - what is written, without an API server
    if kind == "round":
        place = {"fingerprint": "fingerprint-1", "namespace": "serving"}
        return evaluation_pods.round_of(name, image=IMAGE, deadline_seconds=600, private=True, **place)
    if kind == "record":
        return evaluation_pods.runner(name, image=IMAGE, deadline_seconds=600, private=True, records=True)
    return evaluation_pods.runner(name, image=IMAGE, deadline_seconds=600, private=kind == "private")


@pytest.mark.parametrize("kind", ["examine", "evaluate", "private", "record", "round"])
def test_c6_defaults_are_no_change_and_everything_else_is(plane: ControlPlane, kind: str) -> None:
    name = f"x{uuid.uuid4().hex[:8]}"
    job = written(kind, name)
    spec = job["spec"]["template"]["spec"]
    account: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "modeltrust-job", "namespace": "default"}}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    plane.apply(account)
    plane.apply({**job, "metadata": {**job["metadata"], "namespace": "default"}}, pod)

    found = json.loads(plane.kubectl("get", "job", name, "-o", "json").stdout)["spec"]["template"]["spec"]
    assert runs(found, spec), found
    real = json.loads(plane.kubectl("get", "pod", name, "-o", "json").stdout)["spec"]
    assert runs(real, spec), real
    for change in ({"image": "evil"}, {"command": ["cat", "/evil"]}, {"env": [{"name": "PYTHONPATH", "value": "/evil"}]}):
        evil = copy.deepcopy(real)
        evil["containers"][0].update(change)
        assert not runs(evil, spec), change
    plane.kubectl("delete", "job,pod", name, "--wait=false", "--force", check=False)
