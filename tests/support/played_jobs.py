"""What a kubelet, the Job controller and the Service controller do with the Jobs of a simulated cluster."""

from typing import Any

from tests.support.cluster import ClusterSimulator

Object = dict[str, Any]
NAMESPACE = "modeltrust-jobs"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS, SECRETS, SERVICES = (f"/api/v1/namespaces/{NAMESPACE}/{plural}" for plural in ("pods", "secrets", "services"))


def found(cluster: ClusterSimulator, collection: str, name: str) -> Object:
    """An object that must be there."""
    value = cluster.find(collection, name)
    assert value is not None, name
    return value


def engine_is_ready(cluster: ClusterSimulator, name: str, address: str = "10.96.0.7") -> None:
    """An engine's Pod answers, and its Service has an address."""
    job, service = found(cluster, JOBS, name), found(cluster, SERVICES, name)
    service["spec"]["clusterIP"] = address
    cluster.put(SERVICES, service)
    a_pod(cluster, job, f"{name}-x", phase="Running", conditions=[{"type": "Ready", "status": "True"}])


def a_pod(cluster: ClusterSimulator, job: Object, name: str, *, owner: str = "", **status: Any) -> None:
    """A Pod of a Job, or one that says so."""
    uid = job["metadata"]["uid"]
    references = [{"kind": "Job", "uid": owner or uid, "controller": True}]
    metadata = {"name": name, "labels": {"batch.kubernetes.io/controller-uid": uid}, "ownerReferences": references}
    cluster.put(PODS, {"metadata": metadata, "spec": job["spec"]["template"]["spec"], "status": status})


def end(cluster: ClusterSimulator, name: str, kind: str = "Complete", reason: str = "") -> Object:
    """A Job ends."""
    job = found(cluster, JOBS, name)
    job["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}
    return cluster.put(JOBS, job)


def finish(cluster: ClusterSimulator, name: str, line: bytes, *, owner: str = "") -> None:
    """A Job's Pod succeeded and printed progress, then a line."""
    a_pod(cluster, end(cluster, name), f"{name}-y", owner=owner, phase="Succeeded")
    cluster.logs[f"{NAMESPACE}/{name}-y"] = b'{"event": "progress"}\n' + line + b"\n"
