"""What a feed may do to the store: three methods, whether it watches folders or an API server."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Protocol, TypeVar

Object = Mapping[str, Any]


class Kind(StrEnum):
    """What the store holds; the values are the words of metrics, logs and ``limits.STALE_SECONDS``."""

    POLICIES = "policies"
    SIGNERS = "signers"
    ATTESTATIONS = "attestations"
    EXEMPTIONS = "exemptions"
    REVOCATIONS = "revocations"
    MAPPINGS = "mappings"
    SUITES = "suites"
    NAMESPACES = "namespaces"


class Extra(StrEnum):
    """What only the operator mirrors: where models may be looked up decides nothing at admission."""

    SOURCES = "sources"


K_contra = TypeVar("K_contra", bound=StrEnum, contravariant=True)


KINDS = {
    ("modeltrust.dev", "ModelPolicy"): Kind.POLICIES,
    ("modeltrust.dev", "TrustedSigner"): Kind.SIGNERS,
    ("modeltrust.dev", "ModelAttestation"): Kind.ATTESTATIONS,
    ("modeltrust.dev", "PolicyExemption"): Kind.EXEMPTIONS,
    ("modeltrust.dev", "ModelRevocation"): Kind.REVOCATIONS,
    ("modeltrust.dev", "ModelReferenceMapping"): Kind.MAPPINGS,
    ("modeltrust.dev", "EvaluationSuite"): Kind.SUITES,
    ("", "Namespace"): Kind.NAMESPACES,
}
"""(group, kind) of every object that the store holds."""


class Sink(Protocol[K_contra]):
    """Where a feed puts what it sees. Objects are parsed JSON, whole, as the API server would give them."""

    def replace(self, kind: K_contra, objects: Iterable[Object]) -> None:
        """A complete list; what is not in it is gone. Never called after a list that failed: that is not an empty one (M9)."""
        ...

    def upsert(self, kind: K_contra, value: Object) -> None:
        """One object, new or changed."""
        ...

    def delete(self, kind: K_contra, name: str) -> None:
        """One object is gone; deleting what is not there is no error."""
        ...
