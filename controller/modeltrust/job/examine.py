"""`modeltrust job examine`: one order in, one report out; what the worker's children and Jobs run.

The order comes on stdin (or from a file: a Job mounts a Secret), so that nothing of it stands in arguments, the environment or on
disk. Progress goes to stdout, one line each; the report is the last line (``api.output``).
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError, quote
from modeltrust.domain.work import Order, Report
from modeltrust.wiring.confinement import confine
from modeltrust.wiring.examination import contacted_ports
from modeltrust.wiring.landlock import keeps_ports
from modeltrust.wiring.ordered import examine_ordered


class Exit(IntEnum):
    """Fixed exit codes; with any but the first there is no report."""

    REPORTED = 0  # also where the report says that nothing could be looked at
    INTERNAL = 1
    USAGE = 2  # no order of ours
    LIMITED = 13  # the model is larger or more involved than can be reported, or memory was not enough


class _UsageError(Exception):
    """The arguments make no sense."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def main(arguments: list[str], *, clock: Callable[[], float] = time.monotonic) -> int:
    """Examine one model.

    Args:
        arguments: after ``job examine``.
        clock: seconds, for progress only.

    Returns:
        One of the fixed exit codes; the last line says why where there is no report.
    """
    output = _Output(_private_output(), clock)
    try:
        options = _parse(arguments)
        order = _read(options.order)
        seconds = limits.EXAMINER_BYTES_CPU_SECONDS if order.read_bytes else limits.EXAMINER_CPU_SECONDS
        folders = () if options.trust_root_folder is None else (options.trust_root_folder,)
        confined = confine(cpu_seconds=seconds, memory_bytes=options.memory, reads=folders, connects=_ports(order))
        output.progress("started", model=order.identity.key, confined=confined, ports_kept=keeps_ports())
        report = examine_ordered(
            order,
            allow_loopback=options.allow_loopback,
            progress=output.read,
            trust_root_folder=options.trust_root_folder,
        )
        output.report(report)
    except (_UsageError, MalformedError) as error:
        limited = isinstance(error, LimitExceededError)
        output.progress("failed", message=str(error))
        return int(Exit.LIMITED if limited else Exit.USAGE)
    except MemoryError:
        output.progress("failed", message="out of memory")
        return int(Exit.LIMITED)
    except ModelTrustError as error:
        output.progress("failed", message=str(error))
        return int(Exit.INTERNAL)
    except Exception as error:  # noqa: BLE001 - whatever happens, the reason must be readable and no report may follow
        output.progress("failed", message=f"{type(error).__name__}: {quote(error)}")
        return int(Exit.INTERNAL)
    return int(Exit.REPORTED)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _Parser(prog="modeltrust job examine", description=__doc__, add_help=False, allow_abbrev=False)
    parser.add_argument("--order", type=Path, metavar="FILE", help="the order; without it, stdin")
    parser.add_argument("--allow-loopback", action="store_true", help="also contact this machine, for tests")
    parser.add_argument("--trust-root-folder", type=Path, metavar="DIR", help="with the public good instance's trust root")
    parser.add_argument("--memory", type=int, metavar="BYTES", default=limits.EXAMINER_MEMORY_BYTES, help="of address space")
    return parser.parse_args(arguments)


def _read(file: Path | None) -> Order:
    try:
        if file is None:
            data = sys.stdin.buffer.read(limits.ORDER_BYTES + 1)
        else:
            with file.open("rb") as stream:
                data = stream.read(limits.ORDER_BYTES + 1)
    except OSError as error:
        raise _UsageError(f"cannot read the order: {error.strerror}") from error
    return work.decode_order(data)


def _ports(order: Order) -> frozenset[int]:
    accesses = (order.source, *(bundle.access for bundle in order.remote_bundles))
    return contacted_ports(access for access in accesses if access is not None)


def _private_output() -> BinaryIO:
    """Stdout for nobody else: what a library prints goes to stderr, or it would stand between the lines."""
    private = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return private


class _Output:
    """Lines for whoever started this."""

    def __init__(self, stream: BinaryIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._started = self._told = clock()
        self._bytes = 0
        self._lines = 0

    def progress(self, event: str, **fields: str | int) -> None:
        seconds = round(self._clock() - self._started, 3)
        self._write(msgspec.json.encode({"event": event, "seconds": seconds, **fields}))

    def read(self, count: int) -> None:
        """That bytes have been read; told now and then, and not for ever."""
        self._bytes += count
        if self._clock() - self._told >= limits.PROGRESS_SECONDS and self._lines < limits.PROGRESS_LINES:
            self._told = self._clock()
            self._lines += 1
            self.progress("reading", bytes=self._bytes)

    def report(self, report: Report) -> None:
        self._write(work.encode_report(report))

    def _write(self, line: bytes) -> None:
        left = memoryview(line + b"\n")
        while left:
            left = left[self._stream.write(left) :]
