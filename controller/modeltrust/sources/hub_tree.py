"""What a page of a hub's tree says: strict reading of its entries."""

import re
from typing import Any

from modeltrust.domain import limits
from modeltrust.domain.digest import is_sha256_hex
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.listing import FileEntry, FileKind

_SHA1 = re.compile(r"[0-9a-f]{40}")
_FOLDER = "directory"
_KINDS = {"symlink": FileKind.SYMLINK, "submodule": FileKind.SUBMODULE, "commit": FileKind.SUBMODULE}


def files(page: Any) -> list[FileEntry]:
    """The files of one page; folders are left out, what is unknown is SPECIAL.

    Raises:
        MalformedError: not what a hub says.
        LimitExceededError: more entries than any model may have files.
    """
    if not isinstance(page, list):
        raise MalformedError(f"got a page of a tree of type {type(page).__name__}, expected a list")
    if len(page) > limits.FILES:
        raise LimitExceededError(f"got {len(page)} entries in one page of a tree, expected at most {limits.FILES}")
    entries = [_object(item, "an entry of a tree") for item in page]
    return [_entry(item) for item in entries if item.get("type") != _FOLDER]


def _entry(item: dict[str, Any]) -> FileEntry:
    path, kind, lfs = item.get("path"), item.get("type"), item.get("lfs")
    if not isinstance(path, str) or not isinstance(kind, str):
        raise MalformedError("got an entry of a tree without path or type")
    size = _size(item.get("size", 0), path)
    if kind != "file":
        return FileEntry(path, size, kind=_KINDS.get(kind, FileKind.SPECIAL))
    if lfs is not None:
        return _large(path, size, _object(lfs, "lfs"))
    blob = item.get("oid")
    if not isinstance(blob, str) or not _SHA1.fullmatch(blob):
        raise MalformedError(f"got oid {quote(blob)} of {quote(path)}, expected 40 hexadecimal digits")
    return FileEntry(path, size, git_sha1=blob)


def _large(path: str, size: int, lfs: dict[str, Any]) -> FileEntry:
    sha256 = lfs.get("oid", lfs.get("sha256"))
    if not isinstance(sha256, str) or not is_sha256_hex(sha256):
        raise MalformedError(f"got LFS oid {quote(sha256)} of {quote(path)}, expected 64 hexadecimal digits")
    if _size(lfs.get("size"), path) != size:
        # whoever reads by the one size would not see what the other holds
        raise MalformedError(f"got two sizes of {quote(path)}, expected one")
    return FileEntry(path, size, sha256)


def _size(value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limits.OCI_BLOB_BYTES:
        raise MalformedError(f"got size {quote(value)} of {quote(path)}, expected 0 to {limits.OCI_BLOB_BYTES}")
    return value


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"got {name} of type {type(value).__name__}, expected an object")
    return value
