import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidInputError
from modeltrust.store.files import Folder
from modeltrust.store.sink import Kind

NOW = 4_000_000_000.0  # later than any time stamp written here, so that stamps are believed


class Recorder:
    """A sink that keeps what it was fed, and what was said to it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[Kind, str], Mapping[str, Any]] = {}
        self.calls: list[str] = []
        self.confirmed: dict[str, float] = {}
        self.attestors: bytes | None = b"never told"

    def replace(self, kind: Kind, objects: Iterable[Mapping[str, Any]]) -> None:
        self.calls.append(f"replace {kind}")
        self.objects = {key: value for key, value in self.objects.items() if key[0] is not kind}
        self.objects |= {(kind, value["metadata"]["name"]): value for value in objects}

    def upsert(self, kind: Kind, value: Mapping[str, Any]) -> None:
        self.calls.append(f"upsert {kind} {value['metadata']['name']}")
        self.objects[kind, value["metadata"]["name"]] = value

    def delete(self, kind: Kind, name: str) -> None:
        self.calls.append(f"delete {kind} {name}")
        del self.objects[kind, name]

    def confirm(self, kind: str, now: float) -> None:
        self.confirmed[kind] = now

    def believe(self, data: bytes | None) -> None:
        if data == b"broken":
            raise InvalidInputError("no attestors")
        self.attestors = data

    @property
    def names(self) -> list[str]:
        return sorted(name for _, name in self.objects)


def parse(data: bytes, name: str) -> Iterable[Mapping[str, Any]]:
    try:
        return [json.loads(line) for line in data.decode().splitlines()]
    except ValueError as error:
        raise InvalidInputError(f"{name}: not JSON") from error


def policy(name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelPolicy", "metadata": {"name": name}, "spec": spec})


def watched(folder: Path) -> tuple[Folder, Recorder]:
    sink = Recorder()
    return Folder(folder, sink=sink, freshness=sink, parse=parse, attestors=sink.believe), sink


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding="utf-8")


def test_a_folder_is_fed_whole_first_and_by_change_afterwards(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", policy("one"), policy("two"))
    write(tmp_path / "deep" / "b.json", policy("three"))
    write(tmp_path / "README.md", "not read")
    folder, sink = watched(tmp_path)
    assert folder.poll(NOW) == ()
    assert sink.names == ["one", "three", "two"]
    assert sink.calls == [f"replace {kind}" for kind in Kind]
    assert sink.confirmed == dict.fromkeys([*Kind, "attestors"], NOW)
    sink.calls.clear()
    assert folder.poll(NOW + 1) == ()
    assert sink.calls == []
    write(tmp_path / "a.yaml", policy("one"), policy("two", mode="Audit"), policy("four"))
    (tmp_path / "deep" / "b.json").unlink()
    assert folder.poll(NOW + 2) == ()
    assert sink.calls == ["upsert policies two", "upsert policies four", "delete policies three"]
    assert sink.confirmed["policies"] == NOW + 2


def test_one_file_can_be_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "trust.yaml", policy("one"))
    folder, sink = watched(tmp_path / "trust.yaml")
    assert folder.poll(NOW) == ()
    assert sink.names == ["one"]


def test_an_object_that_moves_to_another_file_is_never_away(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", policy("one"))
    folder, sink = watched(tmp_path)
    folder.poll(NOW)
    sink.calls.clear()
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    assert folder.poll(NOW) == ()
    assert sink.calls == []


def test_a_half_written_file_keeps_the_last_good_state_and_confirms_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", policy("one"))
    write(tmp_path / "b.yaml", policy("two"))
    folder, sink = watched(tmp_path)
    folder.poll(NOW)
    write(tmp_path / "a.yaml", policy("one")[:-20])
    write(tmp_path / "b.yaml", policy("two", mode="Audit"))
    (problem,) = folder.poll(NOW + 5)
    assert (problem.file, problem.why) == ("a.yaml", "a.yaml: not JSON")
    assert sink.names == ["one", "two"]
    assert sink.objects[Kind.POLICIES, "two"]["spec"] == {"mode": "Audit"}
    assert sink.confirmed["policies"] == NOW
    write(tmp_path / "a.yaml", policy("one"))
    assert folder.poll(NOW + 6) == ()
    assert sink.confirmed["policies"] == NOW + 6


def test_a_file_that_was_never_good_means_never_synchronised(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "{")
    write(tmp_path / "b.yaml", policy("two"))
    folder, sink = watched(tmp_path)
    assert len(folder.poll(NOW)) == 1
    assert sink.calls == []
    assert sink.confirmed == {}


def test_a_missing_folder_is_no_empty_one(tmp_path: Path) -> None:
    write(tmp_path / "trust" / "a.yaml", policy("one"))
    folder, sink = watched(tmp_path / "trust")
    folder.poll(NOW)
    (tmp_path / "trust").rename(tmp_path / "away")
    (problem,) = folder.poll(NOW + 1)
    assert problem.file == ""
    assert sink.names == ["one"]
    assert sink.confirmed["policies"] == NOW
    (tmp_path / "away").rename(tmp_path / "trust")
    assert folder.poll(NOW + 2) == ()


def test_an_empty_folder_is_complete(tmp_path: Path) -> None:
    folder, sink = watched(tmp_path)
    assert folder.poll(NOW) == ()
    assert sink.confirmed["policies"] == NOW


def test_the_swap_of_a_config_map_mount_is_seen(tmp_path: Path) -> None:
    for version, mode in (("..v1", "Audit"), ("..v2", "Enforce")):
        write(tmp_path / version / "a.yaml", policy("one", mode=mode))
    (tmp_path / "..data").symlink_to("..v1")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    folder, sink = watched(tmp_path)
    assert folder.poll(NOW) == ()
    (tmp_path / "..tmp").symlink_to("..v2")
    (tmp_path / "..tmp").rename(tmp_path / "..data")
    assert folder.poll(NOW) == ()
    assert sink.objects[Kind.POLICIES, "one"]["spec"] == {"mode": "Enforce"}
    assert len(sink.objects) == 1


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write(path, policy("one", x=1))
    stamp = path.stat()
    folder, sink = watched(tmp_path)
    soon = stamp.st_mtime + 1
    folder.poll(soon)
    write(path, policy("one", x=2))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    folder.poll(soon)
    assert sink.objects[Kind.POLICIES, "one"]["spec"] == {"x": 2}


def test_touching_a_file_parses_nothing_and_feeds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", policy("one"))
    folder, sink = watched(tmp_path)
    folder.poll(NOW)
    sink.calls.clear()
    os.utime(tmp_path / "a.yaml", (1, 1))
    assert folder.poll(NOW) == ()
    assert sink.calls == []


def test_one_object_in_two_files_is_a_problem_and_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", policy("one"))
    folder, sink = watched(tmp_path)
    folder.poll(NOW)
    write(tmp_path / "b.yaml", policy("one", mode="Audit"))
    (problem,) = folder.poll(NOW + 1)
    assert "second object" in problem.why
    assert sink.objects[Kind.POLICIES, "one"]["spec"] == {}
    assert sink.confirmed["policies"] == NOW
    unsynced, other = watched(tmp_path)
    assert len(unsynced.poll(NOW)) == 1
    assert other.calls == []


@pytest.mark.parametrize(
    "line",
    [
        '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}}',
        '{"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelPolicyy", "metadata": {"name": "x"}}',
        '{"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelPolicy", "metadata": {}}',
        '{"kind": "ModelPolicy"}',
    ],
)
def test_what_does_not_belong_into_a_trust_folder_is_a_problem_not_skipped(tmp_path: Path, line: str) -> None:
    write(tmp_path / "a.yaml", line)
    folder, sink = watched(tmp_path)
    assert len(folder.poll(NOW)) == 1
    assert sink.calls == []


def test_kinds_that_say_how_evidence_is_gathered_are_not_fed(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", '{"apiVersion": "modeltrust.dev/v1alpha1", "kind": "ModelSource", "metadata": {"name": "x"}}')
    folder, sink = watched(tmp_path)
    assert folder.poll(NOW) == ()
    assert sink.objects == {}


def test_attestors_are_told_at_each_change_and_when_they_are_gone(tmp_path: Path) -> None:
    write(tmp_path / "attestors.yaml", "good")
    folder, sink = watched(tmp_path)
    assert folder.poll(NOW) == ()
    assert sink.attestors == b"good"
    write(tmp_path / "attestors.yaml", "broken")
    (problem,) = folder.poll(NOW + 1)
    assert (problem.file, problem.why) == ("attestors.yaml", "no attestors")
    assert sink.attestors == b"good"
    assert sink.confirmed["attestors"] == NOW
    (tmp_path / "attestors.yaml").unlink()
    assert folder.poll(NOW + 2) == ()
    assert sink.attestors is None


def test_links_to_nowhere_pipes_and_depth_are_refused_or_left_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    folder, _ = watched(tmp_path)
    assert folder.poll(NOW) == ()
    (tmp_path / "gone.yaml").symlink_to("nowhere.yaml")
    assert len(watched(tmp_path)[0].poll(NOW)) == 1
    (tmp_path / "gone.yaml").unlink()
    (tmp_path / "loop").symlink_to(".")
    (problem,) = watched(tmp_path)[0].poll(NOW)
    assert "deeper" in problem.why or "FileNotFoundError" in problem.why


def test_too_many_files_and_too_large_files_are_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.yaml", policy("one"))
    monkeypatch.setattr(limits, "MANIFEST_BYTES", 10)
    assert "10 bytes" in watched(tmp_path)[0].poll(NOW)[0].why
    monkeypatch.setattr(limits, "TRUST_FILES", 0)
    assert "more than 0 files" in watched(tmp_path)[0].poll(NOW)[0].why
