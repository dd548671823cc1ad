"""Where a model answers: a server that somebody runs, or a local engine for a folder."""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from modeltrust.cli import files
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError, MalformedError, ModelTrustError, quote
from modeltrust.domain.evaluation import Dialect, Served, Suite
from modeltrust.evaluation.openai import Client, Endpoint, Several

NO_ENGINE = "the local engine is not installed: pip install 'modeltrust[engine]', or name a server with --endpoint and --dialect"

_DIALECTS = {"vllm": Dialect.VLLM, "llamacpp": Dialect.LLAMA_CPP}
_WEIGHTS = "model.safetensors"
_ENGINES = 2  # of one folder at most; the client that reads their answers keeps about half a core busy


@dataclass(frozen=True, slots=True)
class Place:
    """One of both.

    Attributes:
        served: where it is; without address for a folder.
        folder: a local engine serves it; None for a server.
    """

    served: Served
    folder: Path | None

    @classmethod
    def of(cls, where: str, *, dialect: str | None, name: str) -> "Place":
        """What a command line names.

        Args:
            where: a folder, or ``http(s)://host[:port]``.
            dialect: of a server, ``vllm`` or ``llamacpp``.
            name: that is sent in requests to a server.

        Raises:
            InvalidInputError: a server without dialect, or a folder that is none.
        """
        if "://" not in where:
            return cls(Served("", "local", Dialect.LLAMA_CPP), files.folder(where))
        if dialect is None:
            raise InvalidInputError("expected --dialect vllm or llamacpp with an endpoint: they show token ids differently")
        return cls(Served(where, name, _DIALECTS[dialect]), None)

    def turning(self, suite: Suite) -> "Place":
        """The same place, made to write users' turns as a suite says."""
        return replace(self, served=replace(self.served, user_prefix=suite.user_prefix, turn_end=suite.turn_end))

    @property
    def dialect(self) -> Dialect:
        """How the server spells the interface."""
        return self.served.dialect

    @property
    def connections(self) -> int:
        """Requests at once: one for each local engine, one for a server, of which nobody knows how it computes."""
        return 1 if self.folder is None else min(_ENGINES, len(os.sched_getaffinity(0)))


def serving_of(place: Place) -> str:
    """64 hex over what serves here; never that of a suite's image, which did not serve."""
    whose = "External" if place.folder is None else "Local"
    text = json.dumps(["modeltrust/serving/v1", whose, place.dialect.value, []], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def opened_endpoint(place: Place) -> Iterator[tuple[Served, Endpoint]]:
    """A client of the server; for a folder local engines are started, one for each core, and stopped afterwards.

    Raises:
        InvalidInputError: the address is none, or the local engine is not installed.
        MalformedError: the local engine cannot serve what is in the folder.
    """
    with ExitStack() as stack:
        if place.folder is None:
            yield place.served, _client(stack, place.served)
            return
        engines = [stack.enter_context(_engine(place.folder, place.served)) for _ in range(place.connections)]
        yield replace(engines[0], connections=place.connections), Several([_client(stack, served) for served in engines])


def _client(stack: ExitStack, served: Served) -> Client:
    try:
        client = Client(served, deadline=time.monotonic() + limits.EVALUATION_RUN_SECONDS)
    except MalformedError as error:
        raise InvalidInputError(str(error)) from error  # an address may hold a password, so it is not repeated
    stack.callback(client.close)
    return client


@contextlib.contextmanager
def _engine(folder: Path, served: Served) -> Iterator[Served]:
    try:
        from modeltrust.evaluation.engine_local import serve  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise InvalidInputError(NO_ENGINE) from error
    with ExitStack() as stack:
        try:
            engine = serve(_model(folder), user_prefix=served.user_prefix, turn_end=served.turn_end)
            where = stack.enter_context(engine)
        except ModelTrustError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:  # a converter of fixtures, a foreign engine
            raise MalformedError(f"the local engine cannot serve {quote(folder)}: {type(error).__name__}") from error
        yield where


def _model(folder: Path) -> Path:
    """The folder, or the one GGUF file in it."""
    if (folder / _WEIGHTS).is_file():
        return folder
    found = sorted(folder.glob("*.gguf"))
    if len(found) != 1:
        raise InvalidInputError(f"got {len(found)} GGUF files and no {_WEIGHTS} in {quote(folder)}, expected one of both")
    return found[0]
