"""A simulated cluster that the command line reaches through a kubeconfig: discovery, workloads and trust."""

import base64
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modeltrust.kube.access import Access
from tests.support import fast_yaml
from tests.support.cluster import ClusterSimulator

Object = dict[str, Any]
OURS = "/apis/modeltrust.dev/v1alpha1"
_VERBS = ["create", "delete", "get", "list", "watch"]
_Kinds = tuple[tuple[str, str, list[str]], ...]
_CORE: _Kinds = (
    ("pods", "Pod", ["po"]),
    ("secrets", "Secret", []),
    ("configmaps", "ConfigMap", ["cm"]),
    ("pods/status", "Pod", []),
)
_APPS: _Kinds = (
    ("deployments", "Deployment", ["deploy"]),
    ("replicasets", "ReplicaSet", ["rs"]),
    ("daemonsets", "DaemonSet", ["ds"]),
)
_BATCH: _Kinds = (("jobs", "Job", []),)
_KSERVE: _Kinds = (("inferenceservices", "InferenceService", ["isvc"]), ("clusterservingruntimes", "ClusterServingRuntime", []))
_GROUPS = {"apps": ("v1", _APPS), "batch": ("v1", _BATCH), "serving.kserve.io": ("v1beta1", _KSERVE)}


def a_cluster() -> ClusterSimulator:
    """It serves Pods, Deployments, Jobs and KServe's kinds, and none of ours."""
    cluster = ClusterSimulator()
    groups = [
        {"name": name, "preferredVersion": {"version": version}, "versions": [{"version": version}]}
        for name, (version, _) in _GROUPS.items()
    ]
    groups.append({"name": "example.com", "preferredVersion": {"version": "v1"}, "versions": [{"version": "v1"}]})
    cluster.unserved.add(OURS)
    cluster.documents["/apis"] = {"groups": groups}
    cluster.documents["/api/v1"] = {"resources": _resources(_CORE)}
    for name, (version, kinds) in _GROUPS.items():
        cluster.documents[f"/apis/{name}/{version}"] = {"resources": _resources(kinds)}
    return cluster


CONNECTORS = "/apis/gmc.opea.io/v1/gmconnectors"


def serve_connectors(cluster: ClusterSimulator) -> None:
    """It serves GMConnectors of OPEA, too, in a version that no row knows."""
    version = {"version": "v1"}
    cluster.documents["/apis"]["groups"].append({"name": "gmc.opea.io", "preferredVersion": version, "versions": [version]})
    cluster.documents["/apis/gmc.opea.io/v1"] = {"resources": _resources((("gmconnectors", "GMConnector", []),))}


def _resources(kinds: _Kinds) -> list[Object]:
    return [
        {
            "name": plural,
            "kind": kind,
            "singularName": kind.lower(),
            "shortNames": short,
            "namespaced": not kind.startswith("Cluster"),
            "verbs": _VERBS if "/" not in plural else ["get"],
        }
        for plural, kind, short in kinds
    ]


def put(cluster: ClusterSimulator, plural: str, value: Object, *, owner: Object | None = None, listed: bool = True) -> Object:
    """Store a workload where both the list of all namespaces and the one of its own find it.

    Args:
        cluster: where.
        plural: path of the kind, such as ``/apis/apps/v1/deployments``.
        value: the object.
        owner: the controller that made it.
        listed: leave out kind and apiVersion, as lists of Kubernetes' own kinds do.
    """
    value = copy.deepcopy(value)
    if owner is not None:
        metadata = owner["metadata"]
        link = {"kind": owner["kind"], "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        value["metadata"]["ownerReferences"] = [link]
    value["metadata"].setdefault("uid", f"{plural}/{value['metadata']['namespace']}/{value['metadata']['name']}")
    folder, _, name = plural.rpartition("/")
    cluster.put(f"{folder}/namespaces/{value['metadata']['namespace']}/{name}", value)
    shown = {key: part for key, part in value.items() if not listed or key not in ("kind", "apiVersion")}
    cluster.put(plural, shown)
    return value


def put_trust(cluster: ClusterSimulator, *objects: Object) -> None:
    """Store objects of ours, and namespaces; every kind of ours is served from then on."""
    cluster.unserved.clear()
    for value in objects:
        kind = value["kind"]
        plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
        cluster.put("/api/v1/namespaces" if kind == "Namespace" else f"{OURS}/{plural}", value)


@contextmanager
def reached(cluster: ClusterSimulator, folder: Path) -> Iterator[Path]:
    """A kubeconfig that reaches the cluster."""
    with cluster.serving(folder / "server") as access:
        yield kubeconfig(access, folder)


def kubeconfig(access: Access, folder: Path) -> Path:
    """A kubeconfig with what an Access holds."""
    assert access.token_file is not None
    authority = base64.b64encode(access.ca.encode()).decode()
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": access.url, "certificate-authority-data": authority}}],
        "users": [{"name": "me", "user": {"tokenFile": str(access.token_file)}}],
    }
    path = folder / "kubeconfig"
    path.write_text(fast_yaml.dump(document))
    return path
