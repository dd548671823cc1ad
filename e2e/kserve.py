"""Pods of the shape that KServe makes, with stand-ins under the names of its images, since no hub of the internet is reached here.

The downloader copies what "the hub" serves out of its own image; the server prints what it finds, and can be told to attack.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from e2e import images
from e2e.node import Node
from modeltrust.cli.demo.world import flip_one_byte
from modeltrust.domain.reference import Identity

Object = dict[str, Any]
DOWNLOADER = "docker.io/kserve/storage-initializer:v0.17.0"
TAMPERED = "docker.io/kserve/storage-initializer:v0.17.1"  # "the hub" serves other bytes to Pods than to workers (H13)
SERVER = "docker.io/kserve/huggingfaceserver:v0.17.0"
MOUNTED = "/mnt/models"
_FETCH = b"""set -eu
name=${1##*/}; cp -r "/hub/${name%%:*}/." "$2"; echo fetched "$1"
"""
_SERVE = b"""echo serving $(sha256sum /mnt/models/config.json)
if test -e /tmp/attack || test -n "${ATTACK:-}"; then
  echo evil > /mnt/models/config.json || echo refused; exit 1
fi
exec sleep infinity
"""


def load_stand_ins(node: Node, folders: Sequence[Path], scratch: Path) -> None:
    """Import the downloaders and the server.

    Args:
        node: where.
        folders: of models; the first is what the tampered downloader serves with one byte flipped.
        scratch: an empty folder.
    """
    changed = scratch / folders[0].name
    shutil.copytree(folders[0], changed)
    flip_one_byte(changed)
    made: tuple[tuple[str, bytes, dict[str, bytes]], ...] = (
        (DOWNLOADER, _FETCH, _served(*folders)),
        (TAMPERED, _FETCH, _served(changed)),
        (SERVER, _SERVE, {}),
    )
    for number, (name, script, files) in enumerate(made):
        archive = scratch / f"stand-in-{number}.tar"
        digest = images.busybox(archive, name, {**files, "run.sh": script}, ("/bin/sh", "/run.sh"))
        node.containers.load(archive, name, digest)


def _served(*folders: Path) -> dict[str, bytes]:
    """The files of models by their path in "the hub"."""
    listed = [(top, path) for top in folders for path in top.rglob("*") if path.is_file()]
    return {f"hub/{top.name}/{path.relative_to(top)}": path.read_bytes() for top, path in listed}


def serving_pod(namespace: str, name: str, identity: Identity, *, downloader: str = DOWNLOADER) -> Object:
    """A Pod of the shape that KServe makes, which asks the hub that the identity names."""
    uri = f"hf://{identity.reference.path}:{identity.pin}"
    mount = {"name": "kserve-provision-location", "mountPath": MOUNTED}
    never = {"imagePullPolicy": "Never"}
    fetch: Object = {
        "name": "storage-initializer",
        "image": downloader,
        "args": [uri, MOUNTED],
        "volumeMounts": [mount],
        **never,
    }
    if identity.reference.resolver:
        fetch["env"] = [{"name": "HF_ENDPOINT", "value": identity.reference.resolver}]
    server: Object = {
        "name": "kserve-container",
        "image": SERVER,
        "args": ["--model_name=guard", "--model_dir=/mnt/models"],
        **never,
    }
    server["volumeMounts"] = [mount | {"readOnly": True}]
    spec = {"containers": [server], "initContainers": [fetch], "volumes": [{"name": mount["name"], "emptyDir": {}}]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**spec, "terminationGracePeriodSeconds": 1}}


def serving_deployment(namespace: str, name: str, identity: Identity, *, replicas: int) -> Object:
    """A Deployment of such Pods."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": serving_pod(namespace, name, identity)["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def ended(pod: Object, container: str) -> Object:
    """How an init container ended, now or the last time; empty while it has not."""
    for status in pod["status"].get("initContainerStatuses", ()):
        if status["name"] == container:
            for state in ("state", "lastState"):
                if "terminated" in status.get(state, {}):
                    found: Object = status[state]["terminated"]
                    return found
    return {}
