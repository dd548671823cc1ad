"""What a file is: by its name, then by its first bytes, which must agree (facts/formats.md sections 4 and 7.1)."""

import re
from collections.abc import Iterator

from modeltrust.domain import limits
from modeltrust.domain.errors import quote
from modeltrust.formats import polyglots
from modeltrust.formats.rules import FileClass, Problem, Rules

_UNKNOWN = FileClass(
    format="unknown",
    weights="",
    risk="",
    document="",
    deny="files.unknown",
    loadable=False,
    binary=True,
    magics=frozenset(),
    required=False,
    names=frozenset(),
    suffixes=(),
    fold=False,
    patterns=(),
)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_TEXT_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NATIVE = frozenset({"elf", "mz", "mach-o", "wasm", "script"})
_ARCHIVES = frozenset({"gzip", "7z", "rar", "xz", "zstd", "bzip2", "lz4", "tar"})
_SHORT = frozenset({"mz", "script", "pickle", "gzip", "bzip2"})  # two or three bytes: ordinary text or data may begin so


def classify(path: str, rules: Rules) -> FileClass:
    """The class that a path names; ``unknown`` where the table has none."""
    name = path.rpartition("/")[2]
    lowered = name.lower()
    for row in rules.classes:
        if name in row.names or (lowered if row.fold else name).endswith(row.suffixes):
            return row
        if any(pattern.fullmatch(path) for pattern in row.patterns):
            return row
    return _UNKNOWN


def is_lfs_pointer(head: bytes) -> bool:
    """Whether a file is a Git LFS pointer, by its first bytes."""
    return head.startswith(_LFS_POINTER)


def sniff(head: bytes, rules: Rules) -> frozenset[str]:
    """Names of the formats whose signature a file carries, by its first 512 bytes."""
    found = {magic.name for magic in rules.magics if head.startswith(magic.data, magic.offset)}
    if polyglots.is_tar(head):
        found.add("tar")
    if _looks_like_safetensors(head):
        found.add("safetensors")
        found -= _SHORT  # a header of 640 bytes begins like a pickle; the validator itself refuses MZ and gzip
    return frozenset(found)


def _looks_like_safetensors(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 1 < length <= limits.SAFETENSORS_HEADER_BYTES


def check_content(row: FileClass, head: bytes, rules: Rules) -> Iterator[Problem]:
    """Compare the first bytes of a file with what its name says.

    Args:
        row: the class by name.
        head: the first 512 bytes, fewer where the file is shorter.
        rules: the tables.
    """
    if is_lfs_pointer(head):
        yield Problem("files.lfs-pointer", "the file is a Git LFS pointer, expected the file itself")
        return
    found = sniff(head, rules)
    contradicting = found - row.magics
    if row.deny and not contradicting:
        return
    if contradicting & _NATIVE and not row.magics & found:
        yield Problem(
            "files.native-code", f"the content begins like machine code or a program ({', '.join(sorted(contradicting))})"
        )
    elif contradicting & _ARCHIVES and not row.magics & found:
        yield Problem("files.archive", f"the content begins like an archive ({', '.join(sorted(contradicting))})")
    elif contradicting:
        yield Problem("files.content", f"the name says {row.format}, the content says {' and '.join(sorted(contradicting))}")
    elif row.required and not found:
        yield Problem("files.content", f"the name says {row.format}, the content begins with {quote(head[:8].hex())}")


def check_text(data: bytes, *, complete: bool) -> Iterator[Problem]:
    """Whether bytes are text: UTF-8 without control characters other than white space and escape.

    Args:
        data: the file, or its beginning.
        complete: whether this is all of it; else the last character may be cut.
    """
    found = _TEXT_CONTROL.search(data)
    if found:
        yield Problem("files.text", f"a text file has the control character 0x{found.group()[0]:02x} at byte {found.start()}")
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        if complete or error.start < len(data) - 3:
            yield Problem("files.text", f"a text file is not UTF-8 at byte {error.start}")
