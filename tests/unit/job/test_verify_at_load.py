import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrust.domain.digest import content_digest
from modeltrust.job.verify_at_load import main

FILES = {"config.json": b"{}", "weights/model.safetensors": b"\x00" * 5000, "model.sig": b"a signature never counts"}
OTHER = "sha256:" + "0" * 64


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def digest() -> str:
    # Written out, not computed by the code under test: architecture.md, "The content digest, version 1".
    import hashlib  # noqa: PLC0415 - only this fixture

    entries = [[name, "sha256:" + hashlib.sha256(data).hexdigest()] for name, data in sorted(FILES.items()) if name != "model.sig"]
    text = json.dumps(["modeltrust/content/v1", *entries], separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_the_attested_bytes_pass(model: Path, digest: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(model), "--digest", digest]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["event"] == "same"


@pytest.mark.parametrize("name", ["config.json", "weights/model.safetensors"])
def test_one_changed_byte_fails(name: str, model: Path, digest: str) -> None:
    (model / name).write_bytes(FILES[name][:-1] + b"\x01")

    assert main([str(model), "--digest", digest]) == 11


def test_an_added_a_removed_and_a_renamed_file_fail(model: Path, digest: str) -> None:
    (model / "evil.py").write_text("")
    assert main([str(model), "--digest", digest]) == 11
    (model / "evil.py").unlink()
    (model / "config.json").rename(model / "configuration.json")
    assert main([str(model), "--digest", digest]) == 11
    (model / "configuration.json").unlink()
    assert main([str(model), "--digest", digest]) == 11


def test_a_symlink_out_of_the_model_fails(model: Path, digest: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(FILES["config.json"])
    (model / "config.json").unlink()
    (model / "config.json").symlink_to(tmp_path / "outside")

    assert main([str(model), "--digest", digest]) == 11


def test_a_pipe_fails_and_does_not_hang(model: Path, digest: str) -> None:
    os.mkfifo(model / "pipe")

    assert main([str(model), "--digest", digest]) == 11


def test_an_empty_folder_fails(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--digest", OTHER]) == 11


def test_a_missing_folder_is_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere"), "--digest", OTHER]) == 12
    assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x"],
        ["x", "--digest"],
        ["x", "--digest", "sha256:12"],
        ["x", "--digest", "md5:" + "0" * 32],
        ["x", "y", "--digest", OTHER],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert main(arguments) == 2


def test_progress_is_written_every_few_seconds(model: Path, digest: str, capsys: pytest.CaptureFixture[str]) -> None:
    ticks = iter(range(0, 1000, 6))

    assert main([str(model), "--digest", digest], clock=lambda: float(next(ticks))) == 0

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"hashing", "same"} <= {event["event"] for event in events}


def test_the_digest_is_the_one_of_the_domain(digest: str) -> None:
    import hashlib  # noqa: PLC0415 - only this test

    assert str(content_digest((name, hashlib.sha256(data).hexdigest()) for name, data in FILES.items())) == digest


def test_it_runs_with_the_standard_library_alone(model: Path, digest: str) -> None:
    program = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] not in sys.stdlib_module_names and name.partition('.')[0] != 'modeltrust':
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.argv = ['modeltrust', 'job', 'verify-at-load', {str(model)!r}, '--digest', {digest!r}]
from modeltrust.__main__ import main
sys.exit(main())
"""

    assert subprocess.run([sys.executable, "-c", program], check=False, capture_output=True).returncode == 0


def test_several_folders_are_compared_in_order_and_the_first_other_one_ends_it(model: Path, digest: str) -> None:
    assert main([str(model), str(model), "--digest", digest, "--digest", digest]) == 0
    assert main([str(model), str(model), "--digest", digest, "--digest", OTHER]) == 11
    assert main([str(model), str(model), "--digest", digest]) == 2
    assert main([str(model), "--digest", digest, "--digest", digest]) == 2


def test_a_folder_behind_a_link_fails_since_the_servers_container_may_follow_it_elsewhere(model: Path, digest: str) -> None:
    (model.parent / "link").symlink_to(model)
    (model.parent / "above").symlink_to(model.parent)
    assert main([str(model.parent / "link"), "--digest", digest]) == 11
    assert main([str(model.parent / "above" / "model"), "--digest", digest]) == 11
