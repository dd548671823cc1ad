"""F71: the public good instance's root through TUF, from a repository on loopback."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.facts import Unavailable
from modeltrust.signing.trust_root import parse_trust_root
from modeltrust.signing.tuf_root import FreshRoot, Repository, embedded_root, last_good, public_good, refresh
from tests.support.sigstore_ca import TestSigstore
from tests.support.tuf_repository import TARGET, TufRepository, serving

FIRST, SECOND = TestSigstore(name="first").trusted_root(), TestSigstore(name="second").trusted_root()
DAY = 24 * 3600


@pytest.fixture
def served() -> Iterator[TufRepository]:
    with serving(TufRepository(FIRST)) as repository:
        yield repository


def now() -> int:
    return int(time.time())  # tuf itself reads the clock of the machine


def fetched(served: TufRepository, folder: Path) -> bytes:
    return refresh(folder, now(), repository=Repository(served.address, served.root))


def test_a_refresh_brings_what_the_repository_has_now(served: TufRepository, tmp_path: Path) -> None:
    assert fetched(served, tmp_path) == FIRST
    served.publish(SECOND)
    assert fetched(served, tmp_path) == SECOND
    assert last_good(tmp_path, now()) == SECOND


def test_what_has_not_changed_is_not_fetched_again(served: TufRepository, tmp_path: Path) -> None:
    fetched(served, tmp_path)
    served.asked.clear()
    assert fetched(served, tmp_path) == FIRST
    assert not any("targets/" in path for path in served.asked)


def test_a_rotated_root_key_is_followed(served: TufRepository, tmp_path: Path) -> None:
    fetched(served, tmp_path)
    served.rotate()
    served.publish(SECOND)
    assert fetched(served, tmp_path) == SECOND


def test_when_the_mirror_is_gone_the_last_good_root_counts_until_its_metadata_end(served: TufRepository, tmp_path: Path) -> None:
    problems: list[str] = []
    fresh = FreshRoot(tmp_path, Repository(served.address, served.root), report=problems.append)
    assert fresh.update(now())
    served.files.clear()
    assert not fresh.update(now())
    assert problems
    assert fresh.current(now()) == FIRST
    assert fresh.current(now() + 6 * DAY) == FIRST
    ended = fresh.current(now() + 8 * DAY)
    assert isinstance(ended, Unavailable)
    assert "metadata ended" in ended.why


def test_a_restart_without_network_finds_the_last_good_root(served: TufRepository, tmp_path: Path) -> None:
    fetched(served, tmp_path)
    again = FreshRoot(tmp_path, Repository("http://127.0.0.1:9", served.root))
    assert not again.update(now())
    assert again.current(now()) == FIRST


def test_before_anything_was_fetched_there_is_no_root(tmp_path: Path) -> None:
    assert isinstance(FreshRoot(tmp_path / "none", public_good()).current(now()), Unavailable)


def test_metadata_that_have_ended_are_refused_and_change_nothing(served: TufRepository, tmp_path: Path) -> None:
    fetched(served, tmp_path)
    served.publish(SECOND, days=-1)
    with pytest.raises(UnavailableError, match="refreshed"):
        fetched(served, tmp_path)
    assert last_good(tmp_path, now()) == FIRST


@pytest.mark.parametrize("part", ["timestamp.json", "snapshot.json", "targets.json", "targets/"])
def test_half_a_refresh_takes_nothing_away(served: TufRepository, tmp_path: Path, part: str) -> None:
    fetched(served, tmp_path)
    served.publish(SECOND)
    whole = dict(served.files)
    served.files = {path: data for path, data in whole.items() if part not in path}
    with pytest.raises(UnavailableError, match="refreshed"):
        fetched(served, tmp_path)
    assert last_good(tmp_path, now()) == FIRST
    served.files = whole
    assert fetched(served, tmp_path) == SECOND


def test_a_rollback_is_refused(served: TufRepository, tmp_path: Path) -> None:
    old = dict(served.files)
    served.publish(SECOND)
    assert fetched(served, tmp_path) == SECOND
    served.files = old
    with pytest.raises(UnavailableError, match="refreshed"):
        fetched(served, tmp_path)
    assert last_good(tmp_path, now()) == SECOND


def test_another_key_s_repository_is_refused(served: TufRepository, tmp_path: Path) -> None:
    with serving(TufRepository(SECOND)) as foreign, pytest.raises(UnavailableError, match="refreshed"):
        refresh(tmp_path, now(), repository=Repository(foreign.address, served.root))
    with pytest.raises(UnavailableError):
        last_good(tmp_path, now())


def test_a_target_that_is_not_what_was_signed_is_refused(served: TufRepository, tmp_path: Path) -> None:
    fetched(served, tmp_path)
    served.publish(SECOND)
    path = next(path for path in served.files if path.endswith(TARGET) and served.files[path] == SECOND)
    served.files[path] = FIRST[: len(SECOND)].ljust(len(SECOND))
    with pytest.raises(UnavailableError, match="refreshed"):
        fetched(served, tmp_path)


@pytest.mark.parametrize("names", [("other.json",), (f"../{TARGET}",), ("a/../../trusted_root.json",)])
def test_a_repository_decides_no_path(served: TufRepository, tmp_path: Path, names: tuple[str, ...]) -> None:
    served.publish(SECOND, names=names)
    with pytest.raises(UnavailableError, match="no usable"):
        fetched(served, tmp_path / "folder")
    assert {path.name for path in tmp_path.iterdir()} == {"folder"}


@pytest.mark.parametrize("target", [b"{}", b"not JSON", b"x" * (limits.TRUSTED_ROOT_BYTES + 1)], ids=["empty", "text", "large"])
def test_a_signed_target_that_is_no_trust_root_is_refused(served: TufRepository, tmp_path: Path, target: bytes) -> None:
    served.publish(target)
    with pytest.raises(UnavailableError):
        fetched(served, tmp_path)


NAMES = [TARGET, "root.json", "timestamp.json", "snapshot.json", "targets.json"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [None, b"", b"{}", b"[]", b"\xff", SECOND], ids=["gone", "empty", "{}", "[]", "bytes", "another"])
def test_a_changed_folder_is_no_root(served: TufRepository, tmp_path: Path, name: str, data: bytes | None) -> None:
    fetched(served, tmp_path)
    files = json.loads((tmp_path / "current.json").read_bytes())
    files[name] = None if data is None else base64.b64encode(data).decode()
    (tmp_path / "current.json").write_text(json.dumps(files), encoding="utf-8")
    with pytest.raises(UnavailableError, match="no current trust root"):
        last_good(tmp_path, now())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff"])
def test_a_file_of_another_kind_is_no_root(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "current.json").write_bytes(data)
    with pytest.raises(UnavailableError, match="no current trust root"):
        last_good(tmp_path, now())


@pytest.mark.parametrize("name", ["snapshot.json", "targets.json", TARGET, "timestamp.json"])
def test_files_of_two_releases_are_no_root(served: TufRepository, tmp_path: Path, name: str) -> None:
    fetched(served, tmp_path)
    old = json.loads((tmp_path / "current.json").read_bytes())
    served.publish(SECOND)
    fetched(served, tmp_path)
    files = json.loads((tmp_path / "current.json").read_bytes()) | {name: old[name]}
    (tmp_path / "current.json").write_text(json.dumps(files), encoding="utf-8")
    with pytest.raises(UnavailableError, match="no current trust root"):
        last_good(tmp_path, now())


def test_the_embedded_copy_can_be_read_and_belongs_to_the_public_good_instance() -> None:
    assert parse_trust_root(embedded_root()).authorities
    assert public_good().url == "https://tuf-repo-cdn.sigstore.dev"
