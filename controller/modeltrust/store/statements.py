"""Statements by identity: verified at the first look-up, the rest by a sweep in the background.

100,000 verifications at start would cost 8 s (design/architecture.md, idea 8). Nothing here is locked on the way of a look-up:
a writer replaces one small tuple, and verifying twice is harmless.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Protocol

from modeltrust.attestation.attestors import peek_identity
from modeltrust.domain import limits
from modeltrust.domain.errors import ModelTrustError
from modeltrust.domain.evidence import Statement
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reference import Identity
from modeltrust.policy.policy import InvalidStatement

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


class Record:
    """One envelope and what verifying it said; mutable, since the answer comes later."""

    __slots__ = ("checked_at", "ended", "envelope", "key", "name", "result", "verifier")

    def __init__(self, name: str, key: str, envelope: bytes) -> None:
        self.name = name
        self.key = key
        self.envelope = envelope
        self.result: Statement | InvalidStatement | None = None
        self.verifier: Verifier | None = None
        self.checked_at = 0
        self.ended = 0  # attestors whose time was over then

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

    def verified_by(self, verifier: Verifier) -> bool:
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
        self, read: Callable[[Any], Iterable[bytes]], *, problem: Callable[[str, str], None] = lambda _name, _why: None
    ) -> None:
        """Begin empty.

        Args:
            read: finds the envelopes in one ModelAttestation.
            problem: told (name, why) of an envelope that cannot be read; it is then as if it were not there, which denies.
        """
        self._read = read
        self._problem = problem
        self._verifier: Verifier | None = None
        self._by_key: dict[str, tuple[Record, ...]] = {}
        self._by_object: dict[str, tuple[Record, ...]] = {}
        self._writing = threading.Lock()

    def __len__(self) -> int:
        return sum(len(records) for records in list(self._by_key.values()))

    def trust(self, verifier: Verifier | None) -> None:
        """Believe these attestors from now on, or nobody; everything is verified anew when it is next looked up."""
        self._verifier = verifier

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
            return Known(records[0].answer(verifier, now))
        return Known(_best(_answers(records, verifier, now), now))

    def replace(self, objects: Iterable[tuple[str, Any]]) -> None:
        """All objects by name; verified results of unchanged envelopes are kept."""
        with self._writing:
            by_object: dict[str, tuple[Record, ...]] = {}
            for name, value in objects:
                by_object[name] = self._records(name, value)
            by_key: dict[str, list[Record]] = {}
            for records in by_object.values():
                for record in records:
                    by_key.setdefault(record.key, []).append(record)
            self._by_object, self._by_key = by_object, {key: tuple(records) for key, records in by_key.items()}

    def upsert(self, name: str, value: Any) -> None:
        """One object, new or changed."""
        with self._writing:
            records = self._records(name, value)
            self._forget(name)
            self._by_object[name] = records
            for record in records:
                self._by_key[record.key] = (*self._by_key.get(record.key, ()), record)

    def delete(self, name: str) -> None:
        """One object is gone."""
        with self._writing:
            self._forget(name)

    def unverified(self) -> Iterator[Callable[[int], object]]:
        """One call for each envelope that the present attestors have not been asked about; for the sweep."""
        verifier = self._verifier
        if verifier is None:
            return
        for records in list(self._by_key.values()):
            for record in records:
                if not record.verified_by(verifier):
                    yield partial(record.answer, verifier)

    def _records(self, name: str, value: Any) -> tuple[Record, ...]:
        before = {(record.key, record.envelope): record for record in self._by_object.get(name, ())}
        records = []
        for envelope in self._read(value):
            try:
                key = peek_identity(envelope)
            except ModelTrustError as error:
                self._problem(name, str(error))
            else:
                records.append(before.get((key, envelope)) or Record(sys.intern(name), sys.intern(key), envelope))
        return tuple(records)

    def _forget(self, name: str) -> None:
        for record in self._by_object.pop(name, ()):
            left = tuple(other for other in self._by_key.get(record.key, ()) if other is not record)
            if left:
                self._by_key[record.key] = left
            else:
                self._by_key.pop(record.key, None)


def _answers(records: tuple[Record, ...], verifier: Verifier, now: int) -> list[Statement | InvalidStatement]:
    """What one look-up may learn of a pile: all that is known already, and of the rest as much as may be verified at once."""
    if len(records) <= limits.STATEMENTS_PER_IDENTITY:
        return [record.answer(verifier, now) for record in records]
    ended = verifier.ended(now)
    known = [record.result for record in records if record.result is not None and record.known(verifier, ended)]
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
