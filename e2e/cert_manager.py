"""cert-manager's controller and cainjector for real, with the rights of its own chart, and Secrets as a kubelet mounts them.

`make e2e` builds it (e2e/certmanager) and names the folder in MODELTRUST_CERTMANAGER. Its admission webhook is not there: invalid
Certificates are not refused.
"""

import base64
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.certificates import Issued
from e2e.control_plane import ControlPlane
from modeltrust.domain.errors import NotFoundError
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer
from tests.support.helm import helm, objects

Object = dict[str, Any]
NAMESPACE = "cert-manager"
INJECTOR = f"system:serviceaccount:{NAMESPACE}:cert-manager-cainjector"
CONTROLLER = f"system:serviceaccount:{NAMESPACE}:cert-manager"
GROUP = "system:serviceaccounts"
_RIGHTS = ("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
_KUBELET_SECONDS = 0.5


def missing() -> str:
    """Why there is no cert-manager; empty where there is one."""
    folder = os.environ.get("MODELTRUST_CERTMANAGER", "")
    return (
        "" if folder and (Path(folder) / "certmanager").exists() else "MODELTRUST_CERTMANAGER names no build; `make e2e` makes it"
    )


def kinds() -> Path:
    """The folder of cert-manager's CRDs."""
    return Path(os.environ["MODELTRUST_CERTMANAGER"]) / "crds"


@contextmanager
def running_cert_manager(plane: ControlPlane, folder: Path) -> Iterator[None]:
    """cert-manager, installed and running beside the control plane.

    Args:
        plane: where.
        folder: of its log.
    """
    built = Path(os.environ["MODELTRUST_CERTMANAGER"])
    plane.kubectl("apply", "--server-side", "-f", str(kinds()))
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    chart = ("template", "cert-manager", str(built / "chart"), "--namespace", NAMESPACE)
    rights = objects(helm(*chart, "--set", "crds.enabled=false,startupapicheck.enabled=false").stdout)
    plane.apply(*(each for each in rights if each["kind"] in _RIGHTS))
    command = [str(built / "certmanager")]
    for flag, account in (("controller", CONTROLLER), ("injector", INJECTOR)):
        command += [f"--{flag}-kubeconfig", str(plane.kubeconfig(account, organization=GROUP))]
    with (folder / "certmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@dataclass(slots=True)
class Mounted:
    """A Secret as the kubelet mounts it: a folder of links, all of which one link exchanges; an absent Secret changes nothing.

    Attributes:
        folder: where.
        api: asked as a cluster admin.
        path: of the Secret.
    """

    folder: Path
    api: ApiServer
    path: str
    _seen: str = ""

    @property
    def pair(self) -> Issued:
        """Its certificate and key."""
        return Issued(self.folder / "tls.crt", self.folder / "tls.key")

    def refresh(self) -> bool:
        """Write what is in the Secret now; returns whether it is another one."""
        try:
            secret = self.api.get_object(self.path)
        except NotFoundError:
            return False
        data, version = secret["data"], json.dumps(secret["data"], sort_keys=True)
        if version == self._seen or "tls.key" not in data:
            return False
        place = self.folder / f"..{secret['metadata']['resourceVersion']}"
        place.mkdir(parents=True, exist_ok=True)
        for name, value in data.items():
            (place / name).write_bytes(base64.b64decode(value))
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(Path("..data") / name)
        following = self.folder / "..data_tmp"
        following.symlink_to(place.name)
        following.rename(self.folder / "..data")
        self._seen = version
        return True


@contextmanager
def mounted(plane: ControlPlane, secret: str, namespace: str, folder: Path) -> Iterator[Mounted]:
    """A Secret, mounted and kept current until the end; it must be there."""
    mount = Mounted(folder, ApiServer(from_kubeconfig(plane.admin)), paths.core("secrets", secret, namespace=namespace))
    assert mount.refresh(), f"Secret {secret} is not there"
    stopping = threading.Event()

    def follow() -> None:
        while not stopping.wait(_KUBELET_SECONDS):
            mount.refresh()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield mount
    finally:
        stopping.set()
        thread.join()


def ready(plane: ControlPlane, namespace: str, name: str) -> bool:
    """Whether a Certificate is, and is not being issued anew."""
    found = plane.kubectl("get", "certificate", name, "--namespace", namespace, "-o", "json", check=False).stdout
    conditions = json.loads(found or "{}").get("status", {}).get("conditions", [])
    states = {condition["type"]: condition["status"] for condition in conditions}
    return states.get("Ready") == "True" and states.get("Issuing") != "True"


def renew(plane: ControlPlane, namespace: str, name: str) -> None:
    """Have a Certificate issued anew, as `cmctl renew` does."""
    moment = plane.get("certificate", name, "--namespace", namespace)["status"]["conditions"][0]["lastTransitionTime"]
    condition = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "", "lastTransitionTime": moment}
    patch = json.dumps([{"op": "add", "path": "/status/conditions/-", "value": condition}])
    kind = ("certificate", name, "--namespace", namespace)
    plane.kubectl("patch", *kind, "--subresource=status", "--type=json", "--patch", patch)


def address() -> str:
    """Of this machine, as an endpoint may have it; empty where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # nothing is sent: it only asks which address would be used
        except OSError:
            return ""
        found = str(probe.getsockname()[0])
    return "" if found.startswith(("127.", "169.254.")) else found
