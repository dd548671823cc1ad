"""What we know, what is not there, and what we could not see: three different things.

``Absent`` is a failure, ``Unavailable`` is an error, and neither is ever read as success. Facts are matched exhaustively and never
tested for truth: ``bool()`` of a fact raises.
"""

from dataclasses import dataclass
from typing import Generic, NoReturn, TypeAlias, TypeVar

from modeltrust.domain.values import value

T = TypeVar("T")


class _NeverTruthTested:
    __slots__ = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a fact has no truth value; match Known, Absent and Unavailable")


@value
class Known(_NeverTruthTested, Generic[T]):
    """We looked and this is what is there."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent(_NeverTruthTested):
    """We looked and nothing is there."""


@dataclass(frozen=True, slots=True)
class Unavailable(_NeverTruthTested):
    """We could not look, or what we saw cannot be used.

    Attributes:
        why: one sentence, lower case, safe to show.
    """

    why: str


Fact: TypeAlias = Known[T] | Absent | Unavailable
