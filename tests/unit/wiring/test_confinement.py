"""C5: a parser that was taken over reads no key beside it, starts no process that outlives it, and reaches no other process."""

import subprocess
import sys
from pathlib import Path

import pytest

from modeltrust.wiring import landlock, system_calls
from modeltrust.wiring.confinement import possible

pytestmark = pytest.mark.skipif(not possible(), reason="this kernel has no Landlock")

_TRY = """
import os, socket, sys, threading
from pathlib import Path
from modeltrust.wiring.confinement import confine
allowed = Path(sys.argv[1])
print(confine(cpu_seconds=30, reads=(allowed,)))
def tried(name, call):
    try:
        call()
        print(name, "yes")
    except OSError as error:
        print(name, error.strerror)
"""


def confined(tmp_path: Path, program: str) -> list[str]:
    """What a confined process says; it may read ``tmp_path/allowed`` and nothing else of ours."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "root.json").write_text("{}")
    (tmp_path / "tls.key").write_text("the key")
    (tmp_path / "allowed" / "link").symlink_to(tmp_path / "tls.key")
    command = [sys.executable, "-I", "-c", _TRY + program, str(tmp_path / "allowed")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    first, *lines = done.stdout.splitlines()
    assert first == "True"
    return lines


def test_c5_the_worker_s_key_cannot_be_read_by_a_child_of_the_same_user_nor_through_a_link_nor_proc(tmp_path: Path) -> None:
    program = (
        "tried('allowed', lambda: (allowed / 'root.json').read_text())\n"
        "for path in (allowed.parent / 'tls.key', allowed / 'link', Path('/proc/self/environ'), Path('/etc/passwd')):\n"
        "    tried(path.name, path.read_text)\n"
        "tried('list', lambda: os.listdir(allowed.parent))\n"
        "tried('write', lambda: os.open(allowed / 'x', os.O_CREAT | os.O_WRONLY))\n"
    )
    refused = [f"{name} Permission denied" for name in ("tls.key", "link", "environ", "passwd", "list", "write")]
    assert confined(tmp_path, program) == ["allowed yes", *refused]


def test_c5_no_process_is_started_that_could_leave_the_group_or_outlive_the_deadline(tmp_path: Path) -> None:
    program = (
        "tried('fork', os.fork)\n"
        "tried('spawn', lambda: os.posix_spawn('/bin/true', ['true'], {}))\n"
        "tried('run', lambda: os.execv('/bin/true', ['true']))\n"
        "tried('session', os.setsid)\n"
        "tried('signal', lambda: os.kill(os.getppid(), 0))\n"
        "tried('listen', lambda: socket.socket().bind(('127.0.0.1', 0)))\n"
    )
    lines = confined(tmp_path, program)
    assert len(lines) == 6
    assert not [line for line in lines if line.endswith("yes")]


def test_c5_what_an_examination_needs_still_works_threads_names_authorities_and_late_imports(tmp_path: Path) -> None:
    program = (
        "import ssl\n"
        "threads = [threading.Thread(target=lambda: None) for _ in range(3)]\n"
        "[(one.start(), one.join()) for one in threads]\n"
        "import modeltrust.wiring.examination, modeltrust.signing.verify, modeltrust.formats.inspect, urllib3\n"
        "tried('name', lambda: socket.getaddrinfo('localhost', 443))\n"
        "print('authorities', ssl.create_default_context() is not None)\n"
    )
    assert confined(tmp_path, program) == ["name yes", "authorities True"]


def test_a_kernel_or_machine_without_it_is_said_and_not_taken_for_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    assert not landlock.restrict(())
    assert not possible()
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert not system_calls.known()
    assert not system_calls.restrict()
