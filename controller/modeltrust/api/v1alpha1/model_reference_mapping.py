"""ModelReferenceMapping: teach a workload kind without code. It adds, never silences (attack M6)."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_ATOMIC,
    LIST_SET,
    Reference,
    Status,
    Struct,
    at_least_one,
    cel,
    cel_at_least_one,
    checked,
    list_map,
    unique,
    unique_by,
)
from modeltrust.api.v1alpha1.kind import GROUP, Column, Kind
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, quote

_KUBERNETES = ".k8s.io"  # the API server's own groups have it, or no dot; x-k8s.io is for everybody

JsonPath = Annotated[str, Field(min_length=2, max_length=limits.GLOB_CHARACTERS, pattern=r"^\$[\x20-\x7e]+$")]
KindName = Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS, pattern=r"^[A-Z][A-Za-z0-9]*$")]


def check_group(group: str) -> None:
    """Refuse a group whose kinds no mapping may touch.

    Raises:
        InvalidReferenceError: with what is wrong.
    """
    if "." not in group or group.endswith(_KUBERNETES) or group == GROUP:
        raise InvalidReferenceError(f"got {quote(group)}, expected a group that is not Kubernetes' own and not {GROUP}")


class MappingMatch(Struct):
    """Which kinds."""

    group: Annotated[
        str,
        Field(min_length=3, max_length=limits.API_NAME_CHARACTERS, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        checked(check_group),
    ]
    kinds: Annotated[list[KindName], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET), AfterValidator(unique)]


class ReferenceRow(Struct):
    """Where a reference stands, and how to read it (docs/mappings.md)."""

    path: JsonPath
    role: Literal["Base", "Adapter", "Draft", "Tokenizer", "Code", "Config", "Projector", "Repository", "Image"]
    uri_profile: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS, pattern=r"^[A-Z][A-Za-z0-9]*$")]


class TemplateRow(Struct):
    """Where a Pod template stands."""

    path: JsonPath


class MappingTest(Struct):
    """An object, and every reference that must be found in it; more may be found."""

    object: Annotated[
        dict[str, Any], Field(min_length=1, max_length=64, json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})
    ]
    expect: Annotated[list[Reference], Field(min_length=1, max_length=limits.API_REPORTED, json_schema_extra=LIST_ATOMIC)]


class ModelReferenceMappingSpec(Struct):
    """How to read a kind."""

    match: MappingMatch
    refs: (
        Annotated[
            list[ReferenceRow],
            Field(min_length=1, max_length=limits.API_MAPPING_ENTRIES, json_schema_extra=list_map("path")),
            AfterValidator(unique_by("path")),
        ]
        | None
    ) = None
    pod_templates: (
        Annotated[
            list[TemplateRow],
            Field(min_length=1, max_length=limits.API_MAPPING_ENTRIES, json_schema_extra=list_map("path")),
            AfterValidator(unique_by("path")),
        ]
        | None
    ) = None
    tests: Annotated[list[MappingTest], Field(min_length=1, max_length=limits.API_MAPPING_ENTRIES, json_schema_extra=LIST_ATOMIC)]

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one("refs", "pod_templates")))
    _some = model_validator(mode="after")(at_least_one("refs", "pod_templates"))


class ModelReferenceMappingStatus(Status):
    """Whether its tests hold, and whether the API server asks about its kinds; it decides nothing."""


KIND = Kind(
    name="ModelReferenceMapping",
    plural="modelreferencemappings",
    short="mtmap",
    purpose="Where a kind that is not built in names its models.",
    spec=ModelReferenceMappingSpec,
    status=ModelReferenceMappingStatus,
    columns=(Column("Group", ".spec.match.group"), Column("Kinds", ".spec.match.kinds")),
)
