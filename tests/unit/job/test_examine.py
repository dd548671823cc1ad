"""`job examine`: an order in, a report as the last line; a fixed exit code and no report for everything else."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from modeltrust.api import work
from modeltrust.api.output import PROGRESS, report_of
from modeltrust.domain import limits
from modeltrust.domain.errors import LimitExceededError, MalformedError
from modeltrust.domain.facts import Unavailable
from tests.unit.api.test_work import ORDER, REPORT

ANSWER = work.encode_report(REPORT)
EXAMINE = (sys.executable, "-I", "-m", "modeltrust", "job", "examine")


def run(*arguments: str, order: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([*EXAMINE, *arguments], input=order, capture_output=True, env={}, check=False, timeout=60)


def test_a_source_that_may_not_be_contacted_for_this_model_is_reported_as_unavailable(tmp_path: Path) -> None:
    done = run(order=work.encode_order(ORDER))  # an OCI source for an hf:// model: nothing is contacted (H2)
    assert done.returncode == 0
    report = report_of(done.stdout)
    assert (report.identity, report.nonce) == (ORDER.identity, ORDER.nonce)
    for fact in (report.content, report.signatures, report.formats, report.lineage):
        assert isinstance(fact, Unavailable)
    assert all(line.startswith(PROGRESS) for line in done.stdout.splitlines()[:-1])
    assert b"credential-1" not in done.stdout + done.stderr
    file = tmp_path / "order.json"
    file.write_bytes(work.encode_order(dataclasses.replace(ORDER, source=None)))
    assert isinstance(report_of(run("--order", str(file)).stdout).content, Unavailable)


@pytest.mark.parametrize(("arguments", "order"), [((), b"{}"), (("--order", "/nowhere"), b""), (("--token", "x"), b"")])
def test_what_is_no_order_is_a_usage_error_without_a_report(arguments: tuple[str, ...], order: bytes) -> None:
    done = run(*arguments, order=order)
    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "failed"
    with pytest.raises(MalformedError):
        report_of(done.stdout)


def test_a_process_that_is_confined_writes_nothing_and_is_hidden(tmp_path: Path) -> None:
    program = (
        "import ctypes, os, resource, sys\n"
        "from modeltrust.wiring.confinement import confine\n"
        "os.environ['SECRET'] = 'x'\n"
        "confine(cpu_seconds=7)\n"
        "failed = False\n"
        f"place = {str(tmp_path / 'x')!r}\n"
        "try:\n    os.write(os.open(place, os.O_CREAT | os.O_WRONLY), b'x')\nexcept OSError:\n    failed = True\n"
        "dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"
        "print(failed, dumpable, 'SECRET' in os.environ, resource.getrlimit(resource.RLIMIT_CPU), os.umask(0))\n"
        "try:\n    bytearray(8 << 30)\nexcept MemoryError:\n    print('bounded')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split("\n")[:2] == ["True 0 False (7, 7) 63", "bounded"]


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"\n",
        ANSWER,
        ANSWER + b"\n\n",
        ANSWER + b"\n" + ANSWER + b"\n",
        b"x\n" + ANSWER + b"\n",
        b"\n" + ANSWER + b"\n",
        b'{"event":1}\n',
        ANSWER + b'\n{"event":1}\n',
        ANSWER + b"\r\n",
        ANSWER[1:] + b"\n",
    ],
)
def test_output_without_exactly_one_report_at_its_end_is_refused(output: bytes) -> None:
    with pytest.raises(MalformedError):
        report_of(output)


def test_endless_progress_is_refused() -> None:
    with pytest.raises(LimitExceededError):
        report_of(b'{"event":1}\n' * limits.OUTPUT_BYTES + ANSWER + b"\n")
    assert report_of(b'{"event":1}\n' * 3 + ANSWER + b"\n") == REPORT
