"""TrustedSigner: whom we believe, about what."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_SET,
    EntryName,
    Fingerprint,
    ModelGlobs,
    Status,
    Struct,
    Time,
    Url,
    at_least_one,
    cel,
    cel_at_least_one,
    cel_exactly_one,
    checked,
    exactly_one,
    list_map,
    problem,
    unique,
    unique_by,
    unix_time,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, quote
from modeltrust.domain.globs import check_glob

# The Fulcio certificate extensions by their documented names; the issuer (.1, .8) is a field of its own. A test compares them with
# what signing.fulcio reads: a claim that is never recorded could never match.
ClaimName = Literal[
    "githubWorkflowTrigger",
    "githubWorkflowSHA",
    "githubWorkflowName",
    "githubWorkflowRepository",
    "githubWorkflowRef",
    "buildSignerURI",
    "buildSignerDigest",
    "runnerEnvironment",
    "sourceRepositoryURI",
    "sourceRepositoryDigest",
    "sourceRepositoryRef",
    "sourceRepositoryIdentifier",
    "sourceRepositoryOwnerURI",
    "sourceRepositoryOwnerIdentifier",
    "buildConfigURI",
    "buildConfigDigest",
    "buildTrigger",
    "runInvocationURI",
    "sourceRepositoryVisibilityAtSigning",
    "deploymentEnvironment",
]

_LITERAL = re.compile(r"[^*/@]")


def check_subject_glob(pattern: str) -> None:
    """Refuse a pattern of stars alone: it would be every identity of the issuer.

    Raises:
        InvalidReferenceError: with what is wrong.
    """
    check_glob(pattern)
    if not _LITERAL.search(pattern):
        raise InvalidReferenceError(f"got {quote(pattern)}, which matches everybody, expected a pattern that names somebody")


def _check_literal(text: str) -> None:
    if "*" in text:
        raise InvalidReferenceError(f'got {quote(text)}, expected an exact value; patterns with "*" go into subjectPattern')


Literally = Annotated[
    str, Field(min_length=1, max_length=limits.API_CLAIM_CHARACTERS, pattern=r"^[!-~]+$"), checked(_check_literal)
]
Claim = Annotated[str, Field(min_length=1, max_length=limits.API_CLAIM_CHARACTERS, pattern=r"^[ -~]+$"), checked(_check_literal)]


class Identity(Struct):
    """A keyless identity; all of its fields must match."""

    name: EntryName
    issuer: Url
    subject: Literally | None = None
    subject_pattern: (
        Annotated[str, Field(min_length=1, max_length=limits.GLOB_CHARACTERS, pattern=r"^[!-~]+$"), checked(check_subject_glob)]
        | None
    ) = None
    claims: Annotated[dict[ClaimName, Claim], Field(min_length=1, max_length=20)] | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("subject", "subject_pattern")))
    _one_subject = model_validator(mode="after")(exactly_one("subject", "subject_pattern"))


class TrustRoot(Struct):
    """The instance that vouches, where it is not the public good one."""

    inline: Annotated[str, Field(min_length=2, max_length=limits.TRUSTED_ROOT_CHARACTERS)]


class Keyless(Struct):
    """Short-lived certificates for identities of an OIDC issuer."""

    identities: Annotated[
        list[Identity],
        Field(min_length=1, max_length=limits.API_IDENTITIES, json_schema_extra=list_map("name")),
        AfterValidator(unique_by("name")),
    ]
    trust_root: TrustRoot | None = None


class PublicKey(Struct):
    """A public key: P-256, P-384 or P-521."""

    pem: Annotated[str, Field(min_length=1, max_length=limits.PEM_CHARACTERS)]


class AlternativeName(Struct):
    """The subject alternative name that the leaf must carry."""

    uri: Literally | None = None
    email: Literally | None = None
    dns: Literally | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("uri", "email", "dns")))
    _one_name = model_validator(mode="after")(exactly_one("uri", "email", "dns"))


class Certificate(Struct):
    """Certificates under explicit roots; the system's roots never count."""

    roots: Annotated[str, Field(min_length=1, max_length=limits.ROOTS_CHARACTERS)]
    subject_alternative_name: AlternativeName
    validity: Literal["AtVerification", "AtSigning"] = "AtVerification"


class Scope(Struct):
    """Which models the signer may speak for."""

    models: ModelGlobs


class Validity(Struct):
    """Judged against the signing time; a signature without a trusted time counts only where nothing is stated here."""

    not_before: Time | None = None
    not_after: Time | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one("not_before", "not_after")))
    _bounded = model_validator(mode="after")(at_least_one("not_before", "not_after"))

    @model_validator(mode="after")
    def _in_order(self) -> "Validity":
        if self.not_before is not None and self.not_after is not None and unix_time(self.not_before) >= unix_time(self.not_after):
            raise problem(f"got {quote(self.not_after)}, expected a time after notBefore", field="notAfter")
        return self


class TrustedSignerSpec(Struct):
    """Whom we believe, about what."""

    purposes: Annotated[
        list[Literal["Author", "Approval"]], Field(min_length=1, max_length=2, json_schema_extra=LIST_SET), AfterValidator(unique)
    ]
    keyless: Keyless | None = None
    public_key: PublicKey | None = None
    certificate: Certificate | None = None
    scope: Scope
    validity: Validity | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("keyless", "public_key", "certificate")))
    _one_trust = model_validator(mode="after")(exactly_one("keyless", "public_key", "certificate"))


class TrustedSignerStatus(Status):
    """What we made of it."""

    fingerprints: Annotated[list[Fingerprint], Field(max_length=limits.API_REPORTED, json_schema_extra=LIST_SET)] | None = None
    models_signed: Annotated[int, Field(ge=0)] | None = None


KIND = Kind(
    name="TrustedSigner",
    plural="trustedsigners",
    short="mtsigner",
    purpose="Whom we believe, about which models.",
    spec=TrustedSignerSpec,
    status=TrustedSignerStatus,
    columns=(Column("Purposes", ".spec.purposes"), Column("Signed", ".status.modelsSigned", "integer")),
    keep_unknown=True,
)
