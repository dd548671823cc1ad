"""The errors that modeltrust raises on purpose.

Messages start lower case, say "got X, expected Y", quote and truncate foreign values and hold no secrets. Whether an error is
permanent or temporary is decided at the edge, by its type and never by its text.
"""

from modeltrust.domain import limits

_SECRET, _NOT_SHOWN = "PRIVATE KEY-----", '"(a private key, not shown)"'
_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(32), 0x7F)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
_INVISIBLE = frozenset(  # printable by Unicode's rules, and yet shown as nothing: grapheme joiner, fillers, variation selectors
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}
    | set(range(0xE0100, 0xE01F0))
)


def quote(value: object, characters: int = limits.QUOTED_CHARACTERS) -> str:
    """A foreign value for a message: quoted and truncated, control, format, bidirectional and invisible characters escaped.

    Args:
        value: what was found; its ``str()`` is shown.
        characters: how many characters of it are kept.
    """
    text = str(value)[: characters + 1]
    if _SECRET in text:
        return _NOT_SHOWN  # pasted into the wrong field; the message goes to logs and to whoever applies the object
    shown = text if len(text) <= characters else text[: characters - 1] + "…"
    if not shown.isascii():
        shown = "".join(map(_visible, shown))
        return f'"{shown}"'
    return f'"{shown.translate(_ESCAPED)}"'


def _visible(character: str) -> str:
    code = ord(character)
    if character.isascii():
        return character.translate(_ESCAPED)
    if character.isprintable() and code not in _INVISIBLE:
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - what \\u can say


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
