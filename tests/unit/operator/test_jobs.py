"""Jobs that read every byte: one for one order, nothing believed but the log of the Pod that was made for it."""

import base64
import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, ModelTrustError, UnavailableError
from modeltrust.domain.work import Order, Report, Running
from modeltrust.kube.client import ApiServer
from modeltrust.operator.jobs import JobWorker
from modeltrust.operator.worker import Workers
from tests.support.cluster import ClusterSimulator
from tests.unit.api.test_work import ORDER, REPORT, SOURCE

NAMESPACE = "modeltrust-jobs"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS, SECRETS = (f"/api/v1/namespaces/{NAMESPACE}/{plural}" for plural in ("pods", "secrets"))
NAME = f"examine-{ORDER.nonce}"
IMAGE = f"registry.example/modeltrust@sha256:{'a' * 64}"
LOG = b'{"event":"started"}\n' + work.encode_report(REPORT) + b"\n"


@pytest.fixture
def cluster() -> ClusterSimulator:
    return ClusterSimulator()


@pytest.fixture
def worker(cluster: ClusterSimulator, tmp_path: Path) -> Iterator[JobWorker]:
    with cluster.serving(tmp_path / "api") as access:
        yield JobWorker(ApiServer(access), namespace=NAMESPACE, image=IMAGE, at_once=2)


def job_of(cluster: ClusterSimulator, name: str = NAME) -> dict[str, Any]:
    found = cluster.find(JOBS, name)
    assert found is not None
    return found


def end(cluster: ClusterSimulator, kind: str = "Complete", reason: str = "") -> dict[str, Any]:
    job = job_of(cluster)
    job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}
    return cluster.put(JOBS, job)


def pod(
    cluster: ClusterSimulator, job: dict[str, Any], name: str = "pod-1", log: bytes = LOG, changes: Any = None, **owner: Any
) -> None:
    reference = {"kind": "Job", "uid": job["metadata"]["uid"], "controller": True} | owner
    metadata: dict[str, Any] = {"name": name, "labels": {"batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}}
    metadata |= {"ownerReferences": [reference]}
    spec = job["spec"]["template"]["spec"] | {"nodeName": "node-1", "dnsPolicy": "ClusterFirst"} | (changes or {})
    cluster.put(PODS, {"metadata": metadata, "spec": spec, "status": {"phase": "Succeeded"}})
    cluster.logs[f"{NAMESPACE}/{name}"] = log


def test_an_order_becomes_one_job_with_its_order_in_a_secret_that_belongs_to_it(
    worker: JobWorker, cluster: ClusterSimulator
) -> None:
    for _ in range(3):
        assert isinstance(worker.examine(ORDER), Running)
    (job,), (secret,) = cluster.all(JOBS), cluster.all(SECRETS)
    assert job["metadata"]["name"] == NAME
    assert job["spec"]["suspend"] is False
    assert base64.b64decode(secret["data"]["order.json"]) == work.encode_order(ORDER)
    assert secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert "credential-1" not in json.dumps(job)


def test_a_job_has_no_token_no_privilege_and_an_end(worker: JobWorker, cluster: ClusterSimulator) -> None:
    worker.examine(ORDER)
    spec = job_of(cluster)["spec"]
    inside = spec["template"]["spec"]
    assert inside["automountServiceAccountToken"] is False
    assert inside["securityContext"]["runAsNonRoot"] is True
    assert inside["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert inside["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["activeDeadlineSeconds"] == limits.JOB_SECONDS
    assert spec["ttlSecondsAfterFinished"] > limits.OPERATOR_BACK_OFF_SECONDS[1]


def test_the_report_is_the_last_line_of_the_log_of_the_pod_that_was_made(worker: JobWorker, cluster: ClusterSimulator) -> None:
    worker.examine(ORDER)
    pod(cluster, end(cluster))
    for _ in range(2):
        assert worker.examine(dataclasses.replace(ORDER, now=ORDER.now + 60)) == REPORT
    rotated = dataclasses.replace(ORDER, source=dataclasses.replace(SOURCE, username="rotated"))
    assert worker.examine(rotated) == REPORT
    assert len(cluster.all(JOBS)) == 1


def test_after_a_restart_half_way_every_step_is_done_once(worker: JobWorker, cluster: ClusterSimulator) -> None:
    for fault in (("POST", "/secrets", 500), ("PATCH", "/jobs/", 500), ("GET", "/secrets/", 500)):
        cluster.faults.append(fault)
        with pytest.raises(UnavailableError):
            worker.examine(ORDER)
        assert job_of(cluster)["spec"]["suspend"] is True
    assert isinstance(worker.examine(ORDER), Running)
    assert job_of(cluster)["spec"]["suspend"] is False
    assert (len(cluster.all(JOBS)), len(cluster.all(SECRETS))) == (1, 1)


@pytest.mark.parametrize(
    "owner",
    [{"uid": "another"}, {"kind": "ReplicaSet"}, {"controller": False}],
    ids=["another Job", "no Job", "not its controller"],
)
def test_f64_the_log_of_another_pod_is_not_believed(worker: JobWorker, cluster: ClusterSimulator, owner: dict[str, Any]) -> None:
    worker.examine(ORDER)
    pod(cluster, end(cluster), **owner)
    with pytest.raises(UnavailableError, match="got 0 Pods"):
        worker.examine(ORDER)


def test_f64_two_pods_that_both_say_they_are_the_one_are_not_believed(worker: JobWorker, cluster: ClusterSimulator) -> None:
    worker.examine(ORDER)
    job = end(cluster)
    pod(cluster, job)
    pod(cluster, job, name="pod-2")
    with pytest.raises(UnavailableError, match="got 2 Pods"):
        worker.examine(ORDER)


@pytest.mark.parametrize("change", ["image", "container", "init", "command", "env", "aliases"])
def test_c6_a_pod_that_names_the_job_as_its_owner_and_runs_something_else_is_not_believed(
    worker: JobWorker, cluster: ClusterSimulator, change: str
) -> None:
    """Who may create Pods writes owners as they like, and a Pod's image may be exchanged before it starts."""
    worker.examine(ORDER)
    job = end(cluster)
    forged = changed(copy.deepcopy(job), change)
    pod(cluster, job, changes=forged["spec"]["template"]["spec"])
    with pytest.raises(UnavailableError, match="does not run"):
        worker.examine(ORDER)


@pytest.mark.parametrize(
    "log", [b"", b"garbage\n", LOG + LOG, LOG[:-1], LOG + b"bye\n", b"x\n" + LOG, b'{"event":1}\n' * 60_000 + LOG]
)
def test_a_log_without_exactly_one_report_at_its_end_is_that_we_could_not_look(
    worker: JobWorker, cluster: ClusterSimulator, log: bytes
) -> None:
    worker.examine(ORDER)
    pod(cluster, end(cluster), log=log)
    with pytest.raises(UnavailableError, match="no report"):
        worker.examine(ORDER)


@pytest.mark.parametrize("reason", ["DeadlineExceeded", "PodFailurePolicy", "BackoffLimitExceeded"])
def test_f63_a_job_that_failed_is_that_we_could_not_look(worker: JobWorker, cluster: ClusterSimulator, reason: str) -> None:
    worker.examine(ORDER)
    pod(cluster, end(cluster, "Failed", reason))
    with pytest.raises(UnavailableError, match=reason):
        worker.examine(ORDER)


def changed(job: dict[str, Any], change: str) -> dict[str, Any]:
    inside = job["spec"]["template"]["spec"]
    match change:
        case "image":
            inside["containers"][0]["image"] = "evil"
        case "container":
            inside["containers"].append(inside["containers"][0] | {"name": "second"})
        case "init":
            inside["initContainers"] = [{"name": "first"}]
        case "command":
            inside["containers"][0]["command"] = ["cat", "/a/report"]
        case "env":
            inside["containers"][0]["env"] = [{"name": "PYTHONPATH", "value": "/evil"}]
        case "aliases":
            inside["hostAliases"] = [{"ip": "192.0.2.1", "hostnames": ["huggingface.co"]}]
        case "order":
            job["metadata"]["annotations"] = {}
        case _:
            job["metadata"]["labels"] = {}
    return job


@pytest.mark.parametrize("change", ["image", "container", "init", "command", "env", "aliases", "order", "labels"])
def test_a_job_of_this_name_that_is_another_is_removed_and_never_believed(
    worker: JobWorker, cluster: ClusterSimulator, change: str
) -> None:
    worker.examine(ORDER)
    pod(cluster, end(cluster))
    cluster.put(JOBS, changed(job_of(cluster), change))
    with pytest.raises(UnavailableError, match="it is removed"):
        worker.examine(ORDER)
    assert cluster.all(JOBS) == []


def test_a_secret_of_another_job_is_removed_and_never_used(worker: JobWorker, cluster: ClusterSimulator) -> None:
    cluster.put(SECRETS, {"metadata": {"name": NAME}, "data": {"order.json": ""}})
    with pytest.raises(UnavailableError, match="another Job"):
        worker.examine(ORDER)
    assert job_of(cluster)["spec"]["suspend"] is True
    assert isinstance(worker.examine(ORDER), Running)
    assert job_of(cluster)["spec"]["suspend"] is False


def test_there_are_so_many_jobs_at_once_and_no_order_that_no_secret_holds(worker: JobWorker, cluster: ClusterSimulator) -> None:
    for number in range(2):
        worker.examine(dataclasses.replace(ORDER, nonce=f"{number:032x}"))
    with pytest.raises(LimitExceededError, match="under way"):
        worker.examine(ORDER)
    assert isinstance(worker.examine(dataclasses.replace(ORDER, nonce=f"{0:032x}")), Running)
    with pytest.raises(LimitExceededError, match="no Secret"):
        worker.examine(dataclasses.replace(ORDER, bundles=(b"x" * limits.JOB_ORDER_BYTES,)))
    assert len(cluster.all(JOBS)) == 2


class Says:
    def __init__(self, answer: Report | Running) -> None:
        self.answer = answer

    def examine(self, order: Order) -> Report | Running:
        del order
        return self.answer


def test_every_byte_is_read_by_jobs_and_never_by_the_worker() -> None:
    workers = Workers(Says(REPORT), Says(Running("in a Job")))
    assert workers.examine(ORDER) == Running("in a Job")
    assert workers.examine(dataclasses.replace(ORDER, read_bytes=False)) == REPORT
    with pytest.raises(ModelTrustError, match="--job-image"):
        Workers(Says(REPORT), None).examine(ORDER)
