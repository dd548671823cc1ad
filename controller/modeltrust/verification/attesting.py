"""From a model to a statement about it, again and again: what the operator calls whenever it looks at a ModelAttestation.

Level-based: the last statement, if it is ours, says what is known and from which inputs. Nothing is remembered between calls, so
that a restart repeats no work and a second leader starts no second Job (F65). Parses nothing foreign.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evidence import EvaluationVerdict, RejectedSignature, Statement
from modeltrust.domain.facts import Unavailable
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.domain.work import Order, RemoteBundle, Report, Running, SourceAccess, Worker
from modeltrust.verification import keeping, unknowns
from modeltrust.verification.attest import Key, nonce, read_own, seal, sign
from modeltrust.verification.inputs import inputs_of, partial


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of which model, from where, with which evidence.

    Attributes:
        identity: of the model.
        bundles: evidence that was supplied.
        remote_bundles: evidence that registries keep.
        missing: evidence that may not be fetched as things stand, as ``unknowns.refused`` makes it.
        source: where the model is looked up, with credentials; None: nobody may be asked, and what is known is renewed all the same
            (a ModelSource taken away is no revocation, promises.md 2).
        signers: every one that is known.
        previous: the last statement's envelope, verified here; None where there is none.
        read_bytes: whether every byte must be hashed.
        evaluations: every verdict that is to be stated, the latest of each suite; None: those of the last statement. A verdict of
            a suite that was changed is not among them (attack H15).
    """

    identity: Identity
    bundles: tuple[bytes, ...]
    remote_bundles: tuple[RemoteBundle, ...]
    source: SourceAccess | None
    signers: tuple[TrustedSigner, ...]
    previous: bytes | None
    read_bytes: bool
    evaluations: tuple[EvaluationVerdict, ...] | None
    missing: tuple[RejectedSignature, ...] = ()


@dataclass(frozen=True, slots=True)
class Attested:
    """A statement: the last one while it is good, or a new one.

    Attributes:
        statement: the envelope.
        letter: what it says.
        report: what was found now; None where nobody was asked.
        inputs: what its facts depend on; also in the letter.
        negative: what held before and no longer does, one sentence each (attack H3).
        due: unix seconds at which to ask again.
    """

    statement: bytes
    letter: Statement
    report: Report | None
    inputs: str
    negative: tuple[str, ...]
    due: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """There is no statement that says what is wanted; the last one, if any, stands as it is.

    Attributes:
        reason: for conditions.
        why: for people.
        again_after: seconds.
        running: somebody works on it now, and asking again costs nothing: no back-off is called for.
    """

    reason: Reason
    why: str
    again_after: int
    running: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    wanted: Wanted
    before: Statement | None
    order: Order
    inputs: str  # with every byte read as wanted
    closer: str  # with every byte read
    now: int

    @property
    def fresh(self) -> bool:
        """Whether what is known was found with what is wanted."""
        before = self.before
        if before is None or self.now >= before.expires_at:
            return False
        if before.inputs in {self.inputs, self.closer}:
            return True
        # Some fact could not be had: not before a while, or each look would begin the next one.
        waits = before.inputs in {partial(self.inputs), partial(self.closer)}
        return waits and 0 <= self.now - before.issued_at < limits.PARTIAL_SECONDS


class Attesting:
    """Gets statements. Safe to call from several threads for different models."""

    def __init__(
        self, *, worker: Worker, keys: Callable[[], Sequence[Key]], audience: str, versions: Callable[[], tuple[str, ...]] = tuple
    ) -> None:
        """Join the parts.

        Args:
            worker: examines models.
            keys: ours: the first one signs, all of them are believed about what was signed before.
            audience: UID of the namespace kube-system, or a fleet id.
            versions: of what comes with the worker and changes its answers: tables, trust root.
        """
        self._worker = worker
        self._keys = keys
        self._audience = audience
        self._versions = versions

    def attest(self, wanted: Wanted, *, now: int) -> Attested | Waiting:
        """A statement, new or still good, or what is waited for.

        Args:
            wanted: the model and all that is to be known about it.
            now: unix seconds.

        Raises:
            UnavailableError: there is no signing key yet.
        """
        keys = self._keys()
        if not keys:
            raise UnavailableError("there is no signing key")
        case = self._case(wanted, keys, now)
        if wanted.source is None:
            return self._unasked(case, keys[0])
        if case.before is not None and case.fresh:
            return self._renewed(case, case.before, keys[0], case.before.inputs)
        try:
            found = self._worker.examine(case.order)
        except LimitExceededError as error:
            return self._without(case, keys[0], Waiting(Reason.ATTESTATION_PENDING, str(error), limits.WORKER_BUSY_SECONDS))
        except UnavailableError as error:
            return self._without(case, keys[0], _unavailable(str(error)))
        if isinstance(found, Running):
            why = f"the model is being examined: {found.where}"
            return self._without(case, keys[0], Waiting(Reason.ATTESTATION_PENDING, why, limits.WORKER_POLL_SECONDS, running=True))
        return self._reported(case, found, keys[0])

    def _case(self, wanted: Wanted, keys: Sequence[Key], now: int) -> _Case:
        before = None
        if wanted.previous is not None:
            before = read_own(wanted.previous, keys=keys, identity=wanted.identity, audience=self._audience)
        order = Order(
            identity=wanted.identity,
            nonce="0" * 32,
            signers=wanted.signers,
            bundles=wanted.bundles,
            read_bytes=wanted.read_bytes,
            now=now,
            source=wanted.source,
            remote_bundles=wanted.remote_bundles,
            patient=before is not None and now < before.expires_at,
        )
        versions = self._versions()
        inputs = inputs_of(order, read_bytes=wanted.read_bytes, versions=versions)
        closer = inputs if wanted.read_bytes else inputs_of(order, read_bytes=True, versions=versions)
        attempt = "0" if before is None else str(before.serial)
        order = replace(order, nonce=nonce(keys[0], wanted.identity.key, inputs, attempt))
        return _Case(wanted, before, order, inputs, closer, now)

    def _renewed(self, case: _Case, before: Statement, key: Key, inputs: str) -> Attested:
        """From what is known; nobody is contacted, so no outage ends a statement (promises.md 2)."""
        evaluations = before.evaluations if case.wanted.evaluations is None else case.wanted.evaluations
        current = before.issued_at - limits.CLOCK_SKEW_SECONDS <= case.now < _due(before)
        if current and evaluations == before.evaluations and case.wanted.previous is not None:
            return Attested(case.wanted.previous, before, None, before.inputs, (), self._next(case, before))
        letter = replace(
            before,
            evaluations=evaluations,
            serial=_serial(case),
            issued_at=case.now,
            expires_at=case.now + limits.STATEMENT_SECONDS,
            inputs=inputs,
        )
        return Attested(sign(letter, key), letter, None, inputs, (), self._next(case, letter))

    def _unasked(self, case: _Case, key: Key) -> Attested | Waiting:
        """Nobody may be asked. The inputs that the facts were found with stay: a source that comes back as it was is no news."""
        if case.before is None:
            return Waiting(Reason.SOURCE_NOT_ALLOWED, "nobody may be asked about the model", limits.WORKER_RETRY_SECONDS)
        renewed = self._renewed(case, case.before, key, case.before.inputs)
        return replace(renewed, due=_due(renewed.letter))

    def _without(self, case: _Case, key: Key, waiting: Waiting) -> Attested | Waiting:
        """No report: what is known is renewed before it ends, and stays marked as found with other inputs."""
        before = case.before
        if before is None or case.now < _due(before):
            return waiting
        found_with = {case.inputs, case.closer}
        return self._renewed(case, before, key, partial(case.inputs) if before.inputs in found_with else before.inputs)

    def _reported(self, case: _Case, report: Report, key: Key) -> Attested | Waiting:
        complete = keeping.complete(report)  # apart from what may not be fetched: what changes that is an input
        report = replace(report, signatures=unknowns.beside(report.signatures, case.wanted.missing))
        if all(isinstance(fact, Unavailable) for fact in (report.content, report.signatures, report.formats)):
            why = report.content.why if isinstance(report.content, Unavailable) else ""
            return self._without(case, key, _unavailable(why))
        before = case.before
        inputs = case.inputs if complete else partial(case.inputs)
        try:
            statement = seal(
                report if before is None else keeping.kept(before, report),
                order=case.order,
                evaluations=_evaluations(case, report),
                audience=self._audience,
                serial=_serial(case),
                now=case.now,
                key=key,
                inputs=inputs,
            )
        except (MalformedError, UnavailableError) as error:
            why = f"the worker's report is refused: {error}"
            return self._without(case, key, Waiting(Reason.INTERNAL_ERROR, why, limits.WORKER_RETRY_SECONDS))
        letter = read_own(statement, keys=(key,), identity=case.wanted.identity, audience=self._audience)
        if letter is None:
            raise MalformedError("got a statement of our own that cannot be read back")
        negative = () if before is None else keeping.negative(before, report)
        return Attested(statement, letter, report, inputs, negative, self._next(case, letter))

    def _next(self, case: _Case, letter: Statement) -> int:
        if letter.inputs in {case.inputs, case.closer}:
            return _due(letter)
        return min(_due(letter), letter.issued_at + limits.PARTIAL_SECONDS)


def _due(letter: Statement) -> int:
    """When to renew: each model at its own moment, or 10,000 that were attested together would be renewed together."""
    spread = int.from_bytes(hashlib.sha256(letter.identity.key.encode()).digest()[:4], "big") % limits.RENEWAL_SPREAD_SECONDS
    return letter.issued_at + limits.RENEWAL_SECONDS - spread


def _serial(case: _Case) -> int:
    """Grows also where clocks go back, and where the last statement was lost (attack H3)."""
    return max(case.now, 0 if case.before is None else case.before.serial + 1)


def _evaluations(case: _Case, report: Report) -> tuple[EvaluationVerdict, ...]:
    """What is told of now, else what was stated about the same bytes."""
    if case.wanted.evaluations is not None:
        return case.wanted.evaluations
    before = case.before
    same = before is not None and (isinstance(report.content, Unavailable) or report.content == before.content)
    return before.evaluations if before is not None and same else ()


def _unavailable(why: str) -> Waiting:
    return Waiting(Reason.ATTESTATION_PENDING, why, limits.WORKER_RETRY_SECONDS)
