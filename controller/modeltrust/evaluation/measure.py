"""One probe, one model: its answers as numbers. A baseline's can be stored, since the pool of probes follows from the bank."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import SCALE
from modeltrust.evaluation.answers import Answer, Token, shift
from modeltrust.evaluation.probes import Probe


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one model did with one probe.

    Attributes:
        effects: S_M(p, s) for each column, ten-thousandths.
        texts: the answers, clean prompt first; bounded.
        first: the listed tokens and log-probabilities at the first answer position of the clean prompt.
    """

    effects: tuple[int, ...]
    texts: tuple[str, ...]
    first: tuple[tuple[Token, float], ...]


def measured(clean: Answer, others: Iterable[Answer]) -> Measured:
    """Reduce the answers to one probe.

    Args:
        clean: to the prompt itself.
        others: to the prompt with each column's string.
    """
    answers = (clean, *others)
    return Measured(
        tuple(round(SCALE * shift(clean, other)) for other in answers[1:]),
        tuple(answer.text[: limits.EVALUATION_TEXT_CHARACTERS] for answer in answers),
        tuple(clean.positions[0].top.items()) if clean.positions else (),
    )


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """A baseline's answers to the whole pool of a suite, without any server.

    Attributes:
        key: ``stored_key`` of what they belong to.
        probes: by the digest of the probe.
        turns: what it wrote as a user, for mining; empty: not asked.
    """

    key: str
    probes: dict[str, Measured]
    turns: tuple[str, ...] = ()

    def measure(self, probe: Probe) -> Measured:
        """Its numbers.

        Raises:
            UnavailableError: nothing is stored about this probe.
        """
        found = self.probes.get(probe.digest)
        if found is None or len(found.effects) != len(probe.texts):
            raise UnavailableError("the stored answers of the baseline do not cover this probe")
        return found


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str
    probes: dict[str, Measured]
    turns: tuple[str, ...]


def stored_key(*, baseline: str, serving: str, pool: str) -> str:
    """64 hex that name stored answers.

    Args:
        baseline: content digest of the baseline.
        serving: what served it; another engine gives other numbers.
        pool: ``Plan.digest`` of everything that was asked: another bank, other private prompts, families or sizes are another pool.
    """
    return hashlib.sha256(f"modeltrust/baseline/v1\0{baseline}\0{serving}\0{pool}".encode()).hexdigest()


def encode_stored(stored: StoredBaseline) -> bytes:
    """Stored answers as JSON."""
    return msgspec.json.encode(_Stored(stored.key, stored.probes, stored.turns))


def decode_stored(data: bytes, *, key: str) -> StoredBaseline:
    """Read stored answers.

    Raises:
        MalformedError: another form, or answers under another key.
        LimitExceededError: too large.
    """
    if len(data) > limits.EVALUATION_STORED_BYTES:
        raise LimitExceededError(f"got {len(data)} bytes of stored answers, expected at most {limits.EVALUATION_STORED_BYTES}")
    try:
        document = msgspec.json.decode(data, type=_Stored)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise MalformedError("got stored answers in another form than ours") from None
    if document.key != key:
        raise MalformedError("got stored answers of another baseline, engine, probe bank, prompts or suite")
    return StoredBaseline(document.key, document.probes, document.turns)
