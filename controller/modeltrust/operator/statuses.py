"""What people read of a statement in a ModelAttestation's status. Nothing here counts; only the signed statement does."""

from collections.abc import Iterable
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.evidence import Severity, SignatureEvidence, SignatureFacts, Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.signer import TrustedSigner
from modeltrust.kube.client import Object
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.policy.wording import moment

_FORMATS = 16  # names in files.formats
_SENTENCE = limits.API_TEXT_CHARACTERS
_PLACE = {"SignerNotTrusted": 0, "SignerOutOfScope": 1, "SignerExpired": 2}  # the closer to being trusted, the more it helps


def described(letter: Statement, *, signers: Iterable[TrustedSigner], now: int, size: tuple[int, int] | None) -> Object:
    """Everything but conditions, policies and the statement itself.

    Args:
        letter: the statement.
        signers: as they are now.
        now: unix seconds.
        size: number of files and their bytes together, None where this statement was renewed without looking.
    """
    status: Object = {
        "assurance": letter.assurance.label,
        "signatures": signatures(letter, signers=tuple(signers), now=now),
        "formatFindings": _findings(letter),
        "lineage": _lineage(letter),
        "evaluations": [_evaluation(verdict) for verdict in letter.evaluations[: limits.EVALUATIONS_PER_STATEMENT]],
    }
    if isinstance(letter.content, Known):
        status["contentDigest"] = str(letter.content.value)
    if size is not None:
        status["files"] = {"count": size[0], "bytes": size[1], "formats": _formats(letter)}
    return status


def signatures(letter: Statement, *, signers: tuple[TrustedSigner, ...], now: int) -> list[Object]:
    """Each signature with the reason for which it counts, or does not."""
    if not isinstance(letter.signatures, Known):
        return []
    facts: SignatureFacts = letter.signatures.value
    found = [_signature(evidence, letter.identity.key, signers, now) for evidence in facts.valid]
    found += [
        {"kind": "unknown", "reason": str(rejected.reason), "message": rejected.message[:_SENTENCE]} for rejected in facts.rejected
    ]
    return found[: limits.SIGNATURES_PER_STATEMENT]


def counted(evidence: SignatureEvidence, reference: str, signers: Iterable[TrustedSigner], now: int) -> Counted | NotCounted | None:
    """For whom a signature counts now, or the reason that helps most; None where there is no signer at all."""
    best: NotCounted | None = None
    for signer in signers:
        result = match(evidence, signer, reference, now)
        if isinstance(result, Counted):
            return result
        if best is None or _PLACE.get(result.reason, 0) > _PLACE.get(best.reason, 0):
            best = result
    return best


def _signature(evidence: SignatureEvidence, reference: str, signers: tuple[TrustedSigner, ...], now: int) -> Object:
    result = counted(evidence, reference, signers, now)
    value: Object = {"kind": evidence.kind.value, "fingerprint": evidence.fingerprint}
    if evidence.issuer:
        value["issuer"] = evidence.issuer[: limits.API_URL_CHARACTERS]
    if evidence.subject:
        value["subject"] = evidence.subject[: limits.API_CLAIM_CHARACTERS]
    if evidence.signed_at is not None:
        value["signedAt"] = moment(evidence.signed_at)
    if isinstance(result, Counted):
        return value | {"reason": "Trusted", "message": f"by {result.signer}"}
    if result is None:
        return value | {"reason": "SignerNotTrusted", "message": "there is no TrustedSigner"}
    return value | {"reason": str(result.reason), "message": result.message[:_SENTENCE]}


def _findings(letter: Statement) -> list[Object]:
    if not isinstance(letter.formats, Known):
        return []
    ordered = sorted(letter.formats.value.findings, key=lambda finding: finding.severity is not Severity.ERROR)
    return [
        {
            "path": finding.path[: limits.PATH_CHARACTERS],
            "rule": finding.rule[: limits.API_LABEL_CHARACTERS],
            "reason": str(finding.reason),
            "message": finding.message[:_SENTENCE],
        }
        for finding in ordered[: limits.API_REPORTED]
    ]


def _formats(letter: Statement) -> list[str]:
    if not isinstance(letter.formats, Known):
        return []
    return [weights.name[: limits.API_LABEL_CHARACTERS] for weights in letter.formats.value.formats[:_FORMATS]]


def _lineage(letter: Statement) -> list[Object]:
    if not isinstance(letter.lineage, Known):
        return []
    return [
        {
            "relation": claim.relation[: limits.API_LABEL_CHARACTERS],
            "base": claim.base[: limits.REFERENCE_CHARACTERS],
            "verified": claim.verified,
        }
        for claim in letter.lineage.value[: limits.API_REPORTED]
    ]


def _evaluation(verdict: Any) -> Object:
    value: Object = {
        "suite": verdict.suite,
        "verdict": verdict.verdict.value,
        "claim": verdict.claim[:_SENTENCE],
        "finishedAt": moment(verdict.finished_at),
    }
    return value if verdict.expires_at is None else value | {"expiresAt": moment(verdict.expires_at)}
