"""One problem at one place in one file: what the formats for machines beside JSON need."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding with its position.

    Attributes:
        file: as named on the command line.
        position: (line, column), both from 1.
        rule: the reason.
        message: one sentence.
        fix: may be empty.
        error: whether it denies, rather than warns.
    """

    file: str
    position: tuple[int, int]
    rule: str
    message: str
    fix: str
    error: bool
