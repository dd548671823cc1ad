"""A control plane with one real node: scheduler, kubelet, kube-proxy, containerd. Pods run, Services are reached.

Needs root. No NetworkPolicy is enforced. Addresses, bridge and packet filter rules are those of the
network namespace, so runs in one take turns; with one of its own, a run goes on beside another's:
`unshare --net sh -c 'ip link set lo up; pytest e2e/test_node.py'`.
"""

import contextlib
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e import images
from e2e.containers import PAUSE, POD_NETWORK, Containers
from e2e.control_plane import LOOPBACK, ControlPlane, free_port
from e2e.names import Names
from e2e.waiting import eventually
from modeltrust.domain.errors import ModelTrustError
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer

ASKED = bool(os.environ.get("MODELTRUST_NODE") or os.environ.get("MODELTRUST_GATE"))  # `make node` or `make gate`
only_asked = pytest.mark.skipif(not ASKED, reason="ten minutes more on a node: `make node` runs it, `make e2e` does not")
NAME = "e2e"
ADDRESS = "10.99.0.1"  # the kubelet refuses one in 127/8; it is added to the loopback device
SERVICES = "10.96.0.0/16"
BUSYBOX = PAUSE
_READY_SECONDS = 60
_GONE_SECONDS = 30


@dataclass(slots=True)
class Node(ControlPlane):
    """Use ``running_node``."""

    address: str = ADDRESS
    containers: Containers = field(init=False)
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        ControlPlane.__post_init__(self)
        self.containers = Containers(self.folder / "containerd")
        self.names = Names(ADDRESS, self._service)

    def start(self) -> None:
        """Start everything and wait until the node is ready."""
        subprocess.run(["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True, capture_output=True)
        # kube-proxy changes where such a packet goes, but only where it had a way to begin with.
        subprocess.run(["ip", "route", "replace", SERVICES, "dev", "lo", "src", ADDRESS], check=True, capture_output=True)
        self.names.start()
        self.containers.start()
        archive = self.folder / "busybox.tar"
        self.containers.load(archive, BUSYBOX, images.busybox(archive, BUSYBOX))
        ControlPlane.start(self)
        scheduler = {"kubeconfig": self.kubeconfig("system:kube-scheduler"), "leader-elect": "false"}
        self._run("kube-scheduler", scheduler | {"bind-address": LOOPBACK, "secure-port": free_port()})
        self._start_kubelet()
        proxy = self.folder / "proxy.yaml"
        proxy.write_text(yaml.safe_dump(self._proxy()))
        self._run("kube-proxy", {"config": proxy})
        self._wait("the node", self._node_ready)

    def stop(self) -> None:
        """Stop everything: first who makes Pods, then the Pods, then who runs them."""
        with contextlib.suppress(KeyError):
            self.stop_program("kube-controller-manager")
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.kubectl("delete", "pods", "--all", "--all-namespaces", "--grace-period=1", f"--timeout={_GONE_SECONDS}s")
        ControlPlane.stop(self)
        self.containers.stop()
        self.names.stop()
        subprocess.run(["ip", "route", "delete", SERVICES], check=False, capture_output=True)
        subprocess.run(["ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo"], check=False, capture_output=True)

    def runs_a_pod(self) -> None:
        """Wait until one Pod has run: a node may be ready on a machine that lets it run none.

        Raises:
            AssertionError: it did not.
        """
        container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["true"]}
        spec = {"containers": [container], "restartPolicy": "Never"}
        self.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "first"}, "spec": spec})
        self.wait_for_pod("first", "Succeeded")

    def wait_for_pod(self, name: str, phase: str, *, namespace: str = "default", seconds: float = 60) -> dict[str, Any]:
        """Wait until a Pod is in a phase.

        Returns:
            The Pod.
        """
        found: dict[str, Any] = {}

        def there() -> bool:
            found.clear()
            found.update(self.get("pod", name, "--namespace", namespace))
            return bool(found["status"].get("phase") == phase)

        eventually(there, seconds=seconds, what=f"phase {phase} of Pod {name}", progress=lambda: found.get("status"))
        return found

    def wait_for_job(self, name: str, *, namespace: str = "default") -> None:
        """Wait until a Job is complete."""
        flags = ("wait", "--for=condition=Complete", f"job/{name}", "--namespace", namespace, "--timeout=1s")
        self._wait_for(f"the end of Job {name}", namespace, *flags)

    def wait_for_rollout(self, name: str, *, namespace: str) -> None:
        """Wait until a Deployment is ready."""
        flags = ("rollout", "status", f"deployment/{name}", "--namespace", namespace, "--timeout=1s")
        self._wait_for(f"readiness of Deployment {name}", namespace, *flags)

    def _wait_for(self, what: str, namespace: str, *flags: str) -> None:
        def there() -> bool:
            return self.kubectl(*flags, check=False).returncode == 0

        # A controller whose Pods were refused tries again at longer and longer intervals.
        eventually(there, seconds=100, what=what, progress=lambda: self.progress(namespace))

    def progress(self, namespace: str, selector: str = "") -> tuple[str, ...]:
        """How far each Pod is, in words; for ``eventually``."""
        flags = ("--selector", selector) if selector else ()
        return tuple(_far(pod) for pod in self.get("pods", "--namespace", namespace, *flags)["items"])

    def leads_to(self, address: str) -> bool:
        """Whether any Service's packets may go to a Pod's address, as kube-proxy has told the kernel."""
        rules = subprocess.run(["iptables-save", "--table", "nat"], check=True, capture_output=True, text=True).stdout
        return f"--to-destination {address}:" in rules

    def logs(self, name: str, *flags: str, namespace: str = "default") -> str:
        """`kubectl logs`."""
        return self.kubectl("logs", name, "--namespace", namespace, *flags).stdout

    def _service(self, namespace: str, name: str) -> str:
        try:
            found = ApiServer(from_kubeconfig(self.admin)).get_object(paths.core("services", name, namespace=namespace))
        except ModelTrustError:
            return ""
        return str(found["spec"].get("clusterIP", ""))

    def _node_ready(self) -> bool:
        answer = self.kubectl("wait", "--for=condition=Ready", f"node/{NAME}", "--timeout=1s", check=False)
        return answer.returncode == 0

    def _start_kubelet(self) -> None:
        config = self.folder / "kubelet.yaml"
        config.write_text(yaml.safe_dump(self._kubelet()))
        user = self.kubeconfig(f"system:node:{NAME}", organization="system:nodes")
        flags = {"config": config, "kubeconfig": user, "hostname-override": NAME, "node-ip": ADDRESS}
        self._run("kubelet", flags | {"root-dir": self.folder / "kubelet", "cert-dir": self.folder / "kubelet-pki"})

    def _kubelet(self) -> dict[str, Any]:
        serving = self._authority.issue("kubelet", hosts=[NAME, ADDRESS])
        authentication = {"anonymous": {"enabled": False}, "webhook": {"enabled": True}}
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "port": free_port(),
            "healthzPort": 0,
            "clusterDNS": [ADDRESS],
            "clusterDomain": "cluster.local",
            "authentication": authentication | {"x509": {"clientCAFile": str(self._authority.certificate)}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(serving.certificate),
            "tlsPrivateKeyFile": str(serving.key),
            "containerRuntimeEndpoint": f"unix://{self.containers.socket}",
            "podLogsDir": str(self.folder / "pod-logs"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.containers.groups,  # a kubelet ends whatever it does not know below its root
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "localStorageCapacityIsolation": False,
            # Or a fuller disk evicts Pods and deletes images that nobody can pull again.
            "evictionHard": {"nodefs.available": "1Gi"},
            "imageGCHighThresholdPercent": 100,
            "syncFrequency": "10s",
            "crashLoopBackOff": {"maxContainerRestartPeriod": "5s"},
        }

    def _proxy(self) -> dict[str, Any]:
        # It must not write kernel settings in a restricted machine.
        conntrack = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": POD_NETWORK,
            "hostnameOverride": NAME,
            "clientConnection": {"kubeconfig": str(self.kubeconfig("system:kube-proxy"))},
            "conntrack": conntrack,
            "iptables": {"localhostNodePorts": False},
            "healthzBindAddress": f"{LOOPBACK}:{free_port()}",
            "metricsBindAddress": f"{LOOPBACK}:{free_port()}",
        }


def _far(pod: dict[str, Any]) -> str:
    status = pod["status"]
    each = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    told = [f"{one['name']} {next(iter(one['state']), '')} ready={one['ready']} restarts={one['restartCount']}" for one in each]
    ending = " ending" if "deletionTimestamp" in pod["metadata"] else ""
    return f"{pod['metadata']['name']} {status.get('phase')}{ending}: {', '.join(told)}"


@contextlib.contextmanager
def running_node(folder: Path) -> Iterator[Node]:
    """A node that is stopped in the end, with everything that it started; waits while another runs in this network namespace."""
    with _turn():
        node = Node(folder)
        try:
            node.start()
            yield node
        finally:
            node.stop()


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    network = Path("/proc/self/ns/net").stat().st_ino
    with (Path(tempfile.gettempdir()) / f"modeltrust-node-{network}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # given back by the kernel, whatever becomes of this process
        yield
