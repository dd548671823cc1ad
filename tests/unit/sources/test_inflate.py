"""Decompression of layers: one way for everybody, and an end to what is made to have none."""

import gzip
import sys
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError, ModelTrustError
from modeltrust.sources.inflate import Budget, Compression, unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = bytes(range(256)) * 40


def inflated(data: bytes, compression: Compression = Compression.GZIP, piece: int = 1 << 20) -> bytes:
    return b"".join(unpacked(iter([data[at : at + piece] for at in range(0, len(data), piece)]), compression))


@pytest.mark.parametrize("piece", [10, 13, 100, 1 << 20])
def test_how_the_bytes_arrive_makes_no_difference(piece: int) -> None:
    assert inflated(gzip.compress(DATA), piece=piece) == DATA


def test_members_of_a_gzip_are_one_stream() -> None:
    assert inflated(gzip.compress(DATA) + gzip.compress(b"") + gzip.compress(b"more"), piece=50) == DATA + b"more"


def test_what_is_not_packed_comes_as_it_is() -> None:
    assert inflated(DATA, Compression.NONE, piece=7) == DATA
    assert inflated(b"", Compression.NONE) == b""


BAD = [
    ("nothing", b""),
    ("a tar", b"name" + bytes(508)),
    ("a header and no more", gzip.compress(DATA)[:10]),
    ("cut short", gzip.compress(DATA)[:-1]),
    ("cut short in the middle", gzip.compress(DATA)[:60]),
    ("another checksum", gzip.compress(DATA)[:-8] + bytes(8)),
    ("another length", gzip.compress(DATA)[:-4] + b"\1\0\0\0"),
    ("zeros behind it, which Python skips", gzip.compress(DATA) + bytes(512)),
    ("garbage behind it, which pigz skips", gzip.compress(DATA) + b"garbage"),
    ("a second member that is cut short", gzip.compress(DATA) + gzip.compress(DATA)[:20]),
    ("half a magic behind it", gzip.compress(DATA) + b"\x1f"),
    ("deflate without gzip", zlib.compress(DATA)),
    ("zstd", b"\x28\xb5\x2f\xfd" + bytes(20)),
    ("a skipped frame of zstd", b"\x50\x2a\x4d\x18" + bytes(20)),
    ("reserved flags", b"\x1f\x8b\x08\xe0" + gzip.compress(DATA)[4:]),
]


def skipped(data: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


BAD_ZSTD = [
    ("nothing", b""),
    ("a tar", b"name" + bytes(508)),
    ("gzip", gzip.compress(DATA)),
    ("a header and no more", zstd.compress(DATA)[:6]),
    ("cut short", zstd.compress(DATA)[:-1]),
    ("cut short in the second frame", zstd.compress(DATA) + zstd.compress(DATA)[:20]),
    ("damaged", zstd.compress(DATA)[:20] + bytes(30)),
    ("zeros behind it", zstd.compress(DATA) + bytes(512)),
    ("garbage behind it", zstd.compress(DATA) + b"garbage"),
    ("half a magic behind it", zstd.compress(DATA) + b"\x28\xb5"),
    ("a list of files in a skipped frame behind it", zstd.compress(DATA) + skipped(b"toc")),
    ("a skipped frame before it", skipped(b"x") + zstd.compress(DATA)),
    ("a window of 1 GiB", b"\x28\xb5\x2f\xfd\x00\xa0" + zstd.compress(DATA)[6:]),
    ("a dictionary", b"\x28\xb5\x2f\xfd\x03\x58" + bytes(20)),
]


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in BAD_ZSTD])
@pytest.mark.parametrize("piece", [3, 1 << 20])
def test_what_is_no_whole_zstd_is_refused(data: bytes, piece: int) -> None:
    with pytest.raises(MalformedError):
        inflated(data, Compression.ZSTD, piece)


@pytest.mark.parametrize("piece", [4, 5, 13, 1 << 20])
def test_frames_of_zstd_are_one_stream(piece: int) -> None:
    data = zstd.compress(DATA) + zstd.compress(b"") + zstd.compress(b"more")
    assert inflated(data, Compression.ZSTD, piece) == DATA + b"more"


def test_a_bomb_of_zstd_is_stopped_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OCI_INFLATED_BYTES", 1 << 20)
    data, came = zstd.compress(bytes(256 << 20)), list[int]()
    with pytest.raises(LimitExceededError, match="times its size"):
        came.extend(map(len, unpacked(iter([data]), Compression.ZSTD)))
    assert max(came) <= 1 << 20
    assert sum(came) <= (1 << 20) + limits.OCI_INFLATION * len(data)


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in BAD])
def test_what_is_no_whole_gzip_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        inflated(data)


PACKED = [gzip.compress(DATA), b"\x28\xb5\x2f\xfd", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x5f\x2a\x4d\x18" + bytes(9)]


@pytest.mark.parametrize("data", PACKED)
def test_a_plain_layer_that_looks_packed_is_refused(data: bytes) -> None:
    # containerd goes by the type, CRI-O by the bytes
    with pytest.raises(MalformedError, match="packed as"):
        inflated(data, Compression.NONE)


def bomb(size: int) -> Iterator[bytes]:
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(1 << 20)
    for _ in range(size >> 20):
        yield packer.compress(zeros)
    yield packer.flush()


def test_a_bomb_is_stopped_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OCI_INFLATED_BYTES", 1 << 20)
    data, came = b"".join(bomb(64 << 20)), list[int]()
    with pytest.raises(LimitExceededError, match="times its size"):
        came.extend(map(len, unpacked(iter([data]), Compression.GZIP)))
    assert max(came) <= 1 << 20
    assert sum(came) <= (1 << 20) + limits.OCI_INFLATION * len(data)


def test_a_bomb_of_many_members_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PACKED_FRAMES", 50)
    with pytest.raises(LimitExceededError, match="members"):
        inflated(gzip.compress(b"") * 60)
    with pytest.raises(LimitExceededError, match="frames"):
        inflated(zstd.compress(b"") * 60, Compression.ZSTD)


def test_what_is_kept_in_the_decompressor_comes_out_at_the_end() -> None:
    zeros = bytes(5 << 20)
    assert inflated(gzip.compress(zeros)) == zeros


def test_a_budget_ends() -> None:
    budget = Budget(10)
    budget.take(10)
    with pytest.raises(LimitExceededError, match="more than 10 bytes"):
        budget.take(1)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_no_bytes_raise_anything_but_our_errors(data: bytes, piece: int) -> None:
    for start in (b"", b"\x1f\x8b\x08", gzip.compress(b"x"), b"\x28\xb5\x2f\xfd", zstd.compress(b"x")):
        for compression in Compression:
            try:
                inflated(start + data, compression, piece)
            except ModelTrustError:
                continue
