"""The one table of reasons: what a denial, a condition, a metric, an event, the command line and SARIF all say.

docs/requirements.md is generated from it (``make generate``).
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something is not admitted, or not fully. Stable: other people's scripts match on these words."""

    UNPINNED_REFERENCE = "UnpinnedReference"
    UNRESOLVED_REFERENCE = "UnresolvedReference"
    UNDECLARED_RESOLVER = "UndeclaredResolver"
    SOURCE_NOT_ALLOWED = "SourceNotAllowed"
    NOT_ATTESTED = "NotAttested"
    ATTESTATION_PENDING = "AttestationPending"
    ATTESTATION_EXPIRED = "AttestationExpired"
    STATEMENT_INVALID = "StatementInvalid"
    UNSIGNED = "Unsigned"
    SIGNATURE_INVALID = "SignatureInvalid"
    SIGNER_NOT_TRUSTED = "SignerNotTrusted"
    SIGNER_OUT_OF_SCOPE = "SignerOutOfScope"
    SIGNER_EXPIRED = "SignerExpired"
    THRESHOLD_NOT_MET = "ThresholdNotMet"
    ASSURANCE_TOO_LOW = "AssuranceTooLow"
    UNSIGNED_FILES = "UnsignedFiles"
    FORMAT_NOT_ALLOWED = "FormatNotAllowed"
    MALFORMED_FILE = "MalformedFile"
    REMOTE_CODE = "RemoteCode"
    UNSAFE_TEMPLATE = "UnsafeTemplate"
    BASE_NOT_ATTESTED = "BaseNotAttested"
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    EVALUATION_MISSING = "EvaluationMissing"
    EVALUATION_FAILED = "EvaluationFailed"
    EVALUATION_INCONCLUSIVE = "EvaluationInconclusive"
    EVALUATION_EXPIRED = "EvaluationExpired"
    MODEL_REVOKED = "ModelRevoked"
    OPAQUE_SOURCE = "OpaqueSource"
    DYNAMIC_LOADING = "DynamicLoading"
    NO_POLICY = "NoPolicy"
    POLICY_INVALID = "PolicyInvalid"
    LIMIT_EXCEEDED = "LimitExceeded"
    INTERNAL_ERROR = "InternalError"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One row of the table: sentences for people."""

    meaning: str
    cause: str
    fix: str


EXPLANATIONS: dict[Reason, Explanation] = {
    Reason.UNPINNED_REFERENCE: Explanation(
        "The reference names something that can change after it was checked.",
        "A branch, a tag or no revision at all where a 40-hex commit or a sha256 digest is needed.",
        "Name the immutable revision, in the kind's own grammar; the message shows how.",
    ),
    Reason.UNRESOLVED_REFERENCE: Explanation(
        "The workload loads something that cannot be named from the manifest.",
        "A computed value, a Secret, a local path nobody fills, a program that cannot be read.",
        "State the model literally, or declare it with the annotation modeltrust.dev/models where the policy allows that.",
    ),
    Reason.UNDECLARED_RESOLVER: Explanation(
        "It cannot be known which server turns the reference into bytes.",
        "An endpoint, proxy, certificate or redirect variable that is not literal, or envFrom that may hold one.",
        "State HF_ENDPOINT (or the variable named in the message) literally; an explicit entry wins over envFrom.",
    ),
    Reason.SOURCE_NOT_ALLOWED: Explanation(
        "The policy does not allow models from this place.",
        "No pattern of the requirement Sources matches the reference.",
        "Use an allowed source, or ask the platform team to add the pattern.",
    ),
    Reason.NOT_ATTESTED: Explanation(
        "There is no statement about this model at this revision, and none is asked for automatically.",
        "The reference fails a requirement that is decided before any evidence is gathered.",
        "Mend the other problems first; then a ModelAttestation is requested, or create one.",
    ),
    Reason.ATTESTATION_PENDING: Explanation(
        "Verification of this model has been asked for and is not finished.",
        "The model was not seen before at this revision.",
        "Wait: controllers retry by themselves. `kubectl get modelattestations` shows the progress.",
    ),
    Reason.ATTESTATION_EXPIRED: Explanation(
        "The statement about this model is too old.",
        "Renewal has stopped, or a statement was copied from elsewhere.",
        "Ask the platform team why the operator does not renew it; the policy may grant a grace period.",
    ),
    Reason.STATEMENT_INVALID: Explanation(
        "A statement exists and does not verify.",
        "Wrong key, audience, scope, type or content; or somebody wrote the status by hand.",
        "Delete the statement and have the model verified again; if it recurs, treat it as an attack.",
    ),
    Reason.UNSIGNED: Explanation(
        "Nobody signed this model.",
        "No signature was found beside the model or in the evidence.",
        "Sign it with `modeltrust sign`, or ask for an approval with `modeltrust approve`.",
    ),
    Reason.SIGNATURE_INVALID: Explanation(
        "A signature is there and does not verify.",
        "The files differ from the signed ones, or the bundle is malformed or forged.",
        "Compare the files with the signed manifest using `modeltrust verify`; sign again if the change was yours.",
    ),
    Reason.SIGNER_NOT_TRUSTED: Explanation(
        "The signature is good and its signer is not one that this policy trusts.",
        "The key or identity matches no TrustedSigner that the requirement names.",
        "Sign with a trusted identity, or ask for an approval.",
    ),
    Reason.SIGNER_OUT_OF_SCOPE: Explanation(
        "The signer is trusted, but not for this model.",
        "The scope of the TrustedSigner does not match the reference.",
        "Ask the platform team to widen the scope, or use a signer of this model's publisher.",
    ),
    Reason.SIGNER_EXPIRED: Explanation(
        "The signature was made outside the time in which its signer is trusted.",
        "The validity of the TrustedSigner, a certificate or a trust root entry does not cover the signing time.",
        "Sign again with a current key.",
    ),
    Reason.THRESHOLD_NOT_MET: Explanation(
        "Fewer distinct trusted signers signed than the policy demands.",
        "Signatures are missing, or several were made by one key or identity.",
        "Collect signatures of further signers.",
    ),
    Reason.ASSURANCE_TOO_LOW: Explanation(
        "The bytes were not compared as closely as the policy demands.",
        "The source states no digests, or no worker hashed the bytes, or nothing verifies them when they are loaded.",
        "Have the model verified with the assurance that the message names.",
    ),
    Reason.UNSIGNED_FILES: Explanation(
        "The model holds files that the signature does not cover.",
        "Files were added after signing, or the signer ignored them.",
        "Remove them or sign again without ignoring them.",
    ),
    Reason.FORMAT_NOT_ALLOWED: Explanation(
        "The model holds a file of a kind that the policy does not allow.",
        "Pickle, native code, an archive, an unknown extension, or weights in another format.",
        "Convert the weights to safetensors and remove the file.",
    ),
    Reason.MALFORMED_FILE: Explanation(
        "A file is not what its name says, or two readers would read it differently.",
        "Damage, a polyglot, duplicate keys, trailing bytes.",
        "Write the file again with the format's own library.",
    ),
    Reason.REMOTE_CODE: Explanation(
        "The model makes its loader run code or load another repository.",
        "auto_map, trust_remote_code, a kernel id, a Python file, or a server flag that allows them.",
        "Use a model class of the library and remove the key or file.",
    ),
    Reason.UNSAFE_TEMPLATE: Explanation(
        "A chat template does more than arrange messages.",
        "It reaches for Python attributes, includes files, or hides instructions behind a condition.",
        "Use the template of the base model.",
    ),
    Reason.BASE_NOT_ATTESTED: Explanation(
        "The model derives from one that is not attested.",
        "An adapter, draft or fine-tune names a base without a valid statement, or none can be proved.",
        "Have the base model attested at its revision first.",
    ),
    Reason.IMAGE_NOT_ALLOWED: Explanation(
        "The serving image is not one that the policy allows.",
        "The image matches no pattern, or is not pinned by digest.",
        "Use an allowed image by digest.",
    ),
    Reason.EVALUATION_MISSING: Explanation(
        "A required evaluation has not been run for this model yet.",
        "The suite is still running, or was added after the model was attested.",
        "Wait for the evaluation; `kubectl describe modelattestation` shows its state.",
    ),
    Reason.EVALUATION_FAILED: Explanation(
        "The model's behaviour changed under a trigger.",
        "A required suite ended in the verdict Failed.",
        "Do not deploy it; read the report and talk to the publisher.",
    ),
    Reason.EVALUATION_INCONCLUSIVE: Explanation(
        "A required suite could not decide.",
        "Too little power, a failed self-test, or an engine that does not repeat itself.",
        "Run it again with the settings that the report proposes.",
    ),
    Reason.EVALUATION_EXPIRED: Explanation(
        "A required evaluation is older than the policy accepts.",
        "The age counts from the run.",
        "Run the suite again.",
    ),
    Reason.MODEL_REVOKED: Explanation(
        "This model, its content or its signer has been revoked.",
        "An incident response; the ModelRevocation names it.",
        "Use another revision or model; the ModelRevocation says whom to ask.",
    ),
    Reason.OPAQUE_SOURCE: Explanation(
        "The model comes from a volume or driver whose content cannot be known.",
        "hostPath, an unknown CSI driver, a PVC that nothing here fills.",
        "Load the model from a source that can be attested, or verify it at load.",
    ),
    Reason.DYNAMIC_LOADING: Explanation(
        "The server can load further models after admission.",
        "A flag or variable enables it.",
        "Remove the flag or variable that the message names.",
    ),
    Reason.NO_POLICY: Explanation(
        "No enforcing policy covers this model in this namespace.",
        "The namespace or the model matches no ModelPolicy.",
        "Ask the platform team for a policy.",
    ),
    Reason.POLICY_INVALID: Explanation(
        "A policy that may apply here cannot be understood, so it denies.",
        "A field of the ModelPolicy is wrong; its conditions say which.",
        "Mend the policy.",
    ),
    Reason.LIMIT_EXCEEDED: Explanation(
        "The object or file is larger or more involved than can be judged.",
        "A bound on bytes, steps or counts was reached; the message names it.",
        "Simplify the object.",
    ),
    Reason.INTERNAL_ERROR: Explanation(
        "modeltrust failed.",
        "A bug; the id in the message is in the log.",
        "Report it with the id.",
    ),
}
