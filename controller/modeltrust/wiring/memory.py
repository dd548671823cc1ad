"""How much memory the container of this process may take, and what each of several processes in it may have of that.

With cgroup v2 the kubelet sets ``memory.oom.group``: one process that is over the limit takes the whole container along. What
parses foreign bytes is therefore bounded by its address space, so that it fails alone and says so.
"""

from pathlib import Path

from modeltrust.domain import limits

_ROOT = Path("/sys/fs/cgroup")
_PLACES = ("memory.max", "memory/memory.limit_in_bytes")  # cgroup v2 and v1, as a container sees its own


def of_container(root: Path = _ROOT) -> int | None:
    """Bytes that all processes of the container may take together; None where nothing states a bound."""
    for place in _PLACES:
        try:
            text = (root / place).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        if text.isdecimal():
            return int(text)
    return None


def of_one(container: int | None, *, most: int = limits.EXAMINER_MEMORY_BYTES) -> int:
    """Bytes of address space for a process that has the container to itself.

    Args:
        container: see ``of_container``.
        most: however much there is.
    """
    return most if container is None else max(0, min(most, container - limits.CONTAINER_SPARE_BYTES))


def of_each(container: int | None, *, processes: int) -> tuple[int, int]:
    """How many processes there may be at once beside a worker, and the address space of each: all of them together fit.

    Args:
        container: see ``of_container``.
        processes: how many are wished for.

    Returns:
        (processes, bytes); fewer processes rather than such that the largest real models do not fit into. 0 where not one fits.
    """
    if container is None:
        return processes, limits.EXAMINER_MEMORY_BYTES
    left = max(0, container - limits.WORKER_MEMORY_BYTES)
    fitting = min(processes, left // limits.EXAMINER_LEAST_MEMORY_BYTES)
    return fitting, min(limits.EXAMINER_MEMORY_BYTES, left // max(1, fitting))
