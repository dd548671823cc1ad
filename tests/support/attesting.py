"""Who gets statements, without a worker: answers what it was told to, signed with a real key."""

import threading
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.domain.evidence import Statement
from modeltrust.domain.work import Report
from modeltrust.verification.attesting import Attested, Waiting, Wanted
from tests.support.statements import DAY, sealed

Answer = Statement | Waiting | Exception


class AttestingFake:
    """Answers ``attest`` as the real one does: the last statement while it is good, else a new one.

    Attributes:
        answer: what the next question is answered with.
        negative: what no longer holds.
        asked: every question.
    """

    def __init__(self, answer: Answer, *, key: Callable[[], ec.EllipticCurvePrivateKey]) -> None:
        self.answer = answer
        self.negative: tuple[str, ...] = ()
        self.asked: list[Wanted] = []
        self._key = key
        self._lock = threading.Lock()

    def attest(self, wanted: Wanted, *, now: int) -> Attested | Waiting:
        """See ``verification.attesting.Attesting``."""
        with self._lock:
            self.asked.append(wanted)
        answer = self.answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Waiting):
            return answer
        if wanted.previous is not None and not self.negative:
            return Attested(wanted.previous, answer, None, "", (), now + DAY)
        return Attested(sealed(answer, self._key()), answer, _report(answer, wanted), "", self.negative, now + DAY)


def _report(letter: Statement, wanted: Wanted) -> Report:
    return Report(
        identity=wanted.identity,
        nonce="0" * 32,
        content=letter.content,
        assurance=letter.assurance,
        files=7,
        bytes=1_234,
        weights=letter.weights,
        signatures=letter.signatures,
        formats=letter.formats,
        lineage=letter.lineage,
    )
