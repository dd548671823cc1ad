"""ModelSource: where we may look, and how."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_ATOMIC,
    LIST_SET,
    ModelGlobs,
    Name,
    Positive,
    Status,
    Struct,
    at_least_one,
    cel,
    cel_at_least_one,
    cel_exactly_one,
    checked,
    exactly_one,
    unique,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.domain import limits
from modeltrust.domain.digest import check_path
from modeltrust.domain.errors import InvalidReferenceError, quote

_ENDPOINT = r"^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$"
_ADDRESS = re.compile(r"https://[0-9.]+(:[0-9]+)?")


def check_endpoint(text: str) -> None:
    """Refuse an endpoint written as an address: hosts are what certificates and credentials are bound to.

    Raises:
        InvalidReferenceError: with what is wrong.
    """
    if _ADDRESS.fullmatch(text):
        raise InvalidReferenceError(f"got {quote(text)}, expected a host name")


Authorities = Annotated[str, Field(min_length=1, max_length=limits.ROOTS_CHARACTERS)]  # PEM, instead of the system's
Endpoint = Annotated[str, Field(min_length=9, max_length=limits.API_URL_CHARACTERS, pattern=_ENDPOINT), checked(check_endpoint)]


class Credentials(Struct):
    """A Secret in the release namespace; platform accounts, never a tenant's."""

    secret_name: Name


class SignaturePlace(Struct):
    """Where signatures lie: a file in the model, or a repository of a registry."""

    path: Annotated[str, Field(min_length=1, max_length=limits.PATH_CHARACTERS), checked(check_path)] | None = None
    oci: (
        Annotated[str, Field(min_length=3, max_length=limits.API_URL_CHARACTERS, pattern=r"^[a-z0-9][a-z0-9.:-]*(/[a-z0-9._-]+)+$")]
        | None
    ) = None

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("path", "oci")))
    _one_place = model_validator(mode="after")(exactly_one("path", "oci"))


class Limits(Struct):
    """Bounds on one model."""

    max_bytes: Positive | None = None
    max_files: Annotated[int, Field(ge=1, le=limits.FILES)] | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one("max_bytes", "max_files")))
    _some = model_validator(mode="after")(at_least_one("max_bytes", "max_files"))


class ModelSourceSpec(Struct):
    """Which models come from where."""

    models: ModelGlobs
    type: Literal["HuggingFace", "OCI", "S3", "HTTPS"]
    endpoints: Annotated[list[Endpoint], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET), AfterValidator(unique)]
    credentials: Credentials | None = None
    signatures: (
        Annotated[list[SignaturePlace], Field(min_length=1, max_length=limits.BUNDLES_PER_MODEL, json_schema_extra=LIST_ATOMIC)]
        | None
    ) = None
    limits: Limits | None = None
    ca_bundle: Authorities | None = None
    allow_private_addresses: bool = False  # a registry or bucket inside our network; link-local ones are never contacted


class ModelSourceStatus(Status):
    """Whether it answers."""


KIND = Kind(
    name="ModelSource",
    plural="modelsources",
    short="mtsource",
    purpose="Where models may be looked up, and with which credentials.",
    spec=ModelSourceSpec,
    status=ModelSourceStatus,
    columns=(Column("Type", ".spec.type"), Column("Endpoints", ".spec.endpoints")),
)
