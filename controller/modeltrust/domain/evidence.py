"""The letter: what is known about one model. ``attestation`` is the envelope around it.

Times are whole seconds since 1970-01-01T00:00:00Z. Facts only, never verdicts under some policy.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.facts import Fact
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity


class Assurance(IntEnum):
    """How closely bytes were compared with what was signed; higher is closer. ``label`` is the word used everywhere."""

    SIGNATURE_ONLY = 1
    SOURCE_DIGESTS = 2
    BYTES_HASHED = 3
    VERIFIED_AT_LOAD = 4

    @property
    def label(self) -> str:
        """``SignatureOnly`` … ``VerifiedAtLoad``."""
        return self.name.title().replace("_", "")

    @classmethod
    def parse(cls, label: str) -> "Assurance":
        """Read a label; KeyError for any other word."""
        return _ASSURANCES[label]


_ASSURANCES = {assurance.label: assurance for assurance in Assurance}


class SignatureForm(StrEnum):
    """What kind of signed document vouches; decides which purposes it can count for."""

    OMS = "oms"  # a signed manifest of the model: counts for every purpose of its signer
    COSIGN = "cosign"  # a signature over an OCI manifest digest: counts like OMS
    APPROVAL = "approval"  # a countersignature about a content digest: counts for Approval only


class SignerKind(StrEnum):
    """How the signer is identified."""

    KEYLESS = "keyless"
    PUBLIC_KEY = "publicKey"
    CERTIFICATE = "certificate"


PUBLIC_GOOD = "PublicGood"  # vouched_by of the default trust root, which changes by itself


@dataclass(frozen=True, slots=True)
class SignatureEvidence:
    """One signature that verifies, as facts; whether it counts today is ``policy.signers``' question.

    Attributes:
        form: what was signed.
        kind: how the signer is identified.
        fingerprint: 64 hex, sha256 of the signing key's DER SubjectPublicKeyInfo (keyless: of the leaf key, information only).
        issuer: OIDC issuer (keyless), else empty.
        subject: the certificate's one subject alternative name (keyless), with its kind in front (certificate: ``uri:…``,
            ``email:…``, ``dns:…``), else empty.
        claims: Fulcio extension names and values (keyless).
        vouched_by: ("PublicGood",) or the sorted key fingerprints of CA, CT log, log and TSA (keyless); of the chain's anchor
            (certificate); empty for a key. Matched live against the signers (H5).
        authorities: sorted key fingerprints of everything that it rests on: CAs of the verified chain up to the anchor, logs,
            timestamp authorities, for the default root too. For revocations only; empty for a key.
        signed_at: trusted signing time, else None (a key or certificate without timestamp proves none).
        assurance: how closely the bytes were compared with this signature's manifest.
        unsigned_paths: files of the model that it does not cover, bounded.
        not_before: certificate only: start of the leaf's validity.
        not_after: certificate: end of the leaf's validity; approval: its expiresAt; else None.
        ticket: approval only.
    """

    form: SignatureForm
    kind: SignerKind
    fingerprint: str
    issuer: str = ""
    subject: str = ""
    claims: tuple[tuple[str, str], ...] = ()
    vouched_by: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    signed_at: int | None = None
    assurance: Assurance = Assurance.SIGNATURE_ONLY
    unsigned_paths: tuple[str, ...] = ()
    not_before: int | None = None
    not_after: int | None = None
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class RejectedSignature:
    """A signature document that was found and does not verify."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """All signature documents of one model: those that verify and those that do not."""

    valid: tuple[SignatureEvidence, ...] = ()
    rejected: tuple[RejectedSignature, ...] = ()


class Severity(StrEnum):
    """Whether a format finding fails or informs."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class FormatFinding:
    """One thing found in one file.

    Attributes:
        path: the file.
        rule: id of the rule, e.g. ``config.auto_map``.
        reason: FormatNotAllowed, MalformedFile, RemoteCode, UnsafeTemplate or LimitExceeded.
        message: one sentence.
        severity: error or warning.
        loadable: whether a loader reads the file (scope Loadable); findings on other files concern the scope Repository only.
    """

    path: str
    rule: str
    reason: Reason
    message: str
    severity: Severity = Severity.ERROR
    loadable: bool = True


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """A format in which the model holds weights.

    Attributes:
        name: ``Safetensors``, ``GGUF``, ``Pickle``, ``ONNX`` …
        files: how many files.
        example: path of one of them.
        loadable: whether any of them is one that a loader would choose.
    """

    name: str
    files: int
    example: str
    loadable: bool


@dataclass(frozen=True, slots=True)
class FormatReport:
    """What is in the model.

    Attributes:
        formats: formats of the weights.
        findings: bounded; errors first.
        rules: version of the rule tables; not compared at admission, an upgrade must not stale everything.
        omitted: findings beyond the bound.
    """

    formats: tuple[WeightFormat, ...]
    findings: tuple[FormatFinding, ...]
    rules: str
    omitted: int = 0


@dataclass(frozen=True, slots=True)
class LineageClaim:
    """A base model that this one names.

    Attributes:
        relation: ``adapter``, ``finetune``, ``quantized``, ``merge`` …
        base: canonical reference text, with ``@revision`` where one is stated; as claimed.
        verified: whether an attested derivation proves it; else it is a claim.
    """

    relation: str
    base: str
    verified: bool = False


class Verdict(StrEnum):
    """How an evaluation ended."""

    PASSED = "Passed"
    WARNED = "Warned"
    FAILED = "Failed"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class EvaluationVerdict:
    """One run of one suite.

    Attributes:
        suite: name of the EvaluationSuite.
        suite_hash: 64 hex over everything that decides (image, prompts, baseline, arguments).
        serving_hash: 64 hex over how the model was served.
        verdict: how it ended.
        claim: the sentence on what was and was not shown.
        finished_at: when the run ended; ages count from here.
        expires_at: when the suite says it must be repeated, else None.
        external: served outside our control; never satisfies an Enforce policy (H15).
        spec_hash: 64 hex over what the EvaluationSuite said that decides; empty of a run by hand, or before there was one.
    """

    suite: str
    suite_hash: str
    serving_hash: str
    verdict: Verdict
    claim: str
    finished_at: int
    expires_at: int | None = None
    external: bool = False
    spec_hash: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything known about one model at one revision, at one time.

    Attributes:
        identity: of what.
        content: the content digest.
        assurance: how the content digest is known: SourceDigests or BytesHashed.
        signatures: Known also when nothing verifies; Absent: no signature document was found.
        formats: the format report.
        lineage: bases that the model names; Known(()) when it names none.
        evaluations: at most one per suite and suite hash, the latest.
        weights: sha256 hex of the weight files, so that a re-packed copy can be revoked.
        audience: UID of the namespace kube-system, or a fleet id.
        serial: grows with every statement about this identity.
        issued_at: when it was signed.
        expires_at: when it ends.
        inputs: 64 hex over what it was verified with and from (``verification.inputs``), so that its renewal knows whether to look
            again; empty where whoever issued it does not renew. Signed, so nobody can make a changed model look unchanged.
    """

    identity: Identity
    content: Fact[ContentDigest]
    assurance: Assurance
    signatures: Fact[SignatureFacts]
    formats: Fact[FormatReport]
    lineage: Fact[tuple[LineageClaim, ...]]
    evaluations: tuple[EvaluationVerdict, ...]
    weights: tuple[str, ...]
    audience: str
    serial: int
    issued_at: int
    expires_at: int
    inputs: str = ""
