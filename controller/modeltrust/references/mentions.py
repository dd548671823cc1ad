"""A mention: a string that names something, with all that is needed to read it later."""

import msgspec

from modeltrust.domain.workload import Confidence, Role


class Mention(msgspec.Struct, gc=False):
    """One string.

    Attributes:
        role: what it is used for.
        text: after expansion; may still hold a placeholder.
        profile: name of the grammar it is read with.
        locator: where it stands.
        confidence: how it was found.
        use: what the table calls it; revisions are stated for a use.
        revision: a revision stated beside it.
        destination: path in the container where its content is written.
        endpoint: a server stated beside it.
        weak: a guess, kept only when it looks like a reference.
        optional: a path in the image is fine and needs no finding (configuration, code of the image's own).
    """

    role: Role
    text: str
    profile: str
    locator: str
    confidence: Confidence
    use: str = ""
    revision: str = ""
    destination: str = ""
    endpoint: str = ""
    weak: bool = False
    optional: bool = False


FALSE_WORDS = frozenset({"", "0", "false", "no", "off", "n", "f"})


def is_true(text: str) -> bool:
    """Whether a switch's value switches it on; what is not clearly false is true."""
    return text.strip().lower() not in FALSE_WORDS
