"""The webhook's application over the small trusted world, with its clockwork in the test's hands."""

import json
from typing import Any

from modeltrust.policy.policy import Unmatched
from modeltrust.store.store import Store
from modeltrust.telemetry import Telemetry
from modeltrust.webhook.answer import Answerer
from modeltrust.webhook.health import Health
from modeltrust.webhook.mutate import Mutator
from modeltrust.webhook.validate import Validate
from tests.support import trusted
from tests.support.statements import NOW


class Hook:
    """One webhook in memory.

    Attributes:
        store: what it decides from.
        lines: what it logged.
        health: whether it gives verdicts.
        telemetry: what it counted.
        validate: the endpoint of verdicts.
        mutate: the endpoint of patches.
    """

    def __init__(self, *, store: Store | None = None, extractor: Any = None, inject_image: str = "") -> None:
        self.store = store or trusted.a_store()
        self.lines: list[dict[str, Any]] = []
        self.telemetry = Telemetry(sink=lambda line: self.lines.append(json.loads(line)))
        self.health = Health(lambda _now: self.store.unready(NOW))
        admission = trusted.an_admission(self.store, report=self.report, unmatched=Unmatched.ALLOW, inject_image=inject_image)
        if extractor is not None:
            admission.extractor = extractor
        self.answerer = Answerer(
            admission=admission,
            tables=trusted.TABLES,
            telemetry=self.telemetry,
            identifier=lambda: "7f3a91",
            report=self.report,
            check=trusted.check,
        )
        self.validate = Validate(answerer=self.answerer, health=self.health, telemetry=self.telemetry, clock=lambda: NOW)
        self.mutator = Mutator(admission=admission, telemetry=self.telemetry)
        self.mutate = Validate(answerer=self.mutator, health=self.health, telemetry=self.telemetry, clock=lambda: NOW)

    def report(self, error: Exception) -> str:
        """What the process does with an error of ours."""
        self.telemetry.failed("internal-error", error, id="e77077")
        return "e77077"

    def ask(self, body: bytes) -> dict[str, Any]:
        """The response to one review, which must be a verdict."""
        answer = self.answerer.answer(body, now=NOW, started=0.0)
        assert answer is not None
        response: dict[str, Any] = json.loads(answer)["response"]
        return response
