"""What a decision looks like in JSON and in text, the same for every command."""

from typing import Any

from modeltrust.domain.decision import Finding


def finding_object(finding: Finding) -> dict[str, Any]:
    """One finding in JSON, version 1."""
    return {
        "policy": finding.policy,
        "requirement": finding.requirement,
        "status": finding.status.value,
        "reason": None if finding.reason is None else finding.reason.value,
        "reference": finding.reference,
        "role": finding.role,
        "locator": finding.locator,
        "message": finding.message,
        "fix": finding.fix,
    }


def sentence(finding: Finding) -> str:
    """One finding in a line: reason, message, and whose it is."""
    notes = [f"policy {finding.policy}"] if finding.policy else []
    notes += ["advisory"] if finding.advisory else []
    notes += [f"ask {finding.contact}"] if finding.contact else []
    reason = "" if finding.reason is None else finding.reason.value
    return f"[{reason}] {finding.message}" + (f" ({', '.join(notes)})" if notes else "")
