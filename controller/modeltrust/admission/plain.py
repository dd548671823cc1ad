"""Text that may stand in a terminal, a log and an event: no control or bidirectional characters, no secrets, bounded."""

import re

# "https://token@host" and "s3://key:secret@host"; "hf://gpt2@<commit>" stays, its "@" starts a revision.
_USERINFO = re.compile(r"(?<=://)[^/\s\"'@]*:[^/\s\"'@]*@|(?<=http://)[^/\s\"'@]+@|(?<=https://)[^/\s\"'@]+@")
_PERHAPS_USERINFO = re.compile(r"://[^/\s\"'@]*@")  # holds wherever the expression above does, at a tenth of its time
_QUERY = re.compile(r"(://[^\s\"'?#]*)[?#][^\s\"']*")  # presigned URLs carry their secret here (M5)


def plain(text: str, *, lines: bool = False) -> str:
    """Make a sentence safe to show.

    Args:
        text: perhaps with foreign values in it.
        lines: keep line feeds, which a fix in a manifest's own grammar needs.
    """
    shown = text if _printable(text) else "".join(_visible(character, lines=lines) for character in text)
    if "://" not in shown:
        return shown
    if _PERHAPS_USERINFO.search(shown):
        shown = _USERINFO.sub("…@", shown)
    return _QUERY.sub(r"\1?…", shown) if "?" in shown or "#" in shown else shown


def cut(text: str, characters: int) -> str:
    """The text, or as much of its start as fits with an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1].rstrip() + "…"


def _printable(text: str) -> bool:
    return text.isprintable()


def _visible(character: str, *, lines: bool) -> str:
    if character.isprintable() or (lines and character == "\n"):
        return character
    return f"\\x{ord(character):02x}" if ord(character) < 0x80 else f"\\u{ord(character):04x}"  # noqa: PLR2004 - the end of ASCII
