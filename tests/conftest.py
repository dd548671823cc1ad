"""What holds for every test: the same examples in every run, one thread per process, and tables that are read once.

Property tests draw the same examples in every run, so that green is green; `make explore` draws others.
"""

import functools
import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from modeltrust.wiring import rows

settings.register_profile("same", derandomize=True, database=None, deadline=None)
settings.register_profile("explore", derandomize=False, database=None, deadline=None, print_blob=True)
settings.load_profile("same")

# Two workers with a pool of threads for each core, and every process they start: before anybody imports numpy.
os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

# A process reads them once in its life; here hundreds of commands run in one process, and half their time would be this.
pytest.MonkeyPatch().setattr(rows, "load_tables", functools.cache(rows.load_tables))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Nine thousand tests live as long as the run: the garbage collector need not walk through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
