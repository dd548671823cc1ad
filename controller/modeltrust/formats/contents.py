"""One file at a time: reads as much of it as its class needs, within bounds, and judges it alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.listing import FileEntry
from modeltrust.domain.source import RangeReader
from modeltrust.formats.classify import check_content, check_text, is_lfs_pointer
from modeltrust.formats.gguf import check_gguf
from modeltrust.formats.rules import FileClass, Problem, Rules
from modeltrust.formats.safetensors import SafetensorsHeader, check_safetensors
from modeltrust.formats.tokenizers import check_sentencepiece

_DOCUMENT_BYTES = {
    "index": limits.SHARD_INDEX_BYTES,
    "foreign_index": limits.SHARD_INDEX_BYTES,
    "tokenizer": limits.TOKENIZER_BYTES,
    "vocabulary": limits.TOKENIZER_BYTES,
    "other_tokenizer": limits.TOKENIZER_BYTES,
}


@dataclass(slots=True)
class Content:
    """What was read of one file.

    Attributes:
        problems: found in this file alone.
        document: of a JSON file, None where it is not strict JSON.
        header: of a valid safetensors file.
        metadata: of a GGUF file.
        text: of a template, or of README.md.
    """

    problems: list[Problem] = field(default_factory=list)
    document: Any = None
    header: SafetensorsHeader | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None


class Examiner:
    """Reads the files of one model through one reader, within one budget of bytes."""

    def __init__(self, reader: RangeReader, rules: Rules) -> None:
        self._reader = reader
        self._rules = rules
        self._left = limits.EXAMINED_BYTES

    def examine(self, entry: FileEntry, row: FileClass) -> Content:
        """Read and judge one file.

        Raises:
            UnavailableError: the source does not answer; passed through.
            NotFoundError: the source lists a file that it does not have; passed through.
        """
        content = Content()
        if row.deny:
            content.problems.append(Problem(row.deny, f"{row.format} files are refused whatever they hold"))
        if entry.size < 0:
            content.problems.append(Problem("files.content", f"the source states a size of {entry.size} bytes"))
            return content
        read = self._cached(entry, limits.PREFETCH_BYTES if row.format == "safetensors" else limits.HEAD_BYTES)
        head = read(0, min(entry.size, limits.HEAD_BYTES))
        content.problems += check_content(row, head, self._rules)
        if is_lfs_pointer(head) or row.deny:
            return content
        if not row.binary:
            content.problems += check_text(head, complete=entry.size <= len(head))
        handler = _HANDLERS.get(row.format)
        if handler is not None:
            handler(self, entry, row, read, content)
        return content

    def _cached(self, entry: FileEntry, prefetch: int) -> Callable[[int, int], bytes]:
        first = self._reader.read(entry.path, 0, min(entry.size, prefetch)) if entry.size else b""

        def read(start: int, length: int) -> bytes:
            if start + length <= len(first):
                return first[start : start + length]
            return self._reader.read(entry.path, start, length)

        return read

    def whole(self, entry: FileEntry, most: int, content: Content) -> bytes | None:
        """All bytes of a small file; None with a problem where it is not small, or not as long as listed."""
        if entry.size > most:
            content.problems.append(Problem("files.too-large", f"got {entry.size} bytes, expected at most {most}"))
            return None
        if entry.size > self._left:
            content.problems.append(Problem("repository.too-much-to-read", f"more than {limits.EXAMINED_BYTES} bytes to read"))
            return None
        self._left -= entry.size
        data = self._reader.read(entry.path, 0, entry.size) if entry.size else b""
        if len(data) != entry.size:
            content.problems.append(
                Problem("files.content", f"the source returned {len(data)} bytes, its listing says {entry.size}")
            )
            return None
        return data


Read = Callable[[int, int], bytes]
_Handler = Callable[[Examiner, FileEntry, FileClass, Read, Content], None]


def _safetensors(examiner: Examiner, entry: FileEntry, row: FileClass, read: Read, content: Content) -> None:  # noqa: ARG001 (one signature for all handlers)
    checked = check_safetensors(read, entry.size)
    content.header = checked.header
    content.problems += checked.problems


def _gguf(examiner: Examiner, entry: FileEntry, row: FileClass, read: Read, content: Content) -> None:  # noqa: ARG001
    checked = check_gguf(read, entry.size)
    content.metadata = checked.metadata
    content.problems += checked.problems


def _json(examiner: Examiner, entry: FileEntry, row: FileClass, read: Read, content: Content) -> None:  # noqa: ARG001
    most = _DOCUMENT_BYTES.get(row.document, limits.SIDECAR_BYTES)
    data = examiner.whole(entry, most, content)
    if data is None:
        return
    try:
        content.document = strict_json.loads(data, max_bytes=most)
    except LimitExceededError as error:
        content.problems.append(Problem("files.too-large", str(error)))
    except MalformedError as error:
        content.problems.append(Problem("files.json", str(error)))


def _jinja(examiner: Examiner, entry: FileEntry, row: FileClass, read: Read, content: Content) -> None:  # noqa: ARG001
    data = examiner.whole(entry, limits.TEMPLATE_BYTES, content)
    if data is None:
        return
    found = list(check_text(data, complete=True))
    content.problems += [problem for problem in found if problem not in content.problems]
    if not found:
        content.text = data.decode("utf-8")


def _sentencepiece(examiner: Examiner, entry: FileEntry, row: FileClass, read: Read, content: Content) -> None:  # noqa: ARG001
    data = examiner.whole(entry, limits.TOKENIZER_BYTES, content)
    if data is not None:
        content.problems += check_sentencepiece(data)


def _text(examiner: Examiner, entry: FileEntry, row: FileClass, read: Read, content: Content) -> None:  # noqa: ARG001
    if entry.path == "README.md":  # the front matter names bases; a README beyond the bound is read up to it
        content.text = read(0, min(entry.size, limits.SIDECAR_BYTES)).decode("utf-8", "replace")


_HANDLERS: Mapping[str, _Handler] = {
    "safetensors": _safetensors,
    "gguf": _gguf,
    "json": _json,
    "jinja": _jinja,
    "sentencepiece": _sentencepiece,
    "text": _text,
}
