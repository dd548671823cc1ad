"""Where recorded fingerprints are kept: a Secret of the jobs namespace for each model and suite, gone with the suite.

Whoever has one knows the probes. Which one counts stands in the suite's status, which the operator alone writes: a Secret with
other bytes than were recorded is none, and the answers are recorded again.
"""

import base64
import binascii
import hashlib

from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.domain import limits
from modeltrust.domain.errors import NotFoundError
from modeltrust.domain.reference import Identity
from modeltrust.evaluation.fingerprint import digest_of
from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.operator.evaluation_pods import FINGERPRINT, LABELS
from modeltrust.operator.writes import Writes

_CONTENT = "modeltrust.dev/content-digest"
_NAME_CHARACTERS = 32


class Fingerprints:
    """Reads and writes them."""

    def __init__(self, api: Writes, *, namespace: str) -> None:
        """Join the parts.

        Args:
            api: of the cluster.
            namespace: of the Jobs.
        """
        self._api = api
        self._namespace = namespace

    def digest(self, model: Identity, suite_hash: str, content: str) -> str:
        """64 hex of what is kept about one model; empty where nothing usable is.

        Raises:
            UnavailableError: no answer.
        """
        try:
            found = self._api.get_object(self._path(name_of(model.key, suite_hash)))
        except NotFoundError:
            return ""
        if (found["metadata"].get("annotations") or {}).get(_CONTENT) != content:
            return ""
        try:
            data = base64.b64decode((found.get("data") or {})[FINGERPRINT], validate=True)
        except (KeyError, TypeError, binascii.Error):
            return ""
        return digest_of(data) if len(data) <= limits.MONITOR_FINGERPRINT_BYTES else ""

    def keep(self, suite: Object, model: Identity, suite_hash: str, content: str, data: bytes) -> str:
        """Keep one in the place of whatever was there; returns its digest.

        Args:
            suite: the EvaluationSuite, with whom it goes.
            model: that answered.
            suite_hash: of what was asked.
            content: content digest of the model.
            data: as ``evaluation.fingerprint`` writes it.

        Raises:
            UnavailableError: no answer.
        """
        if self.digest(model, suite_hash, content) == digest_of(data):
            return digest_of(data)
        self.forget(model.key, suite_hash)
        name = name_of(model.key, suite_hash)
        metadata = suite["metadata"]
        owner = {"apiVersion": API_VERSION, "kind": "EvaluationSuite", "name": metadata["name"], "uid": metadata["uid"]}
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "Opaque",
            "immutable": True,
            "metadata": {"name": name, "labels": LABELS, "annotations": {_CONTENT: content}, "ownerReferences": [owner]},
            "data": {FINGERPRINT: base64.b64encode(data).decode("ascii")},
        }
        self._api.create_object(self._path(""), body)
        return digest_of(data)

    def forget(self, model: str, suite_hash: str) -> None:
        """Delete one, if it is there.

        Args:
            model: key of the identity.
            suite_hash: of what was asked.
        """
        try:
            self._api.delete(self._path(name_of(model, suite_hash)))
        except NotFoundError:
            return

    def _path(self, name: str) -> str:
        return paths.core("secrets", name, namespace=self._namespace)


def name_of(model: str, suite_hash: str) -> str:
    """Of the Secret about one model under one suite."""
    stamp = hashlib.sha256(f"{model}\n{suite_hash}".encode()).hexdigest()
    return f"fingerprint-{stamp[:_NAME_CHARACTERS]}"
