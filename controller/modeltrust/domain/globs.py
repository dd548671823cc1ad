"""The one glob grammar: policies, scopes, sources, exemptions, revocations and signer identities.

``*`` matches within one component, ``**`` across components; neither ever crosses ``@`` and ``*`` never crosses ``/`` (attack H7:
``…/evil.yml@refs/heads/foo@refs/heads/main``). There are no other wildcards. Allow-lists compare exactly, deny-lists fold case.
"""

import re
from dataclasses import dataclass, field

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, quote

_STARS_IN_COMPONENT = 2
_TOKENS = re.compile("([/@])")


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern.

    Attributes:
        pattern: as written.
        fold_case: compare without regard to case, for deny-lists.
    """

    pattern: str
    fold_case: bool = False
    _regex: re.Pattern[str] | None = field(init=False, repr=False, compare=False)
    _literal: str = field(init=False, repr=False, compare=False)
    _revision: bool = field(init=False, repr=False, compare=False)
    _head: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_glob(self.pattern)
        object.__setattr__(self, "_literal", self.pattern.casefold() if self.fold_case else self.pattern)
        object.__setattr__(self, "_regex", _compile(self._literal) if "*" in self.pattern else None)
        object.__setattr__(self, "_revision", "@" in self.pattern)
        object.__setattr__(self, "_head", _head(self._literal))

    def matches(self, text: str) -> bool:
        """Whether the whole text matches; texts beyond the bound on references never do."""
        if ("@" in text) is not self._revision or len(text) > limits.REFERENCE_CHARACTERS:
            return False  # no star crosses an "@", so it is on both sides or on neither
        candidate = text.casefold() if self.fold_case else text
        head = self._head
        if head is not None:
            return candidate.startswith(head) and (self._literal.endswith("**") or candidate.find("/", len(head)) < 0)
        if self._regex is None:
            return candidate == self._literal
        return self._regex.fullmatch(candidate) is not None


def check_glob(pattern: str) -> None:
    """Refuse a pattern that is empty, too long, not printable ASCII or uses a star in another way than the grammar.

    Raises:
        InvalidReferenceError: with what is wrong.
    """
    if not pattern or len(pattern) > limits.GLOB_CHARACTERS:
        raise InvalidReferenceError(
            f"got a pattern of {len(pattern)} characters, expected 1 to {limits.GLOB_CHARACTERS}: {quote(pattern)}"
        )
    if not pattern.isascii() or not pattern.isprintable():
        raise InvalidReferenceError(f"got {quote(pattern)}, expected a pattern of printable ASCII")
    if "***" in pattern or pattern.count("**") > 1:
        raise InvalidReferenceError(f'got {quote(pattern)}, expected at most one "**" and no "***"')
    if pattern.count("*") > limits.GLOB_STARS:
        raise InvalidReferenceError(f'got {quote(pattern)}, expected at most {limits.GLOB_STARS} "*"')
    for component in re.split("[/@]", pattern):
        stars = component.replace("**", "").count("*")
        if stars > _STARS_IN_COMPONENT or ("**" in component and component != "**"):
            raise InvalidReferenceError(
                f'got {quote(pattern)}, expected "**" alone in its component and at most {_STARS_IN_COMPONENT} "*" in any other'
            )


def _head(pattern: str) -> str | None:
    """What stands before the only star or two, at the end of a pattern without "@"; no regex is needed then."""
    head = pattern.rstrip("*")
    return head if head != pattern and "*" not in head and "@" not in head else None


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(_part(token) for token in _TOKENS.split(pattern)))


def _part(token: str) -> str:
    if token == "**":
        return "[^@]*"
    first, *others = token.split("*")
    if not others:
        return re.escape(first)
    # Between two stars the leftmost place is as good as any, so it is taken for good (an atomic group): a text that fails must not
    # try every combination of places. Without this "*a*/*a*/*a*/*b" takes 50 s on 1,000 characters.
    middle = "".join(f"(?>[^/@]*?{re.escape(literal)})" for literal in others[:-1])
    return f"{re.escape(first)}{middle}[^/@]*{re.escape(others[-1])}"
