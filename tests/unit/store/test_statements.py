import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reference import Identity
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


COPIES = 2 * limits.STATEMENTS_PER_IDENTITY


def a_copy(serial: int = 50) -> list[bytes]:
    return [sealed(a_statement(serial=serial), an_attestor_key())]


def test_a_pile_of_copies_never_pushes_out_what_is_valid() -> None:
    statements = index(("good", [sealed(a_statement(), KEY)]))
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    for number in range(COPIES):
        statements.upsert(f"copy-{number}", a_copy())
    for _ in range(4):
        assert serial_of(statements.look_up(IDENTITY, NOW)) == 1


@pytest.mark.parametrize("place", [0, COPIES // 2, COPIES])
def test_what_nobody_has_verified_yet_is_found_in_a_pile_of_copies_that_nobody_has_verified(place: int) -> None:
    """At the start nothing is verified; a list holds the copies before or after the one that counts."""
    objects = [(f"copy-{number}", a_copy()) for number in range(COPIES)]
    objects.insert(place, ("good", [sealed(a_statement(), KEY)]))
    statements = index(*objects)
    answers = [statements.look_up(IDENTITY, NOW) for _ in range(4)]
    assert serial_of(answers[-1]) == 1


def test_the_sweep_finds_what_is_valid_before_anybody_asks() -> None:
    statements = index(*((f"copy-{number}", a_copy()) for number in range(COPIES)), ("good", [sealed(a_statement(), KEY)]))
    for verify in statements.unverified():
        verify(NOW)
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1


def test_one_look_up_verifies_a_bounded_part_of_a_pile_and_each_copy_once() -> None:
    statements, verifier = Statements(read), Counting()
    statements.trust(verifier)
    statements.replace([(f"copy-{number}", a_copy()) for number in range(COPIES)])
    for expected in (limits.STATEMENTS_PER_IDENTITY, COPIES, COPIES, COPIES):
        assert why(statements.look_up(IDENTITY, NOW))
        assert verifier.asked == expected


def test_only_copies_in_a_pile_are_an_invalid_statement() -> None:
    statements = index(*((f"copy-{number}", a_copy()) for number in range(COPIES)))
    assert all(why(statements.look_up(IDENTITY, NOW)) for _ in range(4))


def test_of_many_that_are_valid_the_latest_counts() -> None:
    serials = range(1, 2 * COPIES)
    statements = index(*((f"s{serial}", [sealed(a_statement(serial=serial), KEY)]) for serial in serials))
    answers = [serial_of(statements.look_up(IDENTITY, NOW)) for _ in range(5)]
    assert answers[-1] == serials[-1]
    statements.delete(f"s{serials[-1]}")
    assert serial_of(statements.look_up(IDENTITY, NOW)) == serials[-2]


# --- whose time is over ----------------------------------------------------------------------------------------------------------


def lived(serial: int, issued_at: int, expires_at: int) -> bytes:
    return sealed(a_statement(serial=serial, issued_at=issued_at, expires_at=expires_at), KEY)


def test_a_letter_whose_time_is_over_does_not_hide_a_current_one_that_is_no_older() -> None:
    """Serials of two attestors do not compare: a pipeline counts seconds, the operator counts letters."""
    pipeline, operator = lived(10**9, NOW - DAY, NOW - 1), lived(7, NOW - DAY, NOW + DAY)
    for first, second in ((pipeline, operator), (operator, pipeline)):
        assert serial_of(index(("a", [first]), ("b", [second])).look_up(IDENTITY, NOW)) == 7


def test_until_its_time_is_over_the_higher_serial_counts() -> None:
    pipeline, operator = lived(10**9, NOW - DAY, NOW), lived(7, NOW - DAY, NOW + DAY)
    assert serial_of(index(("a", [pipeline]), ("b", [operator])).look_up(IDENTITY, NOW)) == 10**9
    assert serial_of(index(("a", [pipeline]), ("b", [operator])).look_up(IDENTITY, NOW + 1)) == 7


def test_the_end_of_a_newer_letter_revives_no_older_one() -> None:
    """H3: whoever restores an older statement that is still valid gains nothing from the end of the one that replaced it."""
    older, newer = lived(3, NOW - 2 * DAY, NOW + DAY), lived(4, NOW - DAY, NOW - 1)
    assert serial_of(index(("a", [older]), ("b", [newer])).look_up(IDENTITY, NOW)) == 4


def test_no_chain_of_ended_letters_revives_one_that_any_of_them_replaced() -> None:
    older, newer, newest = lived(3, NOW - 3 * DAY, NOW + DAY), lived(4, NOW - 2 * DAY, NOW - 2), lived(5, NOW - 3 * DAY, NOW - 1)
    assert serial_of(index(("a", [older, newer, newest])).look_up(IDENTITY, NOW)) == 5


def test_where_all_are_over_the_highest_serial_is_the_one_that_has_ended() -> None:
    assert serial_of(index(("a", [lived(3, NOW - DAY, NOW - 2), lived(4, NOW - DAY, NOW - 1)])).look_up(IDENTITY, NOW)) == 4


def test_deleting_and_changing_an_object_changes_what_is_found() -> None:
    statements = index(("a", [sealed(a_statement(serial=1), KEY)]), ("b", [sealed(a_statement(serial=2), KEY)]))
    statements.delete("b")
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1
    statements.upsert("a", [sealed(a_statement(identity=OTHER), KEY)])
    assert isinstance(statements.look_up(IDENTITY, NOW), Absent)
    assert serial_of(statements.look_up(OTHER, NOW)) == 1
    assert len(statements) == 1
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


def test_attestors_count_at_once_while_a_list_is_still_on_its_way() -> None:
    """A key that is taken away must not count for as long as an API server sends page after page."""
    statements = index(("a", [sealed(a_statement(), KEY)]))
    changing = threading.Thread(target=statements.trust, args=(attestors_for(an_attestor_key()),))

    def pages() -> Iterator[tuple[str, list[bytes]]]:
        changing.start()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            fact = statements.look_up(IDENTITY, NOW)
            if isinstance(fact, Known) and isinstance(fact.value, InvalidStatement):
                yield "b", []
                return
            time.sleep(0.001)

    statements.replace(pages())
    changing.join()
    assert "b" in statements._by_object


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


def models(count: int) -> list[tuple[str, list[bytes]]]:
    identities = [identity_of(f"hf://acme/m{number}@" + f"{number:040x}") for number in range(count)]
    return [(f"m{number}", [sealed(a_statement(identity=identity), KEY)]) for number, identity in enumerate(identities)]


def of(number: int) -> Identity:
    return identity_of(f"hf://acme/m{number}@" + f"{number:040x}")


def test_what_was_forgotten_is_verified_again_and_says_the_same() -> None:
    verifier, statements = Counting(), Statements(read, kept=2)
    statements.trust(verifier)
    statements.replace(models(5))
    for verify in statements.unverified():
        verify(NOW)
    assert verifier.asked == 5
    assert list(statements.unverified()) == []
    assert [serial_of(statements.look_up(of(number), NOW)) for number in (3, 4)] == [1, 1]
    assert verifier.asked == 5
    assert [serial_of(statements.look_up(of(number), NOW)) for number in (0, 0, 0)] == [1, 1, 1]
    assert verifier.asked == 6


def test_what_was_forgotten_and_is_no_longer_trusted_is_invalid() -> None:
    statements = Statements(read, kept=0)
    statements.trust(attestors_for(KEY))
    statements.replace(models(2))
    assert serial_of(statements.look_up(of(0), NOW)) == 1
    statements.trust(attestors_for(an_attestor_key()))
    assert "no trusted attestor" in why(statements.look_up(of(0), NOW))


def swept(statements: Statements) -> None:
    for look in statements.unswept():
        look(NOW)
    assert list(statements.unswept()) == []


def test_the_sweep_verifies_as_many_as_are_kept_and_packs_the_others() -> None:
    verifier, statements = Counting(), Statements(read, kept=2)
    assert list(statements.unswept()) == []
    statements.trust(verifier)
    statements.replace(models(5))
    swept(statements)
    assert verifier.asked == 2
    assert [serial_of(statements.look_up(of(number), NOW)) for number in (4, 4, 3)] == [1, 1, 1]
    assert verifier.asked == 4


def test_what_the_sweep_packed_unseen_is_verified_before_it_counts() -> None:
    statements = Statements(read, kept=0)
    statements.trust(attestors_for(KEY))
    statements.replace([("a", [sealed(a_statement(), an_attestor_key())])])
    swept(statements)
    assert "no trusted attestor" in why(statements.look_up(IDENTITY, NOW))


def test_the_sweep_pushes_out_nothing_that_somebody_asked_for() -> None:
    verifier, statements = Counting(), Statements(read, kept=1)
    statements.trust(verifier)
    statements.replace(models(3))
    statements.look_up(of(1), NOW)
    statements.upsert("more", [sealed(a_statement(), KEY)])
    swept(statements)
    assert serial_of(statements.look_up(of(1), NOW)) == 1
    assert verifier.asked == 1


def test_the_sweep_verifies_all_of_a_pile_whatever_the_room() -> None:
    verifier, statements = Counting(), Statements(read, kept=0)
    statements.trust(verifier)
    statements.replace([*((f"copy-{number}", a_copy()) for number in range(COPIES)), ("good", [sealed(a_statement(), KEY)])])
    swept(statements)
    assert verifier.asked == COPIES + 1
    assert serial_of(statements.look_up(IDENTITY, NOW)) == 1


def test_other_attestors_are_asked_ahead_about_what_is_kept_and_not_about_what_is_packed() -> None:
    statements, verifier = Statements(read, kept=1), Counting()
    statements.trust(attestors_for(an_attestor_key()))
    statements.replace(models(3))
    swept(statements)
    statements.trust(verifier)
    swept(statements)
    assert verifier.asked == 1
    assert [serial_of(statements.look_up(of(number), NOW)) for number in range(3)] == [1, 1, 1]


def test_a_relist_and_a_repeated_event_keep_what_was_packed() -> None:
    verifier, statements = Counting(), Statements(read, kept=0)
    statements.trust(verifier)
    listed = models(2)
    statements.replace(listed)
    for verify in statements.unverified():
        verify(NOW)
    statements.replace(listed)
    statements.upsert(*listed[1])
    assert list(statements.unverified()) == []


def test_a_pile_that_grows_over_a_forgotten_statement_does_not_hide_it() -> None:
    """A relist puts the copies first: what the sweep forgot is looked at again before it can be pushed out for good."""
    statements = Statements(read, kept=0)
    statements.trust(attestors_for(KEY))
    good = ("good", [sealed(a_statement(), KEY)])
    statements.replace([good])
    for verify in statements.unverified():
        verify(NOW)
    statements.replace([*((f"copy-{number}", a_copy()) for number in range(COPIES)), good])
    for verify in statements.unverified():
        verify(NOW)
    assert [serial_of(statements.look_up(IDENTITY, NOW)) for _ in range(3)] == [1, 1, 1]
    assert list(statements.unverified()) == []


def test_the_sweep_looks_at_what_joins_a_pile_by_an_event() -> None:
    statements = Statements(read, kept=0)
    statements.trust(attestors_for(KEY))
    statements.replace([("good", [sealed(a_statement(), KEY)])])
    for verify in statements.unverified():
        verify(NOW)
    statements.upsert("copy", a_copy())
    assert len(list(statements.unverified())) == 2


def test_what_is_gone_is_not_swept() -> None:
    statements = Statements(read)
    statements.trust(attestors_for(KEY))
    statements.replace(models(3))
    statements.delete("m1")
    assert len(list(statements.unverified())) == 2


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
