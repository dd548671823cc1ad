"""From findings to one outcome: revoked > invalid statement > deny > error > pending > warn > admit."""

from collections.abc import Iterable

from modeltrust.domain.decision import Finding, Outcome, Status
from modeltrust.domain.reasons import Reason

_SHOWN_FIRST = {Reason.MODEL_REVOKED: 0, Reason.STATEMENT_INVALID: 1}
_DENY, _ERROR, _PENDING, _WARN, _SILENT, _EXEMPTED, _SKIP, _PASS = range(2, 10)
_BY_STATUS = {Status.FAIL: _DENY, Status.ERROR: _ERROR, Status.PENDING: _PENDING, Status.SKIP: _SKIP, Status.PASS: _PASS}
_OUTCOMES = {_ERROR: Outcome.ERROR, _PENDING: Outcome.PENDING, _WARN: Outcome.WARN}


def fold(findings: Iterable[Finding]) -> Outcome:
    """What follows from all findings about one object.

    No finding at all admits: the judge finds something wherever a policy applies and does not hold (a requirement that says nothing
    is an error, a pair without policy is NoPolicy).
    """
    worst = min((_rank(finding) for finding in findings), default=_PASS)
    if worst >= _SILENT:
        return Outcome.ADMIT
    return _OUTCOMES.get(worst, Outcome.DENY)


def order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, otherwise in the order given: what denies, what waits, what warns, what was excused, what passed."""
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> int:
    rank = _BY_STATUS[finding.status]
    if rank >= _SKIP:
        return _EXEMPTED if finding.exempted_by else rank
    if finding.advisory:
        return _SILENT if finding.silent else _WARN
    return rank if finding.reason is None else _SHOWN_FIRST.get(finding.reason, rank)
