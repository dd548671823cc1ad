"""The API server as OIDC issuer of a private Sigstore: identities are ServiceAccounts (facts/real-components.md section 3).

Fulcio calls the issuer by the name that it has in the cluster and believes the cluster's authority from one fixed path. On this
machine both exist for Fulcio alone, in a mount namespace of its own; which needs root.
"""

import contextlib
import os
import shutil
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

from e2e.control_plane import LOOPBACK, ControlPlane
from tests.support import private_sigstore, tools
from tests.support.private_sigstore import PrivateSigstore

ISSUER = "https://kubernetes.default.svc"
_ADDRESS = "127.87.0.1"  # of the API server, for Fulcio: its port 443 is nobody's on this address
_ISOLATED = """
mount --bind "$1" /etc/hosts
mount -t tmpfs none /run
mkdir -p /var/run/fulcio
cp "$2" /var/run/fulcio/ca.crt
shift 2
exec "$@"
"""
_CHUNK = 65_536


def missing() -> str:
    """Why no such instance can run here; empty where it can."""
    if not tools.complete("sigstore"):
        return tools.NO_SIGSTORE
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return "FULCIO WAS NOT SHOWN A CLUSTER: its names and files need root and unshare"
    return ""


def subject(namespace: str, account: str) -> str:
    """How Fulcio spells a ServiceAccount."""
    return f"https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}"


def token(plane: ControlPlane, namespace: str, account: str, *, audience: str = "sigstore") -> str:
    """A token of a ServiceAccount."""
    return plane.kubectl("create", "token", account, "-n", namespace, f"--audience={audience}").stdout.strip()


@contextlib.contextmanager
def instance_of(plane: ControlPlane, folder: Path) -> Iterator[PrivateSigstore]:
    """A private Sigstore that believes the cluster's tokens and nobody else's."""
    plane.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "discovery-of-the-issuer"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:service-account-issuer-discovery",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated"}],
        }
    )
    hosts = folder / "hosts"
    hosts.write_text(f"{LOOPBACK} localhost\n{_ADDRESS} kubernetes.default.svc\n", encoding="utf-8")
    isolated = ("unshare", "--mount", "sh", "-euc", _ISOLATED, "isolated", str(hosts), str(plane.authority))
    with _forwarding(plane.port), private_sigstore.running(folder, {ISSUER: {"Type": "kubernetes"}}, *isolated) as instance:
        yield instance


@contextlib.contextmanager
def _forwarding(port: int) -> Iterator[None]:
    """What a Service does: port 443 of an address is the API server's."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((LOOPBACK, port)) as outgoing:
                back = threading.Thread(target=_copy, args=(outgoing, self.request), daemon=True)
                back.start()
                _copy(self.request, outgoing)
                back.join()

    with socketserver.ThreadingTCPServer((_ADDRESS, 443), Forward) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
