"""Sources: models come from allowed places only.

Patterns are compared exactly with the canonical reference, resolver included, once without and once with its revision. Another
resolver (`hf+https://hub.example/…`) is another place, whatever the name says.
"""

from dataclasses import dataclass
from typing import ClassVar

from modeltrust.domain.decision import Finding, Status
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.workload import FoundReference
from modeltrust.policy.policy import Trust
from modeltrust.policy.scopes import key_of, within
from modeltrust.policy.wording import listed

_PASS = (Finding("sources", Status.PASS),)


@dataclass(frozen=True, slots=True)
class Sources:
    """Every reference matches one of these patterns.

    Attributes:
        allowed: globs over canonical references; empty allows nothing.
    """

    allowed: tuple[Glob, ...]
    name: ClassVar[str] = "sources"

    def check(self, subject: FoundReference, trust: Trust) -> tuple[Finding, ...]:  # noqa: ARG002 - the one shape
        """Pass, or SourceNotAllowed."""
        text = subject.reference.text
        if within(self.allowed, text, key_of(subject)):
            return _PASS
        expected = listed((glob.pattern for glob in self.allowed), quoted=True)
        return (
            Finding(
                "sources",
                Status.FAIL,
                Reason.SOURCE_NOT_ALLOWED,
                f"is from no allowed source, expected {expected}",
                "name the copy of this model in an allowed source, or ask for the source to be allowed",
            ),
        )
