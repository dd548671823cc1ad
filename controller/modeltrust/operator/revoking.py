"""ModelRevocations that the operator writes: their names are known before, and people edit, so what is there is read (M4)."""

from enum import Enum, auto

from modeltrust.kube import paths
from modeltrust.kube.client import Object
from modeltrust.operator.writes import Writes


class Revoked(Enum):
    """What became of a revocation: it is in force, was before, or is not."""

    NOW = auto()
    BEFORE = auto()
    NOT = auto()


def revoke(writes: Writes, value: Object) -> Revoked:
    """Create a ModelRevocation unless one of its name is there.

    Args:
        writes: to the API server.
        value: names models or content digests.

    Raises:
        ModelTrustError: it could not be written, or what is there could not be read.
    """
    path = paths.ours("modelrevocations")
    if writes.create_object(path, value) is not None:
        return Revoked.NOW
    there = writes.get_object(paths.ours("modelrevocations", value["metadata"]["name"])).get("spec") or {}
    same = all(set(value["spec"].get(kind, ())) <= set(there.get(kind) or ()) for kind in ("models", "contentDigests"))
    return Revoked.BEFORE if same else Revoked.NOT


def not_revoked(value: Object) -> str:
    """Why, and what to do."""
    name = value["metadata"]["name"]
    return f"nothing is denied: the ModelRevocation {name} is there already and does not name it; `modeltrust revoke` would"
