"""Reaching a cluster as the caller's kubeconfig says, and what it trusts."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

from modeltrust.cli import files
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.kube import paths
from modeltrust.kube.access import from_kubeconfig, in_cluster
from modeltrust.kube.client import ApiServer
from modeltrust.wiring.snapshot import Trusted, attestors_of_cluster, release_namespace, trust_of_cluster, trust_of_folder

_MANAGER = "modeltrust-cli"  # of the fields that a person applies


def reaching(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--kubeconfig`` and ``--context``; the command takes the API server as ``api``."""

    @functools.wraps(function)
    def reached(*, kubeconfig: Path | None, context: str, **rest: Any) -> Any:
        return function(api=connect(kubeconfig, context), **rest)

    option = click.option("--context", metavar="NAME", default="", help="of the kubeconfig; default: its current one")
    path = click.option("--kubeconfig", metavar="FILE", type=Path, help="default: $KUBECONFIG, then ~/.kube/config")
    return path(option(reached))


def applied_or_printed(function: Callable[..., dict[str, Any]]) -> Callable[..., None]:
    """The option ``--apply`` and those of a cluster, for a command that makes one ModelAttestation: it is printed, or applied."""

    @functools.wraps(function)
    def emitted(*, applying: bool, kubeconfig: Path | None, context: str, **rest: Any) -> None:
        if not applying and (kubeconfig is not None or context):
            raise InvalidInputError("got --kubeconfig or --context without --apply, which alone needs a cluster")
        document = function(**rest)
        if not applying:
            click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
            return
        name = document["metadata"]["name"]
        connect(kubeconfig, context).apply(paths.ours("modelattestations", name), document, manager=_MANAGER)
        click.echo(f"applied ModelAttestation {name}", err=True)

    applying = click.option("--apply", "applying", is_flag=True, help="apply it to the cluster; without, it is printed")
    option = click.option("--context", metavar="NAME", default="", help="with --apply: of the kubeconfig")
    path = click.option("--kubeconfig", metavar="FILE", type=Path, help="with --apply; default: $KUBECONFIG, then ~/.kube/config")
    return applying(path(option(emitted)))


def trusting(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--trust`` and ``--attestors``; the command takes both."""
    trust = click.option("--trust", metavar="DIR|FILE", help="judge by this trust folder instead of what the cluster trusts")
    option = click.option(
        "--attestors", metavar="FILE", type=Path, help="the webhook's attestor file; default: the ConfigMap of the installation"
    )
    return trust(option(function))


def connect(kubeconfig: Path | None, context: str) -> ApiServer:
    """The API server that a kubeconfig names, without contacting it.

    Raises:
        InvalidInputError: there is no usable kubeconfig.
    """
    path = kubeconfig or _default()
    if path is None:
        return ApiServer(in_cluster())
    return ApiServer(from_kubeconfig(path, context=context, plugins=True))


def _default() -> Path | None:
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    candidates = named or [Path("~/.kube/config").expanduser()]
    found = next((path for path in candidates if path.exists()), None)
    if found is None and (named or "KUBERNETES_SERVICE_HOST" not in os.environ):
        raise InvalidInputError(f"got no kubeconfig at {quote(candidates[0])}, expected one there or --kubeconfig FILE")
    return found


def trusted(api: ApiServer, *, trust: str | None, attestors: Path | None, now: int, namespace: str = "") -> Trusted:
    """What the cluster trusts, or what a folder says.

    Raises:
        InvalidInputError: the folder or the attestor file cannot be used.
        UnavailableError: the API server does not answer.
    """
    if trust is not None:
        return trust_of_folder(api, Path(trust), now=now)
    if attestors is not None:
        return trust_of_cluster(api, attestors=files.read_file(attestors, max_bytes=limits.ATTESTORS_BYTES, what="attestors"))
    return trust_of_cluster(api, attestors=attestors_of_cluster(api, namespace or release_namespace(api)))
