"""What one extraction may cost: steps, never wall clock, because a Python deadline cannot interrupt pure Python (attack H11)."""

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError


class Budget:
    """A counter shared by every loop over one object. Loops charge what they are about to do, before they do it."""

    __slots__ = ("_python", "_steps", "_yaml")

    def __init__(self, steps: int = limits.EXTRACT_STEPS) -> None:
        self._steps = steps
        self._python = limits.PYTHON_BYTES
        self._yaml = limits.DOCUMENT_BYTES

    def charge(self, steps: int) -> None:
        """Spend steps (one step: one visited value, word or row, below 1 µs).

        Raises:
            LimitExceededError: nothing is left.
        """
        self._steps -= steps
        if self._steps < 0:
            raise LimitExceededError(f"got an object that needs more than {limits.EXTRACT_STEPS} steps to read")

    def charge_python(self, size: int) -> None:
        """Spend bytes of Python source, which cost far more than words.

        Raises:
            LimitExceededError: nothing is left.
        """
        self.charge(2 * size)
        self._python -= size
        if self._python < 0:
            raise LimitExceededError(f"got more than {limits.PYTHON_BYTES} bytes of Python in one object")

    def charge_yaml(self, size: int) -> None:
        """Spend bytes of YAML inside strings.

        Raises:
            LimitExceededError: nothing is left.
        """
        self.charge(2 * size)
        self._yaml -= size
        if self._yaml < 0:
            raise LimitExceededError(f"got more than {limits.DOCUMENT_BYTES} bytes of documents inside one object")


def bound(count: int, limit: int, what: str) -> None:
    """Refuse a list before walking it.

    Raises:
        LimitExceededError: more than the limit.
    """
    if count > limit:
        raise LimitExceededError(f"got {count} {what}, expected at most {limit}")
