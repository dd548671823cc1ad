"""The one shape of a requirement."""

from typing import Protocol, TypeVar

from modeltrust.domain.decision import Finding
from modeltrust.policy.policy import Trust

S_contra = TypeVar("S_contra", contravariant=True)


class Requirement(Protocol[S_contra]):
    """One requirement of one policy about one kind of subject: a Workload, a FoundReference or an Attested statement.

    Attributes:
        name: as in the API, lower camel case.
    """

    @property
    def name(self) -> str:
        """As in the API, lower camel case."""
        ...

    def check(self, subject: S_contra, trust: Trust) -> tuple[Finding, ...]:
        """At least one finding; the judge turns an empty answer into InternalError (empty is refusal).

        The requirement fills requirement, status, reason, message, fix; the judge adds the rest.
        """
        ...
