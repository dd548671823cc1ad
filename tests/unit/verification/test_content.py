"""The content digest from listings, and what reading adds to one."""

import dataclasses
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.digest import content_digest
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reference import NO_REVISION
from modeltrust.verification.content import complete, content_of
from modeltrust.verification.ranges import Comparison, Remembering
from tests.support.sources import MemorySource, entry, raising

DATA = b"0123456789" * 3
FILES = {"config.json": b"{}", "model.safetensors": DATA}


def listing(*entries: FileEntry) -> SourceListing:
    return SourceListing(None, NO_REVISION, entries)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_listing_with_all_digests_has_the_digest_of_its_files() -> None:
    expected = content_digest((path, sha256(data)) for path, data in FILES.items())
    assert content_of(MemorySource(FILES).list()) == expected


def test_residue_needs_no_digest_and_changes_nothing() -> None:
    residue = (
        entry(".gitattributes", b"x", sha256=False),
        entry("model.sig", b"y"),
        FileEntry(".gitignore", 1, kind=FileKind.SYMLINK),
    )
    with_residue = listing(*MemorySource(FILES).list().files, *residue)
    assert content_of(with_residue) == content_of(MemorySource(FILES).list())


def test_a_twin_of_residue_that_has_no_digest_is_still_a_twin() -> None:
    with pytest.raises(MalformedError, match="differ in more than case"):
        content_of(listing(entry(".gitattributes", b"x", sha256=False), entry(".GitAttributes", b"x")))


def test_without_one_digest_there_is_none_of_the_model() -> None:
    with pytest.raises(UnavailableError, match="states no sha256"):
        content_of(listing(entry("a", b"a"), entry("b", b"b", sha256=False)))


@pytest.mark.parametrize("kind", [kind for kind in FileKind if kind is not FileKind.FILE])
def test_what_is_no_ordinary_file_has_no_content(kind: FileKind) -> None:
    with pytest.raises(MalformedError, match=f"which is a {kind.value}"):
        content_of(listing(entry("a", b"a"), dataclasses.replace(entry("b", b"b"), kind=kind)))


@pytest.mark.parametrize("entries", [(), (entry("model.sig", b"x"),), (entry("../a", b"x"),), (entry("A", b""), entry("a", b""))])
def test_no_files_and_paths_that_make_no_sense_are_refused(entries: tuple[FileEntry, ...]) -> None:
    with pytest.raises(MalformedError):
        content_of(listing(*entries))


def test_a_listing_whose_bytes_were_read_is_not_read_again() -> None:
    source = MemorySource(FILES, bytes_read=True)
    assert complete(source.list(), source, read_bytes=True) == source.list()
    assert source.reads == []


def test_a_small_file_of_a_git_repository_gets_its_sha256() -> None:
    source = MemorySource(
        FILES, entries=(entry("config.json", b"{}", sha256=False, git_sha1=True), entry("model.safetensors", DATA))
    )
    completed = complete(source.list(), source, read_bytes=False)
    assert content_of(completed) == content_of(MemorySource(FILES).list())
    assert not completed.bytes_read
    assert {path for path, _, _ in source.reads} == {"config.json"}


def test_a_small_file_that_is_not_the_git_blob_is_refused() -> None:
    source = MemorySource({"config.json": b"[]"}, entries=(entry("config.json", b"{}", sha256=False, git_sha1=True),))
    with pytest.raises(MalformedError, match="git blob"):
        complete(source.list(), source, read_bytes=False)


def test_a_blob_id_of_a_large_file_beside_its_sha256_is_that_of_its_pointer() -> None:
    source = MemorySource({"w": DATA}, entries=(dataclasses.replace(entry("w", DATA), git_sha1="0" * 40),))
    assert content_of(complete(source.list(), source, read_bytes=True)) == content_of(MemorySource({"w": DATA}).list())


@pytest.mark.parametrize(
    "unread", [entry("a", b"a", sha256=False), FileEntry("a", limits.GIT_FILE_BYTES + 1, git_sha1="0" * 40), entry("a", b"a")]
)
def test_nothing_else_is_read_unless_ordered(unread: FileEntry) -> None:
    source = MemorySource({"a": b"a"}, entries=(unread,))
    assert complete(source.list(), source, read_bytes=False) == source.list()
    assert source.reads == []


def test_on_order_every_byte_is_read_and_hashed() -> None:
    source = MemorySource(FILES, entries=tuple(entry(path, data, sha256=False) for path, data in FILES.items()))
    completed = complete(source.list(), source, read_bytes=True)
    assert completed.bytes_read
    assert content_of(completed) == content_of(MemorySource(FILES).list())


def test_files_larger_than_one_read_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READ_BYTES", 7)
    source = MemorySource({"w": DATA})
    assert complete(source.list(), source, read_bytes=True).files[0].sha256 == sha256(DATA)
    assert source.reads == [("w", 0, 7), ("w", 7, 7), ("w", 14, 7), ("w", 21, 7), ("w", 28, 2)]


def test_links_and_residue_are_not_read() -> None:
    entries = (FileEntry("link", 3, kind=FileKind.SYMLINK), entry("model.sig", b"x"))
    source = MemorySource({}, entries=entries)
    assert complete(source.list(), source, read_bytes=True).files == entries


@pytest.mark.parametrize("served", [DATA[:-1] + b"x", DATA[:-1], b""])
def test_other_bytes_than_the_source_states_are_refused(served: bytes) -> None:
    source = MemorySource({"w": served}, entries=(entry("w", DATA),))
    with pytest.raises((MalformedError, UnavailableError)):
        complete(source.list(), source, read_bytes=True)


def test_more_bytes_than_listed_are_refused_where_no_digest_tells() -> None:
    source = MemorySource({"w": DATA + b"x"}, entries=(entry("w", DATA, sha256=False),))
    with pytest.raises(MalformedError, match="more bytes"):
        complete(source.list(), source, read_bytes=True)


@pytest.mark.parametrize("error", [UnavailableError("503"), NotFoundError("gone")])
def test_a_source_that_does_not_answer_is_no_empty_file(error: Exception) -> None:
    source = MemorySource(FILES, on_read=raising(error))
    with pytest.raises(type(error)):
        complete(source.list(), source, read_bytes=True)


def test_more_bytes_than_anybody_may_order_are_refused() -> None:
    source = MemorySource({}, entries=(FileEntry("w", limits.MODEL_BYTES + 1),))
    with pytest.raises(LimitExceededError):
        complete(source.list(), source, read_bytes=True)


def test_more_small_files_than_anybody_may_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EXAMINED_BYTES", 1)
    source = MemorySource(FILES, entries=(entry("config.json", b"{}", sha256=False, git_sha1=True),))
    with pytest.raises(LimitExceededError):
        complete(source.list(), source, read_bytes=False)


# --- one source, two answers ------------------------------------------------------------------------------------------------


def test_a_header_that_differs_from_what_is_hashed_is_refused() -> None:
    source = MemorySource({"w": b"clean" + DATA[5:]}, entries=(entry("w", DATA),))
    inspected = Remembering(source)
    inspected.read("w", 0, 5)
    source.files["w"] = DATA
    assert complete(source.list(), source, read_bytes=True).bytes_read
    with pytest.raises(MalformedError, match="than when it was inspected"):
        complete(source.list(), source, read_bytes=True, given=inspected.ranges)


def test_a_whole_file_that_differs_from_its_stated_digest_is_refused_though_nothing_is_hashed() -> None:
    source = MemorySource({"config.json": b"[]"}, entries=(entry("config.json", b"{}"),))
    inspected = Remembering(source)
    inspected.read("config.json", 0, 2)
    with pytest.raises(MalformedError, match="another sha256"):
        complete(source.list(), source, read_bytes=False, given=inspected.ranges)


RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=5)


@settings(max_examples=100, deadline=None)
@given(RANGES, st.integers(1, 9))
def test_ranges_of_the_same_bytes_are_always_equal(ranges: list[tuple[int, int]], step: int) -> None:
    assert compared(DATA, DATA, ranges, step)


@settings(max_examples=100, deadline=None)
@given(RANGES, st.integers(1, 9), st.integers(0, len(DATA) - 1))
def test_a_range_over_a_changed_byte_is_never_equal(ranges: list[tuple[int, int]], step: int, at: int) -> None:
    changed = DATA[:at] + b"x" + DATA[at + 1 :]
    touched = any(start <= at < start + length for start, length in ranges)
    assert compared(DATA, changed, ranges, step) is not touched


def test_a_range_beyond_the_end_of_the_file_is_never_equal() -> None:
    assert not compared(DATA, DATA[:10], [(5, 10)], 3)
    assert not compared(DATA, DATA[:10], [(15, 10)], 3)


def test_fewer_bytes_than_the_file_has_are_never_equal() -> None:
    assert not compared(DATA[:10], DATA, [(5, 10)], 3)
    assert not compared(DATA[:10], DATA, [(12, 10)], 3)


def compared(given_bytes: bytes, hashed: bytes, ranges: list[tuple[int, int]], step: int) -> bool:
    inspected = Remembering(MemorySource({"w": given_bytes}))
    for start, length in ranges:
        inspected.read("w", start, length)
    comparison = Comparison(inspected.ranges.get("w", set()))
    for start in range(0, len(hashed), step):
        comparison.update(hashed[start : start + step])
    return comparison.equal()
