"""llama.cpp in this process, on loopback: for tests, laptops and the self-test. Small models only."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import xllamacpp

from modeltrust.domain.evaluation import Dialect, Served
from modeltrust.evaluation.conversion import convert

_CONTEXT_TOKENS = 1_024
_LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def serve(model: Path, *, user_prefix: str = "", turn_end: str = "", threads: int = 1) -> Iterator[Served]:
    """Serve a GGUF file, or a folder that ``conversion`` can write as one.

    One thread and one slot: answers then repeat themselves to the last bit (facts/evals.md, section 6).

    Args:
        model: file or folder.
        user_prefix: see Served.
        turn_end: see Served.
        threads: of the engine.

    Raises:
        MalformedError: a folder that cannot be converted.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = model
        if model.is_dir():
            path = Path(folder) / "model.gguf"
            convert(model, path)
        server = xllamacpp.Server(_parameters(path, threads))
        try:
            yield Served(server.listening_address, "local", Dialect.LLAMA_CPP, user_prefix=user_prefix, turn_end=turn_end)
        finally:
            del server  # its destructor stops the threads


def _parameters(path: Path, threads: int) -> xllamacpp.CommonParams:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.hostnames = [_LOOPBACK]
    parameters.port = 0
    parameters.n_ctx = _CONTEXT_TOKENS
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.fit_params = False
    parameters.verbosity = -1
    parameters.cpuparams.n_threads = threads
    return parameters
