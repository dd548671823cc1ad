"""Which manifests of an image index somebody may be given: the node that pulls decides, so each of them must be this model.

Source: OCI image specification 1.1 (index); containerd's core/images (one manifest by platform, an entry without a platform fits
all); BuildKit's attestation storage: manifests that describe another one are marked and have the platform unknown/unknown, which
no node has.
"""

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.sources.manifests import INDEXES, MANIFESTS, Descriptor

_REFERENCE_TYPE = "vnd.docker.reference.type"
_ATTESTATION = "attestation-manifest"
_NOWHERE = ("unknown", "unknown")


def candidates(children: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """The manifests that some node may pull, each once, in order.

    Raises:
        MalformedError: none, an index inside the index, or something that is no manifest.
        LimitExceededError: too many.
    """
    found = {child.sha256: child for child in reversed(children) if not _is_attestation(child)}
    for child in found.values():
        if child.media_type in INDEXES:
            raise MalformedError("got an index inside an index, expected manifests; name one manifest by its digest")
        if child.media_type not in MANIFESTS:
            raise MalformedError(f"got a child of type {quote(child.media_type)} in an index, expected manifests")
    if not found:
        raise MalformedError(f"got an index of {len(children)} manifests, none of which is a model")
    if len(found) > limits.OCI_PLATFORMS:
        raise LimitExceededError(f"got an index of {len(found)} manifests, expected at most {limits.OCI_PLATFORMS}")
    return tuple(reversed(found.values()))


def _is_attestation(child: Descriptor) -> bool:
    # The annotation alone would hide what a node does pull.
    return child.annotations.get(_REFERENCE_TYPE) == _ATTESTATION and child.platform == _NOWHERE
