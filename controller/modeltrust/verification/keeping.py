"""A model that was verified before, verified again: which facts stand on, and which speak against it. Pure.

*Unavailable* keeps what was known, fact by fact: a hub that is down does not make a model unsigned (promises.md 2). What is known
and differs is news: it replaces what was known, and where it can only mean that something is wrong, it is reported as negative, so
that a revocation outlives a restored older statement (attack H3).
"""

from dataclasses import replace

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.domain.evidence import Severity, SignatureEvidence, SignatureFacts, Statement
from modeltrust.domain.facts import Fact, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.work import Report
from modeltrust.verification import bounds, unknowns


def complete(report: Report) -> bool:
    """Whether every fact, and every piece of evidence, could be had."""
    if unknowns.some_pending(report.signatures):
        return False
    return not any(isinstance(fact, Unavailable) for fact in (report.content, report.signatures, report.formats, report.lineage))


def kept(before: Statement, report: Report) -> Report:
    """The report, with what was known before in place of what could not be had now.

    Nothing is kept about other bytes: signatures and findings are facts about the content that they were found with. So what was
    known of signatures also stands where the content could not be had: there was nothing to compare them with now, and signatures
    over other bytes must not join a content that was seen another time.
    """
    if report.content != before.content and not isinstance(report.content, Unavailable):
        return report
    same = replace(report, content=before.content)
    uncompared = isinstance(report.content, Unavailable)
    if uncompared:
        same = replace(same, assurance=before.assurance)
    if isinstance(report.signatures, Unavailable) or (uncompared and isinstance(before.content, Known)):
        same = replace(same, signatures=before.signatures)
    elif isinstance(report.signatures, Known) and isinstance(before.signatures, Known):
        same = replace(same, signatures=Known(_with_unknown(before.signatures.value, report.signatures.value)))
    if isinstance(report.formats, Unavailable):
        same = replace(same, formats=before.formats)
    if isinstance(report.lineage, Unavailable):
        same = replace(same, lineage=before.lineage)
    weights = report.weights or before.weights
    return replace(same, weights=weights, signatures=_at_most(same.signatures, same))


def negative(before: Statement, report: Report) -> tuple[str, ...]:
    """What no longer holds, one sentence each; empty where nothing speaks against the model.

    Format findings count only where the same tables found nothing in the same bytes: new tables find more in models that did not
    change, which the new statement says and policies judge; an upgrade revokes nothing.
    """
    found = [*_content(before, report), *_signatures(before, report), *_formats(before, report)]
    return tuple(sentence[: limits.STATEMENT_TEXT_CHARACTERS] for sentence in found[: limits.API_PROBLEMS])


def _with_unknown(before: SignatureFacts, now: SignatureFacts) -> SignatureFacts:
    """Where some evidence could not be looked at now, the signatures that were known before may stand in it."""
    if not unknowns.some_unknown(now):
        return now
    still = {_signer(evidence) for evidence in now.valid}
    lost = [evidence for evidence in before.valid if _signer(evidence) not in still]
    return bounds.signature_facts([*now.valid, *lost, *now.rejected])


def _at_most(fact: Fact[SignatureFacts], report: Report) -> Fact[SignatureFacts]:
    """No signature is about bytes that were compared more closely than the content that is stated."""
    if not isinstance(fact, Known):
        return fact
    valid = tuple(replace(e, assurance=min(e.assurance, report.assurance)) for e in fact.value.valid)
    return Known(replace(fact.value, valid=valid))


def _content(before: Statement, report: Report) -> list[str]:
    if not isinstance(before.content, Known) or not isinstance(report.content, Known) or before.content == report.content:
        return []
    return [f"the content was {before.content.value} and is {report.content.value} under the same revision"]


def _signatures(before: Statement, report: Report) -> list[str]:
    """A signature that was good is gone, and one is there that does not verify."""
    if not isinstance(before.signatures, Known) or not isinstance(report.signatures, Known):
        return []
    now = report.signatures.value
    if unknowns.some_unknown(now):
        return []  # what is lost may be what could not be looked at
    broken = [rejected for rejected in now.rejected if rejected.reason is Reason.SIGNATURE_INVALID]
    still = {_signer(evidence) for evidence in now.valid}
    lost = [evidence for evidence in before.signatures.value.valid if _signer(evidence) not in still]
    # One more broken document than before: evidence that was only taken away, beside one that was always bad, is no news.
    if not lost or not broken or len(broken) <= len(_broken(before.signatures.value)):
        return []
    return [f"the signature of {quote(lost[0].subject or lost[0].fingerprint)} no longer verifies: {broken[0].message}"]


def _broken(facts: SignatureFacts) -> list[Reason]:
    return [rejected.reason for rejected in facts.rejected if rejected.reason is Reason.SIGNATURE_INVALID]


def _signer(evidence: SignatureEvidence) -> tuple[str, str, str, str, str]:
    return (evidence.form.value, evidence.kind.value, evidence.fingerprint, evidence.issuer, evidence.subject)


def _formats(before: Statement, report: Report) -> list[str]:
    if not isinstance(before.formats, Known) or not isinstance(report.formats, Known):
        return []
    old, new = before.formats.value, report.formats.value
    if old.rules != new.rules or old.omitted:
        return []
    known = {(finding.path, finding.rule) for finding in old.findings}
    failing = [f for f in new.findings if f.severity is Severity.ERROR and (f.path, f.rule) not in known]
    return [f"{quote(failing[0].path)} fails what it passed before: {failing[0].message}"] if failing else []
