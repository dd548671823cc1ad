"""How to reach an API server: as a Pod's service account, or as a kubeconfig says."""

import base64
import binascii
import json
import os
import ssl
import subprocess
import tempfile
from dataclasses import dataclass, field
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
        token: a bearer token that stands in no file.
        pair: certificate and key in one PEM, where they stand in no file.
    """

    url: str
    ca: str
    token_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)
    pair: bytes = field(default=b"", repr=False)

    def authenticate(self, context: ssl.SSLContext) -> None:
        """Give a TLS context the client certificate, if there is one.

        Raises:
            InvalidInputError: the certificate or its key cannot be used.
        """
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            elif self.pair:
                with tempfile.NamedTemporaryFile(prefix="modeltrust-") as file:  # mode 0600; ssl reads files and nothing else
                    file.write(self.pair)
                    file.flush()
                    context.load_cert_chain(file.name)
        except (OSError, ValueError) as error:
            raise InvalidInputError(f"the client certificate cannot be used: {type(error).__name__}") from error

    def bearer(self) -> str:
        """The token to send now; empty for none."""
        if self.token_file is not None:
            return self.token_file.read_text(encoding="ascii").strip()
        return self.token


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


def from_kubeconfig(path: Path, *, context: str = "", plugins: bool = False) -> Access:
    """One context of a kubeconfig with a client certificate or a token.

    Args:
        path: of the kubeconfig.
        context: which one; empty for the current one.
        plugins: whether a program that the user's entry names may be run for credentials, as kubectl does.

    Raises:
        InvalidInputError: it cannot be read, has no such context, or uses something else.
    """
    try:
        document = yaml.safe_load(_read(path))
        contexts, clusters, users = (_by_name(document, key) for key in ("contexts", "clusters", "users"))
        wanted = context or document["current-context"]
        if context and context not in contexts:
            raise InvalidInputError(f"got the context {quote(wanted)}, expected one of {quote(', '.join(sorted(contexts)))}")
        chosen = contexts[wanted]["context"]
        cluster, user = clusters[chosen["cluster"]]["cluster"], users[chosen["user"]]["user"]
        return _access(cluster, _asked(user["exec"], path.parent) if plugins and "exec" in user else user, path.parent)
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
    if "client-certificate-data" in user and "client-key-data" in user:
        pair = b"\n".join(_decoded(user, name) for name in ("client-certificate-data", "client-key-data"))
        return Access(url, _authority(cluster, folder), pair=pair)
    if isinstance(user.get("token"), str) and user["token"].isascii() and user["token"].isprintable():
        return Access(url, _authority(cluster, folder), token=user["token"])
    raise InvalidInputError(
        f"got a user with {', '.join(sorted(user)) or 'nothing'}, expected a token, a tokenFile or a client certificate with key"
    )


def _asked(plugin: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What a credential plug-in (client.authentication.k8s.io ExecCredential) answers, as a user's entry."""
    command, version = str(plugin["command"]), str(plugin["apiVersion"])
    program = str(folder / command) if "/" in command else command  # as kubectl: relative to the kubeconfig
    env = dict(os.environ) | {str(entry["name"]): str(entry["value"]) for entry in plugin.get("env") or []}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(
        {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}, separators=(",", ":")
    )
    words = [program, *(str(word) for word in plugin.get("args") or [])]
    try:
        ran = subprocess.run(  # noqa: S603 - the caller's own kubeconfig names it; no shell
            words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=limits.PLUGIN_SECONDS, check=True
        )
        status = json.loads(ran.stdout)["status"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(f"the credential plug-in {quote(command)} failed: {type(error).__name__}") from None
    if isinstance(status.get("token"), str):
        return {"token": status["token"]}
    pair = {f"client-{name}-data": status.get(f"client{name.title()}Data") for name in ("certificate", "key")}
    return {name: base64.b64encode(str(pem).encode()).decode("ascii") for name, pem in pair.items() if pem}


def _decoded(entry: dict[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(entry[name], validate=True)
    except (binascii.Error, ValueError):  # TypeError is a hole in the file, and told as one
        raise InvalidInputError(f"got {name} that is no base64") from None


def _authority(cluster: dict[str, Any], folder: Path) -> str:
    if "certificate-authority-data" in cluster:
        try:
            return _decoded(cluster, "certificate-authority-data").decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInputError("got certificate-authority-data that is no base64 of text") from None
    return _read(folder / cluster["certificate-authority"]).decode("utf-8", "replace")


def _by_name(document: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in document[key]}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(limits.KUBECONFIG_BYTES)
    except OSError as error:
        raise InvalidInputError(f"cannot read {quote(path)}: {error.strerror}") from error
