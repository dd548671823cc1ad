"""The status of one object of ours: written only when it says something else, and never over what others write there."""

from collections.abc import Iterable, Mapping
from typing import Any

from modeltrust.api.v1alpha1.kind import API_VERSION
from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.operator.conditions import Condition, changed, conditions
from modeltrust.operator.writes import Writes

MANAGER = "modeltrust-operator"


def describe(  # noqa: PLR0913 - one sentence
    writes: Writes,
    plural: str,
    obj: Object,
    fields: Mapping[str, Any],
    said: Iterable[Condition],
    *,
    now: int,
    foreign: frozenset[str] = frozenset(),
) -> None:
    """Write a status.

    Args:
        writes: to the API server.
        plural: of the object's kind.
        obj: as it was looked at; another one of its name is not written to.
        fields: every field of the status that we write, beside conditions and generation.
        said: every condition.
        now: unix seconds.
        foreign: fields that somebody else writes.

    Raises:
        ModelTrustError: it could not be written.
    """
    metadata, before = obj["metadata"], obj.get("status") or {}
    generation = int(metadata.get("generation", 0))
    status = {**fields, "observedGeneration": generation}
    status["conditions"] = conditions(before, said, generation=generation, now=now)
    if changed(before, status, foreign=foreign):
        named = {"name": metadata["name"], "uid": metadata["uid"]}
        body = {"apiVersion": API_VERSION, "kind": obj["kind"], "metadata": named, "status": status}
        writes.apply(paths.ours(plural, metadata["name"]), body, manager=MANAGER, force=True, subresource="status")
