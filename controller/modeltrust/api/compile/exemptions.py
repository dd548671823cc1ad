"""PolicyExemption, from what is written to what decides."""

from collections.abc import Mapping
from typing import Any

from modeltrust.api.compile.reading import Read, read
from modeltrust.api.v1alpha1 import policy_exemption as api
from modeltrust.api.v1alpha1.fields import unix_time
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.policy.policy import Exemption, WorkloadName


def check_exemption(obj: Mapping[str, Any]) -> None:
    """Refuse a PolicyExemption that is wrong, or lasts longer than 90 days from its creation.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    found = read(api.KIND, obj)
    if _latest(found) < unix_time(found.spec.expiration_time):
        days = limits.EXEMPTION_SECONDS // 86_400
        raise InvalidInputError(
            f"spec.expirationTime: got {quote(found.spec.expiration_time)}, expected at most {days} days after creation"
        )


def compile_exemption(obj: Mapping[str, Any]) -> Exemption:
    """Compile a PolicyExemption; a broken one excuses nothing.

    One that is too long ends 90 days after its creation; where a file states no creation, ``policy.exemptions`` ignores it until
    its end is near enough.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    found = read(api.KIND, obj)
    spec = found.spec
    return Exemption(
        name=found.name,
        policies=frozenset(spec.policies),
        namespaces=frozenset(spec.namespaces),
        models=frozenset(spec.models or ()),
        workloads=frozenset(WorkloadName(w.group, w.kind, w.name) for w in spec.workloads or ()),
        requirements=frozenset(kind[:1].lower() + kind[1:] for kind in spec.requirements or ()),
        reasons=frozenset(spec.reasons or ()),
        expires_at=min(unix_time(spec.expiration_time), _latest(found)),
    )


def _latest(found: Read[api.PolicyExemptionSpec]) -> int:
    """The last moment at which it may end; without a creation time, nothing bounds it here."""
    return unix_time(found.spec.expiration_time) if found.created is None else found.created + limits.EXEMPTION_SECONDS
