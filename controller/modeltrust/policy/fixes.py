"""Fixes to copy, written in the grammar of the field in which the reference stands."""

from collections.abc import Callable

from modeltrust.domain.reference import RevisionState
from modeltrust.domain.workload import FoundReference

COMMIT = "<40-hex commit>"
DIGEST = "sha256:<64-hex digest>"


def pin(found: FoundReference, revision: str = "") -> str:
    """How to name an immutable revision right where this reference is written.

    Args:
        found: the reference; its ``spelling`` chooses the grammar.
        revision: 40 hex or ``sha256:<64 hex>`` where known; else a placeholder stands for it.
    """
    scheme = found.reference.scheme
    if scheme == "oci":
        return _image(found, revision or DIGEST)
    if scheme == "hf":
        return _HUB.get(found.spelling, _canonical)(found, revision or COMMIT)
    return "copy the model to hf:// or oci://, where a revision can be named"


def _image(found: FoundReference, digest: str) -> str:
    name = found.raw.partition("@")[0] or str(found.reference)
    if found.revision.state is RevisionState.TAG and name.endswith(f":{found.revision.value}"):
        name = name.removesuffix(f":{found.revision.value}")
    return f"{name}@{digest}"


def _kserve(found: FoundReference, commit: str) -> str:
    return f"hf://{found.reference.path}:{commit}"


def _at(found: FoundReference, commit: str) -> str:
    return f"hf://{found.reference.path}@{commit}"


def _flag(found: FoundReference, commit: str) -> str:
    if "://" in found.raw:
        return _at(found, commit)
    return f"{_FLAGS.get(found.role.value, '--revision')} {commit}"


def _canonical(found: FoundReference, commit: str) -> str:
    return f"{found.reference}@{commit}"


_FLAGS = {"tokenizer": "--tokenizer-revision", "code": "--code-revision"}

# By the profile that read the field (references/rows/profiles.yaml): which mark separates a revision, or that a flag holds it.
_HUB: dict[str, Callable[[FoundReference, str], str]] = {
    "kserve": _kserve,
    "ome": _at,
    "dynamo": _at,
    "nim": _at,
    "bare-hf": _flag,
}
