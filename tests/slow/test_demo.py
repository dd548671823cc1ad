"""The demo as a stranger runs it: a process of its own, and once more where there is no network at all."""

import json
import shutil
import subprocess
import sys
import time
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SECONDS = 60  # what the README promises, after the first install
DEMO = [sys.executable, "-m", "modeltrust", "demo", "--json"]

# In a fresh network namespace even loopback is down. Raises it (SIOCSIFFLAGS with IFF_UP, netdevice(7)), shows that nothing else
# is reachable, and becomes the demo.
PREAMBLE = """
import fcntl, os, socket, struct, sys
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(probe, 0x8914, struct.pack("16sh", b"lo", 1))
try:
    probe.connect(("192.0.2.1", 9))
except OSError:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
sys.exit("a network is reachable")
"""


def play(*command: str) -> dict[str, Any]:
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, check=False, timeout=3 * SECONDS)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert time.monotonic() - started < SECONDS
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def check(document: dict[str, Any]) -> None:
    scenes = document["scenes"]
    assert document["version"] == 1
    assert len(scenes) >= 14
    assert [scene for scene in scenes if scene["actual"] != scene["expected"]] == []
    assert {scene["kind"] for scene in scenes} == {"Deployment", "InferenceService", "Pod"}
    assert {scene["expected"] for scene in scenes} == {"admit", "warn", "pending", "deny"}
    for scene in scenes:
        assert set(scene) == {"name", "kind", "expected", "actual", "reasons", "message", "milliseconds"}
        assert 0 < scene["milliseconds"] < 1000
        assert bool(scene["reasons"]) is (scene["actual"] in {"deny", "pending"})
        assert bool(scene["message"]) is (scene["actual"] != "admit")


def test_every_scene_of_the_demo_ends_as_it_should() -> None:
    check(play(*DEMO))


def test_the_demo_uses_no_network() -> None:
    unshare = next((tried for tried in (["unshare", "-n"], ["unshare", "-rn"]) if _permitted(tried)), None)
    if unshare is None:
        pytest.skip("this machine permits no network namespace (unshare -n, unshare -rn)")

    check(play(*unshare, sys.executable, "-c", PREAMBLE, *DEMO[1:]))


def test_the_table_of_the_demo_is_plain_text_where_nobody_watches_and_names_every_scene() -> None:
    done = subprocess.run([*DEMO[:-1]], capture_output=True, check=True, timeout=SECONDS, text=True)

    assert "\x1b" not in done.stdout
    assert done.stdout.count("\nok  ") >= 14
    assert "WRONG" not in done.stdout
    assert " scenes as expected, " in done.stdout.splitlines()[-1]
    assert done.stderr == ""


def _permitted(unshare: list[str]) -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode == 0
