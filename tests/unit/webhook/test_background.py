"""What runs beside the answers, round by round; the real threads run in test_process."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import parse_identity
from modeltrust.policy.policy import Unmatched
from modeltrust.telemetry import Telemetry
from modeltrust.webhook.background import Background
from modeltrust.wiring.admission import Feed, Live, live_admission
from modeltrust.wiring.certificate import Certificate
from tests.support import trusted
from tests.support.tls import write_certificate
from tests.unit.webhook.test_process import write, write_trust


class Beside:
    """A background over a real trust folder, its log and its metrics."""

    def __init__(self, folder: Path) -> None:
        self.folder = write_trust(folder / "trust")
        self.certificate, self.key = write_certificate(folder)
        self.lines: list[dict[str, Any]] = []
        self.telemetry = Telemetry(sink=lambda line: self.lines.append(json.loads(line)))
        self.live = live_admission(self.folder, unmatched=Unmatched.ALLOW, problem=lambda *_: None)
        self.background = self.over(self.live)

    def over(self, live: Live, poll_seconds: float = 0.01) -> Background:
        certificate = Certificate(self.certificate, self.key)
        return Background(live=live, certificate=certificate, telemetry=self.telemetry, poll_seconds=poll_seconds)

    def metric(self, name: str) -> float | None:
        return self.telemetry.registry.get_sample_value(f"modeltrust_{name}")

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def beside(tmp_path: Path) -> Beside:
    return Beside(tmp_path)


def test_the_first_look_makes_it_ready(beside: Beside) -> None:
    beside.background.feed()
    assert (beside.metric("ready"), beside.metric("statements"), beside.metric("feed_problems")) == (1, 1, 0)
    assert beside.lines == []


def test_a_folder_without_attestors_is_not_ready(beside: Beside) -> None:
    (beside.folder / "attestors.yaml").write_text("{")
    beside.background.feed()
    assert (beside.metric("ready"), beside.metric("feed_problems")) == (0, 1)


def test_a_problem_is_logged_once_and_its_end_is_logged_too(beside: Beside) -> None:
    beside.background.feed()
    (beside.folder / "broken.yaml").write_text("{")
    beside.background.feed()
    beside.background.feed()
    assert [[problem["file"] for problem in line["problems"]] for line in beside.lines] == [["broken.yaml"]]
    (beside.folder / "broken.yaml").unlink()
    beside.background.feed()
    assert beside.lines[-1] == {"event": "trust-folder", "problems": []}
    assert beside.metric("feed_problems") == 0


def test_a_problem_of_the_first_look_is_logged(beside: Beside) -> None:
    (beside.folder / "broken.yaml").write_text("{")
    beside.background.feed()
    assert beside.events() == ["trust-folder"]


def test_statements_are_verified_before_anybody_asks(beside: Beside) -> None:
    beside.background.feed()
    assert len(list(beside.live.store.statements.unverified())) == 1
    beside.background.sweep()
    assert list(beside.live.store.statements.unverified()) == []


def test_a_sweep_of_more_than_is_kept_gives_memory_back_and_answers_stay(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STATEMENTS_KEPT", 0)
    beside.background.feed()
    beside.background.sweep()
    fact = beside.live.store.statements.look_up(parse_identity(trusted.GUARD), int(time.time()))
    assert isinstance(fact, Known)
    assert isinstance(fact.value, Statement)


def test_nothing_is_verified_ahead_while_something_is_missing(beside: Beside) -> None:
    beside.background.feed()
    beside.live.store.believe(None)
    beside.live.store.freshness.confirm("policies", 0)
    before = len(list(beside.live.store.statements.unverified()))
    beside.background.sweep()
    assert len(list(beside.live.store.statements.unverified())) == before


def test_a_sweep_ends_when_the_process_does(beside: Beside) -> None:
    now = int(time.time())
    said = trusted.statement(trusted.ADAPTER, issued_at=now, expires_at=now + 86_400)
    write(beside.folder / "more.yaml", trusted.attestation("b", said))
    beside.background.feed()
    beside.background.stop()
    beside.background.sweep()
    assert len(list(beside.live.store.statements.unverified())) == 2


def test_a_certificate_that_did_not_change_is_not_loaded_again(beside: Beside) -> None:
    beside.background.renew()
    assert (beside.metric("certificate_loads_total"), beside.lines) == (0, [])


def test_a_renewed_certificate_is_loaded(beside: Beside, tmp_path: Path) -> None:
    write_certificate(tmp_path, name="a longer name")
    beside.background.renew()
    assert (beside.metric("certificate_loads_total"), beside.events()) == (1, ["certificate-loaded"])


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_a_certificate_that_cannot_be_used_is_logged_and_the_old_one_serves(damage: str, beside: Beside) -> None:
    beside.certificate.unlink() if damage == "gone" else beside.certificate.write_text("garbage")
    beside.background.renew()
    assert (beside.metric("certificate_loads_total"), beside.events()) == (0, ["certificate-unusable"])


class Failing(Feed):
    """A bug in whoever feeds the store."""

    def __init__(self) -> None:
        self.looks = 0
        self.enough = threading.Event()

    def poll(self, now: float) -> tuple[Any, ...]:
        self.looks += 1
        if self.looks > 2:
            self.enough.set()
        raise ZeroDivisionError(now)


def test_a_bug_in_one_round_is_logged_and_the_next_round_follows(beside: Beside) -> None:
    feed = Failing()
    background = beside.over(Live(beside.live.admission, beside.live.store, feed, beside.live.extractor))
    background.start()
    try:
        assert feed.enough.wait(5)
    finally:
        background.stop()
    failed = [line for line in beside.lines if line["event"] == "background-error"]
    assert {(line["task"], line["error"]) for line in failed} == {("feed", "ZeroDivisionError")}
