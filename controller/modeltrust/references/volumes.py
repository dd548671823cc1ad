"""Volumes: which of them are models by themselves, and what stands behind a path in a container."""

from dataclasses import dataclass, field

from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision, RevisionState, hub_revision, model_reference
from modeltrust.domain.workload import Confidence, FoundReference, Role
from modeltrust.references.findings import Findings
from modeltrust.references.images import read_image
from modeltrust.references.mentions import Mention
from modeltrust.references.pod import Container, Csi, Volume
from modeltrust.references.schema import DriverRow
from modeltrust.references.tables import Tables
from modeltrust.references.uris import Named, read

_LIVE = Revision(RevisionState.LIVE)
_DEFAULT_HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of a container really is.

    Attributes:
        volume: name of the volume.
        path: path inside it, without leading or trailing slash.
    """

    volume: str
    path: str


@dataclass(slots=True)
class Pending:
    """A path reference that waits until every container has been read."""

    mention: Mention
    path: str
    place: Place | None
    image: str
    accelerated: bool


@dataclass(slots=True)
class Fill:
    """Something written by a container, or by the controller, before the server starts."""

    place: Place | None
    path: str


@dataclass(slots=True)
class Volumes:
    """The volumes of one Pod.

    Attributes:
        by_name: volume and its JSON Pointer.
        fills: what containers and controllers write.
        pending: path references to link at the end.
        linked: volumes that a path reference already accounts for.
        outliving: volumes whose content may be older than the Pod.
    """

    namespace: str
    by_name: dict[str, tuple[Volume, str]] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    linked: set[str] = field(default_factory=set)
    outliving: set[str] = field(default_factory=set)

    def add(self, name: str, volume: Volume, pointer: str) -> None:
        """Take note of a volume."""
        self.by_name[name] = (volume, pointer)
        if volume.empty_dir is None and volume.image is None and _outlives(volume):
            self.outliving.add(name)


def _outlives(volume: Volume) -> bool:
    return (
        volume.persistent_volume_claim is not None
        or volume.host_path is not None
        or volume.nfs is not None
        or volume.csi is not None
        or volume.ephemeral is not None
    )


def place_of(container: Container, path: str) -> Place | None:
    """The volume behind a path in normal form: the longest mount that covers it."""
    best, found = -1, None
    for mount in container.volume_mounts or ():
        mounted = mount.mount_path.rstrip("/")
        if path.startswith(mounted) and len(mounted) > best and path[len(mounted) : len(mounted) + 1] in {"", "/"}:
            best, found = len(mounted), mount
    if found is None:
        return None
    inner = "$" if found.sub_path_expr else (found.sub_path or "").strip("/")
    rest = path[best + 1 :]
    return Place(found.name, f"{inner}/{rest}" if inner and rest else inner or rest)


def normal(path: str) -> str:
    """A path without empty, ``.`` and ``..`` components, so that no spelling of it misses its mount."""
    if "//" not in path and "/." not in path:
        return path.rstrip("/") or "/"
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts[-1:] = []
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


class Linker:
    """Reads volumes and links paths to them. One per extraction."""

    __slots__ = ("_findings", "_tables")

    def __init__(self, tables: Tables, findings: Findings) -> None:
        self._tables = tables
        self._findings = findings

    def link(self, volumes: Volumes) -> None:
        """Turn every pending path into a reference or a finding, then report volumes that are models by themselves."""
        for pending in volumes.pending:
            self._link(volumes, pending)
        for name, (volume, pointer) in volumes.by_name.items():
            if name not in volumes.linked:
                self.report(volume, pointer, volumes.namespace)

    def report(self, volume: Volume, pointer: str, namespace: str) -> None:
        """Report a volume that is a model whoever mounts it: an image, a model driver's."""
        mention = Mention(Role.IMAGE, "", "", pointer, Confidence.DECLARED)
        if volume.image is not None and volume.image.reference:
            self._image(volume.image.reference, mention, f"{pointer}/image/reference")
        elif volume.csi is not None:
            row = self._driver(volume.csi)
            if row is not None and row.reference:
                mention.role = Role.BASE
                self._csi(volume.csi, row, mention, f"{pointer}/csi", namespace)

    def _link(self, volumes: Volumes, pending: Pending) -> None:
        place = pending.place
        # Below a path on a volume that is older than the Pod, other things may lie beside what is downloaded here.
        parents = place is None or place.volume not in volumes.outliving
        if any(_fills(fill, place, pending.path, parents=parents) for fill in volumes.fills):
            return
        if place is None:
            self._unlinked(pending)
            return
        known = volumes.by_name.get(place.volume)
        if known is None:
            self._opaque(pending.mention, f"volume {place.volume} is not defined here")
            return
        volume, pointer = known
        self._source(volume, pointer, pending, place, volumes)

    def _source(self, volume: Volume, pointer: str, pending: Pending, place: Place, volumes: Volumes) -> None:
        mention = pending.mention
        if volume.image is not None and volume.image.reference:
            volumes.linked.add(place.volume)
            self._image(volume.image.reference, mention, f"{pointer}/image/reference")
        elif volume.persistent_volume_claim is not None:
            self._claim(volume.persistent_volume_claim.claim_name or "", place, mention, volumes.namespace)
        elif volume.csi is not None:
            self._csi_or_opaque(volume.csi, pointer, place, mention, volumes)
        elif volume.host_path is not None or volume.local is not None:
            self._opaque(mention, "the path lies on the node (hostPath), which this object does not describe")
        elif volume.config_map is not None or volume.secret is not None or volume.projected is not None:
            self._unlinked(pending)
        elif volume.nfs is not None:
            self._opaque(mention, "the path lies on an NFS server")
        else:
            self._unfilled(pending, place)

    def _unfilled(self, pending: Pending, place: Place) -> None:
        if pending.mention.weak or pending.mention.optional:
            return
        message = f"nothing in this object is seen to fill volume {place.volume}"
        self._unresolved(pending.mention, message)

    def _csi_or_opaque(self, csi: Csi, pointer: str, place: Place, mention: Mention, volumes: Volumes) -> None:
        row = self._driver(csi)
        if row is None or not row.reference:
            self._opaque(mention, f"the path lies on a volume of driver {csi.driver}, which says nothing about its content")
            return
        volumes.linked.add(place.volume)
        self._csi(csi, row, mention, f"{pointer}/csi", volumes.namespace)

    def _driver(self, csi: Csi) -> DriverRow | None:
        return self._tables.drivers.get(csi.driver or "")

    def _csi(self, csi: Csi, row: DriverRow, mention: Mention, locator: str, namespace: str) -> None:
        attributes = csi.volume_attributes or {}
        text = attributes.get(row.reference, "")
        if row.kind and attributes.get(row.kind, "") not in {"", *row.kinds}:
            self._opaque(mention, f"driver {csi.driver} mounts a {attributes[row.kind]}, which has no immutable form")
            return
        try:
            named = read(self._tables.profiles[row.profile], f"{row.scheme}{text}", namespace=namespace)
            if not isinstance(named, Named):
                self._opaque(mention, f"got path {text}, expected a reference")
                return
            reference = self._csi_resolver(named.reference, attributes.get(row.resolver, "") if row.resolver else "")
            revision = _csi_revision(row, named.revision, attributes.get(row.revision, "") if row.revision else "")
        except InvalidReferenceError as error:
            self._opaque(mention, str(error))
            return
        where = f"{locator}/volumeAttributes/{row.reference.replace('~', '~0').replace('/', '~1')}"
        self._findings.add(FoundReference(text, reference, revision, mention.role, where, mention.confidence, row.profile))

    @staticmethod
    def _csi_resolver(reference: ModelReference, endpoint: str) -> ModelReference:
        endpoint = endpoint.rstrip("/")
        if endpoint in {"", _DEFAULT_HUB}:
            return reference
        return model_reference(reference.scheme, reference.path, resolver=endpoint)

    def _image(self, text: str, mention: Mention, locator: str) -> None:
        try:
            reference, revision = read_image(text)
        except InvalidReferenceError as error:
            self._findings.problem(Reason.UNRESOLVED_REFERENCE, locator, str(error), value=text)
            return
        self._findings.add(FoundReference(text, reference, revision, mention.role, locator, mention.confidence, "image"))

    def _claim(self, name: str, place: Place, mention: Mention, namespace: str) -> None:
        if not namespace:
            self._opaque(mention, f"claim {name} stands in an object without a namespace")
            return
        if "$" in place.path:
            self._opaque(mention, f"the path on claim {name} is computed")
            return
        try:
            reference = model_reference("pvc", f"{namespace}/{name}/{place.path}".rstrip("/"))
        except InvalidReferenceError as error:
            self._opaque(mention, str(error))
            return
        found = FoundReference(mention.text, reference, NO_REVISION, mention.role, mention.locator, Confidence.DERIVED, "path")
        self._findings.add(found)

    def _opaque(self, mention: Mention, message: str) -> None:
        if not mention.optional:
            self._findings.problem(Reason.OPAQUE_SOURCE, mention.locator, message, value=mention.text)

    def _unlinked(self, pending: Pending) -> None:
        mention = pending.mention
        if mention.optional or (mention.weak and not pending.accelerated):
            return
        self._unresolved(mention, "the path is in no volume of this Pod; nothing here says what it holds")

    def _unresolved(self, mention: Mention, message: str) -> None:
        fix = "name a model or mount the volume that holds it"
        self._findings.problem(Reason.UNRESOLVED_REFERENCE, mention.locator, message, value=mention.text, fix=fix)


def _csi_revision(row: DriverRow, stated: Revision, text: str) -> Revision:
    if stated.immutable:
        return stated
    revision = hub_revision(text) if text else stated
    # An unpinned mount is polled and changes under a running Pod; one pinned to a commit does not.
    return revision if revision.state is RevisionState.COMMIT or not row.live else Revision(RevisionState.LIVE, revision.value)


def _fills(fill: Fill, place: Place | None, path: str, *, parents: bool) -> bool:
    if fill.place is None or place is None:
        return fill.place is place and _covers(fill.path, path, parents=parents)
    return fill.place.volume == place.volume and _covers(fill.place.path, place.path, parents=parents)


def _covers(outer: str, inner: str, *, parents: bool) -> bool:
    outer, inner = outer.strip("/"), inner.strip("/")
    if not outer or inner == outer or inner.startswith(f"{outer}/"):
        return True
    return parents and (not inner or outer.startswith(f"{inner}/"))
