"""Which references are fixed for ever: by scheme and revision state together, since a digest in a string fixes nothing by itself.

C4: behind ``s3://bucket/model@sha256:…`` the bytes can be swapped after they were attested; only a client that itself resolves the
revision, or a registry addressed by digest, makes a revision immutable.
"""

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.reference import Identity, RevisionState
from modeltrust.domain.workload import FoundReference

_PINNED_BY = {
    "hf": (RevisionState.COMMIT, "a 40-hex commit"),
    "oci": (RevisionState.DIGEST, "a sha256 digest"),
}
_STATES = {scheme: state for scheme, (state, _) in _PINNED_BY.items()}


def pinned_identity(found: FoundReference) -> Identity | None:
    """The key of the facts about a reference, None where its content can change."""
    if is_pinned(found):
        return Identity(found.reference, found.revision)
    digest = verified_digest(found)
    return None if digest is None else Identity(found.reference, digest)


def verified_digest(found: FoundReference) -> ContentDigest | None:
    """What stands for the revision of a source that has none: the content that this Pod's own verifier demands (C4)."""
    if found.at_load is None or found.at_load.why or found.revision.state is not RevisionState.NONE:
        return None
    return found.at_load.digest


def is_pinned(found: FoundReference) -> bool:
    """Whether the content of a reference can never change."""
    return found.revision.state is _STATES.get(found.reference.scheme)


def expected_pin(scheme: str) -> str:
    """What pins references of this scheme, in words; empty where nothing does."""
    rule = _PINNED_BY.get(scheme)
    return "" if rule is None else rule[1]
