"""Signature: enough trusted signers vouch for the model, closely enough.

One alternative must hold. A threshold counts distinct keys or identities (M3): signatures that share a key, or an identity whatever
the branch or tag it ran at, are one signer, however many TrustedSigner objects name it. An alternative that names a missing or
broken signer is disabled, not the policy. Only documentation and images may stay unsigned.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.errors import quote
from modeltrust.domain.evidence import Assurance, SignatureEvidence, SignatureFacts, SignatureForm, SignerKind
from modeltrust.domain.facts import Absent, Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import Purpose, TrustedSigner
from modeltrust.policy.at_load import unverified_at_load
from modeltrust.policy.policy import Attested, LabelSelector, Trust
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.policy.wording import listed

_PASS = (Finding("signature", Status.PASS),)
_AT_LOAD = Assurance.VERIFIED_AT_LOAD
_UNSIGNED_SUFFIXES = (".md", ".rst", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_UNSIGNED_NAMES = frozenset({"LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt", "README", "README.txt"})

# The most helpful reason wins: the further down, the closer the model came to being trusted.
_HELPFUL = (
    Reason.SIGNER_NOT_TRUSTED,
    Reason.SIGNER_OUT_OF_SCOPE,
    Reason.SIGNER_EXPIRED,
    Reason.ASSURANCE_TOO_LOW,
    Reason.UNSIGNED_FILES,
    Reason.THRESHOLD_NOT_MET,
)
_RANK = {reason: rank for rank, reason in enumerate(_HELPFUL)}


def may_stay_unsigned(path: str) -> bool:
    """Whether a policy may name this path in ``unsignedPaths``: documentation and images, which no loader reads.

    ``.txt`` is not among them: merges.txt and vocab.txt are tokenizers.
    """
    name = path.rpartition("/")[2]
    return name in _UNSIGNED_NAMES or (name.lower().endswith(_UNSIGNED_SUFFIXES) and not name.startswith("."))


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to satisfy the requirement.

    Attributes:
        purpose: in which the signers must be trusted.
        signers: names of TrustedSigner objects.
        selector: over the labels of TrustedSigner objects, besides the names.
        threshold: how many distinct signers; values below one count as one.
    """

    purpose: Purpose
    signers: tuple[str, ...] = ()
    selector: LabelSelector | None = None
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class Signature:
    """Enough trusted signers vouch for the model.

    Attributes:
        any_of: alternatives, one of which must hold; empty is never satisfied.
        minimum_assurance: how closely the bytes must have been compared with each signature that counts.
        unsigned_paths: exact paths that a signature need not cover.
    """

    any_of: tuple[Alternative, ...]
    minimum_assurance: Assurance = Assurance.SOURCE_DIGESTS
    unsigned_paths: tuple[str, ...] = ()
    name: ClassVar[str] = "signature"

    def check(self, subject: Attested, trust: Trust) -> tuple[Finding, ...]:
        """Pass, or the reason that helps most."""
        unverified = unverified_at_load(subject) if self.minimum_assurance is _AT_LOAD else ""
        if unverified:
            fix = "let an init container download it into an emptyDir that every later container mounts read-only"
            return (Finding("signature", Status.FAIL, Reason.ASSURANCE_TOO_LOW, unverified, fix),)
        facts = subject.statement.signatures
        if isinstance(facts, Known):
            return self._check_facts(facts.value, subject, trust)
        if isinstance(facts, Absent):
            return _fail(Reason.UNSIGNED, "is signed by nobody")
        return (Finding("signature", Status.ERROR, Reason.UNSIGNED, f"has signatures that could not be looked up: {facts.why}"),)

    def _check_facts(self, facts: SignatureFacts, subject: Attested, trust: Trust) -> tuple[Finding, ...]:
        if not facts.valid:
            return _nothing_valid(facts)
        failures: list[NotCounted] = []
        for alternative in self.any_of:
            failure = self._failure(alternative, facts.valid, subject.statement.identity.key, trust)
            if failure is None:
                return _PASS
            failures.append(failure)
        if not failures:
            return _fail(Reason.SIGNER_NOT_TRUSTED, "the policy names no signer that could satisfy it")
        best = max(failures, key=_helpfulness)
        return _fail(best.reason, best.message)

    def _failure(
        self, alternative: Alternative, valid: tuple[SignatureEvidence, ...], reference: str, trust: Trust
    ) -> NotCounted | None:
        """None where the alternative holds, else why not."""
        signers = _signers(alternative, trust)
        if isinstance(signers, NotCounted):
            return signers
        counted: list[SignatureEvidence] = []
        failures: list[NotCounted] = []
        for evidence in valid:
            failure = self._uncounted(evidence, alternative.purpose, signers, reference, trust.now)
            if failure is not None:
                failures.append(failure)
            elif alternative.threshold <= 1:
                return None
            else:
                counted.append(evidence)
        if not counted:
            return max(failures, key=_helpfulness)
        distinct = distinct_signers(counted)
        if distinct >= alternative.threshold:
            return None
        return NotCounted(Reason.THRESHOLD_NOT_MET, f"has {distinct} distinct signers that count, expected {alternative.threshold}")

    def _uncounted(
        self, evidence: SignatureEvidence, purpose: Purpose, signers: Iterable[TrustedSigner], reference: str, now: int
    ) -> NotCounted | None:
        """None where one signature counts for one of the signers, else the most helpful reason."""
        best: NotCounted | None = None
        for signer in signers:
            result = match(evidence, signer, reference, now)
            if isinstance(result, Counted) and purpose not in result.purposes:
                result = _of_other_purpose(evidence, result, purpose)
            if isinstance(result, Counted):
                # VerifiedAtLoad is never stated: the Pod compares its bytes with the content, which must be what was signed.
                minimum = Assurance.SOURCE_DIGESTS if self.minimum_assurance is _AT_LOAD else self.minimum_assurance
                if evidence.assurance >= minimum and not evidence.unsigned_paths:
                    return None
                return too_loose(evidence, minimum=minimum, unsigned_paths=self.unsigned_paths)
            best = result if best is None else max(best, result, key=_helpfulness)
        return best or NotCounted(Reason.SIGNER_NOT_TRUSTED, "no signer is trusted here")


def too_loose(evidence: SignatureEvidence, *, minimum: Assurance, unsigned_paths: Iterable[str]) -> NotCounted | None:
    """Why a trusted signature does not vouch for enough of the bytes; None where it does.

    Args:
        evidence: of the signature.
        minimum: how closely the bytes must have been compared with it.
        unsigned_paths: exact paths that it need not cover, as far as they may stay unsigned at all.
    """
    if evidence.assurance < minimum:
        return NotCounted(Reason.ASSURANCE_TOO_LOW, f"has assurance {evidence.assurance.label}, expected at least {minimum.label}")
    # Checked again here: a policy that slipped past the compiler must not leave weights unsigned.
    excused = {path for path in unsigned_paths if may_stay_unsigned(path)}
    uncovered = [path for path in evidence.unsigned_paths if path not in excused]
    if uncovered:
        return NotCounted(Reason.UNSIGNED_FILES, f"has files that the signature does not cover: {listed(uncovered, quoted=True)}")
    return None


def _of_other_purpose(evidence: SignatureEvidence, counted: Counted, purpose: Purpose) -> NotCounted:
    what = "an approval" if evidence.form is SignatureForm.APPROVAL else "a signature"
    return NotCounted(Reason.SIGNER_NOT_TRUSTED, f"is {what} by {counted.signer}, which does not count for purpose {purpose.value}")


def _signers(alternative: Alternative, trust: Trust) -> tuple[TrustedSigner, ...] | NotCounted:
    """The signers of an alternative; a missing or broken one disables it, an alternative without any is never satisfied."""
    named, known = [], trust.signers
    for name in alternative.signers:
        signer = known.get(name)
        if signer is None:
            why = trust.broken_signers.get(name)
            problem = "does not exist" if why is None else f"cannot be used: {why}"
            return NotCounted(Reason.SIGNER_NOT_TRUSTED, f"the TrustedSigner {quote(name)} {problem}")
        named.append(signer)
    if alternative.selector is not None:
        named += [signer for signer in trust.signers.values() if alternative.selector.matches(dict(signer.labels))]
    return tuple(named) or NotCounted(Reason.SIGNER_NOT_TRUSTED, "no TrustedSigner is selected")


def distinct_signers(counted: Iterable[SignatureEvidence]) -> int:
    """How many different signers made these signatures: groups that share no key and no identity."""
    groups: list[set[tuple[str, str]]] = []
    for evidence in counted:
        merged = _marks(evidence)
        apart = []
        for group in groups:
            if group.isdisjoint(merged):
                apart.append(group)
            else:
                merged |= group
        groups = [*apart, merged]
    return len(groups)


def _marks(evidence: SignatureEvidence) -> set[tuple[str, str]]:
    # The leaf key of a keyless signature is fresh every time and tells nothing about who signed.
    marks = set() if evidence.kind is SignerKind.KEYLESS else {("key", evidence.fingerprint)}
    if evidence.kind is not SignerKind.PUBLIC_KEY:
        # One workflow at two tags is one signer.
        marks.add((f"identity {evidence.issuer}", evidence.subject.partition("@refs/")[0].casefold()))
    return marks


def _nothing_valid(facts: SignatureFacts) -> tuple[Finding, ...]:
    if not facts.rejected:
        return _fail(Reason.UNSIGNED, "is signed by nobody")
    first = facts.rejected[0]
    more = f" (and {len(facts.rejected) - 1} more)" if len(facts.rejected) > 1 else ""
    return _fail(first.reason, f"has a signature that does not verify: {first.message}{more}")


def _helpfulness(failure: NotCounted) -> int:
    return _RANK.get(failure.reason, 0)


def _fail(reason: Reason, message: str) -> tuple[Finding, ...]:
    return (Finding("signature", Status.FAIL, reason, message, _FIXES.get(reason, "")),)


_FIXES = {
    Reason.UNSIGNED: "sign it with modeltrust sign, or ask for an approval",
    Reason.SIGNATURE_INVALID: "sign the files as they are now, or restore the signed ones",
    Reason.SIGNER_NOT_TRUSTED: "sign with a trusted identity, or ask for an approval",
    Reason.SIGNER_OUT_OF_SCOPE: "use a signer of this model's publisher, or ask for an approval",
    Reason.SIGNER_EXPIRED: "sign again with a current key, or ask for an approval",
    Reason.THRESHOLD_NOT_MET: "collect signatures of further signers",
    Reason.ASSURANCE_TOO_LOW: "have it verified with that assurance; modeltrust attest hashes every byte of a local copy",
    Reason.UNSIGNED_FILES: "sign again without leaving files out",
}
