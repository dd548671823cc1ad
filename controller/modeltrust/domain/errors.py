"""The errors that modeltrust raises on purpose.

Messages start lower case, say "got X, expected Y", quote and truncate foreign values and hold no secrets. Whether an error is
permanent or temporary is decided at the edge, by its type and never by its text.
"""

from modeltrust.domain import limits

_ESCAPED = {ord(c): f"\\x{ord(c):02x}" for c in map(chr, range(32))} | {0x7F: "\\x7f"}


def quote(value: object, characters: int = limits.QUOTED_CHARACTERS) -> str:
    """A foreign value for a message: quoted, truncated, without control, format or bidirectional characters.

    Args:
        value: what was found; its ``str()`` is shown.
        characters: how many characters of it are kept.
    """
    text = str(value)[: characters + 1]
    shown = text if len(text) <= characters else text[: characters - 1] + "…"
    return '"' + "".join(_visible(character) for character in shown.translate(_ESCAPED)) + '"'


def _visible(character: str) -> str:
    if character.isascii() or character.isprintable():
        return character
    return f"\\u{ord(character):04x}"


class ModelTrustError(Exception):
    """Root of our own errors; anything else that escapes is a bug and ends in a denial with InternalError."""


class InvalidInputError(ModelTrustError):
    """What a person wrote cannot be used: a file, a flag, a field. Exit code 2."""


class InvalidReferenceError(InvalidInputError):
    """A string is no canonical model reference, glob or revision."""


class MalformedError(ModelTrustError):
    """Foreign bytes are not what they claim to be: a model file, a bundle, a statement. Never success."""


class LimitExceededError(MalformedError):
    """A bound of ``domain.limits`` was reached; the message names it."""


class UnavailableError(ModelTrustError):
    """We could not look: unreachable, throttled, unreadable. Says nothing about what is there."""


class NotFoundError(ModelTrustError):
    """We looked and it is not there."""


class UntrustedError(ModelTrustError):
    """A signature, a certificate chain or a statement does not verify.

    Attributes:
        reason: name of the reason in ``domain.reasons`` that a denial would carry.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
