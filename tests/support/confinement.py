"""Jobs that are called in the process of the tests: confining it could not be undone."""

import os
from collections.abc import Iterable
from pathlib import Path


def left_alone(
    *, cpu_seconds: int, reads: Iterable[Path] = (), writes: Iterable[Path] = (), connects: Iterable[int] | None = None
) -> bool:
    """In place of ``wiring.confinement.confine``; what a confined process can do is shown in processes of their own."""
    assert cpu_seconds > 0
    del reads, writes, connects
    return False


def environment() -> dict[str, str]:
    """For a process that confines itself and whose stderr counts: coverage would complain there that it may not write."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
