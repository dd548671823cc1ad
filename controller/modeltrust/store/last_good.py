"""The last good revision: of a model that is revoked, the one attested last that nothing revokes."""

from collections.abc import Iterable, Mapping
from typing import Any

from modeltrust.api.compile import attestation_identity
from modeltrust.domain.errors import ModelTrustError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.policy.policy import Revocation
from modeltrust.policy.revocations import revoked
from modeltrust.store.store import Store


def last_good(
    attestations: Iterable[Mapping[str, Any]], store: Store, revocations: tuple[Revocation, ...], models: Iterable[str], now: int
) -> dict[str, str]:
    """For each model the revision attested last, of those with a current statement that no revocation concerns.

    Args:
        attestations: ModelAttestation objects; when they were made says which is the last.
        store: statements.
        revocations: all that count.
        models: canonical references; what follows ``@`` is ignored, and so is case.
        now: unix seconds.

    Returns:
        Canonical reference to canonical reference with revision; models without a good one are missing.
    """
    wanted = {model.partition("@")[0].casefold() for model in models}
    best: dict[str, tuple[str, str]] = {}
    for value in attestations:
        try:
            identity = attestation_identity(value)
        except ModelTrustError:
            continue
        model = identity.reference.text
        if model.casefold() not in wanted:
            continue
        fact = store.statements.look_up(identity, now)
        statement = fact.value if isinstance(fact, Known) and isinstance(fact.value, Statement) else None
        if statement is None or statement.expires_at < now:
            continue
        if revoked(revocations, model, identity.key, statement) is None:
            made = str(value["metadata"].get("creationTimestamp", ""))
            best[model] = max(best.get(model, ("", "")), (made, identity.key))
    return {model: key for model, (_, key) in sorted(best.items())}
