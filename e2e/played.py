"""A kubelet that is played: Pods of Jobs become processes of this machine, with what the cluster mounted into them.

The API server, the Job controller and the operator are real; so are the runners, which are the product's own program, and their log
is asked of us by the API server as it asks a kubelet. An engine is a toy model behind a loopback port, and names of Services
become such ports: there is no cluster network.
"""

import base64
import contextlib
import http.server
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.certificates import Authority
from e2e.control_plane import LOOPBACK, ControlPlane
from e2e.operator import JOBS
from modeltrust.api.evaluation_work import decode_monitor_order, encode_monitor_order
from modeltrust.domain.errors import ModelTrustError
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer
from tests.support.endpoints import ToyModel, model_speaks, served

Object = dict[str, Any]
NODE = "played"
_LEASE_SECONDS = 5.0
_LOOK_SECONDS = 0.2


@dataclass(slots=True)
class PlayedNode:
    """One node; use ``played_node``.

    Attributes:
        plane: the control plane.
        folder: of what is mounted.
        engine: what every engine answers, whatever bytes it was given.
        live: what answers behind each Service, by host of its URL.
        change: what becomes of a runner's log before anybody reads it; a compromised runner, for tests.
        logs: by Pod.
    """

    plane: ControlPlane
    folder: Path
    engine: ToyModel
    live: dict[str, ToyModel] = field(default_factory=dict)
    change: Callable[[str, bytes], bytes] = lambda _pod, log: log
    logs: dict[str, bytes] = field(default_factory=dict)
    _api: ApiServer = field(init=False)
    _begun: set[str] = field(default_factory=set)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _ports: dict[ToyModel, str] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._api = ApiServer(from_kubeconfig(self.plane.admin))

    def start(self) -> None:
        """Register, and take Pods from then on."""
        port = self._serve_logs()
        node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        self.plane.apply(node)
        endpoints = {"kubeletEndpoint": {"Port": port}}
        ready = {"type": "Ready", "status": "True", "reason": "Played", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}
        status = {"addresses": [{"type": "InternalIP", "address": LOOPBACK}], "daemonEndpoints": endpoints, "conditions": [ready]}
        self._api.merge_patch(paths.core("nodes", NODE), {"status": status}, subresource="status")
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(self._stopping.set)

    def stop(self) -> None:
        """End everything that was started."""
        self._stack.close()
        self.plane.kubectl("delete", "node", NODE, "--wait=false", check=False)

    def url(self, model: ToyModel) -> str:
        """Where a model answers."""
        if model not in self._ports:
            self._ports[model] = self._stack.enter_context(served(model_speaks(model))).url
        return self._ports[model]

    def _run(self) -> None:
        renewed = 0.0
        while not self._stopping.wait(_LOOK_SECONDS):
            with contextlib.suppress(ModelTrustError):
                if time.monotonic() > renewed + _LEASE_SECONDS:
                    renewed = time.monotonic()
                    self._renew()
                for pod in list(self._api.list_objects(paths.core("pods", namespace=JOBS))):
                    self._look(pod)

    def _renew(self) -> None:
        """Else Pods of a node that is not heard of count as not ready."""
        lease = {
            "holderIdentity": NODE,
            "leaseDurationSeconds": 40,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NODE}, "spec": lease}
        path = paths.group("coordination.k8s.io/v1", "leases", NODE, namespace="kube-node-lease")
        self._api.apply(path, body, manager="played", force=True)

    def _look(self, pod: Object) -> None:
        name = pod["metadata"]["name"]
        if pod["metadata"].get("deletionTimestamp"):
            self.plane.kubectl("delete", "pod", name, "-n", JOBS, "--force", "--grace-period=0", check=False)
        elif not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
            self._api.create_object(f"{paths.core('pods', name, namespace=JOBS)}/binding", body)
        elif pod["metadata"]["uid"] not in self._begun:
            self._begun.add(pod["metadata"]["uid"])
            container = pod["spec"]["containers"][0]["name"]
            if container == "engine":
                self._state(name, "Running", {"running": {"startedAt": _now()}}, container)
            else:
                threading.Thread(target=self._runner, args=(pod, container), daemon=True).start()

    def _runner(self, pod: Object, container: str) -> None:
        """The product's own program, with the Secrets that its Pod mounts."""
        name, spec = pod["metadata"]["name"], pod["spec"]
        words = list(spec["containers"][0]["args"])
        for mount in spec["containers"][0]["volumeMounts"]:
            (volume,) = [entry for entry in spec["volumes"] if entry["name"] == mount["name"]]
            folder = self.folder / name / mount["name"]
            folder.mkdir(parents=True)
            secret = self._api.get_object(paths.core("secrets", volume["secret"]["secretName"], namespace=JOBS))
            for key, value in secret["data"].items():
                data = base64.b64decode(value)
                (folder / key).write_bytes(self._resolved(data) if key == "order.json" else data)
            words = [word.replace(mount["mountPath"], str(folder), 1) for word in words]
        self._state(name, "Running", {"running": {"startedAt": _now()}}, container)
        ended = subprocess.run([sys.executable, "-m", "modeltrust", *words], capture_output=True, check=False)
        self.logs[name] = self.change(name, ended.stdout)
        told = {"terminated": {"exitCode": ended.returncode, "startedAt": _now(), "finishedAt": _now()}}
        self._state(name, "Succeeded" if ended.returncode == 0 else "Failed", told, container)

    def _resolved(self, data: bytes) -> bytes:
        """What a cluster's DNS and kube-proxy do."""
        order = decode_monitor_order(data)
        model = self.live[order.served.url] if order.fingerprint else self.engine
        return encode_monitor_order(replace(order, served=replace(order.served, url=self.url(model))))

    def _state(self, name: str, phase: str, state: Object, container: str) -> None:
        now = _now()
        ready = "True" if phase == "Running" else "False"
        conditions = [{"type": kind, "status": ready, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")]
        one = {"name": container, "image": "played", "imageID": "", "ready": phase == "Running", "restartCount": 0, "state": state}
        status = {"phase": phase, "startTime": now, "podIP": "10.0.0.1", "conditions": conditions, "containerStatuses": [one]}
        self._api.merge_patch(paths.core("pods", name, namespace=JOBS), {"status": status}, subresource="status")

    def _serve_logs(self) -> int:
        """What the API server asks a kubelet."""
        logs = self.logs

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = self.path.partition("?")[0].strip("/").split("/")
                log = logs.get(parts[2]) if parts[0] == "containerLogs" else None
                self.send_response(200 if log is not None else 404)
                self.end_headers()
                self.wfile.write(log or b"")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        issued = Authority(self.folder / "pki", name="kubelet").issue("kubelet", hosts=[LOOPBACK])
        server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(issued.certificate, issued.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        return int(server.server_port)


@contextlib.contextmanager
def played_node(plane: ControlPlane, folder: Path, engine: ToyModel) -> Iterator[PlayedNode]:
    """A node whose Pods are processes."""
    node = PlayedNode(plane, folder, engine)
    node.start()
    try:
        yield node
    finally:
        node.stop()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def last_line(log: bytes) -> Object:
    """What a runner reported."""
    found: Object = json.loads(log.rstrip(b"\n").rpartition(b"\n")[2])
    return found
