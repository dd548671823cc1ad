"""EvaluationSuite, from what is written to what a run is made of.

The suite's hash covers what decides: probes, rule, baseline, engine, image and arguments (attack H15). Where it runs and when it is
asked again are not part of it, so that changing the hardware invalidates nothing (promises.md 4).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from modeltrust.api.compile.reading import read
from modeltrust.api.v1alpha1 import evaluation_suite as api
from modeltrust.domain.evaluation import SUITE_VERSION, Suite
from modeltrust.domain.reference import Identity, parse_identity

EXTERNAL = "External"
_SERVED_NAME = "model"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a run takes place; decides nothing.

    Attributes:
        resources: of the engine's container.
        node_selector: of its Pod.
        tolerations: of its Pod.
        resource_claims: of its Pod.
        queue: name of a Kueue queue, empty for none.
    """

    resources: Mapping[str, Any] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    resource_claims: tuple[Mapping[str, Any], ...] = ()
    queue: str = ""


@dataclass(frozen=True, slots=True)
class LiveService:
    """Where a model should be served; its answers are compared with those of the attested bytes.

    Attributes:
        model: what should answer.
        namespace: of the Service.
        name: of the Service.
        port: of the Service.
        served_name: model name in requests.
    """

    model: Identity
    namespace: str
    name: str
    port: int
    served_name: str

    @property
    def url(self) -> str:
        """Inside the cluster; no name that a tenant chooses is resolved (attack H2)."""
        return f"http://{self.name}.{self.namespace}.svc:{self.port}"


@dataclass(frozen=True, slots=True)
class SuiteSettings:
    """A compiled EvaluationSuite, for whichever model it is run.

    Attributes:
        name: metadata.name.
        families: of the bank.
        per_stratum: prompts in each kind of task.
        private: name of the Secret with the operator's prompts, empty for none.
        alpha: see Suite.
        margin: see Suite.
        baseline: the model to compare with; None: the base that the candidate's lineage names.
        engine: ``VLLM``, ``LlamaCpp`` or ``External``.
        image: by digest, empty for External.
        arguments: of the engine.
        user_prefix: what starts a user's turn, empty where it is not said: then nothing is mined.
        turn_end: what ends it.
        placement: see Placement.
        schedule: cron, UTC, of re-probes; empty for none.
        deny_on_alarm: an alarm creates the ModelRevocation instead of proposing it.
        services: live servers that the schedule asks.
    """

    name: str
    families: tuple[str, ...]
    per_stratum: int
    private: str
    alpha: Decimal
    margin: Decimal
    baseline: Identity | None
    engine: str
    image: str
    arguments: tuple[str, ...]
    placement: Placement
    schedule: str = ""
    deny_on_alarm: bool = False
    services: tuple[LiveService, ...] = ()
    user_prefix: str = ""
    turn_end: str = ""

    @property
    def spec_hash(self) -> str:
        """64 hex over what is written here and decides: whoever sees the object alone can tell a run of another version (H15)."""
        baseline = "" if self.baseline is None else self.baseline.key
        asked = [sorted(self.families), self.per_stratum, self.private, str(self.alpha), str(self.margin), baseline]
        served = [self.engine, self.image, list(self.arguments), self.user_prefix, self.turn_end]
        text = json.dumps(["modeltrust/suite/v1", SUITE_VERSION, *asked, *served], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def external(self) -> bool:
        """Served outside our control."""
        return self.engine == EXTERNAL

    @property
    def serving(self) -> str:
        """64 hex over engine, image and arguments."""
        text = json.dumps(["modeltrust/serving/v1", self.engine, self.image, list(self.arguments)], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def suite(self, *, bank: str, prompts: str, baseline: Identity | None) -> Suite:
        """What is asked of one model.

        Args:
            bank: 64 hex, sha256 of the probe bank.
            prompts: 64 hex, sha256 of the operator's prompts, empty for none.
            baseline: of this model; None where its lineage names none.
        """
        return Suite(
            name=self.name,
            families=self.families,
            per_stratum=self.per_stratum,
            alpha=self.alpha,
            margin=self.margin,
            bank=bank,
            prompts=prompts,
            baseline="" if baseline is None else baseline.key,
            serving=self.serving,
            external=self.external,
            user_prefix=self.user_prefix,
            turn_end=self.turn_end,
        )


def compile_suite(obj: Mapping[str, Any]) -> SuiteSettings:
    """Compile an EvaluationSuite; a broken one runs nothing, and what a policy asks of it stays missing.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    found = read(api.KIND, obj)
    spec = found.spec
    probes, serving, reprobe = spec.probes, spec.serving, spec.reprobe
    reference, turn = spec.baseline.reference, serving.user_turn
    return SuiteSettings(
        name=found.name,
        families=tuple(probes.families or ()),
        per_stratum=probes.per_family,
        private=probes.operator_prompts.secret_name if probes.operator_prompts is not None else "",
        alpha=Decimal(spec.decision.alpha),
        margin=Decimal(spec.decision.margin),
        baseline=parse_identity(reference.model) if reference is not None else None,
        engine=serving.engine,
        image=serving.image or "",
        arguments=tuple(serving.args or ()),
        placement=_placement(spec.runtime),
        schedule=reprobe.schedule if reprobe is not None else "",
        deny_on_alarm=reprobe is not None and reprobe.on_alarm == "DenyNew",
        services=tuple(_service(one) for one in (reprobe.services or () if reprobe is not None else ())),
        user_prefix=turn.prefix if turn is not None else "",
        turn_end=(turn.end or "") if turn is not None else "",
    )


def _service(one: api.LiveService) -> LiveService:
    return LiveService(parse_identity(one.model), one.namespace, one.name, one.port, one.served_name or _SERVED_NAME)


def _placement(runtime: api.Runtime | None) -> Placement:
    if runtime is None:
        return Placement()
    return Placement(
        resources=runtime.resources or {},
        node_selector=runtime.node_selector or {},
        tolerations=tuple(runtime.tolerations or ()),
        resource_claims=tuple(runtime.resource_claims or ()),
        queue=runtime.queue_name or "",
    )
