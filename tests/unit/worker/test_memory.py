"""A model that eats memory ends its own examination, by its own bound: it is not known what is in it, and the worker serves on."""

import sys
import time
from pathlib import Path

import pytest

from modeltrust.api import work
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.facts import Known
from modeltrust.wiring import memory
from modeltrust.worker.children import Children
from modeltrust.worker.run import main
from tests.support.worker import command, order_of, pair, push_model, running_registry

MIB = 1024**2
# 3 bytes of a file are 72 of a dictionary in a list: 24 MB of it are 600 MB, and are below every bound of a file
EATING = b'{"model":{"merges":[' + b",".join([b"{}"] * (8 * MIB)) + b"]}}"
SMALL = {"config.json": b"{}", "README.md": b"hello"}


def test_c5_a_child_that_is_over_its_memory_is_that_we_could_not_look_and_the_next_one_is_examined(tmp_path: Path) -> None:
    children = Children(seconds=120, clock=time.monotonic, arguments=("--allow-loopback", "--memory", str(400 * MIB)))
    with running_registry(tmp_path) as (registry, ca):
        eats = order_of(push_model(registry, SMALL | {"tokenizer.json": EATING}), ca)
        with pytest.raises(UnavailableError, match="memory was not enough"):
            children.examine(work.encode_order(eats))
        report = children.examine(work.encode_order(order_of(push_model(registry, SMALL), ca)))
    assert isinstance(report.content, Known)
    assert isinstance(report.formats, Known)


@pytest.mark.parametrize(
    "program",
    [
        "bytearray(3 << 30)",
        "[bytes(1 << 20) for _ in range(3000)]",
        "[mmap.mmap(-1, 1 << 20) for _ in range(3000)]",
        "[mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(3000)]",
    ],
)
def test_c5_every_way_of_taking_memory_is_bounded(program: str) -> None:
    confined = "import mmap; from modeltrust.wiring.confinement import confine; confine(cpu_seconds=60, memory_bytes=300 << 20)\n"
    said = f"{confined}try:\n    kept = {program}\nexcept (MemoryError, OSError):\n    raise SystemExit(13)"
    children = Children(seconds=60, clock=time.monotonic, program=(sys.executable, "-I", "-c", said))
    with pytest.raises(UnavailableError, match="memory was not enough"):
        children.examine(b"")


def test_a_worker_in_a_container_that_is_too_small_says_so_and_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "of_container", lambda: 600 * MIB)
    server, client = pair(tmp_path, "server"), pair(tmp_path, "client")
    arguments = command(server, client)[4:]
    assert main(arguments, account=tmp_path) == 2
    assert "expected at least" in capsys.readouterr().err
