"""Extended headers of a tar (POSIX pax): few keys, each once, and none that makes readers see different files."""

import re

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote

_RECORD = re.compile(rb"([1-9][0-9]{0,8}) ([^=\0]+)=")
# The only ones that change what is unpacked are path, linkpath and size.
_KNOWN = frozenset({"path", "linkpath", "size", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"})
_HARMLESS = ("SCHILY.acl.", "LIBARCHIVE.", "MSWINDOWS.", "APPLE.")
_HARMLESS_KEYS = frozenset({"SCHILY.dev", "SCHILY.ino", "SCHILY.nlink", "SCHILY.fflags", "RHT.security.selinux"})
_ATTRIBUTE = "SCHILY.xattr."
# What overlay filesystems keep in attributes decides what a mount shows: opaque folders, redirects, other owners and kinds of
# files.
_OVERLAY = ("trusted.", "user.overlay.", "user.fuseoverlayfs.", "user.containers.")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


def parse(data: bytes) -> dict[str, str]:
    """The records of one extended header.

    Raises:
        MalformedError: other than records, a key twice, a key that not every reader knows (sparse files), an attribute that
            changes what an overlay mount shows, or no UTF-8.
    """
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        key, value, at = _record(data, at)
        if key in records:
            raise MalformedError(f"got {quote(key)} twice in an extended header of a tar")
        _check_key(key)
        records[key] = value
    for key in records.keys() & {"path", "linkpath"}:
        if not records[key] or "\0" in records[key]:
            raise MalformedError(f"got {key} {quote(records[key])} in an extended header of a tar, expected a path")
    return records


def size_of(records: dict[str, str]) -> int | None:
    """The size that records state, None where they state none.

    Raises:
        MalformedError: no number.
    """
    stated = records.get("size")
    if stated is None:
        return None
    if not _SIZE.fullmatch(stated):
        raise MalformedError(f"got size {quote(stated)} in an extended header of a tar, expected a number")
    return int(stated)


def _record(data: bytes, at: int) -> tuple[str, str, int]:
    """Key and value of the record that begins there, and where it ends: no copy of the rest, of which there may be a mebibyte."""
    found = _RECORD.match(data, at)
    end = at + int(found[1]) if found else 0
    if found is None or not found.end() < end <= len(data) or data[end - 1 : end] != b"\n":
        raise MalformedError("got an extended header of a tar that is no list of records")
    try:
        return found[2].decode("utf-8"), data[found.end() : end - 1].decode("utf-8"), end
    except UnicodeDecodeError as error:
        if found[2].startswith(_ATTRIBUTE.encode()):  # values of attributes are bytes
            return ascii(found[2])[2:-1], "", end
        raise MalformedError("got an extended header of a tar that is not UTF-8") from error


def _check_key(key: str) -> None:
    if key.startswith(_ATTRIBUTE):
        if key.removeprefix(_ATTRIBUTE).startswith(_OVERLAY):
            raise MalformedError(f"got attribute {quote(key)} in a tar, which changes what a mounted layer shows")
    elif key not in _KNOWN and key not in _HARMLESS_KEYS and not key.startswith(_HARMLESS):
        raise MalformedError(f"got {quote(key)} in an extended header of a tar, which not every reader knows")


def check_size(size: int) -> None:
    """Bound an extended header before it is read.

    Raises:
        LimitExceededError: larger than Go reads.
    """
    if size > limits.TAR_EXTENDED_BYTES:
        raise LimitExceededError(f"got an extended header of {size} bytes in a tar, expected at most {limits.TAR_EXTENDED_BYTES}")
