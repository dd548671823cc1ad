"""What a process that parses foreign bytes gives up before it reads the first of them (attack C5)."""

import ctypes
import os
import resource
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from modeltrust.domain import limits
from modeltrust.wiring import landlock, memory, system_calls

_PR_SET_DUMPABLE = 4  # prctl(2)
_PR_SET_NO_NEW_PRIVS = 38
_KEPT = frozenset({"LANG", "LC_CTYPE"})  # what the interpreter itself sets where there is nothing
_SET = {"OPENBLAS_NUM_THREADS": "1"}  # numpy would start a thread for each core of the node, with memory for each


class Confine(Protocol):
    """``confine``, or what takes its place where a test calls a job in its own process, which cannot be undone."""

    def __call__(
        self,
        *,
        cpu_seconds: int,
        reads: Iterable[Path] = (),
        writes: Iterable[Path] = (),
        connects: Iterable[int] | None = None,
    ) -> bool:
        """See ``confine``."""
        ...


def confine(
    *,
    cpu_seconds: int,
    memory_bytes: int = limits.EXAMINER_MEMORY_BYTES,
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
    connects: Iterable[int] | None = None,
) -> bool:
    """Bound this process for good, and hide it from others of the same user.

    No core is dumped, no privilege gained, no file written outside ``writes``; memory, processor time and open files are bounded.
    Not dumpable: no sibling may read its memory or environment, where its order's credentials are, through ``/proc`` or ``ptrace``.

    Where the kernel can, it reads no file but its own program's, connects to no other TCP port, and starts no process, which could
    leave the group that is killed. To be called before other threads run: Landlock holds those that are started later.

    Args:
        cpu_seconds: of processor time; then the kernel ends it.
        memory_bytes: of address space; less where its container has less.
        reads: more folders that may be read.
        writes: folders in which files may be made.
        connects: TCP ports that may be connected to; None for all of them. See ``landlock.keeps_ports``.

    Returns:
        Whether files and processes are kept from it, too; False where the kernel cannot (no Landlock, or no seccomp filters).

    Raises:
        OSError: the kernel does not allow it; then nothing foreign may be read.
    """
    places = tuple(writes)
    os.umask(0o077)
    for name in os.environ.keys() - _KEPT:
        del os.environ[name]
    os.environ.update(_SET)
    _limit(resource.RLIMIT_CORE, 0)
    log = limits.EVALUATION_LOG_BYTES if stat.S_ISREG(os.fstat(1).st_mode) else 0  # whoever redirects it wants to read it
    _limit(resource.RLIMIT_FSIZE, limits.MODEL_BYTES if places else log)
    _limit(resource.RLIMIT_NOFILE, limits.EXAMINER_FILES)
    _limit(resource.RLIMIT_AS, memory.of_one(memory.of_container(), most=memory_bytes))
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    if sys.platform != "linux":
        return False
    hide()
    files = landlock.restrict(landlock.readable(reads), writes=places, connects=connects)
    return system_calls.restrict() and files


def possible() -> bool:
    """Whether ``confine`` can keep files and processes from what it confines on this kernel; asked by who must say so."""
    return landlock.abi() > 0 and system_calls.known()


def hide() -> None:
    """Nobody of the same user may trace this process or read its memory, and it gains no privileges by running programs.

    Raises:
        OSError: the kernel does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl is refused")


def _limit(kind: int, value: int) -> None:
    """Down, never up, and not to be raised again."""
    _soft, hard = resource.getrlimit(kind)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))
