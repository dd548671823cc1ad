"""The conditions of a ModelAttestation: what was found, what is waited for, and why there is nothing to wait for."""

from collections.abc import Mapping
from typing import Any

from modeltrust.domain.evidence import EvaluationVerdict, Severity, SignatureFacts, Statement
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.operator.conditions import FALSE, READY, RECONCILING, STALLED, TRUE, UNKNOWN, Condition
from modeltrust.operator.statuses import counted
from modeltrust.policy.policy import Trust
from modeltrust.policy.signers import Counted, NotCounted
from modeltrust.policy.wording import moment
from modeltrust.verification import unknowns

RESOLVED, SIGNED, FORMATS, EVALUATED = "Resolved", "SignatureVerified", "FormatsVerified", "Evaluated"
_FOUND = (RESOLVED, SIGNED, FORMATS, EVALUATED)


def of_statement(letter: Statement, *, trust: Trust, suites: tuple[str, ...], now: int) -> tuple[Condition, ...]:
    """What a statement says.

    Args:
        letter: the statement.
        trust: signers as they are now.
        suites: that policies name for this model.
        now: unix seconds.
    """
    found = (_resolved(letter), _signed(letter, trust, now), _formats(letter), _evaluated(letter.evaluations, suites, now))
    waits = next((condition for condition in found if condition.status == UNKNOWN), None)
    if now >= letter.expires_at:
        ready = Condition(READY, FALSE, Reason.ATTESTATION_EXPIRED, f"the statement ended at {moment(letter.expires_at)}")
    elif waits is not None:
        ready = Condition(READY, FALSE, waits.reason, waits.message)
    else:
        ready = Condition(READY, TRUE, "Verified", "verification is complete; whether it is enough is a policy's answer")
    return (*found, ready)


def waiting(status: Mapping[str, Any], reason: Reason, why: str, now: int) -> tuple[Condition, ...]:
    """Something is awaited; what is known stays, and so does Ready while there is a statement.

    Args:
        status: as it is.
        reason: of the wait.
        why: one sentence.
        now: unix seconds; a change of Ready is somebody else's then.
    """
    del now
    before = _before(status)
    if _is_ready(status):
        kept = tuple(before[name] for name in _FOUND if name in before)
        ready = Condition(READY, TRUE, "Verified", f"known facts stand while it is verified again: {why}")
        return (*kept, ready, Condition(RECONCILING, TRUE, reason, why))
    resolved = Condition(RESOLVED, UNKNOWN, reason, why)
    kept = tuple(before[name] for name in _FOUND[1:] if name in before)
    return (resolved, *kept, Condition(READY, FALSE, reason, why), Condition(RECONCILING, TRUE, reason, why))


def unasked(found: tuple[Condition, ...], reason: Reason, why: str) -> tuple[Condition, ...]:
    """What a statement says stands and is renewed, but nothing new can be looked up until somebody changes something.

    Args:
        found: of the statement.
        reason: why nobody may be asked.
        why: one sentence.
    """
    stand = f"known facts stand and are renewed; nothing new is looked up: {why}"
    kept = tuple(Condition(c.type, c.status, c.reason, stand) if c.type == READY and c.status == TRUE else c for c in found)
    return (*kept, Condition(STALLED, TRUE, reason, stand))


def refused(status: Mapping[str, Any], reason: Reason, why: str, now: int) -> tuple[Condition, ...]:
    """Nothing is looked up until somebody changes something."""
    del now
    before = _before(status)
    kept = tuple(before[name] for name in _FOUND[1:] if name in before)
    return (
        Condition(RESOLVED, FALSE, reason, why),
        *kept,
        Condition(READY, FALSE, reason, why),
        Condition(STALLED, TRUE, reason, why),
    )


def _before(status: Mapping[str, Any]) -> dict[str, Condition]:
    entries = [entry for entry in status.get("conditions") or () if isinstance(entry, dict)]
    return {
        entry["type"]: Condition(entry["type"], entry["status"], entry["reason"], entry["message"])
        for entry in entries
        if all(isinstance(entry.get(key), str) for key in ("type", "status", "reason", "message"))
    }


def _is_ready(status: Mapping[str, Any]) -> bool:
    ready = _before(status).get(READY)
    return ready is not None and ready.status == TRUE and bool(status.get("statement"))


def _resolved(letter: Statement) -> Condition:
    if isinstance(letter.content, Known):
        return Condition(RESOLVED, TRUE, "Resolved", f"{letter.content.value}, {letter.assurance.label}")
    why = letter.content.why if isinstance(letter.content, Unavailable) else "the source holds nothing"
    return Condition(RESOLVED, FALSE, Reason.ASSURANCE_TOO_LOW, f"the content is not known: {why}")


def _signed(letter: Statement, trust: Trust, now: int) -> Condition:
    fact = letter.signatures
    if isinstance(fact, Unavailable):
        return Condition(SIGNED, UNKNOWN, Reason.UNSIGNED, f"the signatures could not be looked up: {fact.why}")
    if isinstance(fact, Absent):
        return Condition(SIGNED, FALSE, Reason.UNSIGNED, "is signed by nobody")
    return _by_whom(fact.value, letter.identity.key, trust, now)


def _by_whom(facts: SignatureFacts, key: str, trust: Trust, now: int) -> Condition:
    results = [counted(evidence, key, trust.signers.values(), now) for evidence in facts.valid]
    names = sorted({result.signer for result in results if isinstance(result, Counted)})
    if names:
        return Condition(SIGNED, TRUE, "Trusted", f"by {', '.join(names)}")
    missing = next((piece for piece in facts.rejected if unknowns.is_unknown(piece)), None)
    if missing is not None:
        return Condition(SIGNED, UNKNOWN, missing.reason, missing.message)
    for result in results:
        if isinstance(result, NotCounted):
            return Condition(SIGNED, FALSE, result.reason, result.message)
    if facts.valid:
        return Condition(SIGNED, FALSE, Reason.SIGNER_NOT_TRUSTED, "there is no TrustedSigner")
    if facts.rejected:
        return Condition(SIGNED, FALSE, facts.rejected[0].reason, facts.rejected[0].message)
    return Condition(SIGNED, FALSE, Reason.UNSIGNED, "is signed by nobody")


def _formats(letter: Statement) -> Condition:
    if not isinstance(letter.formats, Known):
        why = letter.formats.why if isinstance(letter.formats, Unavailable) else "nothing is there"
        return Condition(FORMATS, UNKNOWN, Reason.MALFORMED_FILE, f"the files could not be looked at: {why}")
    report = letter.formats.value
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    if not errors:
        names = ", ".join(weights.name for weights in report.formats) or "no weights"
        return Condition(FORMATS, TRUE, "Clean", f"{names}, rules {report.rules}")
    more = len(errors) + report.omitted - 1
    message = f"{errors[0].path}: {errors[0].message}" + (f", and {more} more" if more else "")
    return Condition(FORMATS, FALSE, errors[0].reason, message)


def _evaluated(verdicts: tuple[EvaluationVerdict, ...], suites: tuple[str, ...], now: int) -> Condition:
    if not suites:
        return Condition(EVALUATED, TRUE, "NotRequired", "no policy names a suite for this model")
    decided = {verdict.suite for verdict in verdicts if verdict.expires_at is None or verdict.expires_at > now}
    missing = [suite for suite in suites if suite not in decided]
    if missing:
        return Condition(EVALUATED, UNKNOWN, Reason.EVALUATION_MISSING, f"waits for {', '.join(missing)}")
    return Condition(EVALUATED, TRUE, "Decided", f"{', '.join(suites)}")
