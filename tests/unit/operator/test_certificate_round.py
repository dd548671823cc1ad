import json
from collections.abc import Mapping
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.operator.certificate_round import CertificateRound
from modeltrust.telemetry import OperatorTelemetry
from tests.unit.operator.test_certificates import CONFIGURATIONS, LEAVES, NAMESPACE, NOW, SECRETS, World


class Told:
    """Takes Events, or fails."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.fails = False

    def tell(self, about: Mapping[str, Any], *, reason: str, message: str, warning: bool = False) -> bool:
        if self.fails:
            raise UnavailableError("as you wished")
        assert warning
        self.events.append((about["kind"], reason, message))
        return True


class Round:
    def __init__(self) -> None:
        self.world = World()
        self.now = NOW
        self.lines: list[dict[str, Any]] = []
        self.telemetry = OperatorTelemetry(sink=lambda line: self.lines.append(json.loads(line)))
        self.told = Told()
        accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
        self.world.cluster.put(accounts, {"metadata": {"name": "modeltrust-operator", "uid": "an-uid"}})
        self.look = CertificateRound(self.world.api, NAMESPACE, telemetry=self.telemetry, events=self.told, now=lambda: self.now)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(name, labels)


@pytest.fixture
def round_() -> Round:
    return Round()


def test_it_looks_when_it_is_due_and_not_before(round_: Round) -> None:
    round_.look()
    round_.world.cluster.remove(SECRETS, LEAVES[0])

    round_.now += limits.CERTIFICATES_SECONDS - 1
    round_.look()
    assert round_.world.cluster.find(SECRETS, LEAVES[0]) is None

    round_.now += 1
    round_.look()
    assert round_.world.cluster.find(SECRETS, LEAVES[0]) is not None


def test_a_clock_that_was_set_back_puts_nothing_off(round_: Round) -> None:
    round_.now += 400 * 24 * 3600
    round_.look()
    round_.now = NOW
    round_.world.cluster.remove(SECRETS, LEAVES[0])

    round_.look()

    assert round_.world.cluster.find(SECRETS, LEAVES[0]) is not None


def test_what_failed_is_tried_again_with_the_next_call(round_: Round) -> None:
    round_.world.api.fails_after = 2
    with pytest.raises(UnavailableError):
        round_.look()
    round_.world.api.fails_after = None

    round_.look()

    assert round_.world.cluster.find(SECRETS, LEAVES[-1]) is not None


def test_the_end_of_each_certificate_is_a_metric(round_: Round) -> None:
    round_.look()

    for name in LEAVES:
        assert round_.sample("modeltrust_certificate_end_seconds", secret=name) == NOW + limits.LEAF_SECONDS


def test_the_secrets_belong_to_the_account_that_the_chart_made(round_: Round) -> None:
    round_.look()

    secret = round_.world.cluster.find(SECRETS, LEAVES[0])
    assert secret is not None
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == ["an-uid"]


def test_without_that_account_they_belong_to_nobody(round_: Round) -> None:
    round_.world.cluster.remove(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", "modeltrust-operator")

    round_.look()

    secret = round_.world.cluster.find(SECRETS, LEAVES[0])
    assert secret is not None
    assert "ownerReferences" not in secret["metadata"]


def test_f108_a_break_glass_is_a_metric_an_event_and_one_line(round_: Round) -> None:
    round_.look()
    round_.world.change(failurePolicy="Ignore")

    for _ in range(3):
        round_.now += 60
        round_.look()

    assert round_.sample("modeltrust_webhook_configuration_drift") == 1
    why = "closed.admission.modeltrust.dev has failurePolicy Ignore, expected Fail"
    assert set(round_.told.events) == {("ValidatingWebhookConfiguration", "ConfigurationDrift", why)}
    assert [line["differences"] for line in round_.lines if line["event"] == "webhook-configuration-drift"] == [[why]]

    round_.world.change(failurePolicy="Fail")
    round_.now += 60
    round_.look()
    assert round_.sample("modeltrust_webhook_configuration_drift") == 0
    assert round_.lines[-1]["differences"] == []


@pytest.mark.parametrize("gone", [False, True])
def test_an_event_that_cannot_be_sent_stops_no_renewal(round_: Round, *, gone: bool) -> None:
    round_.told.fails = True
    round_.world.change(failurePolicy="Ignore")
    if gone:
        round_.world.cluster.remove(CONFIGURATIONS, "modeltrust")

    round_.look()

    assert round_.world.cluster.find(SECRETS, LEAVES[-1]) is not None
    assert any(line["event"] == "event-not-sent" for line in round_.lines)


def test_no_key_is_logged(round_: Round) -> None:
    round_.look()

    assert "PRIVATE" not in json.dumps(round_.lines)
    assert round_.world.data("modeltrust-ca")["ca.key"].decode().splitlines()[1] not in json.dumps(round_.lines)
