"""The tar reader: what it takes, everybody takes for the same files; what only some take is refused."""

import io
import tarfile
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError
from modeltrust.sources import tar_header, tar_pax
from modeltrust.sources.streams import Stream
from modeltrust.sources.tar_members import Member, MemberKind, members
from tests.support.images import END, Entry, by_tarfile, folder, header, padded, record, tar

GNU = b"ustar  \x00"
LONG = "very/" * 30 + "long"


def read(data: bytes, piece: int = 1 << 20) -> list[Member]:
    pieces = iter([data[at : at + piece] for at in range(0, len(data), piece)])
    return list(members(Stream(pieces)))


def contents(data: bytes) -> dict[str, bytes]:
    stream = Stream(iter([data]))
    return {m.path: stream.exactly(m.size) for m in members(stream) if m.kind is MemberKind.FILE}


def paths(data: bytes) -> list[str]:
    return [member.path for member in read(data)]


# --- what is read ------------------------------------------------------------------------------------------------------------


def test_files_folders_and_links_are_read_in_order() -> None:
    data = tar([folder("d"), Entry("d/a", b"x"), Entry("s", type=b"2", link="/x/../y"), Entry("h", type=b"1", link="./d/a")])
    assert [(m.path, m.kind, m.size, m.link) for m in read(data)] == [
        ("d", MemberKind.FOLDER, 0, ""),
        ("d/a", MemberKind.FILE, 1, ""),
        ("s", MemberKind.SYMLINK, 0, "/x/../y"),
        ("h", MemberKind.HARDLINK, 0, "d/a"),
    ]


@pytest.mark.parametrize("piece", [1, 7, 511, 512, 513, 4096])
def test_how_the_bytes_arrive_makes_no_difference(piece: int) -> None:
    data = tar([Entry("a", b"1" * 700), folder("d"), Entry("d/b", b"")])
    assert read(data, piece) == read(data)


@pytest.mark.parametrize("name", ["./a", "a"])
def test_a_leading_dot_is_no_part_of_the_path(name: str) -> None:
    assert paths(tar([Entry(name)])) == ["a"]


@pytest.mark.parametrize("name", ["./", ".", "/"])
def test_the_root_is_an_empty_path(name: str) -> None:
    assert read(tar([Entry(name, type=b"5")])) == [Member("", MemberKind.FOLDER, 0, 512, "")]


def test_names_longer_than_a_header_are_read_in_each_of_their_forms() -> None:
    gnu = [Entry("././@LongLink", LONG.encode() + b"\0", type=b"L", magic=GNU), Entry(LONG[:100], b"1", magic=GNU)]
    link = [
        Entry("././@LongLink", LONG.encode() + b"\0", type=b"K", magic=GNU),
        Entry("s", type=b"2", link=LONG[:100], magic=GNU),
    ]
    prefix, _, name = LONG.rpartition("/")
    assert paths(tar(gnu)) == paths(tar([Entry("x", pax={"path": LONG})])) == [LONG]
    assert paths(tar([Entry(name, fields={345: prefix[:154].encode()})])) == [f"{prefix[:154]}/{name}"]
    assert read(tar(link))[0].link == LONG


@pytest.mark.parametrize("end", [b"", bytes(512), END, bytes(10_240)])
def test_an_archive_ends_with_any_number_of_zeros(end: bytes) -> None:
    assert paths(tar([Entry("a", b"x")], end=end)) == ["a"]


def test_a_tar_of_nothing_is_empty() -> None:
    assert read(b"") == read(END) == []


def test_harmless_extended_headers_are_read_over() -> None:
    pax = {
        "mtime": "1.5",
        "uname": "root",
        "comment": "x",
        "SCHILY.xattr.security.capability": "\x01",
        "LIBARCHIVE.creationtime": "1",
    }
    assert paths(tar([Entry("a", pax=pax), Entry("b", pax={"comment": "a commit"})])) == ["a", "b"]


def test_an_attribute_may_be_bytes_that_are_no_text() -> None:
    data = record("SCHILY.xattr.security.capability", b"\x01\xff\xfe")
    assert tar_pax.parse(data).keys() == {"SCHILY.xattr.security.capability"}


def test_a_mebibyte_of_small_records_is_read_in_time() -> None:
    data = b"".join(record(f"SCHILY.xattr.user.{number}", "") for number in range(40_000))
    started = time.process_time()
    assert len(tar_pax.parse(data)) == 40_000
    assert time.process_time() - started < 2  # and not longer with each record, for what follows is not copied


def test_a_file_too_large_for_octal_digits_states_its_size_in_an_extension_or_in_base_256() -> None:
    size = 1 << 33
    extended = header(Entry("x", size=len(record("size", str(size))), type=b"x")) + padded(record("size", str(size)))
    stream = Stream(iter([extended + header(Entry("big"))]))
    assert next(iter(members(stream))).size == size
    block = header(Entry("big", fields={124: b"\x80" + size.to_bytes(11, "big")}))
    assert tar_header.parse(block).size == size


# --- what is refused ---------------------------------------------------------------------------------------------------------

X = Entry("x")
COMMENT = Entry("pax_global_header", record("comment", "a commit"), type=b"g")
BAD_ENTRIES: list[tuple[str, list[Entry]]] = [
    ("an absolute path", [Entry("/a")]),
    ("a path that climbs", [Entry("../a")]),
    ("a path that climbs inside", [Entry("a/../../b")]),
    ("a path with a dot", [Entry("a/./b")]),
    ("two dots in front", [Entry("././a")]),
    ("a path with an empty part", [Entry("a//b")]),
    ("a folder with two slashes", [Entry("a//", type=b"5")]),
    ("a file that is named as a folder", [Entry("a/")]),
    ("a file of old writers", [Entry("a", type=b"\0")]),
    ("a file of old writers that is named as a folder", [Entry("a/", type=b"\0")]),
    (
        "a file of old writers whose name is cut behind a slash",
        [Entry("l", b"l/" * 51 + b"f\0", type=b"L", magic=GNU), Entry("l/" * 50, b"x", type=b"\0", magic=GNU)],
    ),
    ("no name", [Entry("")]),
    ("a folder without a name", [Entry("", type=b"5")]),
    ("a name that is no UTF-8", [Entry(b"caf\xe9")]),
    ("a name with bytes behind its NUL", [Entry(b"a\0b")]),
    ("a part longer than filesystems take", [Entry("x", pax={"path": "a" * 256})]),
    ("a path longer than any", [Entry("x", pax={"path": "a/" * 600 + "b"})]),
    ("a path deeper than any", [Entry("x", pax={"path": "a/" * 64 + "b"})]),
    ("a hard link that climbs", [Entry("h", type=b"1", link="../a")]),
    ("a hard link to an absolute path", [Entry("h", type=b"1", link="/etc/passwd")]),
    ("a hard link to nowhere", [Entry("h", type=b"1")]),
    ("a symbolic link to nowhere", [Entry("s", type=b"2")]),
    ("the device that hides files on overlay mounts", [Entry("a", type=b"3")]),
    ("a GNU sparse file", [Entry("a", type=b"S", magic=GNU)]),
    ("a pax sparse file", [Entry("a", pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"})]),
    ("a pax sparse name", [Entry("a", pax={"GNU.sparse.name": "b"})]),
    ("star's sparse file", [Entry("a", pax={"SCHILY.realsize": "9"})]),
    ("Solaris' sparse file", [Entry("a", pax={"SUN.holesdata": " 0 9"})]),
    ("a volume label", [Entry("a", type=b"V", magic=GNU)]),
    ("a multi-volume member", [Entry("a", type=b"M", magic=GNU)]),
    ("a listing of a folder", [Entry("a", type=b"D", magic=GNU)]),
    ("a contiguous file", [Entry("a", type=b"7")]),
    ("a Solaris header", [Entry("a", type=b"X")]),
    ("a type of the vendor's", [Entry("a", type=b"A")]),
    ("a folder with bytes", [Entry("a/", b"x", type=b"5")]),
    ("a hard link with bytes", [Entry("a", b"x", type=b"1", link="b")]),
    ("a symbolic link with bytes", [Entry("a", b"x", type=b"2", link="b")]),
    ("an unknown extended header", [Entry("a", pax={"ACME.magic": "1"})]),
    ("another character set", [Entry("a", pax={"hdrcharset": "BINARY"})]),
    ("an empty path in an extended header", [Entry("a", pax={"path": ""})]),
    ("a path with a NUL", [Entry("a", pax={"path": "a\0b"})]),
    ("a path in an extended header that climbs", [Entry("a", pax={"path": "../a"})]),
    ("an absolute path in an extended header", [Entry("a", pax={"path": "/a"})]),
    ("a size in an extended header beside another", [Entry("a", b"x", pax={"size": "600"})]),
    ("a size in an extended header of a link", [Entry("a", type=b"2", link="b", pax={"size": "600"})]),
    ("a size that is no number", [Entry("a", b"x", pax={"size": "0x1"})]),
    ("a negative size in an extended header", [Entry("a", b"x", pax={"size": "-1"})]),
    ("an overlay's opaque mark", [Entry("a/", type=b"5", pax={"SCHILY.xattr.trusted.overlay.opaque": "y"})]),
    ("an overlay's redirect", [Entry("a/", type=b"5", pax={"SCHILY.xattr.user.overlay.redirect": "/b"})]),
    ("fuse-overlayfs' mark", [Entry("a/", type=b"5", pax={"SCHILY.xattr.user.fuseoverlayfs.opaque": "y"})]),
    ("a global path", [Entry("a", pax={"path": "b"}, pax_type=b"g")]),
    ("a global size", [Entry("a", pax={"size": "5"}, pax_type=b"g")]),
    ("a long name and an extended one", [Entry("l", b"b\0", type=b"L", magic=GNU), Entry("a", pax={"path": "c"})]),
    ("a long name twice", [Entry("l", b"b\0", type=b"L", magic=GNU), Entry("l", b"c\0", type=b"L", magic=GNU), X]),
    ("a long name without an end", [Entry("l", b"b", type=b"L", magic=GNU), X]),
    ("a long name with bytes behind its end", [Entry("l", b"b\0c\0", type=b"L", magic=GNU), X]),
    ("an empty long name", [Entry("l", b"\0", type=b"L", magic=GNU), X]),
    ("a long name of nothing", [Entry("l", b"b\0", type=b"L", magic=GNU)]),
    ("an extended header of nothing", [Entry("x", record("path", "b"), type=b"x")]),
    ("a global header of nothing", [Entry("x", record("comment", "b"), type=b"g")]),
    ("a global header behind an extended one: Go drops the first", [Entry("x", record("path", "b"), type=b"x"), COMMENT, X]),
    ("a global header behind a long name", [Entry("l", b"b\0", type=b"L", magic=GNU), COMMENT, X]),
    ("a global header named as a file, which containerd removes", [replace(COMMENT, name="before"), X]),
    ("a global header named as a whiteout, which containerd obeys", [replace(COMMENT, name=".wh.before"), X]),
    ("an extended header that is no list", [Entry("x", b"nonsense", type=b"x"), X]),
    ("a record that is longer than its header", [Entry("x", b"99 path=b\n", type=b"x"), X]),
    ("a record that does not end in a newline", [Entry("x", b"9 path=ab", type=b"x"), X]),
    ("a record with a zero in front", [Entry("x", b"010 path=b\n", type=b"x"), X]),
    ("a record that is no UTF-8", [Entry("x", record("path", b"\xff"), type=b"x"), X]),
    ("a key twice", [Entry("x", record("path", "a") + record("path", "b"), type=b"x"), X]),
    ("a wrong checksum", [Entry("a", checksum=b"0000000\0")]),
    ("a checksum with an underscore", [Entry("a", checksum=b"0_7000\0 ")]),
    ("no magic", [Entry("a", magic=bytes(8))]),
    ("half a magic", [Entry("a", magic=b"ustar\x0000"[:6] + b"\0\0")]),
    ("star's times", [Entry("a", fields={508: b"tar\0"})]),
    ("GNU's times, a prefix for Python", [Entry("a", magic=GNU, fields={345: b"00000000000\0"})]),
    ("a size with a sign", [Entry("a", fields={124: b"+0000000000\0"})]),
    ("a size with an underscore", [Entry("a", fields={124: b"0000000_000\0"})]),
    ("a size in hexadecimal", [Entry("a", fields={124: b"0x000000000\0"})]),
    ("a size with something behind its end", [Entry("a", fields={124: b"0\x000000000005"})]),
    ("a size with NULs in front", [Entry("a", fields={124: b"\0\x000000000005"})]),
    ("a negative size", [Entry("a", fields={124: b"\xff" * 12})]),
    ("a size in a base nobody knows", [Entry("a", fields={124: b"\xc0" + bytes(11)})]),
    ("a mode that is no number", [Entry("a", fields={100: b"rwxr-xr\0"})]),
    ("a time that is no number", [Entry("a", fields={136: b"yesterday\0\0\0"})]),
]


@pytest.mark.parametrize("entries", [pytest.param(entries, id=name) for name, entries in BAD_ENTRIES])
def test_what_readers_may_take_differently_is_refused(entries: list[Entry]) -> None:
    with pytest.raises(MalformedError):
        read(tar([Entry("before", b"1"), *entries]))


def test_the_sum_over_signed_bytes_is_refused() -> None:
    block = bytearray(header(Entry("é")))
    block[148:156] = b" " * 8
    signed = sum(byte - 256 if byte > 127 else byte for byte in block)
    block[148:156] = b"%06o\0 " % signed
    with pytest.raises(MalformedError, match="checksum"):
        read(bytes(block) + END)


BEHIND: list[tuple[str, bytes]] = [
    ("a second archive", tar([Entry("b", b"x")])),
    ("a byte", b"x"),
    ("a byte after many zeros", bytes(1 << 20) + b"x"),
    ("half a block", bytes(5) + b"\1"),
]


@pytest.mark.parametrize("behind", [pytest.param(data, id=name) for name, data in BEHIND])
def test_bytes_behind_the_end_are_refused(behind: bytes) -> None:
    with pytest.raises(MalformedError, match="behind the end"):
        read(tar([Entry("a", b"x")]) + behind)


def test_an_entry_behind_one_block_of_zeros_is_refused() -> None:
    with pytest.raises(MalformedError, match="behind the end"):
        read(tar([Entry("a")], end=bytes(512)) + tar([Entry("b")]))


@pytest.mark.parametrize("length", [1, 100, 511, 513, 700, 1023])
def test_an_archive_that_is_cut_short_is_refused(length: int) -> None:
    with pytest.raises(MalformedError):
        read(tar([Entry("a", b"x" * 600)])[:length])


def test_an_extended_header_of_a_mebibyte_and_more_is_not_read() -> None:
    block = header(Entry("x", type=b"x", size=limits.TAR_EXTENDED_BYTES + 1))
    with pytest.raises(LimitExceededError, match="extended header"):
        read(block)


def test_a_tar_inside_of_a_file_is_a_file() -> None:
    inner = tar([Entry("evil", b"x")])
    assert contents(tar([Entry("a.tar", inner), Entry("b", b"1")])) == {"a.tar": inner, "b": b"1"}


# --- properties --------------------------------------------------------------------------------------------------------------

NAMES = st.lists(st.text("abcé ~.-_", min_size=1, max_size=80).filter(lambda t: t not in {".", ".."}), min_size=1, max_size=6).map(
    "/".join
)
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@given(st.dictionaries(NAMES, st.binary(max_size=1200), max_size=8), FORMATS)
@settings(max_examples=150, deadline=None)
def test_what_cpython_writes_is_read_as_it_was_written(files: dict[str, bytes], form: Any) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
            try:
                archive.addfile(info, io.BytesIO(data))
            except ValueError:
                return  # ustar has no room for the name
    assert contents(out.getvalue()) == files


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_tar_is_refused_or_what_cpython_takes_it_for(data: st.DataObject) -> None:
    whole = bytearray(tar([Entry("a", b"1" * 600), Entry("b", b"2", pax={"path": "c"}), Entry("d", b"3", fields={345: b"p"})]))
    for _ in range(data.draw(st.integers(1, 3))):
        block = data.draw(st.integers(0, len(whole) // 512 - 1)) * 512
        whole[block + data.draw(st.integers(0, 511))] = data.draw(st.sampled_from([0, 32, 43, 48, 49, 50, 53, 95, 120, 128, 255]))
        if data.draw(st.booleans()):
            whole[block + 148 : block + 156] = b" " * 8
            whole[block + 148 : block + 156] = b"%06o\0 " % sum(whole[block : block + 512])
    try:
        entries = read(bytes(whole))
        found = contents(bytes(whole))
    except ModelTrustError:
        return
    if len({entry.path for entry in entries}) == len(entries):
        assert {name.removeprefix("./"): content for name, content in by_tarfile(bytes(whole)).items()} == found


@given(st.binary(max_size=2000))
@settings(max_examples=100, deadline=None)
def test_no_bytes_raise_anything_but_our_errors(data: bytes) -> None:
    for start in (b"", header(Entry("a")), header(Entry("x", type=b"x", size=len(data)))):
        try:
            read(start + data)
        except ModelTrustError:
            continue
