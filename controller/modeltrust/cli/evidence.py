"""What is known about each model of a workload, for people and in JSON."""

from collections.abc import Iterable, Iterator
from typing import Any

from modeltrust.admission.plain import plain
from modeltrust.api.attestations import attestation_name
from modeltrust.cli.options import rfc3339
from modeltrust.cli.output import text
from modeltrust.domain.evidence import SignatureEvidence, Statement
from modeltrust.domain.facts import Absent, Known
from modeltrust.domain.values import value
from modeltrust.domain.workload import FoundReference
from modeltrust.policy.pinning import pinned_identity
from modeltrust.policy.policy import InvalidStatement
from modeltrust.store.store import Store

_HOUR, _DAY = 3600, 24 * 3600


@value
class Evidence:
    """One reference, and the statement about it.

    Attributes:
        found: the reference.
        statement: what is known; None where nothing is.
        why: there is no statement, or none that verifies.
    """

    found: FoundReference
    statement: Statement | None
    why: str = ""


def gathered(references: Iterable[FoundReference], store: Store, now: int) -> Iterator[Evidence]:
    """Look up each reference."""
    for found in references:
        identity = pinned_identity(found)
        if identity is None:
            yield Evidence(found, None, "names nothing immutable, so nothing can be known about it")
            continue
        fact = store.statements.look_up(identity, now)
        if isinstance(fact, Absent):
            yield Evidence(found, None, f"no statement; ModelAttestation {attestation_name(identity)} would ask for one")
        elif not isinstance(fact, Known):
            yield Evidence(found, None, f"the statement cannot be judged: {fact.why}")
        elif isinstance(fact.value, InvalidStatement):
            yield Evidence(found, None, f"no statement that verifies: {fact.value.why}")
        else:
            yield Evidence(found, fact.value)


def evidence_object(evidence: Evidence, now: int) -> dict[str, Any]:
    """In JSON, version 1."""
    found, statement = evidence.found, evidence.statement
    revision = f"@{found.revision.value}" if found.revision.value else ""
    document: dict[str, Any] = {
        "reference": f"{found.reference}{revision}",
        "role": found.role.value,
        "locator": found.locator,
        "missing": evidence.why or None,
        "statement": None,
    }
    if statement is not None:
        document["statement"] = {
            "issuedAt": rfc3339(statement.issued_at),
            "expiresAt": rfc3339(statement.expires_at),
            "current": statement.expires_at >= now,
            "contentDigest": str(statement.content.value) if isinstance(statement.content, Known) else None,
            "assurance": statement.assurance.label,
            "signatures": [_signature(signed) for signed in _valid(statement)],
            "formats": [entry.name for entry in statement.formats.value.formats] if isinstance(statement.formats, Known) else None,
            "formatFindings": _format_findings(statement),
            "evaluations": [{"suite": entry.suite, "verdict": entry.verdict.value} for entry in statement.evaluations],
        }
    return document


def print_evidence(evidence: Evidence, now: int) -> None:
    """In lines."""
    shown = evidence_object(evidence, now)
    text.say(f"  {shown['role']:<10} {shown['reference']}")
    text.quiet(f"             {shown['locator']}")
    if evidence.statement is None:
        text.careful(f"             {plain(evidence.why)}")
        return
    statement = shown["statement"]
    ends = f"ends {statement['expiresAt']}" if statement["current"] else f"ENDED {statement['expiresAt']}"
    text.say(f"             statement {_age(now - evidence.statement.issued_at)} old, {ends}, {statement['assurance']}")
    text.say(f"             content {statement['contentDigest'] or 'unknown'}")
    for signed in statement["signatures"]:
        text.say(f"             signed by {plain(_who(signed))}")
    if not statement["signatures"]:
        text.careful("             no signature that verifies")
    for found in statement["formatFindings"]:
        text.careful(f"             {plain(found['path'])}: [{found['reason']}] {plain(found['message'])}")
    for run in statement["evaluations"]:
        text.say(f"             evaluation {plain(run['suite'])}: {run['verdict']}")


def _valid(statement: Statement) -> tuple[SignatureEvidence, ...]:
    return statement.signatures.value.valid if isinstance(statement.signatures, Known) else ()


def _signature(signed: SignatureEvidence) -> dict[str, Any]:
    return {
        "kind": signed.kind.value,
        "form": signed.form.value,
        "fingerprint": signed.fingerprint,
        "subject": signed.subject or None,
        "issuer": signed.issuer or None,
        "signedAt": None if signed.signed_at is None else rfc3339(signed.signed_at),
        "ticket": signed.ticket or None,
    }


def _who(signed: dict[str, Any]) -> str:
    name = f"{signed['subject']} (issuer {signed['issuer']})" if signed["issuer"] else signed["subject"]
    name = name or f"the key {signed['fingerprint']}"
    return name + (f", an approval in {signed['ticket']}" if signed["form"] == "approval" else "")


def _format_findings(statement: Statement) -> list[dict[str, str]]:
    if not isinstance(statement.formats, Known):
        return []
    return [
        {"path": entry.path, "rule": entry.rule, "reason": entry.reason.value, "message": entry.message}
        for entry in statement.formats.value.findings
    ]


def _age(seconds: int) -> str:
    if seconds >= 2 * _DAY:
        return f"{seconds // _DAY} days"
    return f"{seconds // _HOUR} h" if seconds >= _HOUR else f"{max(0, seconds) // 60} min"
