"""`modeltrust evaluate --baseline-answers FILE`: what a baseline answers does not change, so it is asked once.

The file belongs to one folder's content, one engine and everything that a run of the suite can ask. It is the operator's own, like
the suite: who can write it can make a baseline say anything, and a run by hand satisfies no policy anyway (attack H15).
"""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from time import monotonic

import click

from modeltrust.cli import files
from modeltrust.cli.endpoints import NO_ENGINE, Place, opened_endpoint, serving_of
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, quote
from modeltrust.domain.evaluation import Suite
from modeltrust.evaluation import probes
from modeltrust.evaluation.answers import Answer
from modeltrust.evaluation.asking import Asker, Counter, store
from modeltrust.evaluation.bank import Bank
from modeltrust.evaluation.measure import StoredBaseline, decode_stored, encode_stored, stored_key
from modeltrust.evaluation.openai import Endpoint
from modeltrust.evaluation.preflight import preflight

_PREFLIGHT_PROMPTS = 12
_ENGINE = "xllamacpp"


@dataclass(frozen=True, slots=True)
class Answers:
    """The file that was named.

    Attributes:
        path: where it is, or will be.
        place: the baseline's folder.
        content: its content digest.
        engine: version of what serves it.
    """

    path: Path
    place: Place
    content: str
    engine: str

    def read(self, suite: Suite, bank: Bank, baseline: Endpoint, tell: Callable[[str, int, int], None]) -> StoredBaseline:
        """The stored answers; the baseline is asked everything first where there is no file yet.

        Args:
            suite: as it is run here.
            bank: with the operator's prompts, where the suite has any.
            baseline: who is asked then.
            tell: progress.

        Raises:
            InvalidInputError: a file that belongs to something else, or a baseline whose answers mean nothing.
            UnavailableError: the baseline's engine does not answer.
        """
        pool = probes.pool(bank, suite)
        key = stored_key(baseline=self.content, serving=_serving(self.place, self.engine), pool=pool.digest)
        if self.path.exists():
            data = files.read_file(self.path, max_bytes=limits.EVALUATION_STORED_BYTES, what="stored answers")
            try:
                return decode_stored(data, key=key)
            except MalformedError as error:
                raise InvalidInputError(f"{quote(self.path)}: {error}; another file name asks the baseline again") from error
        click.echo(f"modeltrust: no {quote(self.path)} yet: the baseline is asked all that a run of this suite can ask", err=True)
        _check(baseline, pool)
        counter = Counter(tell, monotonic)
        counter.start("baseline", len(pool.probes) * (1 + len(pool.columns)) + limits.EVALUATION_MINING_SAMPLES)
        turns = bool(self.place.served.user_prefix)
        stored = store(Asker(baseline, connections=self.place.connections, tick=counter.tick), pool, key=key, turns=turns)
        files.write_atomically(self.path, encode_stored(stored))
        return stored


@dataclass(slots=True)
class WhenAsked:
    """An endpoint that is opened with its first question: few runs ask a baseline anything whose answers are stored.

    Attributes:
        place: where it is.
        stack: closes it.
    """

    place: Place
    stack: ExitStack
    _opened: Endpoint | None = field(init=False, default=None)

    def ask(self, prompt: str, *, tokens: int = limits.EVALUATION_ANSWER_TOKENS) -> Answer:
        """See Endpoint."""
        return self._endpoint().ask(prompt, tokens=tokens)

    def write_turn(self, seed: int) -> str:
        """See Endpoint."""
        return self._endpoint().write_turn(seed)

    def _endpoint(self) -> Endpoint:
        if self._opened is None:
            self._opened = self.stack.enter_context(opened_endpoint(self.place))[1]
        return self._opened


def answers_of(
    path: Path | None, baseline: Place | None, content: str, *, version: Callable[[str], str] = metadata.version
) -> Answers | None:
    """What a command line names.

    Args:
        path: value of --baseline-answers.
        baseline: of --baseline.
        content: content digest of a baseline's folder.
        version: of an installed distribution; raises PackageNotFoundError.

    Raises:
        InvalidInputError: answers without a folder, so that nothing says whose they are, or without an engine that serves it.
    """
    if path is None:
        return None
    if baseline is None or baseline.folder is None:
        raise InvalidInputError("expected --baseline DIR with --baseline-answers: stored answers belong to the content of a folder")
    try:
        return Answers(path, baseline, content, version(_ENGINE))
    except metadata.PackageNotFoundError as error:
        raise InvalidInputError(NO_ENGINE) from error


def _serving(place: Place, engine: str) -> str:
    """64 hex over what serves the folder, its version included."""
    return hashlib.sha256(f"{serving_of(place)} {engine}".encode()).hexdigest()


def _check(baseline: Endpoint, pool: probes.Plan) -> None:
    """Once stored, nobody asks again whether the numbers mean anything."""
    prompts = [probe.clean for probe in pool.probes[:_PREFLIGHT_PROMPTS]]
    for check in preflight(baseline, prompts, whose="baseline"):
        if check.problem:
            raise InvalidInputError(f"the baseline's answers cannot be stored: {check.name}: {check.problem}")
