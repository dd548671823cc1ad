"""The composition root of pinning: who says which revision a branch or tag stands for."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from modeltrust.api.compile import attestation_identity
from modeltrust.domain.errors import ModelTrustError, NotFoundError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import ModelReference, Revision
from modeltrust.domain.workload import FoundReference
from modeltrust.store.store import Store

Resolve = Callable[[FoundReference], Revision]


def from_sources(*, plain_http: bool = False) -> Resolve:
    """Ask the hub or registry that serves the model, once for each name.

    Args:
        plain_http: speak HTTP, to a registry on this machine.
    """
    from modeltrust.sources.http import Client  # noqa: PLC0415 - heavy
    from modeltrust.sources.revisions import resolve  # noqa: PLC0415 - heavy

    client = Client(plain_http=plain_http, allow_private=True)
    known: dict[tuple[ModelReference, Revision], Revision | ModelTrustError] = {}

    def ask(found: FoundReference) -> Revision:
        key = (found.reference, found.revision)
        if key not in known:
            try:
                known[key] = resolve(found.reference, found.revision, client)
            except ModelTrustError as error:
                known[key] = error
        answer = known[key]
        if isinstance(answer, ModelTrustError):
            raise answer
        return answer

    return ask


def from_attestations(objects: Iterable[Mapping[str, Any]], store: Store, now: int) -> Resolve:
    """The revision attested last, of those with a current statement: nobody is asked.

    Args:
        objects: of a trust folder.
        store: fed from it; says which statements verify.
        now: unix seconds.
    """
    best: dict[str, tuple[int, Revision]] = {}
    for value in objects:
        if value.get("kind") != "ModelAttestation":
            continue
        identity = attestation_identity(value)
        fact = store.statements.look_up(identity, now)
        statement = fact.value if isinstance(fact, Known) and isinstance(fact.value, Statement) else None
        if statement is None or statement.expires_at < now or not isinstance(identity.pin, Revision):
            continue
        before = best.get(identity.reference.text)
        if before is None or statement.issued_at > before[0]:
            best[identity.reference.text] = (statement.issued_at, identity.pin)

    def ask(found: FoundReference) -> Revision:
        known = best.get(found.reference.text)
        if known is None:
            raise NotFoundError(f"no current statement about {found.reference} in the trust folder")
        return known[1]

    return ask
