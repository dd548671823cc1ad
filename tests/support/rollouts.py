"""Workloads as controllers make them, in a simulated cluster."""

from pathlib import Path
from typing import Any

from tests.support import fast_yaml, trusted
from tests.support.cluster import ClusterSimulator
from tests.support.command_line import BRANCH, pod
from tests.support.served import put
from tests.support.statements import attestor_entry

Object = dict[str, Any]
PODS, DEPLOYMENTS, REPLICA_SETS = "/api/v1/pods", "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets"


def deployment(name: str, args: list[str], **metadata: Any) -> Object:
    """A vLLM Deployment."""
    template = {"spec": pod(args)["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    where = {"name": name, "namespace": "team-a", **metadata}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": where, "spec": spec}


def rolled_out(cluster: ClusterSimulator, name: str, args: list[str]) -> None:
    """A Deployment, its ReplicaSet, an older one with nothing in it, and two Pods."""
    top = put(cluster, DEPLOYMENTS, deployment(name, args))
    middle = {**deployment(f"{name}-7d9f", args), "kind": "ReplicaSet"}
    middle = put(cluster, REPLICA_SETS, middle, owner=top)
    old = {**deployment(f"{name}-5c4b", BRANCH), "kind": "ReplicaSet"}
    old["spec"] |= {"replicas": 0}
    put(cluster, REPLICA_SETS, old, owner=top)
    for number in range(2):
        put(cluster, PODS, pod(args, name=f"{name}-7d9f-{number}"), owner=middle)


def attestors(folder: Path) -> Path:
    """The attestor file of the statements of ``tests.support.trusted``."""
    path = folder / "attestors.yaml"
    path.write_text(fast_yaml.dump([attestor_entry(trusted.ATTESTOR_KEY)]))
    return path
