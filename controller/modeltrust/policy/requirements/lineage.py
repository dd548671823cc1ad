"""Lineage: the models that this one derives from are attested, too.

Bases are what the model's own files claim (M13). A claim is checked, never believed: the base must be named at an immutable
revision, have a current statement and not be revoked. An adapter that names no base fails, since none can be proved. Only bases
themselves are looked up, not theirs in turn, so no chain and no cycle is ever followed.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from modeltrust.domain import limits
from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import ModelTrustError, quote
from modeltrust.domain.evidence import LineageClaim, Statement
from modeltrust.domain.facts import Absent, Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity_key
from modeltrust.domain.workload import Role
from modeltrust.policy.policy import Attested, Trust
from modeltrust.policy.revocations import revoked
from modeltrust.policy.wording import moment

_PASS = (Finding("lineage", Status.PASS),)


class Base(StrEnum):
    """What is required of base models."""

    ATTESTED = "Attested"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Every base that the model names has a current statement.

    Attributes:
        base: see Base; there is one value so far.
    """

    base: Base = Base.ATTESTED
    name: ClassVar[str] = "lineage"

    def check(self, subject: Attested, trust: Trust) -> tuple[Finding, ...]:
        """Pass, or BaseNotAttested for each base that fails."""
        fact = subject.statement.lineage
        if isinstance(fact, Absent):
            return (_fail("its base models were not looked for"),)
        if not isinstance(fact, Known):
            return (_fail(f"has base models that could not be determined: {fact.why}", Status.ERROR),)
        claims = fact.value
        if len(claims) > limits.LINEAGE_CLAIMS:
            return (_fail(f"names {len(claims)} base models, expected at most {limits.LINEAGE_CLAIMS}"),)
        if not claims and subject.found.role is Role.ADAPTER:
            return (_fail("is an adapter and names no base model"),)
        problems = [problem for claim in claims if (problem := _problem(claim, subject.statement.identity, trust)) is not None]
        return tuple(problems) or _PASS


def _problem(claim: LineageClaim, derived: Identity, trust: Trust) -> Finding | None:
    try:
        identity = parse_identity_key(claim.base)
    except ModelTrustError:
        return _fail(f"derives from {quote(claim.base)}, expected a reference with an immutable revision")
    if identity == derived:
        return _fail(f"names itself, {quote(claim.base)}, as its base")
    fact = trust.statements(identity)
    if isinstance(fact, Known):
        if isinstance(fact.value, Statement):
            return _statement_problem(identity, fact.value, trust)
        return _fail(f"derives from {quote(identity)}, whose statement does not verify: {fact.value.why}")
    if isinstance(fact, Absent):
        return _fail(f"derives from {quote(identity)}, which is not attested")
    return _fail(f"derives from {quote(identity)}, which could not be looked up: {fact.why}", Status.ERROR)


def _statement_problem(identity: Identity, statement: Statement, trust: Trust) -> Finding | None:
    if statement.identity != identity:
        return _fail(f"derives from {quote(identity)}, whose statement is about another model")
    if revoked(trust.revocations, identity.reference.text, identity.key, statement) is not None:
        return _fail(f"derives from {quote(identity)}, which is revoked")
    if trust.now > statement.expires_at:
        return _fail(f"derives from {quote(identity)}, whose statement ended at {moment(statement.expires_at)}")
    return None


def _fail(message: str, status: Status = Status.FAIL) -> Finding:
    return Finding("lineage", status, Reason.BASE_NOT_ATTESTED, message, "have the base model attested at its revision first")
