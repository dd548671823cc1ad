"""ModelPolicy: what we require."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_ATOMIC,
    LIST_SET,
    PREFIX,
    ModelGlobs,
    NamedObject,
    Namespace,
    Selector,
    Status,
    Struct,
    Time,
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
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.domain import limits
from modeltrust.domain.digest import check_path
from modeltrust.domain.errors import InvalidReferenceError, quote
from modeltrust.domain.globs import check_glob
from modeltrust.policy.requirements.signature import may_stay_unsigned

RequirementType = Literal["Pinned", "Sources", "Signature", "Formats", "ServingImage", "Lineage", "Evaluation"]
# Every name that formats/rows/files.yaml gives to weights; a test compares them.
FormatName = Literal[
    "CoreML",
    "ExecuTorch",
    "Flax",
    "GGML",
    "GGUF",
    "Keras",
    "Llamafile",
    "MXNet",
    "NeMo",
    "NumPy",
    "ONNX",
    "OpenVINO",
    "PMML",
    "Paddle",
    "Pickle",
    "RDS",
    "RKNN",
    "Safetensors",
    "Skops",
    "TFLite",
    "TensorFlow",
    "TensorRT",
]

_IMAGE = re.compile(r"[A-Za-z0-9._:/@*-]+")


def check_document_path(path: str) -> None:
    """Refuse a path that names anything but documentation and images: an unsigned file must not be one that is loaded.

    Raises:
        InvalidReferenceError: it may not stay unsigned, or it is a pattern.
        MalformedError: it is no canonical path.
    """
    check_path(path)
    if "*" in path or not may_stay_unsigned(path):
        raise InvalidReferenceError(f"got {quote(path)}, expected the exact path of documentation or of an image")


def check_image_glob(pattern: str) -> None:
    """Refuse a pattern that no image reference can match.

    Raises:
        InvalidReferenceError: with what is wrong.
    """
    check_glob(pattern)
    if not _IMAGE.fullmatch(pattern) or "://" in pattern:
        raise InvalidReferenceError(f'got {quote(pattern)}, expected an image such as "registry.acme.example/vllm@sha256:*"')


def _guarded(member: str, over: str) -> tuple[str, str]:
    chosen = f"self.selector.{member}"
    absent = f"!has(self.selector) || !has({chosen})"
    return (
        f"{absent} || {chosen}.all(e, {over}.startsWith('{PREFIX}'))",
        f"labels must begin with {PREFIX}, since those are guarded",
    )


_GUARDED = (_guarded("matchLabels", "e"), _guarded("matchExpressions", "e.key"))


class Namespaces(Struct):
    """Which namespaces: named, or by labels with our own, guarded prefix; either is enough."""

    names: (
        Annotated[
            list[Namespace], Field(min_length=1, max_length=limits.API_NAMES, json_schema_extra=LIST_SET), AfterValidator(unique)
        ]
        | None
    ) = None
    selector: Selector | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one("names", "selector"), *_GUARDED))
    _some = model_validator(mode="after")(at_least_one("names", "selector"))

    @model_validator(mode="after")
    def _guarded_labels(self) -> "Namespaces":
        for key in self.selector.keys() if self.selector is not None else ():
            if not key.startswith(PREFIX):
                raise problem(f"got label {quote(key)}, expected one that begins with {PREFIX} (guarded)", field="selector")
        return self


class Match(Struct):
    """What the policy covers: pairs of namespace and reference."""

    namespaces: Namespaces | None = None
    cluster_scoped: bool = False
    models: ModelGlobs

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "has(self.namespaces) || (has(self.clusterScoped) && self.clusterScoped)",
                "namespaces or clusterScoped: true is required",
            )
        )
    )

    @model_validator(mode="after")
    def _not_empty(self) -> "Match":
        if self.namespaces is None and not self.cluster_scoped:
            raise problem("got nothing, expected names or a selector, or clusterScoped: true", field="namespaces")
        return self


class Sources(Struct):
    """Where models may come from."""

    allowed: ModelGlobs


class Alternative(Struct):
    """One way to satisfy the requirement: enough distinct signers with this purpose."""

    purpose: Literal["Author", "Approval"]
    signers: (
        Annotated[
            list[NamedObject],
            Field(min_length=1, max_length=limits.API_SIGNERS, json_schema_extra=list_map("name")),
            AfterValidator(unique_by("name")),
        ]
        | None
    ) = None
    signer_selector: Selector | None = None
    threshold: Annotated[int, Field(ge=1, le=limits.API_THRESHOLD)] = 1

    model_config = ConfigDict(json_schema_extra=cel(cel_exactly_one("signers", "signer_selector")))
    _one_choice = model_validator(mode="after")(exactly_one("signers", "signer_selector"))


class Signature(Struct):
    """Who must have signed, and how closely bytes were compared with what was signed."""

    any_of: Annotated[list[Alternative], Field(min_length=1, max_length=limits.API_ALTERNATIVES, json_schema_extra=LIST_ATOMIC)]
    minimum_assurance: Literal["SignatureOnly", "SourceDigests", "BytesHashed", "VerifiedAtLoad"] = "SourceDigests"
    unsigned_paths: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=limits.PATH_CHARACTERS), checked(check_document_path)]],
            Field(min_length=1, max_length=limits.API_UNSIGNED_PATHS, json_schema_extra=LIST_SET),
            AfterValidator(unique),
        ]
        | None
    ) = None


class Formats(Struct):
    """What may be in the model."""

    allowed: Annotated[list[FormatName], Field(min_length=1, max_length=32, json_schema_extra=LIST_SET), AfterValidator(unique)]
    remote_code: Literal["Deny", "Allow"] = "Deny"
    templates: Literal["Safe", "Any"] = "Safe"
    scope: Literal["Repository", "Loadable"] = "Repository"


class ServingImage(Struct):
    """Which images may serve where an accelerator is asked for."""

    allowed: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=limits.GLOB_CHARACTERS), checked(check_image_glob)]],
        Field(min_length=1, max_length=limits.API_GLOBS, json_schema_extra=LIST_SET),
        AfterValidator(unique),
    ]


class Lineage(Struct):
    """What must be known about base models."""

    base: Literal["Attested"]


class Evaluation(Struct):
    """Which suites must have passed."""

    suites: Annotated[
        list[NamedObject],
        Field(min_length=1, max_length=limits.API_SUITES, json_schema_extra=list_map("name")),
        AfterValidator(unique_by("name")),
    ]
    max_age_seconds: Annotated[int, Field(ge=60, le=limits.MAX_AGE_SECONDS)] | None = None
    inconclusive: Literal["Deny", "Warn"] = "Deny"


MEMBERS: dict[str, str | None] = {
    "Pinned": None,
    "Sources": "sources",
    "Signature": "signature",
    "Formats": "formats",
    "ServingImage": "servingImage",
    "Lineage": "lineage",
    "Evaluation": "evaluation",
}


def _member_rules() -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"has(self.{member}) == (self.type == '{name}')", f"{member} is required for type {name}, and for no other")
        for name, member in MEMBERS.items()
        if member is not None
    )


class Requirement(Struct):
    """One typed entry: its type, and the one member of that name."""

    type: RequirementType
    sources: Sources | None = None
    signature: Signature | None = None
    formats: Formats | None = None
    serving_image: ServingImage | None = None
    lineage: Lineage | None = None
    evaluation: Evaluation | None = None

    model_config = ConfigDict(json_schema_extra=cel(*_member_rules()))

    @model_validator(mode="after")
    def _member_matches(self) -> "Requirement":
        for name, member in MEMBERS.items():
            if member is None:
                continue
            present = getattr(self, "serving_image" if member == "servingImage" else member) is not None
            if present and name != self.type:
                raise problem(f"got it in an entry of type {self.type}, expected it with type {name} only", field=member)
            if not present and name == self.type:
                raise problem(f"got nothing, expected it with type {name}", field=member)
        return self


class ModelPolicySpec(Struct):
    """What we require, of what, and what follows."""

    mode: Literal["Enforce", "Warn", "Audit"]
    enforce_after_time: Time | None = None
    match: Match
    pending: Literal["Deny", "Warn"] = "Deny"
    unresolved: Literal["Deny", "AllowDeclared", "Warn"] = "Deny"
    expired_grace_seconds: Annotated[int, Field(ge=0, le=limits.GRACE_SECONDS)] = 0
    contact: Annotated[str, Field(min_length=1, max_length=limits.API_NAME_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = (
        None
    )
    requirements: Annotated[
        list[Requirement],
        Field(min_length=1, max_length=len(MEMBERS), json_schema_extra=list_map("type")),
        AfterValidator(unique_by("type")),
    ]

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("!has(self.enforceAfterTime) || self.mode == 'Enforce'", "enforceAfterTime needs mode Enforce"),
        )
    )

    @model_validator(mode="after")
    def _announced_enforcement(self) -> "ModelPolicySpec":
        if self.enforce_after_time is not None and self.mode != "Enforce":
            raise problem(f"got it with mode {self.mode}, expected mode Enforce", field="enforceAfterTime")
        return self


class Workloads(Struct):
    """What the policy covers now."""

    matched: Annotated[int, Field(ge=0)]
    would_deny: Annotated[int, Field(ge=0)]
    pending: Annotated[int, Field(ge=0)]
    unresolved: Annotated[int, Field(ge=0)]


class ModelPolicyStatus(Status):
    """What is effective, and what it would do."""

    effective_requirements: Annotated[list[RequirementType], Field(max_length=len(MEMBERS), json_schema_extra=LIST_SET)] | None = (
        None
    )
    workloads: Workloads | None = None


KIND = Kind(
    name="ModelPolicy",
    plural="modelpolicies",
    short="mtpolicy",
    purpose="What is required of models before they may run.",
    spec=ModelPolicySpec,
    status=ModelPolicyStatus,
    columns=(
        Column("Mode", ".spec.mode"),
        Column("Requirements", ".status.effectiveRequirements"),
        Column("Matched", ".status.workloads.matched", "integer"),
        Column("WouldDeny", ".status.workloads.wouldDeny", "integer"),
        Column("Pending", ".status.workloads.pending", "integer", wide=True),
        Column("Unresolved", ".status.workloads.unresolved", "integer", wide=True),
    ),
    keep_unknown=True,
)
