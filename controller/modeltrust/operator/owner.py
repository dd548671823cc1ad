"""Whose the operator's objects are: of the service account that the chart made, so that an uninstall takes them along."""

from collections.abc import Mapping
from typing import Any, Protocol

from modeltrust.domain.errors import NotFoundError
from modeltrust.kube import paths
from modeltrust.kube.client import RefusedError

ACCOUNT = "modeltrust-operator"


class Reads(Protocol):
    """Who reads one object; ``kube.client.ApiServer`` is one."""

    def get_object(self, path: str) -> dict[str, Any]:
        """One object; NotFoundError where there is none."""
        ...


def owner(api: Reads, namespace: str) -> Mapping[str, Any] | None:
    """The ownerReference for what is made in the release's namespace.

    Args:
        api: the API server.
        namespace: of the release.

    Returns:
        None where nobody can be named: whoever installed without the chart puts away what is left.

    Raises:
        UnavailableError: the API server does not answer.
    """
    try:
        account = api.get_object(paths.core("serviceaccounts", ACCOUNT, namespace=namespace))
    except (NotFoundError, RefusedError):
        return None
    return {"apiVersion": "v1", "kind": "ServiceAccount", "name": ACCOUNT, "uid": account["metadata"]["uid"]}
