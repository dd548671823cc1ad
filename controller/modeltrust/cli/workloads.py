"""Manifests as the API server would hold them: one subject per object, with its JSON bytes and where it was written."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from modeltrust.api.manifests import Document
from modeltrust.domain.errors import InvalidInputError, quote

OURS = "modeltrust.dev"
DEFAULT_NAMESPACE = "default"  # where kubectl puts an object that states none; extraction empties it for cluster-scoped kinds


@dataclass(frozen=True, slots=True)
class Subject:
    """One object of one file.

    Attributes:
        document: as read.
        file: name of the file, ``-`` for standard input.
        index: position among the objects of the file, from 0.
        line: first line in the file, from 1.
        api_version: as written.
        kind: as written.
        namespace: as written, else the one given, else ``default``; meaningless for cluster-scoped kinds.
        name: metadata.name, or generateName followed by "*".
        data: the object as JSON bytes.
    """

    document: Document
    file: str
    index: int
    line: int
    api_version: str
    kind: str
    namespace: str
    name: str
    data: bytes

    @property
    def ours(self) -> bool:
        """Whether it is one of our own kinds."""
        return self.api_version.partition("/")[0] == OURS


def subjects(documents: Iterable[Document], namespace: str) -> list[Subject]:
    """Read what every object states about itself.

    Args:
        documents: as read.
        namespace: of objects that state none.

    Raises:
        InvalidInputError: an object whose metadata the API server would refuse; names the file and line.
    """
    return [_subject(document, namespace) for document in documents]


def _subject(document: Document, namespace: str) -> Subject:
    value = document.value
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise InvalidInputError(f"{document.name}:{document.line}: metadata: got {type(metadata).__name__}, expected a map")
    name, prefix, stated = (_text(document, metadata, key) for key in ("name", "generateName", "namespace"))
    try:
        data = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except (ValueError, UnicodeEncodeError) as error:
        raise InvalidInputError(f"{document.name}:{document.line}: {quote(error)}, expected what JSON can hold") from error
    return Subject(
        document=document,
        file=document.name,
        index=document.index,
        line=document.line,
        api_version=str(value["apiVersion"]),
        kind=str(value["kind"]),
        namespace=stated or namespace or DEFAULT_NAMESPACE,
        name=name or (f"{prefix}*" if prefix else ""),
        data=data,
    )


def _text(document: Document, metadata: dict[str, object], key: str) -> str:
    value = metadata.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        where = f"{document.name}:{document.line}"
        raise InvalidInputError(f"{where}: metadata.{key}: got {type(value).__name__} {quote(value)}, expected a string")
    return value
