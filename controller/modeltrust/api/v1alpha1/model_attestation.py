"""ModelAttestation: one model at one revision; the evidence supplied, and what we found."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_ATOMIC,
    EntryName,
    Fingerprint,
    Name,
    Reference,
    Sha256,
    Status,
    Struct,
    Time,
    cel,
    cel_exactly_one,
    exactly_one,
    list_map,
    problem,
    unique_by,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.domain.reference import RevisionState, parse_reference

_NEW, _OLD = "self.contentDigest", "oldSelf.contentDigest"
Count = Annotated[int, Field(ge=0)]
Word = Annotated[str, Field(max_length=limits.API_LABEL_CHARACTERS)]
Sentence = Annotated[str, Field(max_length=limits.API_TEXT_CHARACTERS)]


class Bundle(Struct):
    """A signed document: its JSON text, or where a registry keeps it, by digest."""

    inline: Annotated[str, Field(min_length=2, max_length=limits.STATEMENT_BYTES)] | None = None
    oci: (
        Annotated[
            str,
            Field(min_length=75, max_length=limits.REFERENCE_CHARACTERS, pattern=r"^[a-z0-9][a-z0-9.:/_-]*@sha256:[0-9a-f]{64}$"),
        ]
        | None
    ) = None

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("inline", "oci")))
    _one_place = model_validator(mode="after")(exactly_one("inline", "oci"))


class Evidence(Struct):
    """An OMS bundle, an approval, or a statement by another attestor; worth exactly what its signatures are worth."""

    name: EntryName
    bundle: Bundle


class ModelAttestationSpec(Struct):
    """Of which model; immutable. Evidence may be added later."""

    model: Reference
    content_digest: Sha256 | None = None
    evidence: (
        Annotated[
            list[Evidence],
            Field(min_length=1, max_length=limits.API_EVIDENCE, json_schema_extra=list_map("name")),
            AfterValidator(unique_by("name")),
        ]
        | None
    ) = None

    # On the object, not on the fields: a transition rule on an optional field is skipped when the field comes or goes.
    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.model == oldSelf.model", "model is immutable"),
            ("has(self.contentDigest) == has(oldSelf.contentDigest)", "contentDigest is immutable"),
            (f"!has({_NEW}) || !has({_OLD}) || {_NEW} == {_OLD}", "contentDigest is immutable"),
            (
                "has(self.contentDigest) != self.model.contains('@')",
                "exactly one of a revision in model and contentDigest is required",
            ),
        )
    )

    @model_validator(mode="after")
    def _pinned(self) -> "ModelAttestationSpec":
        revision = parse_reference(self.model)[1]
        if self.content_digest is None and not revision.immutable:
            raise problem(f"got {quote(self.model)}, expected @ and a 40-hex commit or sha256 digest", field="model")
        if self.content_digest is not None and revision.state is not RevisionState.NONE:
            raise problem("got it beside a revision, expected one of them", field="contentDigest")
        return self


class Files(Struct):
    """How many files, how large, in which formats."""

    count: Count
    bytes: Count
    formats: Annotated[list[Word], Field(max_length=16, json_schema_extra=LIST_ATOMIC)]


class FoundSignature(Struct):
    """One signature that was found."""

    kind: Word
    fingerprint: Fingerprint | None = None
    issuer: Annotated[str, Field(max_length=limits.API_URL_CHARACTERS)] | None = None
    subject: Annotated[str, Field(max_length=limits.API_CLAIM_CHARACTERS)] | None = None
    signed_at: Time | None = None
    reason: Word
    message: Sentence | None = None


class FormatFinding(Struct):
    """One thing found in one file."""

    path: Annotated[str, Field(max_length=limits.PATH_CHARACTERS)]
    rule: Word
    reason: Word
    message: Sentence


class Base(Struct):
    """A base model that this one names."""

    relation: Word
    base: Annotated[str, Field(max_length=limits.REFERENCE_CHARACTERS)]
    verified: bool


class SuiteVerdict(Struct):
    """How one suite ended."""

    suite: Name
    verdict: Literal["Passed", "Warned", "Failed", "Inconclusive"]
    claim: Sentence
    finished_at: Time
    expires_at: Time | None = None


class SuiteRun(Struct):
    """The runs of one suite so far; the commitment is written before a run starts, so that no nonce is chosen for its result."""

    suite: Name
    suite_hash: Annotated[str, Field(max_length=64, pattern=r"^([0-9a-f]{64})?$")] = ""
    number: Count
    commitment: Annotated[str, Field(max_length=64, pattern=r"^([0-9a-f]{64})?$")] = ""
    state: Literal["Committed", "Running", "Decided", "Blocked"]
    message: Annotated[str, Field(max_length=limits.API_TEXT_CHARACTERS)] = ""
    time: Time


class PolicyOutcome(Struct):
    """What one policy would say, for people."""

    name: Name
    outcome: Literal["Admit", "Warn", "Pending", "Error", "Deny"]
    reasons: Annotated[list[Word], Field(max_length=limits.DENIAL_PROBLEMS, json_schema_extra=LIST_ATOMIC)]


class Usage(Struct):
    """How many workloads load it."""

    workloads: Count
    last_seen_time: Time | None = None


class ModelAttestationStatus(Status):
    """What we found; only ``statement`` counts for admission."""

    content_digest: Sha256 | None = None
    files: Files | None = None
    assurance: Literal["SignatureOnly", "SourceDigests", "BytesHashed", "VerifiedAtLoad"] | None = None
    signatures: (
        Annotated[list[FoundSignature], Field(max_length=limits.SIGNATURES_PER_STATEMENT, json_schema_extra=LIST_ATOMIC)] | None
    ) = None
    format_findings: Annotated[list[FormatFinding], Field(max_length=limits.API_REPORTED, json_schema_extra=LIST_ATOMIC)] | None = (
        None
    )
    lineage: Annotated[list[Base], Field(max_length=limits.API_REPORTED, json_schema_extra=LIST_ATOMIC)] | None = None
    evaluations: (
        Annotated[list[SuiteVerdict], Field(max_length=limits.EVALUATIONS_PER_STATEMENT, json_schema_extra=LIST_ATOMIC)] | None
    ) = None
    evaluation_runs: (
        Annotated[list[SuiteRun], Field(max_length=limits.API_REPORTED, json_schema_extra=list_map("suite"))] | None
    ) = None
    usage: Usage | None = None
    policies: Annotated[list[PolicyOutcome], Field(max_length=limits.API_REPORTED, json_schema_extra=list_map("name"))] | None = (
        None
    )
    statement: Annotated[str, Field(max_length=limits.STATEMENT_BYTES)] | None = None


KIND = Kind(
    name="ModelAttestation",
    plural="modelattestations",
    short="mtattest",
    purpose="One model at one revision: the evidence supplied, and what was found.",
    spec=ModelAttestationSpec,
    status=ModelAttestationStatus,
    columns=(
        Column("Model", ".spec.model"),
        Column("Assurance", ".status.assurance"),
        Column("Digest", ".status.contentDigest", wide=True),
    ),
)
