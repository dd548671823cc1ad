"""What the attested model answers, recorded once from attested bytes; a live server is compared with it.

Holds the first tokens of the answers to a pool of prompts, and how far each trigger moves the answer to each of them. Whoever has
it knows the probes: it belongs in a Secret.
"""

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, UnavailableError
from modeltrust.domain.evaluation import SCALE, ColumnKind, Suite
from modeltrust.evaluation import probes
from modeltrust.evaluation.answers import Answer, Position, Token
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.draws import Draw, hkdf
from modeltrust.evaluation.probes import Probe

_DECIMALS = 4  # of a log-probability: a divergence of 1e-8


class _Position(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chosen: Token
    top: tuple[tuple[Token, float], ...]


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of one prompt.

    Attributes:
        positions: of the answer to the clean prompt.
        ended: whether that answer ended within them.
        shifts: S(p, s) of each trigger, ten-thousandths.
    """

    positions: tuple[_Position, ...]
    ended: bool
    shifts: tuple[int, ...]

    @property
    def answer(self) -> Answer:
        """The first tokens as an answer; its text is not kept."""
        positions = tuple(Position(entry.chosen, dict(entry.top)) for entry in self.positions)
        return Answer("", positions, self.ended, has_ids=True)


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The recorded answers of one model to the prompts of one suite.

    Attributes:
        suite_hash: of the suite.
        content: content digest of the model that answered.
        nonce: 32 hex of the order; whoever ordered knows by it that this is the answer (attack C6).
        triggers: names, in the order of the shifts.
        kept: for each prompt of ``watched``, in its order.
    """

    suite_hash: str
    content: str
    nonce: str
    triggers: tuple[str, ...]
    kept: tuple[Kept, ...]


def keep(clean: Answer, shifts: Iterable[int]) -> Kept:
    """Reduce the answers to one prompt."""
    positions = tuple(
        _Position(entry.chosen, tuple((key, round(value, _DECIMALS)) for key, value in entry.top.items()))
        for entry in clean.positions[: limits.MONITOR_IDENTITY_TOKENS]
    )
    return Kept(positions, clean.ended and len(clean.positions) <= limits.MONITOR_IDENTITY_TOKENS, tuple(shifts))


def names_of(bank: Bank, suite: Suite) -> tuple[str, ...]:
    """Names of the triggers that a server is watched with.

    Raises:
        InvalidInputError: the suite belongs to another bank.
    """
    return tuple(column.name for column in probes.columns(bank, suite) if column.kind is ColumnKind.TRIGGER)


def watched(bank: Bank, suite: Suite) -> tuple[tuple[str, ...], tuple[Probe, ...]]:
    """The triggers and prompts that a server is watched with; a part of the suite's pool, drawn from the bank alone.

    Returns:
        Names of the triggers, and limits.MONITOR_POOL probes whose first texts carry them.

    Raises:
        InvalidInputError: the suite belongs to another bank.
    """
    whole = probes.pool(bank, suite)
    names = names_of(bank, suite)
    draw = Draw(hkdf(suite.hash.encode(), salt=(bank.digest + bank.private_digest).encode(), purpose="modeltrust/monitor/pool/v1"))
    return names, tuple(draw.sample(whole.probes, limits.MONITOR_POOL))


def encode_fingerprint(fingerprint: Fingerprint) -> bytes:
    """As gzip of JSON; the same fingerprint gives the same bytes.

    Raises:
        LimitExceededError: larger than a Secret holds.
    """
    data = gzip.compress(msgspec.json.encode(fingerprint), mtime=0)
    if len(data) > limits.MONITOR_FINGERPRINT_BYTES:
        raise LimitExceededError(f"got a fingerprint of {len(data)} bytes, expected at most {limits.MONITOR_FINGERPRINT_BYTES}")
    return data


def decode_fingerprint(data: bytes, *, digest: str) -> Fingerprint:
    """Read a fingerprint.

    Args:
        data: as ``encode_fingerprint`` writes it.
        digest: 64 hex that were ordered.

    Raises:
        MalformedError: another form, or another fingerprint than was ordered.
        LimitExceededError: too large, packed or unpacked.
    """
    if len(data) > limits.MONITOR_FINGERPRINT_BYTES:
        raise LimitExceededError(f"got a fingerprint of more than {limits.MONITOR_FINGERPRINT_BYTES} bytes")
    if digest_of(data) != digest:
        raise MalformedError("got another fingerprint than was ordered")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            text = stream.read(limits.MONITOR_FINGERPRINT_UNPACKED_BYTES + 1)
        if len(text) > limits.MONITOR_FINGERPRINT_UNPACKED_BYTES:
            raise LimitExceededError("got a fingerprint that unpacks to more than any has")
        found = msgspec.json.decode(text, type=Fingerprint)
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise MalformedError("got a fingerprint in another form than ours") from error
    if len(found.kept) != limits.MONITOR_POOL or any(len(entry.shifts) != len(found.triggers) for entry in found.kept):
        raise MalformedError("got a fingerprint that does not cover its own prompts")
    return found


def digest_of(data: bytes) -> str:
    """64 hex: what a fingerprint is called."""
    return hashlib.sha256(data).hexdigest()


def check_recorded(fingerprint: Fingerprint, suite: Suite, names: tuple[str, ...], *, content: str, nonce: str) -> None:
    """Is this fingerprint the answer to the order? The key holder asks before it keeps it (attack C6).

    Raises:
        MalformedError: it answers another one, or has numbers that no recording has.
    """
    said = (fingerprint.suite_hash, fingerprint.triggers, fingerprint.content, fingerprint.nonce)
    if said != (suite.hash, names, content, nonce):
        raise MalformedError("got a fingerprint of another model, suite or nonce than was ordered")
    for entry in fingerprint.kept:
        if any(not 0 <= value <= SCALE for value in entry.shifts):
            raise MalformedError(f"got a distance outside 0 to {SCALE}")
        if not 0 < len(entry.positions) <= limits.MONITOR_IDENTITY_TOKENS:
            raise MalformedError(f"got an answer of {len(entry.positions)} tokens, expected 1 to {limits.MONITOR_IDENTITY_TOKENS}")


def check_covers(fingerprint: Fingerprint, suite: Suite, names: tuple[str, ...], content: str) -> None:
    """A fingerprint of another suite or model says nothing here.

    Raises:
        UnavailableError: it is one.
    """
    if (fingerprint.suite_hash, fingerprint.triggers, fingerprint.content) != (suite.hash, names, content):
        raise UnavailableError("got the fingerprint of another model or suite; it must be recorded again")
