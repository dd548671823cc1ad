"""ModelRevocation: incident response, additive, not meant for Git. Deny-lists fold case (attack H9)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_ATOMIC,
    LIST_SET,
    Fingerprint,
    ModelGlob,
    Name,
    Sha256,
    Status,
    Struct,
    Text,
    Time,
    Url,
    at_least_one,
    cel,
    cel_at_least_one,
    cel_exactly_one,
    exactly_one,
    unique,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.api.v1alpha1.trusted_signer import Literally
from modeltrust.domain import limits

_LISTS = ("models", "content_digests", "file_digests", "signers")


class RevokedIdentity(Struct):
    """A keyless identity that no longer counts."""

    issuer: Url
    subject: Literally


class RevokedSigner(Struct):
    """A signer that no longer counts: a key, or an identity."""

    fingerprint: Fingerprint | None = None
    identity: RevokedIdentity | None = None
    signed_after: Time | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("fingerprint", "identity")))
    _one_signer = model_validator(mode="after")(exactly_one("fingerprint", "identity"))


Models = Annotated[
    list[ModelGlob], Field(min_length=1, max_length=limits.API_REVOKED, json_schema_extra=LIST_SET), AfterValidator(unique)
]
Digests = Annotated[
    list[Sha256], Field(min_length=1, max_length=limits.API_REVOKED, json_schema_extra=LIST_SET), AfterValidator(unique)
]
Signers = Annotated[list[RevokedSigner], Field(min_length=1, max_length=limits.API_REVOKED, json_schema_extra=LIST_ATOMIC)]


class ModelRevocationSpec(Struct):
    """What no longer runs, and why."""

    models: Models | None = None
    content_digests: Digests | None = None
    file_digests: Digests | None = None
    signers: Signers | None = None
    reason: Text
    reference: Annotated[str, Field(min_length=1, max_length=limits.API_NAME_CHARACTERS, pattern=r"^[!-~]+$")] | None = None
    action: Literal["DenyNew", "Quarantine"]

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one(*_LISTS)))
    _something = model_validator(mode="after")(at_least_one(*_LISTS))


class AffectedWorkload(Struct):
    """What was done to one workload."""

    namespace: Annotated[str, Field(max_length=limits.API_LABEL_CHARACTERS)]
    kind: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS)]
    name: Name
    action: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS)]
    at: Time


class LastGood(Struct):
    """The last revision of a model that is not revoked."""

    model: Annotated[str, Field(min_length=4, max_length=limits.REFERENCE_CHARACTERS)]
    good: Annotated[str, Field(min_length=4, max_length=limits.REFERENCE_CHARACTERS)]


class ModelRevocationStatus(Status):
    """Where it took effect."""

    workloads: Annotated[list[AffectedWorkload], Field(max_length=limits.API_REPORTED, json_schema_extra=LIST_ATOMIC)] | None = None
    last_good: Annotated[list[LastGood], Field(max_length=limits.API_REPORTED, json_schema_extra=LIST_ATOMIC)] | None = None


KIND = Kind(
    name="ModelRevocation",
    plural="modelrevocations",
    short="mtrevoke",
    purpose="Models, contents, files and signers that no longer count, whatever policies say.",
    spec=ModelRevocationSpec,
    status=ModelRevocationStatus,
    columns=(Column("Action", ".spec.action"), Column("Reference", ".spec.reference"), Column("Reason", ".spec.reason", wide=True)),
    keep_unknown=True,  # pruned, a mistyped list would revoke nothing, without a word
)
