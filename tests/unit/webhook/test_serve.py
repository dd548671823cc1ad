"""Stopping in two steps, and listening; the port that two processes share is tested with real ones."""

import asyncio
import signal
import socket

import pytest
import uvicorn

from modeltrust.domain.errors import UnavailableError
from modeltrust.webhook.health import Health
from modeltrust.webhook.serve import Server, listen
from tests.support.hooks import Hook

LOOPBACK = "127.0.0.1"


class Draining:
    """A server whose clock stands still."""

    def __init__(self) -> None:
        self.now = 100.0
        self.health = Health(lambda _now: ())
        config = uvicorn.Config(Hook().validate, lifespan="off", log_config=None)
        self.server = Server(config, health=self.health, drain_seconds=5, clock=lambda: self.now)

    def tick(self, now: float) -> bool:
        self.now = now
        return asyncio.run(self.server.on_tick(0))


def test_nothing_stops_without_a_signal() -> None:
    draining = Draining()
    assert draining.tick(10_000) is False
    assert draining.health.ready(0) == ()


def test_a_signal_turns_readiness_off_at_once_and_serving_later() -> None:
    draining = Draining()
    draining.server.handle_exit(signal.SIGTERM, None)
    assert draining.health.ready(0) == ("draining",)
    assert [draining.tick(now) for now in (100, 104.9, 105)] == [False, False, True]


def test_a_replica_that_drains_still_gives_verdicts() -> None:
    draining = Draining()
    draining.server.handle_exit(signal.SIGTERM, None)
    assert draining.health.reasons(0) == ()


def test_a_second_signal_ends_the_drain() -> None:
    draining = Draining()
    draining.server.handle_exit(signal.SIGTERM, None)
    draining.server.handle_exit(signal.SIGINT, None)
    assert draining.tick(100.1) is True


@pytest.mark.parametrize("address", [f"{LOOPBACK}:0", "localhost:0"])
def test_a_free_port_is_bound(address: str) -> None:
    with listen(address) as bound:
        assert bound.getsockname()[1] > 0


@pytest.mark.parametrize("address", ["", ":", LOOPBACK, f"{LOOPBACK}:", f"{LOOPBACK}:https", "999.0.0.1:0"])
def test_an_address_that_cannot_be_bound_is_named(address: str) -> None:
    with pytest.raises(UnavailableError, match="cannot listen on"):
        listen(address)


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken, pytest.raises(UnavailableError, match="in use"):
        listen(f"{LOOPBACK}:{taken.getsockname()[1]}")


def test_a_port_is_shared_only_where_both_say_so() -> None:
    with listen(f"{LOOPBACK}:0", reuse_port=True) as first:
        address = f"{LOOPBACK}:{first.getsockname()[1]}"
        with listen(address, reuse_port=True):
            pass
        with pytest.raises(UnavailableError, match="in use"):
            listen(address)
