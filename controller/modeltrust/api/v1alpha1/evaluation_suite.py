"""EvaluationSuite: how a model must behave."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from modeltrust.api.v1alpha1.fields import (
    LIST_ATOMIC,
    LIST_SET,
    LabelKey,
    LabelValue,
    Name,
    PinnedReference,
    Status,
    Struct,
    at_least_one,
    cel,
    cel_at_least_one,
    problem,
    unique,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.domain import limits

_FREE = {"x-kubernetes-preserve-unknown-fields": True}
_FRACTION = r"^0\.[0-9]{1,6}$"  # no floats in the API: 0.05 has no exact binary form
_CRON = r"^[0-9*,/A-Za-z-]+( [0-9*,/A-Za-z?-]+){4}$"

Fraction = Annotated[str, Field(min_length=3, max_length=8, pattern=_FRACTION)]
Image = Annotated[
    str, Field(min_length=73, max_length=limits.REFERENCE_CHARACTERS, pattern=r"^[a-z0-9][A-Za-z0-9.:/_-]*@sha256:[0-9a-f]{64}$")
]
FreeMap = Annotated[dict[str, Any], Field(min_length=1, max_length=32, json_schema_extra=_FREE)]
Argument = Annotated[str, Field(max_length=limits.API_TEXT_CHARACTERS)]


class OperatorPrompts(Struct):
    """Prompts that must stay unknown to who trains a model."""

    secret_name: Name


class Probes(Struct):
    """What is asked."""

    families: (
        Annotated[
            list[Literal["DeploymentTag", "Date", "RareToken", "Phrase", "Instruction"]],
            Field(min_length=1, max_length=8, json_schema_extra=LIST_SET),
            AfterValidator(unique),
        ]
        | None
    ) = None
    per_family: Annotated[int, Field(ge=1, le=1024)] = 32
    operator_prompts: OperatorPrompts | None = None

    model_config = ConfigDict(json_schema_extra=cel(cel_at_least_one("families", "operator_prompts")))
    _some = model_validator(mode="after")(at_least_one("families", "operator_prompts"))


class DecisionRule(Struct):
    """When a difference counts."""

    alpha: Fraction
    margin: Fraction


class BaselineReference(Struct):
    """A model to compare with."""

    model: PinnedReference


class Baseline(Struct):
    """What behaviour is compared with: the base that the model names, or a model named here."""

    from_: Annotated[Literal["Lineage", "Reference"], Field(alias="from")]
    reference: BaselineReference | None = None

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("has(self.reference) == (self.from == 'Reference')", "reference is required for from: Reference, and for no other")
        )
    )

    @model_validator(mode="after")
    def _reference_fits(self) -> "Baseline":
        if (self.from_ == "Reference") != (self.reference is not None):
            raise problem(f"got {'nothing' if self.reference is None else 'it'} with from: {self.from_}", field="reference")
        return self


class Serving(Struct):
    """How the model is served while it is asked."""

    engine: Literal["VLLM", "LlamaCpp", "External"]
    image: Image | None = None
    args: Annotated[list[Argument], Field(min_length=1, max_length=limits.API_ARGUMENTS, json_schema_extra=LIST_ATOMIC)] | None = (
        None
    )

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("has(self.image) == (self.engine != 'External')", "image is required, unless the engine is External")
        )
    )

    @model_validator(mode="after")
    def _image_fits(self) -> "Serving":
        if (self.engine == "External") == (self.image is not None):
            raise problem(f"got {'nothing' if self.image is None else 'it'} with engine {self.engine}", field="image")
        return self


class Runtime(Struct):
    """Where it runs; not part of the suite's hash."""

    resources: FreeMap | None = None
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(min_length=1, max_length=limits.API_SELECTOR_TERMS)] | None = None
    tolerations: (
        Annotated[
            list[Annotated[dict[str, Any], Field(json_schema_extra=_FREE)]],
            Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC),
        ]
        | None
    ) = None
    resource_claims: (
        Annotated[
            list[Annotated[dict[str, Any], Field(json_schema_extra=_FREE)]],
            Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC),
        ]
        | None
    ) = None
    queue_name: Name | None = None


class Reprobe(Struct):
    """When it is asked again."""

    schedule: Annotated[str, Field(min_length=9, max_length=100, pattern=_CRON)]
    on_alarm: Literal["Propose", "DenyNew"] = "Propose"


class EvaluationSuiteSpec(Struct):
    """How a model must behave."""

    probes: Probes
    decision: DecisionRule
    baseline: Baseline
    serving: Serving
    runtime: Runtime | None = None
    reprobe: Reprobe | None = None


class EvaluationSuiteStatus(Status):
    """The hash over everything that decides."""

    suite_hash: Annotated[str, Field(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")] | None = None


KIND = Kind(
    name="EvaluationSuite",
    plural="evaluationsuites",
    short="mtsuite",
    purpose="How a model must behave before it may run.",
    spec=EvaluationSuiteSpec,
    status=EvaluationSuiteStatus,
    columns=(Column("Engine", ".spec.serving.engine"), Column("Baseline", ".spec.baseline.from")),
)
