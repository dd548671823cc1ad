"""Damaged tars: whatever we still take for a tar, containerd and CPython take for the same files."""

import random
import tarfile
from pathlib import Path

import pytest

from modeltrust.domain.errors import ModelTrustError
from modeltrust.sources.streams import Stream
from modeltrust.sources.tar_members import MemberKind, members
from tests.support import containerd
from tests.support.images import Entry, by_tarfile, tar

pytestmark = pytest.mark.slow

DAMAGED = 3_000
PLACES = [
    0,
    1,
    99,
    100,
    124,
    125,
    134,
    135,
    136,
    148,
    153,
    154,
    155,
    156,
    157,
    256,
    257,
    262,
    263,
    264,
    329,
    345,
    346,
    499,
    500,
    508,
]
BYTES = [0, 32, 43, 45, 46, 47, 48, 49, 50, 53, 55, 56, 83, 95, 103, 120, 127, 128, 255]
LONG = "l/" * 60 + "file"


def whole(dice: random.Random) -> bytes:
    entries = [
        Entry("a", b"1" * dice.randrange(1200)),
        Entry("d/", type=b"5"),
        Entry("d/b", dice.randbytes(dice.randrange(600)), pax={"path": "d/renamed"} if dice.random() < 0.5 else {}),
        Entry("c", tar([Entry("inner", b"x")]), pax={"mtime": "1.5", "size": str(len(tar([Entry("inner", b"x")])))}),
        Entry("././@LongLink", LONG.encode() + b"\0", type=b"L", magic=b"ustar  \x00"),
        Entry(LONG[:100], b"2", magic=b"ustar  \x00"),
        Entry("h", type=b"1", link="a"),
        Entry("s", type=b"2", link="a"),
        Entry("name", b"3", fields={345: b"prefix"}),
    ]
    return tar(dice.sample(entries[:4], dice.randint(1, 4)) + (entries[4:6] if dice.random() < 0.5 else []) + entries[8:])


def damaged(dice: random.Random) -> bytes:
    data = bytearray(whole(dice))
    for _ in range(dice.randint(1, 3)):
        block = dice.randrange(len(data) // 512) * 512
        data[block + dice.choice(PLACES)] = dice.choice(BYTES)
        if dice.random() < 0.8:  # a checksum that is right again
            data[block + 148 : block + 156] = b" " * 8
            data[block + 148 : block + 156] = b"%06o\0 " % sum(data[block : block + 512])
    if dice.random() < 0.2:
        del data[dice.randrange(len(data)) :]
    if dice.random() < 0.1:
        data += tar([Entry("behind", b"x")])
    return bytes(data)


def ours(data: bytes) -> dict[str, bytes] | None:
    """Files; None where it is refused, or holds a path twice or something else than files and folders."""
    found: dict[str, bytes] = {}
    stream = Stream(iter([data]))
    try:
        for member in members(stream):
            if member.path in found or member.kind not in {MemberKind.FILE, MemberKind.FOLDER}:
                return None
            if member.kind is MemberKind.FILE:
                found[member.path] = stream.exactly(member.size)
    except ModelTrustError:
        return None
    return found


def test_a_damaged_tar_is_refused_or_what_everybody_takes_it_for(tmp_path: Path) -> None:
    accepted = 0
    for seed in range(DAMAGED):
        data = damaged(random.Random(seed))  # noqa: S311 - repeatable
        found = ours(data)
        if found is None:
            continue
        accepted += 1
        try:
            assert {name.removeprefix("./"): content for name, content in by_tarfile(data).items()} == found, seed
        except tarfile.TarError:
            pytest.fail(f"CPython refuses {seed}")
        folder = tmp_path / str(seed)
        folder.mkdir()
        unpacked = containerd.naive(folder, [data])
        if unpacked is not None:  # a file where a folder is needed, and the like: nothing runs then
            assert unpacked == found, seed
    assert accepted > DAMAGED / 50, accepted
