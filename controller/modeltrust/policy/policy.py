"""Compiled policies, and everything that a judgement may read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from modeltrust.domain.evidence import Assurance, Statement
from modeltrust.domain.facts import Fact
from modeltrust.domain.globs import Glob
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.domain.workload import FoundReference, Workload
from modeltrust.policy.scopes import within

if TYPE_CHECKING:
    from modeltrust.policy.requirement import Requirement


class Mode(StrEnum):
    """What a policy does with what it finds."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    AUDIT = "Audit"


_ENFORCE = Mode.ENFORCE  # a member of an enumeration is looked up in 100 ns, a name of a module in 7 (CPython 3.11)


class Pending(StrEnum):
    """What a policy does while a model is being verified."""

    DENY = "Deny"
    WARN = "Warn"


class Unmatched(StrEnum):
    """What follows where no enforcing policy covers a (namespace, reference) pair; a value of the chart."""

    ALLOW = "Allow"  # counted, no warning
    WARN = "Warn"
    DENY = "Deny"


class UnresolvedAction(StrEnum):
    """What a policy does with something that cannot be named."""

    DENY = "Deny"
    ALLOW_DECLARED = "AllowDeclared"
    WARN = "Warn"


class Namespace(msgspec.Struct, frozen=True, gc=False):
    """Where the workload is to run.

    Attributes:
        name: metadata.name; empty for cluster-scoped objects.
        labels: its labels; None when they are not known, which matches every selector (H16: unknown is enforced).
    """

    name: str
    labels: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A metav1.LabelSelector, compiled.

    Attributes:
        match_labels: all must be equal.
        expressions: (key, operator, values); operators In, NotIn, Exists, DoesNotExist.
    """

    match_labels: tuple[tuple[str, str], ...] = ()
    expressions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy every part; an empty selector matches nothing here, since empty is refusal."""
        if not self.match_labels and not self.expressions:
            return False
        for key, expected in self.match_labels:  # loops: a generator costs more than what it compares
            if labels.get(key) != expected:
                return False
        for key, operator, values in self.expressions:  # noqa: SIM110 - the same
            if not _expression(labels.get(key), operator, values):
                return False
        return True


def _expression(value: str | None, operator: str, values: tuple[str, ...]) -> bool:
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator == "In":
        return value in values
    return operator == "NotIn" and value not in values


@dataclass(frozen=True, slots=True)
class Match:
    """Which (namespace, reference) pairs a policy covers.

    Attributes:
        namespaces: names, exact.
        selector: over the labels of the namespace; either is enough.
        models: globs over canonical references; they fold case however they were compiled: what a policy misses by the case of a
            letter would be decided by no policy (H8, H9).
        cluster_scoped: whether cluster-scoped objects are covered too.
        everything: the match could not be read, so it matches all (a broken policy denies what it may cover).
    """

    namespaces: frozenset[str] = frozenset()
    selector: LabelSelector | None = None
    models: tuple[Glob, ...] = ()
    cluster_scoped: bool = False
    everything: bool = False
    _all: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", tuple(Glob(glob.pattern, fold_case=True) for glob in self.models))
        # "**" matches every text without "@" within its bound, and canonical references have none.
        object.__setattr__(self, "_all", self.everything or any(glob.pattern == "**" for glob in self.models))

    def namespace(self, namespace: Namespace) -> bool:
        """Whether objects in this namespace are covered at all."""
        if self.everything:
            return True
        if not namespace.name:
            return self.cluster_scoped
        if namespace.name in self.namespaces:
            return True
        return self.selector is not None and (namespace.labels is None or self.selector.matches(namespace.labels))

    def model(self, text: str, key: str) -> bool:
        """Whether a reference is covered.

        Args:
            text: canonical, without revision.
            key: the same with ``@revision`` where one is stated, else equal to ``text``.
        """
        return self._all or within(self.models, text, key)


class Attested(msgspec.Struct, frozen=True, gc=False):
    """The subject of requirements on evidence: a reference with the current statement about it.

    Attributes:
        found: the reference in the workload.
        statement: current, signed by a trusted attestor, not revoked.
    """

    found: FoundReference
    statement: Statement


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled ModelPolicy.

    Attributes:
        name: metadata.name.
        mode: as written; ``enforce_after`` may soften it.
        match: what it covers.
        pending: see Pending.
        unresolved: see UnresolvedAction.
        enforce_after: Warn until then, unix seconds.
        grace_seconds: how long after its end a statement still counts.
        contact: printed in every denial.
        on_workload: requirements about the whole object.
        on_reference: requirements about each reference, decided without evidence.
        on_statement: requirements about each statement.
        broken: why it could not be compiled; then it denies what it matches.
        at_load: whether it demands that bytes are compared in the Pod.
    """

    name: str
    mode: Mode
    match: Match
    pending: Pending = Pending.DENY
    unresolved: UnresolvedAction = UnresolvedAction.DENY
    enforce_after: int | None = None
    grace_seconds: int = 0
    contact: str = ""
    on_workload: tuple[Requirement[Workload], ...] = ()
    on_reference: tuple[Requirement[FoundReference], ...] = ()
    on_statement: tuple[Requirement[Attested], ...] = ()
    broken: str = ""
    at_load: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        floors = (getattr(requirement, "minimum_assurance", None) for requirement in self.on_statement)
        object.__setattr__(self, "at_load", any(floor is Assurance.VERIFIED_AT_LOAD for floor in floors))

    def enforced(self, now: int) -> bool:
        """Whether what it finds is a denial now."""
        return self.mode is _ENFORCE and (self.enforce_after is None or now >= self.enforce_after)


class WorkloadName(msgspec.Struct, frozen=True, gc=False):
    """Which workload an exemption excuses."""

    group: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Exemption:
    """A compiled PolicyExemption: no wildcards, always ending.

    Attributes:
        name: metadata.name.
        policies: names.
        namespaces: names.
        models: canonical references with revision, exact; or
        workloads: exact.
        requirements: names as in findings; empty excuses none.
        reasons: reasons of the judge that it excuses; never ModelRevoked, StatementInvalid or InternalError.
        expires_at: the earlier of expirationTime and 90 days after creation.
    """

    name: str
    policies: frozenset[str]
    namespaces: frozenset[str]
    models: frozenset[str]
    workloads: frozenset[WorkloadName]
    requirements: frozenset[str]
    reasons: frozenset[str]
    expires_at: int


@dataclass(frozen=True, slots=True)
class RevokedSigner:
    """A signer that no longer counts.

    Attributes:
        fingerprint: 64 hex, or
        issuer: with
        subject: of a keyless identity, case folded.
        signed_after: only signatures made after this time, or without a trusted time; None: all.
    """

    fingerprint: str = ""
    issuer: str = ""
    subject: str = ""
    signed_after: int | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """A compiled ModelRevocation; beats exemptions, grace and modes, in every namespace.

    Attributes:
        name: metadata.name.
        models: case-folding globs over canonical references, with or without ``@revision``.
        contents: content digests, hex.
        files: sha256 hex of weight files.
        signers: see RevokedSigner.
        reason: for people.
        reference: incident id.
        broken: what of it cannot be read; the rest is revoked all the same.
        exact: those of the models that are no patterns, case folded: one look instead of one comparison each.
        patterns: the other models.
    """

    name: str
    models: tuple[Glob, ...] = ()
    contents: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    signers: tuple[RevokedSigner, ...] = ()
    reason: str = ""
    reference: str = ""
    broken: str = ""
    exact: frozenset[str] = field(init=False, repr=False, compare=False)
    patterns: tuple[Glob, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        exact = [glob.fold_case and "*" not in glob.pattern for glob in self.models]
        names = (glob.pattern.casefold() for glob, is_exact in zip(self.models, exact, strict=True) if is_exact)
        object.__setattr__(self, "exact", frozenset(names))
        patterns = tuple(glob for glob, is_exact in zip(self.models, exact, strict=True) if not is_exact)
        object.__setattr__(self, "patterns", patterns)


class InvalidStatement(msgspec.Struct, frozen=True, gc=False):
    """A statement exists under this identity and does not verify."""

    why: str


class Trust(msgspec.Struct, frozen=True, gc=False):
    """Everything that a judgement may read, as of one moment.

    Attributes:
        now: unix seconds.
        signers: by name; a signer that could not be compiled is missing here and in ``broken_signers``.
        statements: look-up by identity: Known(statement), Known(InvalidStatement), Absent, or Unavailable.
        exemptions: all of them; expired ones are ignored when deciding.
        revocations: all of them.
        broken_signers: names and why.
        suites: by name, 64 hex over what each EvaluationSuite says that decides; a broken one is missing.
    """

    now: int
    statements: Callable[[Identity], Fact[Statement | InvalidStatement]]
    signers: Mapping[str, TrustedSigner] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    exemptions: tuple[Exemption, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    broken_signers: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    suites: Mapping[str, str] = msgspec.field(default_factory=lambda: MappingProxyType({}))
