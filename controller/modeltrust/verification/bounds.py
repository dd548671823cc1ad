"""What a report may hold: foreign texts and lists are cut here, so that no model makes its own statement impossible.

Only what informs is cut. What decides is never shortened into something milder: findings that fall away are counted, signatures
that do not fit become rejected ones.
"""

import dataclasses
from collections.abc import Sequence

from modeltrust.domain import limits, strict_json
from modeltrust.domain.evidence import (
    FormatFinding,
    FormatReport,
    LineageClaim,
    RejectedSignature,
    SignatureEvidence,
    SignatureFacts,
)
from modeltrust.domain.reasons import Reason


def text(value: str) -> str:
    """A foreign text, cut with an ellipsis; lone surrogates, which no JSON can hold, become question marks."""
    clean = value[: limits.STATEMENT_TEXT_CHARACTERS + 1].encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limits.STATEMENT_TEXT_CHARACTERS else clean[: limits.STATEMENT_TEXT_CHARACTERS - 1] + "…"


def format_report(report: FormatReport) -> FormatReport:
    """The report within the bounds of a statement; findings beyond them are counted as omitted."""
    kept: list[FormatFinding] = []
    left = limits.FINDINGS_BYTES
    for finding in report.findings[: limits.FINDINGS_PER_MODEL]:
        short = dataclasses.replace(finding, path=text(finding.path), message=text(finding.message))
        left -= len(strict_json.dumps([short.path, short.rule, short.message]))  # escapes count: control characters grow sixfold
        if left < 0:
            break
        kept.append(short)
    formats = tuple(dataclasses.replace(f, example=text(f.example)) for f in report.formats)
    omitted = report.omitted + len(report.findings) - len(kept)
    return FormatReport(formats, tuple(kept), report.rules, omitted)


def lineage(claims: Sequence[LineageClaim]) -> tuple[LineageClaim, ...]:
    """The claims with their texts cut; how many there may be is checked when the statement is written."""
    return tuple(dataclasses.replace(claim, relation=text(claim.relation), base=text(claim.base)) for claim in claims)


def signature_facts(found: Sequence[SignatureEvidence | RejectedSignature]) -> SignatureFacts:
    """Valid and rejected documents, at most ``limits.SIGNATURES_PER_STATEMENT``.

    Documents beyond the bound are not hidden: the last entry says how many there are. What verifies comes first, and of that what
    was supplied, so nobody pushes a signature out with documents that are none, nor one that was supplied from the source.
    """
    bound = limits.SIGNATURES_PER_STATEMENT
    ordered = sorted(map(_fitting, found), key=lambda fact: isinstance(fact, RejectedSignature))
    fitting = ordered if len(found) <= bound else ordered[: bound - 1]
    if len(found) > bound:
        message = f"{len(found) - len(fitting)} more signature documents do not fit, expected at most {bound}"
        fitting.append(RejectedSignature(Reason.LIMIT_EXCEEDED, message))
    valid = tuple(fact for fact in fitting if isinstance(fact, SignatureEvidence))
    return SignatureFacts(valid, tuple(fact for fact in fitting if isinstance(fact, RejectedSignature)))


def _fitting(fact: SignatureEvidence | RejectedSignature) -> SignatureEvidence | RejectedSignature:
    if isinstance(fact, RejectedSignature):
        return dataclasses.replace(fact, message=text(fact.message))
    claims = [part for claim in fact.claims for part in claim]
    if any(len(value) > limits.STATEMENT_TEXT_CHARACTERS for value in (fact.issuer, fact.subject, *claims, *fact.unsigned_paths)):
        return RejectedSignature(Reason.LIMIT_EXCEEDED, "the signature states a name longer than any statement may hold")
    return fact
