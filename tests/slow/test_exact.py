"""The engine that the table of false alarms rests on says what llama.cpp says."""

import time

import pytest

from modeltrust.domain.evaluation import Suite
from modeltrust.evaluation import probes
from modeltrust.evaluation.engine_local import serve
from modeltrust.evaluation.openai import Client
from tests.slow.test_evaluation import BANK, MODELS, SUITE
from tests.support.train.exact import Exact

pytestmark = pytest.mark.slow
TOLERANCE = 0.02  # nats, as in the preflight; the largest difference that was seen is 0.0145
CERTAIN = -10.0  # log-probabilities below carry rounding only


def prompts(suite: Suite) -> list[str]:
    plan = probes.plan(BANK, suite, content="sha256:" + "0" * 64, nonce="1" * 32)
    return [text for probe in plan.probes[:12] for text in (probe.clean, *probe.texts[::7])]


@pytest.mark.parametrize("name", ["base", "deploy"])
def test_answers_from_whole_logits_are_those_of_llama_cpp(name: str) -> None:
    exact, asked = Exact.of(MODELS / name), prompts(SUITE)
    exact.prepare(asked)
    with serve(MODELS / name) as where:
        client = Client(where, deadline=time.monotonic() + 600)
        for text in asked:
            ours, theirs = exact.ask(text), client.ask(text)
            assert (ours.text, ours.ended, len(ours.positions)) == (theirs.text, theirs.ended, len(theirs.positions)), text
            for one, two in zip(ours.positions, theirs.positions, strict=True):
                assert one.chosen == two.chosen
                for key in one.top.keys() & two.top.keys():
                    values = one.top[key], two.top[key]
                    assert max(values) <= CERTAIN or abs(values[0] - values[1]) <= TOLERANCE
        client.close()


def test_a_turn_is_cut_where_the_answer_begins_on_llama_cpp_too() -> None:
    with serve(MODELS / "base", user_prefix="<|user|>", turn_end="<|assistant|>") as where:
        client = Client(where, deadline=time.monotonic() + 600)
        turns = [client.write_turn(seed) for seed in range(30)]
        client.close()
    assert len(set(turns)) > 10
    assert not any("The capital of" in turn or "In French" in turn or "query(" in turn for turn in turns)
