import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modeltrust.domain import limits
from modeltrust.domain.digest import content_digest
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.listing import FileKind
from modeltrust.domain.source import Source
from modeltrust.sources.filesystem import FolderSource

WEIGHTS = b"weights" * 100_000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "sub" / "deeper" / "empty").write_bytes(b"")
    return folder


def during_hashing(action: Callable[[], object]) -> Callable[[int], None]:
    """A progress callback that acts once, in the middle of the work."""
    pending = [action]

    def progress(_count: int) -> None:
        while pending:
            pending.pop()()

    return progress


def test_every_file_is_listed_with_the_sha256_of_its_bytes(model: Path) -> None:
    listing = FolderSource(model).list()
    assert {entry.path: (entry.size, entry.sha256, entry.kind) for entry in listing.files} == {
        "config.json": (2, hashlib.sha256(b"{}").hexdigest(), FileKind.FILE),
        "model.safetensors": (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest(), FileKind.FILE),
        "sub/deeper/empty": (0, hashlib.sha256(b"").hexdigest(), FileKind.FILE),
    }
    assert listing.bytes_read
    assert listing.reference is None


def test_files_are_listed_in_code_point_order_and_residue_included(model: Path) -> None:
    (model / ".gitattributes").write_bytes(b"x")
    (model / "model.sig").write_bytes(b"{}")
    paths = [entry.path for entry in FolderSource(model).list().files]
    assert paths == sorted(paths)
    assert {".gitattributes", "model.sig"} <= set(paths)


def test_a_folder_source_is_a_source(model: Path) -> None:
    source: Source = FolderSource(model)
    assert source.read("config.json", 0, 10) == b"{}"


def test_an_empty_folder_lists_nothing_and_empty_folders_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert FolderSource(tmp_path).list().files == ()


def test_the_folder_itself_may_be_named_through_a_link(model: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(model)
    assert FolderSource(tmp_path / "link").list().files == FolderSource(model).list().files


@pytest.mark.parametrize("target", ["config.json", "/etc/passwd", "missing", "../..", "sub"])
def test_a_symlink_is_listed_as_one_and_never_followed(model: Path, target: str) -> None:
    (model / "link").symlink_to(target)
    entry = next(entry for entry in FolderSource(model).list().files if entry.path == "link")
    assert (entry.kind, entry.sha256) == (FileKind.SYMLINK, None)
    with pytest.raises((UnavailableError, NotFoundError)):
        FolderSource(model).read("link", 0, 1)


def test_a_link_to_a_folder_in_the_middle_of_a_path_is_not_followed(model: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    (model / "inside").symlink_to(tmp_path / "outside")
    with pytest.raises(NotFoundError):
        FolderSource(model).read("inside/secret", 0, 6)


def test_a_file_with_two_hard_links_is_a_file(model: Path) -> None:
    os.link(model / "config.json", model / "twin.json")
    entry = next(entry for entry in FolderSource(model).list().files if entry.path == "twin.json")
    assert (entry.kind, entry.sha256) == (FileKind.FILE, hashlib.sha256(b"{}").hexdigest())


def test_pipes_and_sockets_are_special_and_are_not_opened(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(model / "pipe")
    monkeypatch.chdir(model)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        kinds = {entry.path: entry.kind for entry in FolderSource(model).list().files}
    assert kinds["pipe"] is FileKind.SPECIAL
    assert kinds["socket"] is FileKind.SPECIAL
    with pytest.raises(NotFoundError, match="ordinary"):
        FolderSource(model).read("pipe", 0, 1)


@pytest.mark.parametrize("name", ["missing", "config.json", "config.json/x", "x\0y"])
def test_what_is_no_folder_is_not_found(model: Path, name: str) -> None:
    with pytest.raises((NotFoundError, UnavailableError)):
        FolderSource(model / name).list()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["config.json", "sub", "."])
def test_what_cannot_be_read_is_unavailable_and_never_skipped(model: Path, name: str) -> None:
    (model / name).chmod(0)
    try:
        with pytest.raises(UnavailableError):
            FolderSource(model).list()
    finally:
        (model / name).chmod(0o755)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_read_error_is_unavailable(model: Path, monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(os, "readv", fail)
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(UnavailableError, match=str(error.strerror)):
        FolderSource(model).list()
    with pytest.raises(UnavailableError, match=str(error.strerror)):
        FolderSource(model).read("config.json", 0, 1)


def test_an_unreadable_folder_is_unavailable(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(UnavailableError, match="cannot read folder"):
        FolderSource(model).list()


def test_a_file_that_grows_is_refused(model: Path) -> None:
    def grow() -> None:
        with (model / "model.safetensors").open("ab") as file:
            file.write(b"more")

    with pytest.raises(UnavailableError, match="changed while it was read"):
        FolderSource(model, progress=during_hashing(grow)).list()


def test_a_file_that_shrinks_is_refused(model: Path) -> None:
    with pytest.raises(UnavailableError, match="changed while it was read"):
        FolderSource(model, progress=during_hashing(lambda: os.truncate(model / "model.safetensors", 10))).list()


def test_bytes_swapped_with_the_old_time_put_back_are_refused(model: Path) -> None:
    path = model / "model.safetensors"
    before = path.stat()

    def swap() -> None:
        with path.open("r+b") as file:
            file.write(b"WEIGHTS")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    with pytest.raises(UnavailableError, match="changed while it was read"):
        FolderSource(model, progress=during_hashing(swap)).list()


def test_a_file_added_or_removed_while_others_are_read_is_refused(model: Path) -> None:
    with pytest.raises(UnavailableError, match="changed while it was read"):
        FolderSource(model, progress=during_hashing(lambda: (model / "late.py").write_bytes(b"x"))).list()
    with pytest.raises(UnavailableError, match="changed while it was read"):
        FolderSource(model, progress=during_hashing((model / "late.py").unlink)).list()


def test_a_file_replaced_by_a_link_meanwhile_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "evil").write_bytes(b"{}")

    def replace() -> None:
        (model / "config.json").unlink()
        (model / "config.json").symlink_to(tmp_path / "evil")

    with pytest.raises(UnavailableError):
        FolderSource(model, progress=during_hashing(replace), workers=1).list()


def test_a_folder_replaced_meanwhile_is_refused(model: Path) -> None:
    with pytest.raises(UnavailableError):
        FolderSource(model, progress=during_hashing(lambda: (model / "sub").rename(model / "bus")), workers=1).list()


def test_after_the_listing_only_the_listed_file_is_read(model: Path) -> None:
    source = FolderSource(model)
    source.list()
    assert source.read("config.json", 0, 2) == b"{}"
    (model / "new.json").write_bytes(b"{}")
    (model / "config.json").write_bytes(b"[]")
    for path in ("config.json", "new.json"):
        with pytest.raises(UnavailableError, match="after it was listed"):
            source.read(path, 0, 2)


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../secret", "sub/../config.json", "./config.json", "sub//x", "sub", "a\0b", "no"]
)
def test_a_path_that_leads_elsewhere_or_nowhere_is_not_read(model: Path, path: str) -> None:
    (model.parent / "secret").write_bytes(b"secret")
    with pytest.raises((NotFoundError, UnavailableError)):
        FolderSource(model).read(path, 0, 6)


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, -1), (-5, -5)])
def test_a_negative_range_is_refused(model: Path, start: int, length: int) -> None:
    with pytest.raises(MalformedError):
        FolderSource(model).read("config.json", start, length)


@given(start=st.integers(0, len(WEIGHTS) + 10), length=st.integers(0, 600_000))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_range_is_exact_and_short_only_at_the_end(model: Path, start: int, length: int) -> None:
    assert FolderSource(model).read("model.safetensors", start, length) == WEIGHTS[start : start + length]


def test_a_range_cut_short_by_the_file_system_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(UnavailableError, match="changed while it was read"):
        FolderSource(model).read("config.json", 0, 2)


def test_too_many_files_are_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FILES", 4)
    with pytest.raises(LimitExceededError, match="more than 4"):
        FolderSource(model).list()


def test_too_deep_a_folder_is_refused(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * limits.PATH_PARTS)
    deep.mkdir(parents=True)
    FolderSource(tmp_path).list()
    (deep / "file").write_bytes(b"")
    with pytest.raises(LimitExceededError, match="parts"):
        FolderSource(tmp_path).list()


def test_too_long_a_path_is_refused(tmp_path: Path) -> None:
    tmp_path.joinpath(*["d" * 200] * 6).mkdir(parents=True)
    with pytest.raises(LimitExceededError, match="characters"):
        FolderSource(tmp_path).list()


def test_a_name_that_is_not_utf_8_is_malformed(model: Path) -> None:
    (Path(os.fsdecode(os.fsencode(model) + b"/\xff.json"))).write_bytes(b"")
    with pytest.raises(MalformedError, match="UTF-8"):
        FolderSource(model).list()


def test_progress_adds_up_to_all_bytes(model: Path) -> None:
    seen: list[int] = []
    FolderSource(model, progress=seen.append).list()
    assert sum(seen) == len(WEIGHTS) + 2


def test_an_interrupt_ends_the_work(model: Path) -> None:
    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FolderSource(model, progress=interrupt).list()


def test_the_listing_gives_the_content_digest_of_the_documented_definition(model: Path) -> None:
    listing = FolderSource(model).list()
    text = ",".join(f'["{e.path}","sha256:{e.sha256}"]' for e in listing.files)
    expected = hashlib.sha256(f'["modeltrust/content/v1",{text}]'.encode()).hexdigest()
    assert content_digest((e.path, e.sha256 or "") for e in listing.files).hex == expected


def test_the_signature_in_the_folder_is_found(model: Path) -> None:
    assert FolderSource(model).signatures() == ()
    (model / "model.sig").write_bytes(b"bundle")
    assert FolderSource(model).signatures() == (b"bundle",)


def test_a_signature_elsewhere_replaces_the_one_in_the_folder(model: Path, tmp_path: Path) -> None:
    (model / "model.sig").write_bytes(b"inner")
    (tmp_path / "outer.sig").write_bytes(b"outer")
    assert FolderSource(model, signature=tmp_path / "outer.sig").signatures() == (b"outer",)


@pytest.mark.parametrize("name", ["missing.sig", ".", "model/config.json/x"])
def test_a_named_signature_that_is_not_there_is_an_error_and_not_an_unsigned_model(model: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        FolderSource(model, signature=tmp_path / name).signatures()


def test_a_signature_that_is_a_link_or_a_folder_is_refused(model: Path) -> None:
    (model / "model.sig").symlink_to("config.json")
    with pytest.raises(MalformedError, match="link"):
        FolderSource(model).signatures()
    (model / "model.sig").unlink()
    (model / "model.sig").mkdir()
    with pytest.raises(MalformedError, match="link"):
        FolderSource(model).signatures()


def test_a_named_signature_that_is_a_pipe_is_refused_at_once(model: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFoundError):
        FolderSource(model, signature=tmp_path / "pipe").signatures()


def test_a_signature_beyond_the_bound_is_refused(model: Path, tmp_path: Path) -> None:
    for path in (model / "model.sig", tmp_path / "outer.sig"):
        path.touch()
        os.truncate(path, limits.BUNDLE_BYTES + 1)
    with pytest.raises(LimitExceededError):
        FolderSource(model).signatures()
    with pytest.raises(LimitExceededError):
        FolderSource(model, signature=tmp_path / "outer.sig").signatures()


def test_a_signature_that_cannot_be_read_is_unavailable(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError):
        FolderSource(model, signature=Path("x\0y")).signatures()

    def fail(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", fail)
        with pytest.raises(UnavailableError):
            FolderSource(model).signatures()
