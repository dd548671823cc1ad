"""What a Pod may do to a volume once its bytes were compared: everything of a Pod that ``mutate`` reads, and who could still write.

Attack H12: the main container rewrites the volume, exits, and is started again on other bytes, without the init containers. So no
container that runs afterwards may write, by whatever way: a writable mount, another volume on the same claim, the node's own
files, another container's process, or the privilege to mount again.
"""

import itertools
import posixpath
from collections.abc import Iterator

import msgspec

_ALWAYS = "Always"
# What Pod Security Standards allow at level Baseline, and what model servers add for memory and RDMA; none of it mounts, reads
# files by handle or looks into another process.
_HARMLESS = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW"}
    | {"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_NICE"}
)
# Links that nearly every image has, so that a mount at one path lands at another.
_LINKS = (
    ("/var/run/", "/run/"),
    ("/var/lock/", "/run/lock/"),
    ("/bin/", "/usr/bin/"),
    ("/sbin/", "/usr/sbin/"),
    ("/lib/", "/usr/lib/"),
    ("/lib64/", "/usr/lib64/"),
)


class Mount(msgspec.Struct, gc=False, rename="camel"):
    """An entry of ``volumeMounts``."""

    name: str
    mount_path: str
    read_only: bool | None = None


class _Device(msgspec.Struct, gc=False):
    name: str


class _Capabilities(msgspec.Struct, gc=False):
    add: list[str] | None = None


class _SecurityContext(msgspec.Struct, gc=False, rename="camel"):
    privileged: bool | None = None
    capabilities: _Capabilities | None = None


class Container(msgspec.Struct, gc=False, rename="camel"):
    """A container of any kind."""

    name: str = ""
    restart_policy: str | None = None
    volume_mounts: list[Mount] | None = None
    volume_devices: list[_Device] | None = None
    security_context: _SecurityContext | None = None

    @property
    def mounts(self) -> list[Mount]:
        """Its mounts."""
        return self.volume_mounts or []


class _Anything(msgspec.Struct, gc=False):
    """Only asked whether it is there."""


class Claim(msgspec.Struct, gc=False, rename="camel"):
    """``persistentVolumeClaim``."""

    claim_name: str = ""
    read_only: bool | None = None


class Volume(msgspec.Struct, gc=False, rename="camel"):
    """A volume."""

    name: str
    empty_dir: _Anything | None = None
    persistent_volume_claim: Claim | None = None
    host_path: _Anything | None = None
    ephemeral: _Anything | None = None
    config_map: _Anything | None = None
    secret: _Anything | None = None

    @property
    def without_links(self) -> bool:
        """Whether the kubelet alone writes what is in it, so that no link of anybody's choice is there."""
        return self.config_map is not None or self.secret is not None


class PodSpec(msgspec.Struct, gc=False, rename="camel"):
    """A Pod's spec; init containers stay as they are written, since one of them is compared whole."""

    containers: list[Container] | None = None
    init_containers: list[msgspec.Raw] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    host_pid: bool | None = msgspec.field(name="hostPID", default=None)
    share_process_namespace: bool | None = None


class _Metadata(msgspec.Struct, gc=False):
    annotations: dict[str, str] | None = None


class _Document(msgspec.Struct, gc=False):
    spec: PodSpec
    metadata: _Metadata | None = None


_DOCUMENT = msgspec.json.Decoder(_Document)
_CONTAINER = msgspec.json.Decoder(Container)


class Pod:
    """One Pod.

    Attributes:
        spec: as decoded.
        init: its init containers, decoded.
        annotations: of the Pod.
    """

    __slots__ = ("annotations", "init", "spec")

    def __init__(self, document: bytes) -> None:
        """Decode it.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is no Pod.
        """
        decoded = _DOCUMENT.decode(document)
        self.spec = decoded.spec
        self.init = [_CONTAINER.decode(raw) for raw in decoded.spec.init_containers or ()]
        self.annotations = (decoded.metadata.annotations if decoded.metadata is not None else None) or {}

    def later(self) -> Iterator[Container]:
        """Every container that runs after the last init container: sidecars, which never end, among them."""
        yield from (container for container in self.init if container.restart_policy == _ALWAYS)
        yield from self.spec.containers or ()
        yield from self.spec.ephemeral_containers or ()

    def volume(self, name: str) -> Volume | None:
        """The volume of this name."""
        return next((volume for volume in self.spec.volumes or () if volume.name == name), None)

    def escape(self) -> str:
        """How a container could get at volumes of the Pod past its own mounts; empty where none can."""
        spec = self.spec
        if spec.host_pid:
            return "hostPID lets containers reach each other's files"
        if spec.share_process_namespace:
            return "shareProcessNamespace lets containers reach each other's files"
        for volume in spec.volumes or ():
            if volume.host_path is not None:
                return f"volume {volume.name} is a hostPath, through which the node's copy of any volume may be reached"
        for container in (*self.init, *(spec.containers or ()), *(spec.ephemeral_containers or ())):
            why = _privilege(container)
            if why:
                return f"container {container.name} {why}, with which it can write to what is mounted read-only"
        return ""

    def inside(self, name: str) -> str:
        """Where another mount lies inside a mount of a volume, so that a server sees other files; empty where none does.

        Nor inside a mount of any other volume, beside it: whoever fills that one may put a link there, which leads the inner mount
        over the model's folder, since runtimes follow links within the container's root when they mount (attack H12).
        """
        for container in self.later():
            if all(mount.name != name for mount in container.mounts):
                continue
            for outer, inner in itertools.permutations(container.mounts, 2):
                if not _folder(inner.mount_path).startswith(_folder(outer.mount_path)):
                    continue
                if outer.name == name:
                    return f"container {container.name} mounts {inner.name} inside of it, at {inner.mount_path}"
                volume = self.volume(outer.name)
                if volume is None or not volume.without_links:
                    where = f"{inner.name} at {inner.mount_path}, inside of volume {outer.name}"
                    return f"container {container.name} mounts {where}, in which a link may lead over the model"
        return ""

    def writer(self, name: str, *, patched: bool) -> str:
        """Who could write to a volume after the last init container has ended; empty where nobody can.

        Args:
            name: of the volume.
            patched: whether ``mutate`` is still to make read-only what it makes read-only: the mounts of ``containers``, and
                claims that no init container writes to.
        """
        volume = self.volume(name)
        if volume is None or (volume.empty_dir is None and volume.persistent_volume_claim is None):
            return f"volume {name} is neither an emptyDir nor a claim, so others may write to it"
        names = {name}
        if volume.persistent_volume_claim is not None:
            claim = volume.persistent_volume_claim.claim_name
            same = [other for other in self.spec.volumes or () if _claim_of(other) == claim]
            for other in self.spec.volumes or ():
                # Its claim is called POD-VOLUME, and a Pod's name may not be known yet.
                if other.ephemeral is not None and claim.endswith(f"-{other.name}"):
                    return f"claim {claim} may be the one behind the ephemeral volume {other.name}, which is writable"
            names = {other.name for other in same}
            if not all(_read_only(other) or (patched and not self.filled_by_init(other.name)) for other in same):
                return f"claim {claim} is not mounted with readOnly: true in persistentVolumeClaim, so others may write to it"
        return next((why for container in self.later() if (why := self._writes(container, names, patched=patched))), "")

    def _writes(self, container: Container, names: set[str], *, patched: bool) -> str:
        if any(device.name in names for device in container.volume_devices or ()):
            return f"container {container.name} has a volume as a device, past every mount"
        if patched and any(container is main for main in self.spec.containers or ()):
            return ""
        writable = [mount.name for mount in container.mounts if mount.name in names and not mount.read_only]
        return f"container {container.name} mounts volume {writable[0]} without readOnly: true" if writable else ""

    def filled_by_init(self, name: str) -> bool:
        """Whether an init container mounts a volume writable."""
        return any(mount.name == name and not mount.read_only for container in self.init for mount in container.mounts)


def _folder(path: str) -> str:
    """Where a mount lands, with a slash behind it."""
    folder = posixpath.normpath(f"/{path.lstrip('/')}").rstrip("/") + "/"
    for link, target in _LINKS:
        if folder.startswith(link):
            return target + folder.removeprefix(link)
    return folder


def _claim_of(volume: Volume) -> str | None:
    return None if volume.persistent_volume_claim is None else volume.persistent_volume_claim.claim_name


def _read_only(volume: Volume) -> bool:
    return volume.persistent_volume_claim is not None and volume.persistent_volume_claim.read_only is True


def _privilege(container: Container) -> str:
    context = container.security_context
    if context is None:
        return ""
    if context.privileged:
        return "is privileged"
    added = context.capabilities.add if context.capabilities is not None else None
    more = [name for name in added or () if name not in _HARMLESS]
    return f"adds capability {more[0]}" if more else ""
