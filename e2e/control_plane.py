"""A real Kubernetes control plane on loopback, owned by the calling user: etcd, API server, controller manager.

Started from the one binary that `make e2e` builds (e2e/kubernetes), under own ports and an own folder; logs stay there on failure.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from e2e.certificates import Authority, Issued, service_account_key
from e2e.waiting import eventually

LOOPBACK = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def binaries() -> Path:
    """The folder with one link per program.

    Raises:
        RuntimeError: `make e2e` has not built it.
    """
    path = os.environ.get("MODELTRUST_KUBERNETES", "")
    if not path or not (Path(path) / "kube-apiserver").exists():
        raise RuntimeError("set MODELTRUST_KUBERNETES to the folder with kube-apiserver; `make e2e` builds it")
    return Path(path)


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class ControlPlane:
    """One control plane; use ``running``.

    Attributes:
        folder: state, certificates and logs.
        port: of the API server.
        address: of the machine as Pods see it; empty where there are none, and then everything listens on loopback alone.
        flags: of the API server, beside ours.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    address: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    _etcd_port: int = field(default_factory=free_port)
    _etcd_peer_port: int = field(default_factory=free_port)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _authority: Authority = field(init=False)
    _server: Issued = field(init=False)
    _accounts: Issued = field(init=False)

    def __post_init__(self) -> None:
        self._authority = Authority(self.folder / "pki")
        hosts = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", LOOPBACK, "10.96.0.1"]
        hosts += [self.address] if self.address else []
        self._server = self._authority.issue("kube-apiserver", hosts=hosts)
        self._accounts = service_account_key(self.folder / "pki")

    @property
    def url(self) -> str:
        """Base URL of the API server."""
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def authority(self) -> Path:
        """PEM file that vouches for the API server."""
        return self._authority.certificate

    @property
    def admin(self) -> Path:
        """Kubeconfig of a cluster admin."""
        return self.kubeconfig("admin", organization="system:masters")

    def kubeconfig(self, user: str, *, organization: str = "") -> Path:
        """Kubeconfig of a user, issued now."""
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        if not path.exists():
            issued = self._authority.issue(user, organization=organization)
            cluster = {"server": self.url, "certificate-authority": str(self._authority.certificate)}
            credentials = {"client-certificate": str(issued.certificate), "client-key": str(issued.key)}
            document = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "e2e", "cluster": cluster}],
                "users": [{"name": user, "user": credentials}],
                "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
                "current-context": "e2e",
            }
            path.write_text(yaml.safe_dump(document))
        return path

    def start(self) -> None:
        """Start everything and wait until the API server is ready and makes service accounts."""
        self.start_etcd()
        self.start_api_server()
        accounts, root = self._accounts, self._authority.certificate
        config = self.kubeconfig("system:kube-controller-manager")
        flags: dict[str, Any] = {"kubeconfig": config, "service-account-private-key-file": accounts.key, "root-ca-file": root}
        flags |= {"use-service-account-credentials": "true", "leader-elect": "false", "secure-port": free_port()}
        self._run("kube-controller-manager", flags | {"bind-address": LOOPBACK})
        self._wait("the default service account", lambda: self.kubectl("get", "sa", "default", check=False).returncode == 0)

    def start_etcd(self) -> None:
        """Start etcd."""
        client, peer = f"http://{LOOPBACK}:{self._etcd_port}", f"http://{LOOPBACK}:{self._etcd_peer_port}"
        flags = {"data-dir": self.folder / "etcd", "unsafe-no-fsync": "true", "log-level": "warn"}
        flags |= {"listen-client-urls": client, "advertise-client-urls": client}
        flags |= {"listen-peer-urls": peer, "initial-advertise-peer-urls": peer, "initial-cluster": f"default={peer}"}
        self._run("etcd", flags)

    def start_api_server(self) -> None:
        """Start the API server and wait until it is ready."""
        pki = {
            "client-ca-file": self._authority.certificate,
            "tls-cert-file": self._server.certificate,
            "tls-private-key-file": self._server.key,
            "service-account-signing-key-file": self._accounts.key,
            "service-account-key-file": self._accounts.certificate,
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-jwks-uri": "https://kubernetes.default.svc/openid/v1/jwks",  # the address of the machine otherwise
        }
        flags = {
            "etcd-servers": f"http://{LOOPBACK}:{self._etcd_port}",
            "secure-port": self.port,
            "authorization-mode": "Node,RBAC",
            "service-cluster-ip-range": "10.96.0.0/16",
            "enable-priority-and-fairness": "false",
            "cert-dir": self.folder / "apiserver",
        }
        self._run("kube-apiserver", pki | flags | self._reachable() | dict(self.flags))
        self._wait("the API server", self._ready)

    def _reachable(self) -> dict[str, Any]:
        """How the API server is reached, and reaches kubelets."""
        if not self.address:  # endpoint addresses may not be on loopback
            return {"bind-address": LOOPBACK, "endpoint-reconciler-type": "none"}
        client = self._authority.issue("kube-apiserver-kubelet-client", organization="system:masters")
        return {
            "bind-address": "0.0.0.0",  # noqa: S104 - Pods reach it through the address of the machine
            "advertise-address": self.address,
            "kubelet-client-certificate": client.certificate,
            "kubelet-client-key": client.key,
            "kubelet-certificate-authority": self._authority.certificate,
            "kubelet-preferred-address-types": "InternalIP",
        }

    def stop_program(self, name: str, *, kill: bool = False) -> None:
        """Stop one program and wait for it."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Stop everything; the API server before etcd, or it would wait for minutes."""
        for name in reversed(list(self._processes)):
            self.stop_program(name)

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True, user: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl.

        Args:
            arguments: after ``kubectl``.
            stdin: standard input.
            check: fail on a non-zero exit code, showing stderr.
            user: kubeconfig; default the admin's.
        """
        command = [str(binaries() / "kubectl"), "--kubeconfig", str(user or self.admin), *arguments]
        result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=120)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr.strip()}")
        return result

    def apply(self, *objects: dict[str, Any], check: bool = True, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """`kubectl apply` of objects."""
        text = "\n---\n".join(json.dumps(value) for value in objects)  # as YAML, a name such as N would be a boolean
        return self.kubectl("apply", "-f", "-", *flags, stdin=text, check=check)

    def get(self, *arguments: str) -> Any:
        """`kubectl get … -o json`, parsed."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self._authority.certificate))
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", context=context, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _run(self, name: str, flags: dict[str, Any]) -> None:
        command = [str(binaries() / name), *(f"--{key}={value}" for key, value in flags.items())]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        def there() -> bool:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise AssertionError(f"{name} exited with {process.returncode}; see {self.folder / name}.log")
            return condition()

        eventually(there, seconds=_START_SECONDS, what=f"{what} (logs are in {self.folder})", progress=self._logged)

    def _logged(self) -> int:
        """Bytes that its programs have logged: they say something while they start."""
        return sum(path.stat().st_size for path in self.folder.glob("*.log"))


@contextlib.contextmanager
def running(folder: Path, flags: Mapping[str, str] | None = None) -> Iterator[ControlPlane]:
    """A control plane that is stopped in the end; ``flags`` are the API server's, beside ours."""
    plane = ControlPlane(folder, flags=flags or {})
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()
