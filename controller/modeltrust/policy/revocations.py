"""Revocations: deny-lists that beat exemptions, grace and the modes of policies, in every namespace (H9).

A model is revoked by name (case folded, with and without revision), by content, by any of its weight files, and by its signers.
"""

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.evidence import SignatureEvidence, SignerKind, Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reasons import Reason
from modeltrust.policy.policy import Revocation, RevokedSigner
from modeltrust.policy.scopes import within


def revoked(revocations: tuple[Revocation, ...], text: str, key: str, statement: Statement | None) -> Finding | None:
    """The first revocation that concerns a model, as a finding.

    Args:
        revocations: all of them.
        text: canonical reference without revision.
        key: the same with ``@revision``.
        statement: what is known about it, expired or not; None when nothing is.
    """
    folded = (text.casefold(), key.casefold()) if revocations else ()
    for revocation in revocations:
        if not revocation.exact.isdisjoint(folded) or within(revocation.patterns, text, key):
            return _finding(revocation, "by name")
        what = "" if statement is None else _by_statement(revocation, statement)
        if what:
            return _finding(revocation, what)
    return None


def _by_statement(revocation: Revocation, statement: Statement) -> str:
    if revocation.contents and isinstance(statement.content, Known) and statement.content.value.hex in revocation.contents:
        return "by content"
    if revocation.files and not revocation.files.isdisjoint(statement.weights):
        return "by a weight file"
    if revocation.signers and isinstance(statement.signatures, Known):
        valid = statement.signatures.value.valid
        if any(_signed_by(evidence, signer) for evidence in valid for signer in revocation.signers):
            return "by a signer"
    return ""


def _signed_by(evidence: SignatureEvidence, signer: RevokedSigner) -> bool:
    if not _is_signer(evidence, signer):
        return False
    return signer.signed_after is None or evidence.signed_at is None or evidence.signed_at > signer.signed_after


def _is_signer(evidence: SignatureEvidence, signer: RevokedSigner) -> bool:
    """Every stated field fits.

    A fingerprint is also compared with all keys that it rests on: a lost CA, intermediate or root, revokes whom it certified. A
    workflow without ``@refs/…`` is revoked at every branch and tag: who can change it can run it at another one.
    """
    if not (signer.fingerprint or signer.issuer or signer.subject):
        return False
    if signer.fingerprint and signer.fingerprint not in {evidence.fingerprint, *evidence.vouched_by, *evidence.authorities}:
        return False
    if signer.issuer and signer.issuer.casefold().rstrip("/") != evidence.issuer.casefold().rstrip("/"):
        return False
    if not signer.subject:
        return True
    subject = evidence.subject.casefold()
    bare = subject.partition(":")[2] if evidence.kind is SignerKind.CERTIFICATE else subject
    return signer.subject.casefold() in {subject, bare, subject.partition("@refs/")[0]}


def _finding(revocation: Revocation, what: str) -> Finding:
    incident = f", {quote(revocation.reference)}" if revocation.reference else ""
    reason = f": {quote(revocation.reason)}" if revocation.reason else ""
    return Finding(
        "",
        Status.FAIL,
        Reason.MODEL_REVOKED,
        f"is revoked {what} in ModelRevocation {revocation.name}{incident}{reason}",
        "use another revision or model; the ModelRevocation says whom to ask",
    )
