import hashlib
import json
import unicodedata
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest, check_path, content_digest, is_residue, is_sha256_hex
from modeltrust.domain.errors import LimitExceededError, MalformedError
from tests.support import content_digest as vectors

A, B = "a" * 64, "b" * 64
COMMITTED = json.loads(Path(vectors.FILE).read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", COMMITTED["vectors"], ids=lambda vector: vector["name"])
def test_the_committed_vectors_hold(vector: dict[str, object]) -> None:
    files = [(entry["path"], entry["sha256"]) for entry in vector["files"]]  # type: ignore[attr-defined] # JSON
    if "contentDigest" in vector:
        assert str(content_digest(files)) == vector["contentDigest"]
        assert hashlib.sha256(str(vector["canonical"]).encode()).hexdigest() == str(vector["contentDigest"])[7:]
    else:
        with pytest.raises(MalformedError):
            content_digest(files)


def test_the_committed_vectors_are_what_the_generator_writes() -> None:
    assert vectors.generate()[str(vectors.FILE.relative_to(vectors.ROOT))] == vectors.FILE.read_text(encoding="utf-8")


def test_the_canonical_text_is_that_of_rfc_8785() -> None:
    entries = [["a.json", f"sha256:{A}"], ['ü "x".json', f"sha256:{B}"]]
    expected = hashlib.sha256(rfc8785.dumps(["modeltrust/content/v1", *entries])).hexdigest()
    assert content_digest([(path, digest[7:]) for path, digest in reversed(entries)]).hex == expected


PATHS = st.text(alphabet="abcXY0._-é模😀 /", min_size=1, max_size=12)


@given(st.dictionaries(PATHS, st.sampled_from([A, B]), min_size=1, max_size=6), st.randoms())
@settings(max_examples=150, deadline=None)
def test_order_does_not_matter_and_every_other_change_does(files: dict[str, str], random: object) -> None:
    items = list(files.items())
    try:
        digest = content_digest(items)
    except MalformedError:
        return
    random.shuffle(items)  # type: ignore[attr-defined] # hypothesis types st.randoms() loosely
    assert content_digest(items) == digest
    counted = next(path for path in files if not is_residue(path))
    assert content_digest({**files, counted: "c" * 64}.items()) != digest
    assert content_digest({**files, "new": A}.items()) != digest or files.get("new") == A


def test_names_are_bound_to_bytes() -> None:
    assert content_digest([("x", A), ("y", B)]) != content_digest([("x", B), ("y", A)])


RESIDUE = [
    "model.sig",
    "x.sig",
    ".sig",
    ".gitattributes",
    ".gitignore",
    ".cache/huggingface/download/x.metadata",
    ".cache/huggingface/download/sub/x.lock",
    ".cache/huggingface/upload/x.metadata",
    ".cache/huggingface/.gitignore",
    ".cache/huggingface/.gitignore.lock",
    ".cache/huggingface/CACHEDIR.TAG",
]
COUNTED = [
    "sub/model.sig",
    "model.SIG",
    "model.sig.json",
    "model.sig/x",
    "model.signature",
    "sub/.gitattributes",
    ".gitmodules",
    ".GITIGNORE",
    ".cache/huggingface",
    ".cache/huggingface/x.py",
    ".cache/huggingface/config.json",
    ".cache/huggingface/x.metadata",
    ".cache/huggingface/download/model.safetensors",
    ".cache/huggingface/download/x.metadata/model.safetensors",
    ".cache/huggingface/download/.metadata.py",
    ".cache/huggingface/download/x.incomplete",
    ".cache/huggingface2/x",
    ".cache/x",
    ".Cache/huggingface/x",
    "x/.cache/huggingface/x",
    "cache/huggingface/x",
    "README.md",
    "LICENSE",
]


@pytest.mark.parametrize("path", RESIDUE)
def test_residue_never_counts(path: str) -> None:
    assert is_residue(path)
    assert content_digest([("x", A), (path, B)]) == content_digest([("x", A)])


@pytest.mark.parametrize("path", COUNTED)
def test_nothing_else_is_residue(path: str) -> None:
    assert not is_residue(path)
    assert content_digest([("x", A), (path, B)]) != content_digest([("x", A)])


@pytest.mark.parametrize("files", [[], [("model.sig", A)], [(".gitignore", A), (".cache/huggingface/CACHEDIR.TAG", B)]])
def test_a_model_without_a_file_that_counts_has_no_digest(files: list[tuple[str, str]]) -> None:
    with pytest.raises(MalformedError, match="at least one"):
        content_digest(files)


TWINS = [
    ("config.json", "config.json"),
    ("config.json", "Config.json"),
    ("config.json", "CONFIG.JSON"),
    ("straße", "STRASSE"),
    ("ﬁle", "file"),
    ("file", "file"),
    ("x²", "x2"),
    ("model.sig", "Model.sig"),
    ("\u017f", "s"),
    ("K", "k"),
]


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_paths_that_some_file_system_takes_for_one_are_refused(one: str, other: str) -> None:
    if unicodedata.is_normalized("NFC", one):
        with pytest.raises(MalformedError, match="beside"):
            content_digest([(one, A), (other, B)])
    with pytest.raises(MalformedError):
        content_digest([(other, A), (one, A), ("z", A)])


BAD_PATHS = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "/",
    "a/",
    "a//b",
    "./a",
    "a/./b",
    "a/../b",
    "../a",
    "a/..",
    "a\\b",
    "..\\a",
    "a\0b",
    "a\nb",
    "a\x1fb",
    "a\x7fb",
    "e\u0301",
    "\u212b",
    "\ud800",
    "a/\udcff",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_that_is_not_canonical_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        check_path(path)
    with pytest.raises(MalformedError):
        content_digest([("x", A), (path, B)])


@pytest.mark.parametrize("path", ["a", "...", "..a", "a..", ".hidden/x", "a b", "C:", "模型/ü.json", "a" * limits.PATH_CHARACTERS])
def test_a_canonical_path_is_taken(path: str) -> None:
    check_path(path)


def test_long_and_deep_paths_are_refused() -> None:
    check_path("/".join(["d"] * limits.PATH_PARTS))
    for path in ("/".join(["d"] * (limits.PATH_PARTS + 1)), "a" * (limits.PATH_CHARACTERS + 1)):
        with pytest.raises(LimitExceededError):
            check_path(path)


@given(st.text(max_size=20))
@settings(max_examples=200)
def test_a_path_that_is_taken_stays_inside_and_is_its_own_canonical_form(path: str) -> None:
    try:
        check_path(path)
    except MalformedError:
        return
    assert unicodedata.is_normalized("NFC", path)
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert path.encode("utf-8").decode("utf-8") == path


def test_too_many_files_are_refused_residue_included(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 2)
    content_digest([("a", A), ("b", A)])
    for third in ("c", ".cache/huggingface/x"):
        with pytest.raises(LimitExceededError):
            content_digest([("a", A), ("b", A), (third, A)])


BAD_DIGESTS = ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", f"sha256:{A}", "a" * 63 + "\u0430", "\u0660" * 64]


@pytest.mark.parametrize("text", BAD_DIGESTS)
def test_a_malformed_digest_is_refused(text: str) -> None:
    assert not is_sha256_hex(text)
    with pytest.raises(MalformedError):
        content_digest([("x", text)])
    with pytest.raises(MalformedError):
        ContentDigest(text)


def test_a_digest_is_written_and_read_with_its_algorithm() -> None:
    assert str(ContentDigest(A)) == f"sha256:{A}"
    assert ContentDigest.parse(f"sha256:{A}") == ContentDigest(A)
    for text in (A, f"sha512:{A}", f"SHA256:{A}", "sha256:", "", f"sha256:{A} ", f"sha256::{A}"):
        with pytest.raises(MalformedError):
            ContentDigest.parse(text)
