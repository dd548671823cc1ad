"""PolicyExemption: an exception that ends. No wildcards (attack M2)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_SET,
    Name,
    Namespace,
    PinnedReference,
    Status,
    Struct,
    Text,
    Time,
    at_least_one,
    cel,
    cel_at_least_one,
    cel_exactly_one,
    exactly_one,
    list_map,
    unique,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.api.v1alpha1.model_policy import RequirementType
from modeltrust.domain import limits

# Reasons that the judge itself gives, not a requirement. Never ModelRevoked, StatementInvalid or InternalError; nor NoPolicy,
# since what no policy covers, no exemption from a policy covers.
ExemptableReason = Literal[
    "UnresolvedReference",
    "UndeclaredResolver",
    "OpaqueSource",
    "DynamicLoading",
    "NotAttested",
    "AttestationPending",
    "AttestationExpired",
    "EvaluationMissing",
    "LimitExceeded",
    "PolicyInvalid",
]


class Workload(Struct):
    """One workload, exactly."""

    group: Annotated[str, Field(max_length=limits.API_NAME_CHARACTERS, pattern=r"^[a-z0-9.-]*$")]
    kind: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    name: Name


class PolicyExemptionSpec(Struct):
    """Which findings of which policies are excused, for what, until when."""

    policies: Annotated[
        list[Name], Field(min_length=1, max_length=limits.API_EXEMPTED, json_schema_extra=LIST_SET), AfterValidator(unique)
    ]
    namespaces: Annotated[
        list[Namespace], Field(min_length=1, max_length=limits.API_NAMES, json_schema_extra=LIST_SET), AfterValidator(unique)
    ]
    models: (
        Annotated[
            list[PinnedReference],
            Field(min_length=1, max_length=limits.API_EXEMPTED, json_schema_extra=LIST_SET),
            AfterValidator(unique),
        ]
        | None
    ) = None
    workloads: (
        Annotated[
            list[Workload],
            Field(min_length=1, max_length=limits.API_EXEMPTED, json_schema_extra=list_map("group", "kind", "name")),
            AfterValidator(unique),
        ]
        | None
    ) = None
    requirements: (
        Annotated[list[RequirementType], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET), AfterValidator(unique)]
        | None
    ) = None
    reasons: (
        Annotated[list[ExemptableReason], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET), AfterValidator(unique)]
        | None
    ) = None
    justification: Text
    expiration_time: Time

    model_config = ConfigDict(
        json_schema_extra=cel(cel_exactly_one("models", "workloads"), cel_at_least_one("requirements", "reasons"))
    )
    _one_subject = model_validator(mode="after")(exactly_one("models", "workloads"))
    _something = model_validator(mode="after")(at_least_one("requirements", "reasons"))


class PolicyExemptionStatus(Status):
    """How often it was used."""

    used: Annotated[int, Field(ge=0)] | None = None
    last_used_time: Time | None = None


KIND = Kind(
    name="PolicyExemption",
    plural="policyexemptions",
    short="mtexempt",
    purpose="An exception from policies that names its subject and ends by itself.",
    spec=PolicyExemptionSpec,
    status=PolicyExemptionStatus,
    columns=(
        Column("Policies", ".spec.policies"),
        Column("Expires", ".spec.expirationTime"),
        Column("Used", ".status.used", "integer"),
    ),
)
