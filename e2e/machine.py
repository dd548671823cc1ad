"""Whether this machine lets a node run: each thing that a kubelet and its runtime do to the kernel is tried once, and undone."""

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_SECONDS = 60
_LINK, _CHAIN = "modeltrust-p", "MODELTRUST-PROBE"
_KERNEL_LOG = Path("/dev/kmsg")
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def refused() -> str:
    """The first thing that a node needs and this machine refuses, with what was said; empty where there is none.

    Needs root, and the programs that ``e2e.containers`` installs.
    """
    for what, probe in _PROBES.items():
        try:
            with tempfile.TemporaryDirectory(prefix="modeltrust-probe-") as folder:
                probe(Path(folder))
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", "") or str(error)
            return f"{what} is refused: {said.strip()[-200:]}"
    return ""


def _kernel_log(_: Path) -> None:
    """The kubelet reads it for processes that ran out of memory, and ends where it cannot."""
    with _KERNEL_LOG.open("rb"):
        pass


def _forwarding(_: Path) -> None:
    _FORWARD.write_text(_FORWARD.read_text())


def _overlay(folder: Path) -> None:
    for name in ("lower", "upper", "work", "merged"):
        (folder / name).mkdir()
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    _run("mount", "-t", "overlay", "overlay", "-o", options, str(folder / "merged"))
    _run("umount", str(folder / "merged"))


def _bridge(_: Path) -> None:
    with _undone("ip", "link", "delete", _LINK):
        _run("ip", "link", "add", _LINK, "type", "bridge")
        with _undone("ip", "link", "delete", f"{_LINK}0"):
            _run("ip", "link", "add", f"{_LINK}0", "type", "veth", "peer", "name", f"{_LINK}1")
            _run("ip", "link", "set", f"{_LINK}0", "master", _LINK)


def _packet_filter(_: Path) -> None:
    with _undone("iptables", "-t", "nat", "-X", _CHAIN):
        _run("iptables", "-t", "nat", "-N", _CHAIN)
        with _undone("iptables", "-t", "nat", "-F", _CHAIN):
            mark = ("-m", "comment", "--comment", "probe", "-m", "statistic", "--mode", "random", "--probability", "0.5")
            _run("iptables", "-t", "nat", "-A", _CHAIN, *mark, "-j", "RETURN")


def _container(folder: Path) -> None:
    """Namespaces, control groups, mounts and capabilities, as runc sets them up."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    (folder / "rootfs" / "bin").mkdir(parents=True)
    shutil.copy(busybox, folder / "rootfs" / "bin" / "true")
    _run("runc", "spec", "--bundle", str(folder))
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["/bin/true"], "oomScoreAdj": 0}
    (folder / "config.json").write_text(json.dumps(config))
    _run("runc", "--root", str(folder / "state"), "run", "--bundle", str(folder), folder.name)


_PROBES: dict[str, Callable[[Path], None]] = {
    "reading /dev/kmsg": _kernel_log,
    "forwarding packets": _forwarding,
    "mounting an overlay": _overlay,
    "making a bridge": _bridge,
    "filtering packets": _packet_filter,
    "running a container": _container,
}


@contextlib.contextmanager
def _undone(*command: str) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL)
