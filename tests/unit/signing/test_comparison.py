from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain.digest import is_residue
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.signing.manifest import Comparison, compare, parse_manifest
from tests.support import oms
from tests.unit.signing.test_manifest import SHARDED, parse, shard

ALL = tuple(sorted(oms.FILES))


def compared(listing: SourceListing, **serialization: Any) -> Comparison:
    return compare(parse_manifest(oms.payload(**serialization)), listing)


def test_equal_files_match() -> None:
    assert compared(oms.listing()) == Comparison(ALL, (), (), (), ())


def test_a_listed_file_that_is_not_signed_is_unsigned() -> None:
    assert compared(oms.listing({**oms.FILES, "evil.py": b""})).unsigned == ("evil.py",)


@pytest.mark.parametrize(
    "path",
    [
        "modeling_custom.py",
        ".git/config",
        ".github/modeling_evil.py",
        "sub/.gitattributes",
        "sub/a.sig",
        ".cache/huggingface/config.json",
    ],
)
def test_what_the_signer_ignored_is_unsigned_all_the_same(path: str) -> None:
    listing = oms.listing({**oms.FILES, path: b"x"})
    assert compared(listing, ignore_paths=[path, ".git", ".github"]).unsigned == (path,)


@pytest.mark.parametrize("path", ["model.sig", ".gitattributes", ".gitignore", ".cache/huggingface/download/x.metadata"])
def test_residue_is_in_none_of_the_sets(path: str) -> None:
    listed = oms.listing({**oms.FILES, path: b"x"})
    assert compared(listed) == Comparison(ALL, (), (), (), ())
    signed = parse_manifest(oms.payload({**oms.FILES, path: b"y"}))
    assert compare(signed, listed) == compare(signed, oms.listing()) == Comparison(ALL, (), (), (), ())


def test_a_signed_file_that_is_not_listed_is_missing() -> None:
    assert compared(oms.listing({"config.json": b"{}"})).missing == ("model.safetensors", "sub/vocab.txt")


def test_another_digest_is_a_mismatch() -> None:
    assert compared(oms.listing({**oms.FILES, "config.json": b"[]"})).mismatched == ("config.json",)


def test_a_renamed_file_is_missing_and_unsigned() -> None:
    renamed = {"configuration_evil.py" if path == "config.json" else path: data for path, data in oms.FILES.items()}
    comparison = compared(oms.listing(renamed))
    assert (comparison.missing, comparison.unsigned) == (("config.json",), ("configuration_evil.py",))


def test_a_digest_that_the_source_does_not_state_is_unknown_and_not_matched() -> None:
    assert compared(oms.listing(known=False)) == Comparison((), (), (), (), ALL)


@pytest.mark.parametrize("kind", [FileKind.SYMLINK, FileKind.HARDLINK, FileKind.SUBMODULE, FileKind.SPECIAL])
def test_a_link_is_unknown_whatever_digest_stands_beside_it(kind: FileKind) -> None:
    assert compared(oms.listing(kind=kind)).unknown_digest == ALL


def test_an_archive_is_signed_as_one_file() -> None:
    assert compared(oms.listing(kind=FileKind.ARCHIVE)).matched == ALL


@pytest.mark.parametrize(("hash_type", "digits"), [("blake2b", 128), ("blake3", 64)])
def test_other_algorithms_need_the_bytes(hash_type: str, digits: int) -> None:
    listed = [{"name": path, "algorithm": hash_type, "digest": "0" * digits} for path in ALL]
    assert compare(parse(oms.statement(listed, hash_type=hash_type)), oms.listing()).unknown_digest == ALL


def test_shards_need_the_bytes_but_their_sizes_are_compared() -> None:
    signed = parse(oms.statement([shard("a:0:4"), shard("a:4:6"), shard("b:0:1"), shard("c:0:1")], **SHARDED))
    comparison = compare(signed, oms.listing({"a": b"123456", "b": b"12", "empty": b""}))
    assert comparison == Comparison((), ("empty",), ("c",), ("b",), ("a",))


def test_a_path_that_is_listed_twice_is_refused() -> None:
    listing = oms.listing()
    with pytest.raises(MalformedError, match="twice"):
        compared(replace(listing, files=(*listing.files, FileEntry("config.json", 1))))


PATHS = st.sampled_from(
    ["a", "b", "c/d", "x.sig", ".gitignore", ".cache/huggingface/CACHEDIR.TAG", ".cache/huggingface/x", "c/x.sig"]
)
CONTENT = st.dictionaries(PATHS, st.sampled_from([b"", b"1", b"2"]), min_size=1)


@settings(max_examples=60, deadline=None)
@given(CONTENT, CONTENT, st.booleans())
def test_the_sets_are_disjoint_sorted_and_hold_every_path_that_counts(
    signed: dict[str, bytes],
    listed: dict[str, bytes],
    known: bool,  # noqa: FBT001 - hypothesis passes it
) -> None:
    comparison = compare(parse_manifest(oms.payload(signed)), oms.listing(listed, known=known))
    sets = [getattr(comparison, item.name) for item in fields(comparison)]
    together = [path for paths in sets for path in paths]
    assert sorted(together) == sorted({path for path in (*signed, *listed) if not is_residue(path)})
    assert all(list(paths) == sorted(paths) for paths in sets)
    assert all(signed[path] == listed[path] for path in comparison.matched)
