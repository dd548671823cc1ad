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
    Time,
    at_least_one,
    cel,
    cel_at_least_one,
    checked,
    list_map,
    problem,
    unique,
    unique_by,
)
from modeltrust.api.v1alpha1.kind import Column, Kind
from modeltrust.domain import limits
from modeltrust.domain.cron import parse_schedule

_FREE = {"x-kubernetes-preserve-unknown-fields": True}
_FRACTION = r"^0\.[0-9]{1,6}$"  # no floats in the API: 0.05 has no exact binary form
_CRON = r"^[0-9*,/A-Za-z-]+( [0-9*,/A-Za-z?-]+){4}$"

_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Hash = Annotated[str, Field(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")]
OptionalHash = Annotated[str, Field(max_length=64, pattern=r"^([0-9a-f]{64})?$")]
Capital = Annotated[str, Field(min_length=4, max_length=24, pattern=r"^(none|-?[0-9]{1,9}\.[0-9]{6})$")]
Fraction = Annotated[str, Field(min_length=3, max_length=8, pattern=_FRACTION)]
Image = Annotated[
    str, Field(min_length=73, max_length=limits.REFERENCE_CHARACTERS, pattern=r"^[a-z0-9][A-Za-z0-9.:/_-]*@sha256:[0-9a-f]{64}$")
]
FreeMap = Annotated[dict[str, Any], Field(min_length=1, max_length=32, json_schema_extra=_FREE)]
Turn = Annotated[str, Field(min_length=1, max_length=limits.EVALUATION_TEXT_CHARACTERS)]
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


class UserTurn(Struct):
    """How the chat template begins and ends what a user says; without it a model is not made to write users' turns."""

    prefix: Turn
    end: Turn | None = None


class Serving(Struct):
    """How the model is served while it is asked."""

    engine: Literal["VLLM", "LlamaCpp", "External"]
    image: Image | None = None
    args: Annotated[list[Argument], Field(min_length=1, max_length=limits.API_ARGUMENTS, json_schema_extra=LIST_ATOMIC)] | None = (
        None
    )
    user_turn: UserTurn | None = None

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


class LiveService(Struct):
    """A Service behind which a model should be served; the platform names it, no tenant does (attack H2)."""

    model: PinnedReference
    namespace: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS, pattern=_LABEL)]
    name: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS, pattern=_LABEL)]
    port: Annotated[int, Field(ge=1, le=65_535)]
    served_name: Annotated[str, Field(min_length=1, max_length=limits.API_NAME_CHARACTERS, pattern=r"^[!-~]+$")] | None = None


class Reprobe(Struct):
    """When it is asked again, and where."""

    schedule: Annotated[str, Field(min_length=9, max_length=100, pattern=_CRON), checked(parse_schedule)]
    on_alarm: Literal["Propose", "DenyNew"] = "Propose"
    services: (
        Annotated[
            list[LiveService],
            Field(min_length=1, max_length=limits.MONITOR_SERVICES, json_schema_extra=list_map("model")),
            AfterValidator(unique_by("model")),
        ]
        | None
    ) = None


class EvaluationSuiteSpec(Struct):
    """How a model must behave."""

    probes: Probes
    decision: DecisionRule
    baseline: Baseline
    serving: Serving
    runtime: Runtime | None = None
    reprobe: Reprobe | None = None


class MonitorStream(Struct):
    """One e-process; every number of it is needed to go on."""

    probes: Annotated[int, Field(ge=0)]
    log_capitals: Annotated[list[Capital], Field(min_length=5, max_length=5, json_schema_extra=LIST_ATOMIC)]


class CanaryStream(MonitorStream):
    """That of one trigger."""

    name: Annotated[str, Field(min_length=1, max_length=limits.API_LABEL_CHARACTERS)]


class Monitor(Struct):
    """What was seen of one live server so far."""

    model: Annotated[str, Field(min_length=4, max_length=limits.REFERENCE_CHARACTERS)]
    suite_hash: OptionalHash  # empty: it cannot be said yet
    fingerprint: OptionalHash  # empty: still to be recorded
    level: Literal["Quiet", "Degraded", "Alarm"]
    alarmed: bool = False
    rounds: Annotated[int, Field(ge=0)]
    number: Annotated[int, Field(ge=0)]
    commitment: OptionalHash = ""
    state: Literal["Waiting", "Committed", "Running"]
    message: Annotated[str, Field(max_length=limits.API_TEXT_CHARACTERS)] = ""
    silent_rounds: Annotated[int, Field(ge=0)] = 0
    due_time: Time
    identity: MonitorStream
    canaries: Annotated[list[CanaryStream], Field(max_length=limits.EVALUATION_TRIGGERS, json_schema_extra=list_map("name"))]


class EvaluationSuiteStatus(Status):
    """The hash by which verdicts are known to be of this version, and what monitoring has seen."""

    monitors: Annotated[list[Monitor], Field(max_length=limits.MONITOR_SERVICES, json_schema_extra=list_map("model"))] | None = None
    spec_hash: Hash | None = None


KIND = Kind(
    name="EvaluationSuite",
    plural="evaluationsuites",
    short="mtsuite",
    purpose="How a model must behave before it may run.",
    spec=EvaluationSuiteSpec,
    status=EvaluationSuiteStatus,
    columns=(
        Column("Engine", ".spec.serving.engine"),
        Column("Baseline", ".spec.baseline.from"),
        Column("Watched", '.status.conditions[?(@.type=="Degraded")].reason'),
    ),
)
