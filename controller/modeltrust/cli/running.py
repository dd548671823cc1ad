"""What runs with a revoked model, content or signer: every workload, judged by this one revocation alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modeltrust.api.compile import compile_revocation
from modeltrust.domain.errors import MalformedError, UnavailableError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.workload import FoundReference
from modeltrust.kube.client import ApiServer, GoneError, RefusedError
from modeltrust.kube.workloads import Item, Link, Owners, Served, objects
from modeltrust.policy.pinning import pinned_identity
from modeltrust.policy.policy import Revocation
from modeltrust.policy.revocations import revoked
from modeltrust.policy.scopes import key_of
from modeltrust.store.store import Store
from modeltrust.wiring.snapshot import Trusted

_ATTEMPTS = 3


@dataclass(slots=True)
class Hits:
    """What a revocation hits.

    Attributes:
        revocation: compiled.
        workloads: models by workload, owners collapsed.
        not_listed: kinds that the caller may not list.
        not_read: workloads whose form is unknown: whether they are hit cannot be told.
        not_named: workloads that load something which cannot be named: the same.
        not_known: workloads with a model of which no statement that verifies says content or signer, where these are revoked: the
            same.
    """

    revocation: Revocation
    workloads: dict[Link, set[str]] = field(default_factory=dict)
    not_listed: list[str] = field(default_factory=list)
    not_read: set[Link] = field(default_factory=set)
    not_named: set[Link] = field(default_factory=set)
    not_known: set[Link] = field(default_factory=set)

    @property
    def models(self) -> set[str]:
        """Every model that is hit."""
        return {model for models in self.workloads.values() for model in models}


def affected(api: ApiServer, trusts: Trusted, document: Mapping[str, Any], now: int) -> Hits:
    """Which running workloads a revocation concerns.

    Args:
        api: the API server.
        trusts: statements: what content a revision has, and who signed it.
        document: the ModelRevocation.
        now: unix seconds.

    Raises:
        UnavailableError: no answer, or a list that never came to its end.
    """
    hits, owners, parts = Hits(compile_revocation(document)), Owners(), list[tuple[Link, set[str]]]()
    for served in trusts.discover(api):
        try:
            parts += _kind(api, served, trusts, hits, owners, now)
        except RefusedError:
            hits.not_listed.append(f"{served.plural}.{served.group}".rstrip("."))
    for link, models in parts:
        hits.workloads.setdefault(owners.root(link), set()).update(models)
    hits.not_named = {owners.root(link) for link in hits.not_named} - hits.workloads.keys()
    hits.not_known = {owners.root(link) for link in hits.not_known} - hits.workloads.keys()
    return hits


def _kind(api: ApiServer, served: Served, trusts: Trusted, hits: Hits, owners: Owners, now: int) -> list[tuple[Link, set[str]]]:
    for _ in range(_ATTEMPTS):
        found = []
        try:
            for item in objects(api, served):
                owners.add(item)
                models = set() if item.finished else _models(item, trusts, hits, now)
                if models:
                    found.append((item.link, models))
        except GoneError:
            continue
        return found
    raise UnavailableError(f"the list of {served.plural} expired {_ATTEMPTS} times before it was complete")


def _models(item: Item, trusts: Trusted, hits: Hits, now: int) -> set[str]:
    try:
        workload = trusts.extractor.extract(item.data, namespace=item.link.namespace)
    except MalformedError:
        hits.not_read.add(item.link)
        return set()
    if workload.unresolved:
        hits.not_named.add(item.link)
    statements = [(found, _statement(found, trusts.store, now)) for found in workload.references]
    revocation = hits.revocation
    by_statement = revocation.contents or revocation.files or revocation.signers
    if by_statement and any(statement is None for _, statement in statements):
        hits.not_known.add(item.link)
    return {key_of(found) for found, statement in statements if _hit(found, revocation, statement)}


def _statement(found: FoundReference, store: Store, now: int) -> Statement | None:
    identity = pinned_identity(found)
    fact = None if identity is None else store.statements.look_up(identity, now)
    return fact.value if isinstance(fact, Known) and isinstance(fact.value, Statement) else None


def _hit(found: FoundReference, revocation: Revocation, statement: Statement | None) -> bool:
    """Whether a revocation concerns one reference: by name, or by what its statement says of content and signers."""
    return revoked((revocation,), found.reference.text, key_of(found), statement) is not None
