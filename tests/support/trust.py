"""Builders of workloads, policies, signers and trust: sensible defaults, so that a test says only what it is about."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec

from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Fact, Known
from modeltrust.domain.globs import Glob
from modeltrust.domain.reference import Identity, parse_reference
from modeltrust.domain.signer import KeyTrust, Purpose, TrustedSigner
from modeltrust.domain.workload import Confidence, FoundReference, Role, Workload
from modeltrust.policy.policy import InvalidStatement, Match, Mode, Namespace, Policy, Trust
from tests.support.statements import COMMIT, FINGERPRINT, NOW

GUARD = f"hf://acme/guard-7b@{COMMIT}"  # the model of tests.support.statements.a_statement
TEAM_A = Namespace("team-a", MappingProxyType({"modeltrust.dev/tier": "prod"}))


def a_found(text: str = GUARD, **changes: Any) -> FoundReference:
    """A reference in a workload, from canonical text with an optional ``@revision``."""
    reference, revision = parse_reference(text)
    found = FoundReference(text, reference, revision, Role.BASE, "/spec/containers/0/args/1", Confidence.DECLARED, "bare-hf")
    return replace(found, **changes)


def a_workload(*references: str | FoundReference, **changes: Any) -> Workload:
    """A Pod in team-a that loads these references."""
    found = tuple(a_found(entry) if isinstance(entry, str) else entry for entry in references)
    return replace(Workload("", "v1", "Pod", "team-a", "guard", found, inference=bool(found)), **changes)


def a_policy(*requirements: Any, **changes: Any) -> Policy:
    """An enforcing policy for everything in team-a; each requirement goes where its subject belongs."""
    places: dict[str, list[Any]] = {"on_workload": [], "on_reference": [], "on_statement": []}
    for requirement in requirements:
        places[_PLACES.get(requirement.name, "on_statement")].append(requirement)
    policy = Policy(
        "production",
        Mode.ENFORCE,
        Match(namespaces=frozenset({"team-a"}), models=(Glob("**"),)),
        contact="#ml-platform",
        on_workload=tuple(places["on_workload"]),
        on_reference=tuple(places["on_reference"]),
        on_statement=tuple(places["on_statement"]),
    )
    return replace(policy, **changes)


_PLACES = {"servingImage": "on_workload", "pinned": "on_reference", "sources": "on_reference"}


def a_signer(name: str = "acme-research", **changes: Any) -> TrustedSigner:
    """A key that signs every model of acme, as author and as approver."""
    signer = TrustedSigner(name, (("team", "platform"),), frozenset(Purpose), KeyTrust(b"", FINGERPRINT), (Glob("hf://acme/*"),))
    return replace(signer, **changes)


def a_trust(
    statements: Mapping[Identity | str, Statement | InvalidStatement | Fact[Statement | InvalidStatement]] | None = None,
    *signers: TrustedSigner,
    **changes: Any,
) -> Trust:
    """Trust as of NOW.

    Args:
        statements: by identity or its text; what is not there is Absent. A bare statement is Known.
        signers: the default one when none is given.
        changes: fields of Trust.
    """
    known = {str(identity): entry for identity, entry in (statements or {}).items()}

    def look_up(identity: Identity) -> Fact[Statement | InvalidStatement]:
        entry = known.get(identity.key, Absent())
        return Known(entry) if isinstance(entry, Statement | InvalidStatement) else entry

    by_name = {signer.name: signer for signer in signers or (a_signer(),)}
    return msgspec.structs.replace(Trust(NOW, look_up, MappingProxyType(by_name)), **changes)
