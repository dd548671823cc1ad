"""Calls straight to the API server as a cluster admin: kubectl takes 100 ms for each."""

import json
import ssl
from typing import Any, Self

import urllib3

from e2e.control_plane import ControlPlane
from modeltrust.kube.access import from_kubeconfig

Object = dict[str, Any]
_SECONDS = 10
_CONNECTIONS = 16
_PLURALS = {"Pod": "api/v1/namespaces/{}/pods", "Deployment": "apis/apps/v1/namespaces/{}/deployments"}


class Calls:
    """A pool of kept-alive connections; nothing is tried twice."""

    def __init__(self, plane: ControlPlane) -> None:
        access = from_kubeconfig(plane.admin)
        assert access.certificate is not None
        context = ssl.create_default_context(cadata=access.ca)
        context.load_cert_chain(access.certificate, access.key)
        self._url = access.url
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=_CONNECTIONS, timeout=_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def create(self, value: Object, *, dry_run: bool = False) -> tuple[int, str]:
        """Create an object.

        Returns:
            The status, and the message of a refusal, else empty.
        """
        path = _PLURALS[value["kind"]].format(value["metadata"]["namespace"])
        headers = {"Content-Type": "application/json"}
        query = "?dryRun=All" if dry_run else ""
        answer = self._pool.request("POST", f"{self._url}/{path}{query}", body=json.dumps(value), headers=headers)
        return answer.status, answer.json().get("message", "")
