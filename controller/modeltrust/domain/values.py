"""Values of the admission path: immutable to the type checker, cheap at run time.

A frozen dataclass sets each field by ``object.__setattr__``: 1.8 µs for a Finding, 0.3 µs without. A decision makes dozens of
values, so those made for every request are refused assignment by mypy alone (docs/adr/0004-values-that-mypy-freezes.md). They
compare, hash and are slotted as frozen ones are.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

T = TypeVar("T")

if TYPE_CHECKING:

    @dataclass_transform(frozen_default=True, field_specifiers=(field,))
    def value(cls: type[T]) -> type[T]:
        """Make a class a value."""
        ...

else:
    value = dataclass(slots=True, unsafe_hash=True)
