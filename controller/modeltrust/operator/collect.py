"""Garbage: attestations that were asked for on behalf of a workload, and that no workload uses any more. Never what people made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from modeltrust.api.attestations import EXPIRATION_TIME, REQUESTED_BY
from modeltrust.kube import paths
from modeltrust.kube.client import ConflictError

PLURAL = "modelattestations"


class Deletes(Protocol):
    """Who deletes objects; ``kube.client.ApiServer`` is one."""

    def delete(self, path: str, *, uid: str = "", resource_version: str = "", propagation: str = "Background") -> bool:
        """False where it was not there; ConflictError where it is another one by now."""
        ...


def is_garbage(attestation: Mapping[str, Any], *, used: bool, now: int) -> bool:
    """Whether an attestation may go.

    Only what carries the label of a request, whose time is over, that nobody has added evidence to, and that no workload uses. What
    cannot be read is kept: a wrong guess costs a model its evidence, a kept object some bytes.

    Args:
        attestation: the object.
        used: whether any workload loads the model.
        now: unix seconds.
    """
    metadata = attestation.get("metadata") or {}
    if used or REQUESTED_BY not in (metadata.get("labels") or {}) or (attestation.get("spec") or {}).get("evidence"):
        return False
    if metadata.get("ownerReferences") or metadata.get("finalizers") or metadata.get("deletionTimestamp"):
        return False  # somebody else looks after it
    ends = _moment((metadata.get("annotations") or {}).get(EXPIRATION_TIME))
    return ends is not None and now > ends


def collect(attestation: Mapping[str, Any], writes: Deletes) -> bool:
    """Delete exactly the object that was looked at; returns whether it is gone through us.

    Raises:
        UnavailableError: no answer.
    """
    metadata = attestation["metadata"]
    try:
        return writes.delete(
            paths.ours(PLURAL, metadata["name"]), uid=metadata["uid"], resource_version=metadata["resourceVersion"]
        )
    except ConflictError:
        return False  # it changed since: the next round looks again


def _moment(text: object) -> float | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return None if moment is None or moment.tzinfo is None else moment.timestamp()
