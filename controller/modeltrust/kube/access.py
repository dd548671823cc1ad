"""How to reach an API server: as a Pod's service account, or as a kubeconfig says."""

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where the kubelet projects it


@dataclass(frozen=True, slots=True)
class Access:
    """Address and credentials; files are read again whenever they are used, since the kubelet rotates them.

    Attributes:
        url: ``https://host:port`` without a trailing slash.
        ca: PEM of the authorities that vouch for the server.
        token_file: a bearer token, or
        certificate: path of a client certificate, PEM, and
        key: path of its key.
    """

    url: str
    ca: str
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def in_cluster(account: Path = _ACCOUNT) -> Access:
    """The Pod's own service account.

    Raises:
        InvalidInputError: this is no Pod, or it mounts no token.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    token, ca = account / "token", account / "ca.crt"
    if not host or not port or not token.exists():
        raise InvalidInputError("expected to run in a Pod with a service account, or --kubeconfig FILE")
    address = f"[{host}]" if ":" in host else host
    return Access(url=f"https://{address}:{port}", ca=_read(ca).decode("utf-8", "replace"), token_file=token)


def from_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig with a client certificate or a token file.

    Raises:
        InvalidInputError: it cannot be read, or uses something else (an exec plug-in, say).
    """
    try:
        document = yaml.safe_load(_read(path))
        contexts, clusters, users = (_by_name(document, key) for key in ("contexts", "clusters", "users"))
        context = contexts[document["current-context"]]["context"]
        cluster, user = clusters[context["cluster"]]["cluster"], users[context["user"]]["user"]
        return _access(cluster, user, path.parent)
    except yaml.YAMLError as error:  # its text repeats the line that is wrong, which may hold a token
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}"
        raise InvalidInputError(f"got {quote(path)}, expected a kubeconfig: it is no YAML{where}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"got {quote(path)}, expected a kubeconfig: {type(error).__name__} {quote(error)}") from error


def _access(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> Access:
    url = str(cluster["server"]).rstrip("/")
    if not url.startswith("https://"):
        raise InvalidInputError(f"got server {quote(url)}, expected https://")
    if cluster.get("insecure-skip-tls-verify"):
        raise InvalidInputError("got insecure-skip-tls-verify, expected a certificate authority")
    if "tokenFile" in user:
        return Access(url, _authority(cluster, folder), token_file=folder / user["tokenFile"])
    if "client-certificate" in user and "client-key" in user:
        certificate, key = (folder / user[name] for name in ("client-certificate", "client-key"))
        return Access(url, _authority(cluster, folder), certificate=certificate, key=key)
    raise InvalidInputError(
        f"got a user with {', '.join(sorted(user)) or 'nothing'}, expected tokenFile or client-certificate files"
    )


def _authority(cluster: dict[str, Any], folder: Path) -> str:
    if "certificate-authority-data" in cluster:
        try:
            return base64.b64decode(cluster["certificate-authority-data"], validate=True).decode("utf-8")
        except (binascii.Error, ValueError) as error:
            raise InvalidInputError("got certificate-authority-data that is no base64") from error
    return _read(folder / cluster["certificate-authority"]).decode("utf-8", "replace")


def _by_name(document: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in document[key]}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(limits.KUBECONFIG_BYTES)
    except OSError as error:
        raise InvalidInputError(f"cannot read {quote(path)}: {error.strerror}") from error
