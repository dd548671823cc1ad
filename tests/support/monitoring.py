"""Orders, fingerprints and rounds for tests, with toy models as servers."""

from functools import cache

from modeltrust.domain.evaluation import Served
from modeltrust.domain.monitoring import MonitorOrder, MonitorReport
from modeltrust.domain.reference import parse_identity
from modeltrust.evaluation.fingerprint import Fingerprint, digest_of, encode_fingerprint
from modeltrust.evaluation.openai import Endpoint
from modeltrust.evaluation.reprobe import Prober
from tests.support import evaluation_runs as runs

BANK = runs.private_bank()
SUITE = runs.suite(BANK)
MODEL = parse_identity("hf://acme/base@" + "1" * 40)


def an_order(number: int, fingerprint: str, *, served: Served = runs.SERVED) -> MonitorOrder:
    """A round; its nonce follows from the number."""
    return MonitorOrder(MODEL, runs.CONTENT, f"{number:032x}", SUITE, served, fingerprint, 600)


@cache
def attested() -> tuple[Fingerprint, str]:
    """The fingerprint of the toy base model, and its digest."""
    found = Prober(runs.BASE, BANK).record(an_order(0, ""))
    return found, digest_of(encode_fingerprint(found))


@cache
def a_round(number: int, endpoint: Endpoint) -> MonitorReport:
    """One round against some server."""
    found, digest = attested()
    return Prober(endpoint, BANK, now=lambda: 1_000).probe(an_order(number, digest), found)
