"""Debian's containerd with a root, a state, a socket and a bridge of its own, and everything that it leaves behind put away."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.waiting import eventually

POD_NETWORK = "10.244.0.0/24"
BRIDGE = "modeltrust-e2e"
PAUSE = "modeltrust.test/busybox:1"
PACKAGES = ("containerd", "runc", "containernetworking-plugins", "iptables", "iproute2", "busybox-static")
_PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables-save", "iptables-restore", "ip", "busybox")
_PLUGINS = Path("/usr/lib/cni")
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_OURS = ("KUBE-", "CNI-")  # how chains of kubelet, kube-proxy and the plugins begin
_STOP_SECONDS = 30
_INSTALL_SECONDS = 300
# Of the processors, as ten processes beside: in one group, all Pods together would get what one of them gets.
_SHARES = {"cpu.shares": "10240", "cpu.weight": "1000"}


def missing() -> str:
    """Why no node can run here, installing what is missing first; empty where one can."""
    if os.geteuid() != 0:
        return "a node needs root"
    if _lacking() and shutil.which("apt-get"):
        install = ("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES)
        for command in (("apt-get", "update"), install):
            with contextlib.suppress(subprocess.TimeoutExpired):  # where its servers do not answer
                environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
                subprocess.run(command, check=False, capture_output=True, timeout=_INSTALL_SECONDS, env=environment)
    lacking = _lacking()
    return f"{', '.join(lacking)} cannot be installed from the packages {' '.join(PACKAGES)}" if lacking else ""


def _lacking() -> list[str]:
    programs = [name for name in _PROGRAMS if shutil.which(name) is None]
    return programs + [str(_PLUGINS / name) for name in ("bridge", "host-local", "portmap") if not (_PLUGINS / name).exists()]


@dataclass(slots=True)
class Containers:
    """One containerd.

    Attributes:
        folder: of its state, configuration and log.
    """

    folder: Path
    _process: subprocess.Popen[bytes] | None = None
    _forwarded: str = field(default_factory=_FORWARD.read_text)

    @property
    def groups(self) -> str:
        """The kubelet's root among the control groups, as an absolute path there."""
        return f"/modeltrust-e2e-{os.getpid()}"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / "containerd.sock"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        networks = self.folder / "networks"
        networks.mkdir(exist_ok=True)
        (networks / "10-e2e.conflist").write_text(json.dumps(_network()))
        configuration = self.folder / "containerd.toml"
        configuration.write_text(self._configuration(networks))
        for top in self._group_folders():
            top.mkdir(exist_ok=True)
            for name, share in _SHARES.items():
                if (top / name).exists():
                    (top / name).write_text(share)
        _FORWARD.write_text("1")
        with (self.folder / "containerd.log").open("ab") as log:
            self._process = subprocess.Popen(["containerd", "--config", str(configuration)], stdout=log, stderr=log)
        eventually(lambda: self.ctr("version", check=False).returncode == 0, seconds=30, what="containerd")

    def ctr(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ctr in the namespace of Kubernetes."""
        command = ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert not check or result.returncode == 0, f"ctr {' '.join(arguments)}: {result.stderr.strip()}"
        return result

    def load(self, archive: Path, name: str, digest: str) -> str:
        """Import an image from a tar.

        Args:
            archive: an OCI layout.
            name: with tag; counts where the tar names none.
            digest: of its manifest.

        Returns:
            The image by digest, as a Pod names it; it is known under both names then.
        """
        base = name.rpartition(":")[0]
        self.ctr("images", "import", "--base-name", base, "--digests", str(archive))
        self.ctr("images", "tag", "--force", f"{base}@{digest}", name)
        return f"{base}@{digest}"

    def kill(self, uid: str) -> None:
        """Kill the first process of each container of a Pod, sandbox left out, without telling anybody.

        Args:
            uid: of the Pod.
        """
        for path in Path("/proc").glob("[0-9]*/cgroup"):
            try:
                inside = uid in path.read_text() and b"sleep" not in (path.parent / "cmdline").read_bytes()
            except OSError:
                continue
            if inside:
                os.kill(int(path.parent.name), signal.SIGKILL)

    def stop(self) -> None:
        """Stop it with everything that it started, and put away mounts, bridge, rules and addresses."""
        process = self._process
        if process is not None and process.poll() is None:
            self._stop_tasks()
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._stop_shims()
        self._unmount()
        self._forget_logs()
        self._forget_groups()
        _forget_rules()
        subprocess.run(["ip", "link", "delete", BRIDGE], check=False, capture_output=True)
        _FORWARD.write_text(self._forwarded)

    def _stop_tasks(self) -> None:
        for identifier in self.ctr("tasks", "list", "--quiet", check=False).stdout.split():
            self.ctr("tasks", "delete", "--force", identifier, check=False)

    def _stop_shims(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"shim" in words[0] and str(self.socket).encode() in words:
                os.kill(int(path.parent.name), signal.SIGKILL)

    def _unmount(self) -> None:
        parent = f"{self.folder.parent}/"  # the kubelet's volumes lie beside
        points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for point in sorted((point for point in points if point.startswith(parent)), key=len, reverse=True):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)

    def _forget_logs(self) -> None:
        """The kubelet links the logs of containers in a place that no setting moves."""
        for link in Path("/var/log/containers").glob("*.log"):
            if str(link.readlink()).startswith(f"{self.folder.parent}/"):
                link.unlink()

    def _group_folders(self) -> list[Path]:
        """Where the root is: in the one hierarchy, or in each of them (control groups version 1)."""
        tops = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup" in line]
        return [Path(top + self.groups) for top in tops]

    def _forget_groups(self) -> None:
        """The kubelet's control groups, which are empty by now."""
        for top in self._group_folders():
            groups = [path for path in top.rglob("*") if path.is_dir()]
            for group in [*sorted(groups, key=lambda path: len(path.parts), reverse=True), top]:
                with contextlib.suppress(OSError):
                    group.rmdir()

    def _configuration(self, networks: Path) -> str:
        return f"""version = 2
root = "{self.folder}/root"
state = "{self.folder}/state"
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS}"
    conf_dir = "{networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def _network() -> dict[str, Any]:
    leases = {"type": "host-local", "ranges": [[{"subnet": POD_NETWORK}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": leases}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "modeltrust-e2e", "plugins": [bridge, ports]}


def _forget_rules() -> None:
    for family in ("iptables", "ip6tables"):
        rules = subprocess.run([f"{family}-save"], capture_output=True, text=True, check=False).stdout
        kept = [line for line in rules.splitlines() if not any(mark in line for mark in _OURS)]
        subprocess.run([f"{family}-restore"], input="\n".join(kept) + "\n", text=True, check=False, capture_output=True)
