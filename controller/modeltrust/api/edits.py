"""Changing single values of a manifest in place: every byte outside the value stays as it is, comments and formatting included.

Positions come from the parser's events, so that quotes, flow collections and block text are known; whoever edits proves afterwards,
by reading the result, that it means what was intended.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from modeltrust.api.manifests import Document, locate
from modeltrust.api.yaml_reader import Place
from modeltrust.domain.errors import InvalidInputError, quote
from modeltrust.domain.values import value

_PLAIN = re.compile(r"[A-Za-z0-9-][A-Za-z0-9._/:@+=-]*[A-Za-z0-9]")  # plain in block and flow context, and never a number or null
_BLOCK_ITEM = re.compile(r" *- +")


@value
class Scalar:
    """Where a scalar stands.

    Attributes:
        start: index of its first character, quotes included.
        end: index behind its last one.
        style: ``'``, ``"``, ``|``, ``>`` or empty for a plain one.
        flow: whether it stands in ``[…]`` or ``{…}``.
    """

    start: int
    end: int
    style: str
    flow: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """The text of one file, and where its scalars are.

    Attributes:
        text: without a byte order mark.
    """

    text: str
    _scalars: Mapping[Place, Scalar]

    def scalar(self, document: Document, pointer: str) -> Scalar | None:
        """Where a value stands; None where it is no scalar, or is written elsewhere, behind an anchor."""
        return self._scalars.get(locate(document, pointer))

    def replaced(self, scalar: Scalar, old: str, new: str) -> str | None:
        """The text with a part of one scalar changed; None where that part does not stand there once, as it is."""
        before = self.text[scalar.start : scalar.end]
        if before.count(old) != 1:
            return None
        if not scalar.style and not _PLAIN.fullmatch(new):
            return None
        return self.text[: scalar.start] + before.replace(old, new) + self.text[scalar.end :]

    def inserted(self, scalar: Scalar, word: str) -> str | None:
        """The text with one more item behind a scalar that is an item of a list; None where its form is not understood."""
        line = self.text.rfind("\n", 0, scalar.start) + 1
        lead = self.text[line : scalar.start]
        if scalar.style in {"|", ">"}:
            return None
        item = f"{scalar.style}{word}{scalar.style}"
        if scalar.flow:
            gap = f"\n{lead}" if not lead.strip() else " "
            return f"{self.text[: scalar.end]},{gap}{item}{self.text[scalar.end :]}"
        if not _BLOCK_ITEM.fullmatch(lead):
            return None
        end = self.text.find("\n", scalar.end)
        end = len(self.text) if end < 0 else end
        ending = "\r" if self.text[:end].endswith("\r") else ""
        return f"{self.text[:end]}\n{lead}{item}{ending}{self.text[end:]}"


def sheet(text: str) -> Sheet:
    """Find the scalars of a file that ``read_manifests`` has read, and so bounded.

    Raises:
        InvalidInputError: it is JSON that is no YAML: two documents without a separator, say.
    """
    scalars: dict[Place, Scalar] = {}
    levels: list[bool] = []
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                levels.append(bool(event.flow_style))
            elif isinstance(event, yaml.CollectionEndEvent):
                levels.pop()
            elif isinstance(event, yaml.ScalarEvent):
                start, end = event.start_mark, event.end_mark
                if start is None or end is None:
                    continue  # never, of events that a parser makes
                style = event.style or ""
                found = Scalar(start.index, end.index, style, bool(levels) and levels[-1])
                scalars[start.line + 1, start.column + 1] = found
    except yaml.YAMLError as error:
        raise InvalidInputError(f"got a file that cannot be edited in place: {quote(getattr(error, 'problem', ''))}") from error
    return Sheet(text, scalars)
