"""C5: each job that reads what strangers wrote is held before the first byte of it: no other file, no program, no other port."""

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from modeltrust.api.evaluation_work import encode_evaluation_order, encode_monitor_order
from modeltrust.api.work import encode_order
from modeltrust.domain.evaluation import Served
from modeltrust.domain.reference import parse_identity
from modeltrust.domain.work import Order, SourceAccess, SourceType
from modeltrust.wiring.confinement import possible
from modeltrust.wiring.examination import contacted_ports
from modeltrust.wiring.landlock import keeps_ports
from tests.support import evaluation_runs as runs
from tests.support.confinement import environment
from tests.support.endpoints import PROMPTS, model_speaks, served
from tests.support.monitoring import an_order as a_monitor_order

pytestmark = pytest.mark.skipif(not possible(), reason="this kernel has no Landlock")

DIGEST = "sha256:" + "0" * 64
ACCESS = SourceAccess(SourceType.OCI, ("https://localhost:1",))

# What takes the place of the code that reads foreign bytes: code of whoever took it over.
_TAKEN_OVER = """
import json, os, socket, sys, threading
from pathlib import Path
from modeltrust.job import {job} as job
outside, folder, port, other = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
def taken_over(*_, **__):
    found = {{}}
    def tried(name, call):
        try:
            call()
            found[name] = "yes"
        except OSError as error:
            found[name] = error.strerror
    def connect(port):
        with socket.socket() as one:
            one.connect(("127.0.0.1", port))
    def in_a_thread(call):
        failed = []
        def run():
            try:
                call()
            except OSError as error:
                failed.append(error)
        one = threading.Thread(target=run)
        one.start(), one.join()
        if failed:
            raise failed[0]
    tried("read", (outside / "tls.key").read_text)
    tried("read in a thread", lambda: in_a_thread((outside / "tls.key").read_text))
    tried("read the order", lambda: Path(sys.argv[-1]).read_bytes())
    tried("passwd", Path("/etc/passwd").read_text)
    tried("environment", Path("/proc/self/environ").read_bytes)
    tried("write", lambda: (outside / "mine").write_text("x"))
    tried("write in the folder", lambda: (folder / "mine").write_text("x"))
    tried("link", lambda: (folder / "link").symlink_to(outside))
    tried("fork", os.fork)
    tried("spawn", lambda: os.posix_spawn("/bin/true", ["true"], {{}}))
    tried("exec", lambda: os.execv("/bin/true", ["true"]))
    tried("listen", lambda: socket.socket().bind(("127.0.0.1", 0)))
    tried("signal", lambda: os.kill(os.getppid(), 0))
    tried("its port", lambda: connect(port))
    tried("another port", lambda: connect(other))
    tried("another port over MPTCP", lambda: socket.socket(proto=socket.IPPROTO_MPTCP).connect(("127.0.0.1", other)))
    tried("another port with the first data", lambda: socket.socket().sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", other)))
    tried("with a message", lambda: socket.socket().sendmsg([b"x"], [], socket.MSG_FASTOPEN, ("127.0.0.1", other)))
    tried("a socket of the node", lambda: socket.socket(socket.AF_UNIX).connect(str(outside / "socket")))
    print(json.dumps({{"found": found}}), flush=True)
    os._exit(0)
job.{instead} = taken_over
job.main({arguments!r} + [sys.argv[-1]])
"""


def taken_over(folder: Path, job: str, instead: str, arguments: list[str], *, port: int, other: int) -> tuple[list[str], bool]:
    """What code in place of ``instead`` could do, and whether the job said that it is confined."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "tls.key").write_text("the key")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(outside / "socket"))
    listening.listen()
    program = _TAKEN_OVER.format(job=job, instead=instead, arguments=[*arguments, "--order"])
    places = [str(outside), str(folder / "model"), str(port), str(other), str(folder / "order.json")]
    command = [sys.executable, "-I", "-c", program, *places]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False, env=environment()
    )
    listening.close()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    started = next(line for line in lines if line.get("event") == "started")
    assert started["ports_kept"] is keeps_ports()
    found: dict[str, str] = next(line["found"] for line in lines if "found" in line)
    assert len(found) == 19
    return [name for name, how in found.items() if how == "yes"], started["confined"]


def order_of(job: str, port: int) -> bytes:
    access = SourceAccess(SourceType.OCI, (f"https://localhost:{port}",))
    if job == "evaluate":
        suite = runs.suite(runs.private_bank(), families=("DeploymentTag",), per_stratum=12)
        return encode_evaluation_order(replace(runs.order(suite), candidate=at(port), baseline=None))
    if job == "monitor":
        return encode_monitor_order(a_monitor_order(1, "", served=at(port)))
    identity = parse_identity(f"oci://localhost:{port}/models/guard@{DIGEST}")
    return encode_order(Order(identity, "0f" * 16, signers=(), bundles=(), read_bytes=False, now=0, source=access))


def at(port: int) -> Served:
    return replace(runs.SERVED, url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("job", "instead", "arguments", "allowed"),
    [
        ("evaluate", "_run", lambda _folder: ["--prompts", str(PROMPTS)], []),
        ("monitor", "_asked", lambda _folder: ["--prompts", str(PROMPTS)], []),
        ("fetch", "_fetch", lambda folder: [str(folder / "model"), "--digest", DIGEST], ["write in the folder"]),
        ("examine", "examine_ordered", lambda _folder: [], []),
    ],
)
def test_c5_a_job_that_was_taken_over_reaches_its_own_port_and_folder_alone(
    job: str, instead: str, arguments: Callable[[Path], list[str]], allowed: list[str], tmp_path: Path
) -> None:
    with served(model_speaks(runs.BASE)) as mine, served(model_speaks(runs.BASE)) as other:
        ports = [int(where.url.rpartition(":")[2]) for where in (mine, other)]
        (tmp_path / "order.json").write_bytes(order_of(job, ports[0]))
        got, confined = taken_over(tmp_path, job, instead, arguments(tmp_path), port=ports[0], other=ports[1])

    assert confined is True
    assert got == [*allowed, "its port"] + ([] if keeps_ports() else ["another port"])


def test_c5_a_process_in_which_other_threads_run_is_not_taken_for_confined() -> None:
    program = (
        "import threading\n"
        "from modeltrust.wiring.confinement import confine\n"
        "ended = threading.Event()\n"
        "threading.Thread(target=ended.wait, daemon=True).start()\n"
        "try:\n    confine(cpu_seconds=30)\nexcept OSError as error:\n    print(error.strerror)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, timeout=60, env=environment()
    )
    assert done.stdout == "landlock holds one thread, and others run\n"


@pytest.mark.parametrize("job", ["evaluate", "monitor", "fetch", "examine"])
def test_c5_a_job_that_cannot_be_held_reads_nothing_foreign(job: str, tmp_path: Path) -> None:
    """Threads that run before are one such case; whatever it is, no socket is opened."""
    program = (
        f"import socket, sys, threading\nfrom modeltrust.job import {job} as job\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "def connected(*_): print('connected')\nsocket.socket.connect = connected\n"
        "sys.exit(job.main(sys.argv[1:]))\n"
    )
    (tmp_path / "order.json").write_bytes(order_of(job, 9))
    more = {"fetch": [str(tmp_path / "model"), "--digest", DIGEST], "examine": []}.get(job, ["--prompts", str(PROMPTS)])
    command = [sys.executable, "-I", "-c", program, *more, "--order", str(tmp_path / "order.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment())
    assert done.returncode != 0
    assert "others run" in done.stdout
    assert "connected" not in done.stdout


def test_the_ports_of_an_order_are_those_of_its_endpoints_and_of_where_signatures_are() -> None:
    first = replace(ACCESS, endpoints=("https://a.example", "https://b.example:8443", "http://c.example:99", "nonsense"))
    second = replace(ACCESS, endpoints=(), signature_repositories=("s.example:5000/sig", "x:y/z"))
    assert contacted_ports([first, second]) == {443, 8443, 5000}
