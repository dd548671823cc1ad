"""One process per order: whatever it does beside printing one report, nothing becomes a fact and nothing is left behind."""

import dataclasses
import os
import sys
import time
from pathlib import Path

import pytest

from modeltrust.api import work
from modeltrust.domain import limits
from modeltrust.domain.errors import UnavailableError
from modeltrust.worker.children import Children
from tests.unit.api.test_work import ORDER, REPORT

ANSWER = work.encode_report(dataclasses.replace(REPORT)).decode()
DATA = work.encode_order(ORDER)
PYTHON = (sys.executable, "-I", "-S", "-c")


def children(program: str, *, seconds: float = 5.0) -> Children:
    return Children(seconds=seconds, clock=time.monotonic, program=(*PYTHON, program))


def prints(*lines: str) -> str:
    return f"import sys; sys.stdin.read(); sys.stdout.write({''.join(lines)!r})"


def test_a_report_as_the_last_line_is_what_was_found() -> None:
    said = prints('{"event":"started"}\n', '{"event":"reading","bytes":1}\n', ANSWER + "\n")
    assert children(said).examine(DATA) == REPORT


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit(13)", "exit code 13"),
        ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import os; os.abort()", "SIGABRT"),
        (prints(), "no report"),
        (prints("garbage\n"), "no report"),
        (prints(ANSWER), "no report"),
        (prints(ANSWER + "\n", ANSWER + "\n"), "no report"),
        (prints("\n", ANSWER + "\n"), "no report"),
        (prints("libxml: warning\n", ANSWER + "\n"), "no report"),
        (prints(ANSWER + "\n", '{"event":"done"}\n'), "no report"),
        (prints(ANSWER[:-1] + "\n"), "no report"),
        (prints(ANSWER.replace('"files":', '"files": ') + "\n"), "no report"),
        (prints(ANSWER + "\n") + "; sys.stdout.flush(); sys.exit(1)", "exit code 1"),
        ("import sys\nwhile True: sys.stdout.write('{\"event\":' * 9999)", "more than"),
        ("import sys\nwhile True: sys.stdout.write('x\\n' * 9999)", "more than"),
    ],
)
def test_anything_else_is_that_we_could_not_look(program: str, why: str) -> None:
    with pytest.raises(UnavailableError, match=why):
        children(program).examine(DATA)


def gone(process: int) -> bool:
    """Also a zombie that nobody has waited for is gone: it does nothing any more."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    "more", ["", "; sys.stdin.read()", "; sys.stdout.write('{\"event\":1}\\n'); sys.stdout.flush()"], ids=["deaf", "reads", "talks"]
)
def test_the_deadline_ends_the_child_and_what_it_started(more: str, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    program = (
        f"import os, sys, time{more}\nchild = os.fork()\nopen({str(file)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(UnavailableError, match="took more than"):
        children(program, seconds=2).examine(DATA)  # long enough for an interpreter to start on a busy machine
    assert time.monotonic() - started < 20
    pids = [int(line) for line in file.read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 3
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_a_child_leaves_behind_holds_the_output_no_longer_than_the_deadline(tmp_path: Path) -> None:
    program = f"import os, sys, time\nif os.fork() == 0: time.sleep(60)\nopen({str(tmp_path / 'x')!r}, 'w')"
    with pytest.raises(UnavailableError, match="took more than"):
        children(program, seconds=0.5).examine(DATA)


def test_an_order_that_nobody_reads_blocks_nobody() -> None:
    large = b"x" * (8 * 1024 * 1024)
    said = f"import sys; sys.stdout.write({ANSWER!r} + '\\n')"
    assert children(said).examine(large) == REPORT


def test_nothing_is_inherited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MODELTRUST_SECRET", "hunter2")
    file = tmp_path / "open"
    file.write_text("x")
    with file.open() as stream:
        os.set_inheritable(stream.fileno(), True)
        program = (
            "import os, sys\n"
            "left = sorted(os.environ.keys() - {'LC_CTYPE'})\n"
            "files = sorted(int(name) for name in os.listdir('/proc/self/fd'))[:-1]\n"
            "sys.stdin.read()\n"
            "good = left == [] and files == [0, 1, 2] and os.getcwd() == '/' and os.getsid(0) == os.getpid()\n"
            f"sys.stdout.write({ANSWER!r} + '\\n' if good else f'{{left}} {{files}}\\n')"
        )
        assert children(program).examine(DATA) == REPORT


def test_no_child_begins_after_the_stop() -> None:
    stopped = children(prints(ANSWER + "\n"))
    stopped.stop()
    with pytest.raises(UnavailableError, match="stopping"):
        stopped.examine(DATA)


def test_a_program_that_is_not_there_is_that_we_could_not_look() -> None:
    missing = Children(seconds=1, clock=time.monotonic, program=("/nowhere",))
    with pytest.raises(UnavailableError, match="cannot be started"):
        missing.examine(DATA)
    assert limits.OUTPUT_BYTES > limits.REPORT_BYTES
