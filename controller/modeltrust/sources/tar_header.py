"""One block of 512 bytes as the header of a tar entry, read so strictly that no two readers can see two entries in it.

Sources: POSIX.1-2017 pax ("ustar Interchange Format"), GNU tar's manual, and where readers part: Go's archive/tar (containerd,
Docker, CRI-O, KitOps, modctl) against CPython's tarfile (KServe). What only one of them takes is refused, and so is what only old
writers write.
"""

import re
from dataclasses import dataclass

from modeltrust.domain.errors import MalformedError, quote

BLOCK = 512
FILE, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO = (b"0", b"1", b"2", b"3", b"4", b"5", b"6")
PAX, LONG_NAME, LONG_LINK = b"x", b"L", b"K"
_KNOWN = frozenset({FILE, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, FOLDER, FIFO, PAX, LONG_NAME, LONG_LINK})
WITH_BYTES = frozenset({FILE, PAX, LONG_NAME, LONG_LINK})
_SPARSE = frozenset({b"S", b"D", b"M", b"N", b"V"})
# Go forgets the extended headers before it, and containerd removes the file of its name, or what it is a whiteout of.
_GLOBAL = b"g"
_POSIX, _GNU = b"ustar\x0000", b"ustar  \x00"
# Not among them: NUL, a file of old writers. Python takes it for a folder where its name in the header ends in "/", cut or not.
# Python's int() also takes "1_0", "+1" and "0o1"; Go cuts NULs off the front
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_NUMBERS = {
    "mode": slice(100, 108),
    "uid": slice(108, 116),
    "gid": slice(116, 124),
    "mtime": slice(136, 148),
}
_POSITIVE, _NEGATIVE = 0x80, 0xFF  # first byte of a number in base 256


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says, before extended headers change it.

    Attributes:
        type: one byte.
        name: as written, prefix included; where an extended header says it, this one is cut anywhere, within a character, too.
        link: what a link points to; as the name.
        size: bytes that follow.
        device: major and minor number of a device.
    """

    type: bytes
    name: bytes
    link: bytes
    size: int
    device: tuple[int, int]


def parse(block: bytes) -> Header:
    """Read one header.

    Args:
        block: 512 bytes, not all zero.

    Raises:
        MalformedError: no header, one that readers differ about, or of a kind of entry that is not unpacked alike everywhere.
    """
    _check_sum(block)
    posix = _is_posix(block)
    kind = block[156:157]
    if kind in _SPARSE:
        raise MalformedError("got a sparse file, an increment or a further volume in a tar, expected whole files")
    if kind == _GLOBAL:
        raise MalformedError("got a global extended header in a tar, which readers obey, ignore or take for an entry")
    if kind not in _KNOWN:
        raise MalformedError(f"got an entry of type {kind!r} in a tar, which not every reader knows")
    for what, place in _NUMBERS.items():
        number(block[place], what)
    size = number(block[124:136], "size")
    if size < 0 or (size and kind not in WITH_BYTES):
        raise MalformedError(f"got size {size} for an entry of type {kind!r} in a tar, expected another")
    name, prefix = text(block[:100], "name"), text(block[345:500] if posix else b"", "prefix")
    device = (number(block[329:337], "devmajor"), number(block[337:345], "devminor"))
    return Header(kind, prefix + b"/" + name if prefix else name, text(block[157:257], "link name"), size, device)


def _check_sum(block: bytes) -> None:
    # the sum over signed bytes, as some old writers made it, is taken by some readers only
    if number(block[148:156], "checksum") != sum(block[:148]) + sum(block[156:]) + 8 * ord(" "):
        raise MalformedError("got a tar header whose checksum is wrong")


def _is_posix(block: bytes) -> bool:
    magic = block[257:265]
    if magic == _POSIX:
        # star keeps a word and times here, which shortens the prefix for Go and not for Python
        if any(block[500:]):
            raise MalformedError("got a tar header with bytes behind its prefix, which not every reader skips")
        return True
    if magic != _GNU:
        raise MalformedError("got a tar header that is neither POSIX ustar nor GNU")
    # GNU keeps times here; Python takes them for the prefix of the name
    if any(block[345:]):
        raise MalformedError("got a GNU tar header with bytes where POSIX has a prefix: readers differ about its name")
    return False


def number(field: bytes, name: str) -> int:
    """A number in octal, or in base 256 as GNU writes large ones.

    Raises:
        MalformedError: neither.
    """
    if field[0] in {_POSITIVE, _NEGATIVE}:
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == _POSITIVE else value - (1 << 8 * (len(field) - 1))
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise MalformedError(f"got {name} {quote(ascii(field))} in a tar header, expected octal digits")
    return int(found[1] or b"0", 8)


def text(field: bytes, name: str) -> bytes:
    """What stands before the first NUL, with nothing behind it.

    Raises:
        MalformedError: bytes behind the NUL.
    """
    value, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise MalformedError(f"got a {name} in a tar header with bytes behind its end")
    return value


def decoded(value: bytes, name: str) -> str:
    """As text.

    Raises:
        MalformedError: no UTF-8.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"got {name} {quote(ascii(value))} in a tar, expected UTF-8") from error
