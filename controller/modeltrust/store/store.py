"""The store: everything that a decision may read, as immutable small maps that writers exchange whole.

Readers take no lock: one attribute read gives a snapshot in which policies, signers and revocations belong together.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from modeltrust.domain.errors import InvalidInputError, ModelTrustError, quote
from modeltrust.domain.signer import TrustedSigner
from modeltrust.policy.policy import Exemption, Policy, Revocation, Trust
from modeltrust.references.mappings import KindMapping, Mapped, by_kind, nothing_mapped
from modeltrust.store.freshness import Freshness
from modeltrust.store.sink import Kind, Object
from modeltrust.store.statements import Statements, Verifier

ATTESTORS = "attestors"  # the mounted trust file: fresh or stale like the kinds


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Compilers:
    """How objects become what decides. Whatever one of them raises, the object is broken and the others are not.

    Attributes:
        policy: never raises: a broken policy is quarantined and denies what it matches.
        signer: of a TrustedSigner.
        exemption: of a PolicyExemption.
        revocation: never raises: a broken revocation is quarantined and revokes what can be read of it.
        suite: the hash over what an EvaluationSuite says that decides.
        statements: the envelopes in a ModelAttestation, as JSON bytes.
        mapping: never raises: a broken mapping is quarantined, and what it stands for is unresolved.
    """

    policy: Callable[[Object], Policy]
    signer: Callable[[Object], TrustedSigner]
    exemption: Callable[[Object], Exemption]
    revocation: Callable[[Object], Revocation]
    suite: Callable[[Object], str]
    statements: Callable[[Object], Iterable[bytes]]
    mapping: Callable[[Object], KindMapping]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The small kinds at one moment, by name where names matter."""

    policies: tuple[Policy, ...] = ()
    signers: Mapping[str, TrustedSigner] = field(default_factory=_empty)
    broken_signers: Mapping[str, str] = field(default_factory=_empty)
    exemptions: tuple[Exemption, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    suites: Mapping[str, str] = field(default_factory=_empty)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=_empty)
    mapped: Mapped = field(default_factory=nothing_mapped)


@dataclass(frozen=True, slots=True)
class _Broken:
    why: str


@dataclass(slots=True)
class _Tables:
    policies: dict[str, Policy] = field(default_factory=dict)
    signers: dict[str, TrustedSigner | _Broken] = field(default_factory=dict)
    exemptions: dict[str, Exemption] = field(default_factory=dict)
    revocations: dict[str, Revocation] = field(default_factory=dict)
    suites: dict[str, str] = field(default_factory=dict)
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    mappings: dict[str, KindMapping] = field(default_factory=dict)


class Store:
    """A ``Sink`` for feeds, a snapshot and a statement index for decisions."""

    def __init__(
        self, compilers: Compilers, *, problem: Callable[[Kind, str, str], None] = lambda _kind, _name, _why: None
    ) -> None:
        """Begin empty and not ready.

        Args:
            compilers: how objects become what decides.
            problem: told (kind, name, why) of an object that cannot be used.
        """
        self._compilers = compilers
        self._problem = problem
        self._tables = _Tables()
        self._snapshot = Snapshot()
        self._broken: dict[Kind, frozenset[str]] = dict.fromkeys(Kind, frozenset())
        self._writing = threading.Lock()
        self.statements = Statements(compilers.statements, problem=lambda name, why: problem(Kind.ATTESTATIONS, name, why))
        self.freshness = Freshness([*Kind, ATTESTORS])

    # --- reading -------------------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The small kinds as they are now."""
        return self._snapshot

    def mapped(self) -> Mapped:
        """Kinds that mappings teach, as they are now."""
        return self._snapshot.mapped

    def trust(self, snapshot: Snapshot, now: int) -> Trust:
        """Everything that a judgement may read, as of now."""
        look_up = self.statements.look_up
        return Trust(
            now=now,
            statements=lambda identity: look_up(identity, now),
            signers=snapshot.signers,
            exemptions=snapshot.exemptions,
            revocations=snapshot.revocations,
            broken_signers=snapshot.broken_signers,
            suites=snapshot.suites,
        )

    def unready(self, now: float) -> tuple[str, ...]:
        """Why nothing may be decided: something is not complete or stale (M14).

        No single object is a reason: a replica that gives no verdicts admits everything where failurePolicy is Ignore.
        """
        return self.freshness.reasons(now)

    def broken(self) -> Mapping[Kind, int]:
        """How many objects of each kind cannot be used as they were written; for metrics and alarms."""
        return MappingProxyType({kind: len(names) for kind, names in self._broken.items()})

    # --- writing: the Sink ---------------------------------------------------------------------------------------------------

    def replace(self, kind: Kind, objects: Iterable[Object]) -> None:
        """A complete list; what is not in it is gone.

        Raises:
            InvalidInputError: an object without a name, or two of one name: no list that an API server gives.
        """
        if kind is Kind.ATTESTATIONS:  # the one kind with very many objects: taken one by one, never held whole
            self.statements.replace(_named(kind, objects))
            return
        named = dict(_named(kind, objects))
        with self._writing:
            table: dict[str, Any] = getattr(self._tables, kind)
            fresh: dict[str, Any] = {}
            self._broken[kind] &= named.keys()
            for name, value in named.items():
                self._put(kind, fresh, name, value, before=table.get(name))
            setattr(self._tables, kind, fresh)
            self._publish()

    def upsert(self, kind: Kind, value: Object) -> None:
        """One object, new or changed.

        Raises:
            InvalidInputError: it has no name.
        """
        name = name_of(value)
        if kind is Kind.ATTESTATIONS:
            self.statements.upsert(name, value)
            return
        with self._writing:
            table: dict[str, Any] = getattr(self._tables, kind)
            self._put(kind, table, name, value, before=table.get(name))
            self._publish()

    def delete(self, kind: Kind, name: str) -> None:
        """One object is gone."""
        if kind is Kind.ATTESTATIONS:
            self.statements.delete(name)
            return
        with self._writing:
            getattr(self._tables, kind).pop(name, None)
            self._broken[kind] -= {name}
            self._publish()

    def believe(self, verifier: Verifier | None) -> None:
        """The attestors from now on, or nobody; every statement is verified anew."""
        self.statements.trust(verifier)

    def _put(self, kind: Kind, table: dict[str, Any], name: str, value: Object, *, before: Any) -> None:
        try:
            compiled = self._compile(kind, value)
            why = compiled.broken if isinstance(compiled, Policy | Revocation | KindMapping) else ""
        except Exception as error:  # noqa: BLE001 - one object that breaks a compiler must not keep the others from being read
            why = str(error) if isinstance(error, ModelTrustError) else f"cannot be compiled: {type(error).__name__}"
            compiled = _unusable(kind, why)
        if why:
            self._problem(kind, name, why)
        if why and isinstance(compiled, Revocation) and isinstance(before, Revocation):
            compiled = _both(before, compiled)
        self._broken[kind] = self._broken[kind] | {name} if why else self._broken[kind] - {name}
        if compiled is None:
            table.pop(name, None)
        else:
            table[name] = compiled

    def _compile(self, kind: Kind, value: Object) -> Any:
        compilers: Mapping[Kind, Callable[[Object], Any]] = {
            Kind.POLICIES: self._compilers.policy,
            Kind.SIGNERS: self._compilers.signer,
            Kind.EXEMPTIONS: self._compilers.exemption,
            Kind.REVOCATIONS: self._compilers.revocation,
            Kind.SUITES: self._compilers.suite,
            Kind.MAPPINGS: self._compilers.mapping,
        }
        return compilers.get(kind, _labels)(value)

    def _publish(self) -> None:
        tables = self._tables
        signers, broken = {}, {}
        for name, signer in tables.signers.items():
            if isinstance(signer, _Broken):
                broken[name] = signer.why
            else:
                signers[name] = signer
        self._snapshot = Snapshot(
            policies=tuple(tables.policies.values()),
            signers=MappingProxyType(signers),
            broken_signers=MappingProxyType(broken),
            exemptions=tuple(tables.exemptions.values()),
            revocations=tuple(tables.revocations.values()),
            suites=MappingProxyType(dict(tables.suites)),
            namespaces=MappingProxyType(dict(tables.namespaces)),
            mapped=by_kind(tables.mappings.values()),
        )


def _unusable(kind: Kind, why: str) -> _Broken | None:
    """What stands for an object that no compiler could make anything of."""
    match kind:
        case Kind.SIGNERS:
            return _Broken(why)  # disables its alternatives; the old key is not believed either
        case Kind.NAMESPACES | Kind.EXEMPTIONS | Kind.SUITES:
            return None  # unknown is enforced, what cannot be read excuses nothing, and no run is one of a suite that nobody knows
        case _:
            raise AssertionError(f"a broken object of kind {kind} has no meaning: {why}")


def _both(before: Revocation, broken: Revocation) -> Revocation:
    """What was revoked stays revoked while nobody can say what the new version leaves out."""
    return replace(
        broken,
        models=tuple(dict.fromkeys((*before.models, *broken.models))),
        contents=before.contents | broken.contents,
        files=before.files | broken.files,
        signers=tuple(dict.fromkeys((*before.signers, *broken.signers))),
    )


def name_of(value: Object) -> str:
    """metadata.name.

    Raises:
        InvalidInputError: there is none.
    """
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str) or not name:
        raise InvalidInputError(f"got an object without metadata.name: {quote(value.get('kind'))}")
    return name


def _named(kind: Kind, objects: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    seen: set[str] = set()
    for value in objects:
        name = name_of(value)
        if name in seen:
            raise InvalidInputError(f"got two objects of kind {kind} named {quote(name)}")
        seen.add(name)
        yield name, value


def _labels(value: Object) -> Mapping[str, str]:
    labels = value["metadata"].get("labels") or {}
    if not isinstance(labels, Mapping) or not all(isinstance(item, str) for pair in labels.items() for item in pair):
        raise InvalidInputError("metadata.labels: expected a map of strings")
    return MappingProxyType(dict(labels))
