"""Bytes that are two files at once (facts/formats.md section 3, H8)."""

from collections.abc import Callable
from enum import Enum, auto

from modeltrust.domain import limits

_TAR_BYTES = 512
_END_RECORD = b"PK\x05\x06"
_DIRECTORY_ENTRY = b"PK\x01\x02"
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20


class ZipEnd(Enum):
    """What the end of a file says about zip."""

    NOTHING = auto()
    SIGNATURE = auto()
    ARCHIVE = auto()


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes have a valid tar checksum.

    Looking for ``ustar`` at 257 is not enough: Python opens archives without it.
    """
    if len(head) < _TAR_BYTES:
        return False
    stated = _tar_number(head[148:156])
    if stated is None:
        return False
    rest = head[:148] + b" " * 8 + head[156:_TAR_BYTES]
    signed = sum(byte - 256 if byte > 127 else byte for byte in rest)  # noqa: PLR2004 (some old writers sum signed bytes)
    return stated in {sum(rest), signed}


def _tar_number(field: bytes) -> int | None:
    # As liberal as Python's tarfile: spaces, "+", "_" and "0o" pass int(), and 0x80 announces a binary number.
    if field[0] == 0x80:  # noqa: PLR2004 (the format's mark)
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.split(b"\0")[0].decode("ascii").strip() or "x", 8)
    except ValueError:
        return None


def zip_end(tail: bytes, start: int, read: Callable[[int, int], bytes]) -> ZipEnd:
    """Look for the end of a zip archive in the last bytes of a file.

    The record's comment need not reach the end of the file: one more byte defeats that test, and ``zipfile`` and ``unzip`` still
    open the archive. What counts is a central directory where the record says that it ends.

    Args:
        tail: the last bytes of the file.
        start: position of the tail in the file.
        read: bytes of the file before the tail: position, length.
    """
    found = ZipEnd.NOTHING
    index = tail.find(_END_RECORD)
    for _ in range(limits.ZIP_END_RECORDS):
        if index < 0:
            return found
        found = ZipEnd.SIGNATURE
        if _is_archive(tail, index, start, read):
            return ZipEnd.ARCHIVE
        index = tail.find(_END_RECORD, index + 1)
    return found if index < 0 else ZipEnd.ARCHIVE  # more of them than chance explains


def _is_archive(tail: bytes, index: int, start: int, read: Callable[[int, int], bytes]) -> bool:
    locator = index - _ZIP64_LOCATOR_BYTES
    if locator >= 0 and tail[locator : locator + 4] == _ZIP64_LOCATOR:
        return True
    directory = index - int.from_bytes(tail[index + 12 : index + 16], "little")
    if directory == index:
        return False  # an empty archive holds nothing
    if directory >= 0:
        return tail[directory : directory + 4] == _DIRECTORY_ENTRY
    return start + directory >= 0 and read(start + directory, 4) == _DIRECTORY_ENTRY
