import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.policy.policy import InvalidStatement
from modeltrust.store.statements import Statements
from tests.support.statements import DAY, IDENTITY, NOW, a_statement, an_attestor_key, attestors_for, identity_of, sealed

KEY = an_attestor_key()
OTHER = identity_of("hf://acme/other@" + "1" * 40)


def read(value: Any) -> Iterable[bytes]:
    return list(value)


def index(*objects: tuple[str, list[bytes]], trusted: bool = True) -> Statements:
    statements = Statements(read)
    if trusted:
        statements.trust(attestors_for(KEY))
    statements.replace(objects)
    return statements


def serial_of(fact: Fact[Statement | InvalidStatement]) -> int:
    assert isinstance(fact, Known)
    assert isinstance(fact.value, Statement)
    return fact.value.serial


def why(fact: Fact[Statement | InvalidStatement]) -> str:
    assert isinstance(fact, Known)
    assert isinstance(fact.value, InvalidStatement)
    return fact.value.why


def test_a_signed_statement_is_found_under_its_identity_and_no_other() -> None:
    statements = index(("a", [sealed(a_statement(), KEY)]))
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    assert isinstance(statements.look_up(OTHER, NOW), Absent)


def test_without_attestors_we_could_not_look() -> None:
    statements = index(("a", [sealed(a_statement(), KEY)]), trusted=False)
    assert isinstance(statements.look_up(IDENTITY, NOW), Unavailable)
    assert isinstance(statements.look_up(OTHER, NOW), Absent)


def test_a_statement_by_somebody_else_is_invalid() -> None:
    statements = index(("a", [sealed(a_statement(), an_attestor_key())]))
    assert "no trusted attestor" in why(statements.look_up(IDENTITY, NOW))


def test_the_highest_valid_serial_wins_whatever_the_order() -> None:
    old, new = sealed(a_statement(serial=3), KEY), sealed(a_statement(serial=9), KEY)
    for first, second in ((old, new), (new, old)):
        assert serial_of(index(("a", [first]), ("b", [second])).look_up(IDENTITY, NOW)) == 9


def test_a_bad_statement_beside_a_good_one_hides_nothing() -> None:
    bad, good = sealed(a_statement(serial=9), an_attestor_key()), sealed(a_statement(serial=3), KEY)
    assert serial_of(index(("a", [bad]), ("b", [good])).look_up(IDENTITY, NOW)) == 3
    assert serial_of(index(("a", [good, bad])).look_up(IDENTITY, NOW)) == 3


def test_only_bad_statements_are_an_invalid_one_never_absent() -> None:
    bad = [sealed(a_statement(serial=serial), an_attestor_key()) for serial in (1, 2)]
    assert why(index(("a", bad)).look_up(IDENTITY, NOW))


def test_a_pile_of_copies_never_pushes_out_what_is_valid() -> None:
    statements = index(("good", [sealed(a_statement(), KEY)]))
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    for number in range(2 * limits.STATEMENTS_PER_IDENTITY):
        statements.upsert(f"copy-{number}", [sealed(a_statement(serial=50), an_attestor_key())])
    assert len(statements) == limits.STATEMENTS_PER_IDENTITY
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1


def test_where_all_are_valid_the_latest_stays() -> None:
    bound = limits.STATEMENTS_PER_IDENTITY
    statements = index(*((f"s{bound - number}", [sealed(a_statement(serial=bound - number), KEY)]) for number in range(bound)))
    assert serial_of(statements.look_up(IDENTITY, NOW)) == bound
    statements.upsert("copy", [sealed(a_statement(serial=99), an_attestor_key())])
    assert serial_of(statements.look_up(IDENTITY, NOW)) == bound


def test_what_found_no_room_comes_back_when_there_is_some() -> None:
    statements = index(("good", [sealed(a_statement(), KEY)]))  # never looked up, so nobody knows yet that it is good
    copies = [f"copy-{number}" for number in range(limits.STATEMENTS_PER_IDENTITY)]
    for name in copies:
        statements.upsert(name, [sealed(a_statement(serial=50), an_attestor_key())])
    assert why(statements.look_up(IDENTITY, NOW))
    for name in copies:
        statements.delete(name)
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1


def test_deleting_and_changing_an_object_changes_what_is_found() -> None:
    statements = index(("a", [sealed(a_statement(serial=1), KEY)]), ("b", [sealed(a_statement(serial=2), KEY)]))
    statements.delete("b")
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    statements.upsert("a", [sealed(a_statement(identity=OTHER), KEY)])
    assert isinstance(statements.look_up(IDENTITY, NOW), Absent)
    assert serial_of(statements.look_up(OTHER, NOW)) == 1
    statements.delete("a")
    statements.delete("never-there")
    assert len(statements) == 0


def test_replacing_forgets_what_is_not_listed() -> None:
    statements = index(("a", [sealed(a_statement(), KEY)]))
    statements.replace([])
    assert isinstance(statements.look_up(IDENTITY, NOW), Absent)


def test_other_attestors_mean_another_answer_at_once() -> None:
    statements = index(("a", [sealed(a_statement(), KEY)]))
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    statements.trust(attestors_for(an_attestor_key()))
    assert why(statements.look_up(IDENTITY, NOW))
    statements.trust(None)
    assert isinstance(statements.look_up(IDENTITY, NOW), Unavailable)


def test_the_end_of_an_attestors_time_counts_within_a_minute() -> None:
    statements = index(("a", [sealed(a_statement(), KEY)]))
    statements.trust(attestors_for(KEY, notAfter="2026-09-21T16:00:00Z"))
    end = 1_790_006_400
    assert serial_of(statements.look_up(IDENTITY, end - 30)) == 1
    assert "time of its attestor" in why(statements.look_up(IDENTITY, end + 30))


def test_a_statement_from_the_future_counts_when_its_time_has_come() -> None:
    later = a_statement(issued_at=NOW + DAY, expires_at=NOW + 2 * DAY)
    statements = index(("a", [sealed(later, KEY)]))
    assert "future" in why(statements.look_up(IDENTITY, NOW))
    assert serial_of(statements.look_up(IDENTITY, NOW + DAY)) == 1


def test_no_statement_outlives_its_attestor() -> None:
    statements = Statements(read)
    statements.trust(attestors_for(KEY, notAfter="2026-11-01T00:00:30Z"))
    end = int(datetime(2026, 11, 1, 0, 0, 30, tzinfo=UTC).timestamp())
    statements.replace([("a", [sealed(a_statement(issued_at=end - DAY, expires_at=end + DAY), KEY)])])
    assert serial_of(statements.look_up(IDENTITY, end)) == 1
    assert why(statements.look_up(IDENTITY, end + 1)) == "the time of its attestor is over"
    assert serial_of(statements.look_up(IDENTITY, end)) == 1  # a clock that was set back


class Counting:
    """The real attestors, counting how often they are asked."""

    def __init__(self) -> None:
        self._attestors = attestors_for(KEY)
        self.asked = 0

    def verify(self, envelope: bytes, *, now: int, expected: Any) -> Statement:
        self.asked += 1
        return self._attestors.verify(envelope, now=now, expected=expected)

    def ended(self, now: int) -> int:
        return self._attestors.ended(now)


def test_an_envelope_is_verified_once_and_kept_over_a_relist() -> None:
    envelope, verifier = sealed(a_statement(), KEY), Counting()
    statements = Statements(read)
    statements.trust(verifier)
    statements.replace([("a", [envelope])])
    for _ in range(3):
        serial_of(statements.look_up(IDENTITY, NOW))
    statements.replace([("a", [envelope])])
    statements.upsert("a", [bytes(bytearray(envelope))])
    serial_of(statements.look_up(IDENTITY, NOW))
    assert verifier.asked == 1


def test_the_sweep_verifies_what_nobody_asked_for_and_only_that() -> None:
    verifier = Counting()
    statements = Statements(read)
    assert list(statements.unverified()) == []
    statements.trust(verifier)
    statements.replace([("a", [sealed(a_statement(), KEY)]), ("b", [sealed(a_statement(identity=OTHER), KEY)])])
    statements.look_up(OTHER, NOW)
    for verify in statements.unverified():
        verify(NOW)
    assert verifier.asked == 2
    assert list(statements.unverified()) == []
    serial_of(statements.look_up(IDENTITY, NOW))
    assert verifier.asked == 2


def test_an_envelope_that_cannot_be_read_is_reported_and_hides_no_other() -> None:
    told: list[tuple[str, str]] = []
    statements = Statements(read, problem=lambda name, why: told.append((name, why)))
    statements.trust(attestors_for(KEY))
    statements.replace([("broken", [b"{}", sealed(a_statement(), KEY)])])
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    assert [name for name, _ in told] == ["broken"]


class Misreading:
    """A verifier that reads another identity than the index did."""

    def verify(self, envelope: bytes, *, now: int, expected: Any) -> Statement:
        assert envelope
        assert now
        assert expected is None
        return dataclasses.replace(a_statement(), identity=OTHER)

    def ended(self, now: int) -> int:
        return int(now < 0)


def test_a_statement_read_differently_by_two_parsers_never_matches() -> None:
    statements = Statements(read)
    statements.trust(Misreading())
    statements.replace([("a", [sealed(a_statement(), KEY)])])
    assert "expected hf://acme/guard-7b@" in why(statements.look_up(IDENTITY, NOW))


@pytest.mark.parametrize("error", [MalformedError("x")])
def test_an_error_while_verifying_is_an_invalid_statement(error: MalformedError) -> None:
    sealed_bytes = sealed(a_statement(), KEY)

    class Failing:
        def verify(self, envelope: bytes, *, now: int, expected: Any) -> Statement:
            assert (envelope, now, expected) == (sealed_bytes, NOW, None)
            raise error

        def ended(self, now: int) -> int:
            return int(now < 0)

    statements = Statements(read)
    statements.trust(Failing())
    statements.replace([("a", [sealed_bytes])])
    assert why(statements.look_up(IDENTITY, NOW)) == "x"
