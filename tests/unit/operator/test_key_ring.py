import itertools

import pytest

from modeltrust.domain import limits
from modeltrust.operator.key_ring import Request, Ring, turn

NOW = 1_790_000_000
SETTLED = NOW + limits.KEY_SETTLE_SECONDS
OVER = limits.STATEMENT_SECONDS + limits.CLOCK_SKEW_SECONDS


def step(ring: Ring, now: int, request: Request = Request.NONE) -> Ring:
    numbers = itertools.count(1)
    return turn(ring, request=request, now=now, new_key=lambda: b"new-%d" % next(numbers))


OLD = Ring(current=b"old", signing_at=NOW - 1_000_000)


def test_nothing_asked_for_changes_nothing() -> None:
    assert step(OLD, NOW) == OLD
    assert step(OLD, NOW + 10**9) == OLD


def test_a_new_key_is_made_and_does_not_sign_yet() -> None:
    ring = step(OLD, NOW, Request.PLANNED)
    assert (ring.current, ring.upcoming, ring.listed_at) == (b"old", b"new-1", 0)
    assert ring.listed == (b"old", b"new-1")


def test_it_never_signs_before_it_is_listed_however_long_it_waits() -> None:
    ring = step(OLD, NOW, Request.PLANNED)
    assert step(ring, NOW + 10**7).current == b"old"


def test_it_signs_once_every_replica_could_have_read_it() -> None:
    ring = Ring(b"old", upcoming=b"new", listed_at=NOW, signing_at=OLD.signing_at)
    assert step(ring, SETTLED - 1).current == b"old"
    assert step(ring, SETTLED) == Ring(b"new", previous=b"old", signing_at=SETTLED)


def test_the_old_key_stays_listed_for_a_statements_life() -> None:
    ring = Ring(b"new", previous=b"old", signing_at=SETTLED)
    assert step(ring, SETTLED + OVER - 1).listed == (b"new", b"old")
    assert step(ring, SETTLED + OVER).listed == (b"new",)


def test_a_second_rotation_during_the_first_begins_nothing() -> None:
    ring = step(OLD, NOW, Request.PLANNED)
    assert step(ring, NOW + 1, Request.PLANNED) == ring


@pytest.mark.parametrize(
    "ring", [OLD, Ring(b"old", upcoming=b"next", listed_at=NOW), Ring(b"new", previous=b"old", signing_at=NOW)]
)
def test_a_compromised_key_is_out_at_once_and_so_are_those_beside_it(ring: Ring) -> None:
    assert step(ring, NOW, Request.COMPROMISED) == Ring(b"new-1", signing_at=NOW)


def test_a_ring_shows_no_key() -> None:
    assert "old" not in repr(Ring(b"old-secret", upcoming=b"old-secret", previous=b"old-secret"))
