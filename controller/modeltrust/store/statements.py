"""Statements by identity: verified at the first look-up, and ahead by a sweep in the background as far as answers are kept.

100,000 verifications at start would cost 8 s (design/architecture.md, idea 8). Nothing here is locked on the way of a look-up:
a writer replaces one small tuple, and verifying twice is harmless.

Of the answers the latest ``limits.STATEMENTS_KEPT`` are kept; what was verified before them is packed, and verified again should
anybody ask. The sweep packs what finds no room: an answer that is forgotten at once is no use. So memory grows with what is used
rather than with what exists.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from modeltrust.attestation.attestors import peek_identity
from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reference import Identity
from modeltrust.policy.policy import InvalidStatement
from modeltrust.store import packing

A = TypeVar("A")

_RECHECK_SECONDS = 60  # what verifying says can change with time alone: a statement from the near future becomes valid


class Verifier(Protocol):
    """Who says whether an envelope is signed by a trusted attestor, and what it says."""

    def verify(self, envelope: bytes, *, now: int, expected: Identity | None) -> Statement:
        """The statement; ``attestation.attestors.Attestors`` is the real one.

        Raises:
            ModelTrustError: it does not verify.
        """
        ...

    def ended(self, now: int) -> int:
        """How many attestors' time is over; an answer of ``verify`` counts as long as this stays the same."""
        ...


class Record(msgspec.Struct, gc=False, eq=False):
    """One envelope and what verifying it said; mutable, since the answer comes later.

    Attributes:
        key: of the identity that the envelope names, unverified.
        held: the envelope, as it came or packed.
        result: what verifying it said; None where nobody did, or where nobody asked for long.
        verifier: who was asked last.
        checked_at: when, unix seconds.
        ended: attestors whose time was over then.
    """

    key: str
    held: bytes
    result: Statement | InvalidStatement | None = None
    verifier: Verifier | None = None
    checked_at: int = 0
    ended: int = 0

    @property
    def envelope(self) -> bytes:
        """The JSON bytes as they came."""
        held = self.held  # once: another thread may pack it meanwhile
        return packing.unpack(held) if held[:1] in packing.MARKS else held

    @property
    def packed(self) -> bool:
        """Whether nobody asked about it for long, or ever."""
        return self.held[:1] in packing.MARKS

    def forget(self) -> None:
        """Keep nothing but what it takes to verify it again."""
        self.result = None
        if not self.packed:
            self.held = packing.pack(self.held)

    def answer(self, verifier: Verifier, now: int) -> Statement | InvalidStatement:
        """What this envelope says, verified now unless this verifier has already looked at these bytes.

        No answer outlives its attestor: once the time of another one is over, all are verified again.
        """
        ended, result = verifier.ended(now), self.result
        known = self.verifier is verifier and self.ended == ended and abs(now - self.checked_at) < _RECHECK_SECONDS
        if known and result is not None:
            return result
        result = self._verify(verifier, now)
        self.checked_at, self.ended, self.result, self.verifier = now, ended, result, verifier
        return result

    def known(self, verifier: Verifier, ended: int) -> bool:
        """Whether an answer of this verifier is there, and none of its attestors' time has ended since."""
        return self.result is not None and self.verifier is verifier and self.ended == ended

    def verified_by(self, verifier: Verifier | None) -> bool:
        """Whether this verifier has looked already."""
        return self.verifier is verifier

    def _verify(self, verifier: Verifier, now: int) -> Statement | InvalidStatement:
        try:
            statement = verifier.verify(self.envelope, now=now, expected=None)
        except ModelTrustError as error:
            return InvalidStatement(str(error))
        if statement.identity.key != self.key:
            # The key comes from the signed bytes, so this is a parser that reads them differently: never a match (M4).
            return InvalidStatement(f"the statement is about {statement.identity}, expected {self.key}")
        return statement


class Statements:
    """The index."""

    def __init__(
        self,
        read: Callable[[Any], Iterable[bytes]],
        *,
        problem: Callable[[str, str], None] = lambda _name, _why: None,
        kept: int = limits.STATEMENTS_KEPT,
    ) -> None:
        """Begin empty.

        Args:
            read: finds the envelopes in one ModelAttestation.
            problem: told (name, why) of an envelope that cannot be read; it is then as if it were not there, which denies.
            kept: answers that stay in memory.
        """
        self._read = read
        self._problem = problem
        self._verifier: Verifier | None = None
        self._by_key: dict[str, tuple[Record, ...]] = {}
        self._by_object: dict[str, tuple[Record, ...]] = {}
        self._waiting: dict[Record, None] = {}  # for the sweep, in order
        self._kept: deque[Record] = deque()
        self._most_kept = kept
        self._count = 0
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def trust(self, verifier: Verifier | None) -> None:
        """Believe these attestors from now on, or nobody; everything is verified anew when it is next looked up."""
        self._verifier = verifier  # at once: a list under way holds the lock until its last page has come
        with self._writing:
            self._waiting = {record: None for records in self._by_object.values() for record in records}

    def look_up(self, identity: Identity, now: int) -> Fact[Statement | InvalidStatement]:
        """The statement about one model.

        Of several the valid one with the highest serial counts, and a bad one beside a good one hides nothing: whoever can
        write a ModelAttestation could otherwise deny every model. Only where all are bad is the answer an InvalidStatement.
        Of a pile, each envelope is verified once and so many at a time, so copies can neither buy work nor push out what is valid.
        """
        records = self._by_key.get(identity.key)
        if records is None:
            return Absent()
        verifier = self._verifier
        if verifier is None:
            return Unavailable("no attestors are loaded")
        if len(records) == 1:
            return Known(self._answer(records[0], verifier, now))
        return Known(_best(_answers(records, verifier, now), now))

    def replace(self, objects: Iterable[tuple[str, Any]]) -> None:
        """All objects by name; verified results of unchanged envelopes are kept."""
        with self._writing:
            by_object: dict[str, tuple[Record, ...]] = {}
            by_key: dict[str, tuple[Record, ...]] = {}
            piles: dict[str, list[Record]] = {}
            for name, value in objects:
                records = by_object[name] = self._records(name, value)
                for record in records:
                    first = by_key.setdefault(record.key, _one(record, records))
                    if record not in first:
                        piles.setdefault(record.key, [*first]).append(record)
            by_key.update((key, tuple(pile)) for key, pile in piles.items())
            self._by_object, self._by_key = by_object, by_key
            self._count = sum(map(len, by_object.values()))
            self._waiting = {record: None for records in by_key.values() for record in records if self._waits(record, records)}

    def upsert(self, name: str, value: Any) -> None:
        """One object, new or changed."""
        with self._writing:
            records = self._records(name, value)
            self._forget(name)
            self._by_object[name] = records
            self._count += len(records)
            for record in records:
                others = self._by_key.get(record.key)
                pile = self._by_key[record.key] = _one(record, records) if others is None else (*others, record)
                self._waiting.update((other, None) for other in pile if self._waits(other, pile))

    def delete(self, name: str) -> None:
        """One object is gone."""
        with self._writing:
            self._forget(name)

    def unverified(self) -> Iterator[Callable[[int], Statement | InvalidStatement]]:
        """One call for each envelope that the present attestors have not been asked about; it verifies and says what came of it."""
        return self._waiting_for(self._verify)

    def unswept(self) -> Iterator[Callable[[int], object]]:
        """The same for the sweep: verifies ahead while there is room for the answer, and packs what finds none.

        Of a pile each envelope is verified: a look-up verifies but a few of those that nobody knows.
        """
        return self._waiting_for(self._sweep)

    def _waiting_for(self, look: Callable[[Record, Verifier, int], A]) -> Iterator[Callable[[int], A]]:
        verifier = self._verifier
        if verifier is None:
            return
        for record in list(self._waiting):
            if self._waits(record, self._by_key.get(record.key, ())):
                yield partial(look, record, verifier)
            else:
                self._waiting.pop(record, None)
        with self._writing:
            self._waiting = self._waiting or {}  # an emptied dict keeps the memory of all it ever held

    def _sweep(self, record: Record, verifier: Verifier, now: int) -> None:
        alone = len(self._by_key.get(record.key, ())) <= 1
        if alone and record.result is None and len(self._kept) >= self._most_kept:
            record.forget()
            self._waiting.pop(record, None)
        else:
            self._verify(record, verifier, now)

    def _verify(self, record: Record, verifier: Verifier, now: int) -> Statement | InvalidStatement:
        answer = self._answer(record, verifier, now)
        self._waiting.pop(record, None)
        return answer

    def _answer(self, record: Record, verifier: Verifier, now: int) -> Statement | InvalidStatement:
        fresh = record.result is None
        answer = record.answer(verifier, now)
        if fresh:
            self._kept.append(record)
            if len(self._kept) > self._most_kept:
                self._forget_one()
        return answer

    def _forget_one(self) -> None:
        oldest = self._kept.popleft()
        if (
            len(self._by_key.get(oldest.key, ())) <= 1
        ):  # of a pile all are kept: a look-up verifies but a few of those it does not know
            oldest.forget()

    def _waits(self, record: Record, pile: tuple[Record, ...]) -> bool:
        """Whether the sweep has to look at it: nobody has, or it is one of several and what it said is not known."""
        verified = record.verified_by(self._verifier)
        return not (verified and record.result is not None) if len(pile) > 1 else not (verified or record.packed)

    def _records(self, name: str, value: Any) -> tuple[Record, ...]:
        before = {(record.key, record.envelope): record for record in self._by_object.get(name, ())}
        records = []
        for envelope in self._read(value):
            try:
                key = peek_identity(envelope)
            except ModelTrustError as error:
                self._problem(name, str(error))
            else:
                records.append(before.get((key, envelope)) or Record(key, envelope))
        return tuple(records)

    def _forget(self, name: str) -> None:
        for record in self._by_object.pop(name, ()):
            self._waiting.pop(record, None)
            self._count -= 1
            left = tuple(other for other in self._by_key.get(record.key, ()) if other is not record)
            if left:
                self._by_key[record.key] = left
            else:
                self._by_key.pop(record.key, None)


def _one(record: Record, records: tuple[Record, ...]) -> tuple[Record, ...]:
    """The record alone; of an object with no other, the object's own tuple, since there are 100,000 of them."""
    return records if len(records) == 1 else (record,)


def _answers(records: tuple[Record, ...], verifier: Verifier, now: int) -> list[Statement | InvalidStatement]:
    """What one look-up may learn of a pile: all that is known already, and of the rest as much as may be verified at once."""
    if len(records) <= limits.STATEMENTS_PER_IDENTITY:
        return [record.answer(verifier, now) for record in records]
    ended = verifier.ended(now)
    known = [result for record in records if (result := record.result) is not None and record.known(verifier, ended)]
    unknown = [record for record in records if not record.known(verifier, ended)]
    return [*known, *(record.answer(verifier, now) for record in unknown[: limits.STATEMENTS_PER_IDENTITY])]


def _best(answers: list[Statement | InvalidStatement], now: int) -> Statement | InvalidStatement:
    """The valid statement with the highest serial. Where its time is over, a current one counts that was issued no earlier.

    Serials of different attestors do not compare: one short-lived letter of a pipeline would otherwise hide the operator's for
    ever. An older letter is not revived by the end of a newer one, which replaced it (attack H3).
    """
    valid = sorted((a for a in answers if isinstance(a, Statement)), key=lambda s: (s.serial, s.issued_at), reverse=True)
    issued_at = 0
    for statement in valid:
        if now <= statement.expires_at and statement.issued_at >= issued_at:
            return statement
        issued_at = max(issued_at, statement.issued_at)
    return valid[0] if valid else answers[-1]
