"""The statement's JSON, as typed structures; ``predicate`` joins them with the letter in ``domain.evidence``.

Every key but ``inputs``, which decides nothing, and ``specHash``, without which a verdict does not count, is always present, and
nothing else is: what is optional in the letter is null or empty here, so that a missing key is never read as a default.
"""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evidence import Severity, SignatureForm, SignerKind, Verdict
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reasons import Reason

PREDICATE_TYPE = "https://modeltrust.dev/statement/v1"
T = TypeVar("T")


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", gc=False):
    """Common settings: camel case keys, unknown ones refused."""


class Nothing(Wire, frozen=True):
    """The value of ``absent``."""


class WireFact(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """``{"known": …}``, ``{"absent": {}}`` or ``{"unavailable": "why"}``."""

    known: T | msgspec.UnsetType = msgspec.UNSET
    absent: Nothing | msgspec.UnsetType = msgspec.UNSET
    unavailable: str | msgspec.UnsetType = msgspec.UNSET

    def fact(self) -> Fact[T]:
        """As a fact.

        Raises:
            MalformedError: not exactly one of the three is there.
        """
        known, absent, why = self.known, self.absent, self.unavailable
        if (known is msgspec.UNSET) + (absent is msgspec.UNSET) + (why is msgspec.UNSET) != 2:  # noqa: PLR2004 - two of three
            raise MalformedError("got a fact with another number of keys, expected one of known, absent, unavailable")
        if known is not msgspec.UNSET:
            return Known(known)
        return Absent() if why is msgspec.UNSET else Unavailable(why)


class Digests(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An in-toto DigestSet: what fixes the model, and its content digest where that is known."""

    gitCommit: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815 - in-toto's name of the algorithm
    sha256: str | msgspec.UnsetType = msgspec.UNSET
    modeltrustContent: str | msgspec.UnsetType = msgspec.UNSET  # noqa: N815 - ours, in the same style


class Subject(Wire, frozen=True):
    """The model that the statement is about."""

    name: str
    digest: Digests


class Signature(Wire, frozen=True):
    """``domain.evidence.SignatureEvidence``."""

    form: SignatureForm
    kind: SignerKind
    fingerprint: str
    issuer: str
    subject: str
    claims: dict[str, str]
    vouched_by: tuple[str, ...]
    authorities: tuple[str, ...]
    signed_at: datetime | None
    assurance: str
    unsigned_paths: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    ticket: str


class Rejected(Wire, frozen=True):
    """``domain.evidence.RejectedSignature``."""

    reason: Reason
    message: str


class Signatures(Wire, frozen=True):
    """``domain.evidence.SignatureFacts``."""

    valid: tuple[Signature, ...]
    rejected: tuple[Rejected, ...]


class Format(Wire, frozen=True):
    """``domain.evidence.WeightFormat``."""

    name: str
    files: int
    example: str
    loadable: bool


class Finding(Wire, frozen=True):
    """``domain.evidence.FormatFinding``."""

    path: str
    rule: str
    reason: Reason
    message: str
    severity: Severity
    loadable: bool


class Formats(Wire, frozen=True):
    """``domain.evidence.FormatReport``."""

    formats: tuple[Format, ...]
    findings: tuple[Finding, ...]
    rules: str
    omitted: int


class Claim(Wire, frozen=True):
    """``domain.evidence.LineageClaim``."""

    relation: str
    base: str
    verified: bool


class Evaluation(Wire, frozen=True):
    """``domain.evidence.EvaluationVerdict``."""

    suite: str
    suite_hash: str
    serving_hash: str
    verdict: Verdict
    claim: str
    finished_at: datetime
    expires_at: datetime | None
    external: bool
    spec_hash: str | msgspec.UnsetType = msgspec.UNSET  # without it the suite that was run is not known, and it counts as another


class Predicate(Wire, frozen=True):
    """Everything but the subject."""

    content: WireFact[str]
    assurance: str
    signatures: WireFact[Signatures]
    formats: WireFact[Formats]
    lineage: WireFact[tuple[Claim, ...]]
    evaluations: tuple[Evaluation, ...]
    weights: tuple[str, ...]
    audience: str
    serial: int
    issued_at: datetime
    expires_at: datetime
    inputs: str | msgspec.UnsetType = msgspec.UNSET  # of statements that are renewed


class InToto(Wire, frozen=True):
    """An in-toto Statement, version 1."""

    type_: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str
    predicate: Predicate


class Named(msgspec.Struct, frozen=True, gc=False):
    """A subject of which only the name is read."""

    name: str


class Peeked(msgspec.Struct, frozen=True, gc=False):
    """A statement of which only the subjects' names are read."""

    subject: tuple[Named, ...]
