"""Patterns over references: allowed sources, scopes of signers, matches of policies, revoked models."""

from modeltrust.domain.globs import Glob
from modeltrust.domain.workload import FoundReference


def key_of(found: FoundReference) -> str:
    """The canonical text of a reference with ``@revision`` where one is stated, whether it is immutable or not."""
    text, value = found.reference.text, found.revision.value
    return f"{text}@{value}" if value else text


def within(globs: tuple[Glob, ...], text: str, key: str) -> bool:
    """Whether any pattern matches a reference, without its revision or with it; no pattern matches nothing.

    Args:
        globs: the patterns.
        text: canonical reference without revision.
        key: the same with ``@revision``; equal to ``text`` where none is stated.
    """
    for glob in globs:  # noqa: SIM110 - a generator costs more than the matching, and this runs for every policy and reference
        if glob.matches(text) or (key is not text and glob.matches(key)):
            return True
    return False
