"""Volumes: which of them are models by themselves, and what stands behind a path in a container."""

from operator import attrgetter

from modeltrust.domain.digest import is_residue
from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.image_folders import MODEL_FOLDER, SYSTEM_FOLDERS
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import NO_REVISION, ModelReference, Revision, RevisionState, hub_revision, model_reference
from modeltrust.domain.workload import Confidence, FoundReference, Role
from modeltrust.references.images import read_image
from modeltrust.references.mentions import Mention
from modeltrust.references.places import Place
from modeltrust.references.pod import Container, Csi, Volume
from modeltrust.references.scan import Scan
from modeltrust.references.schema import DriverRow
from modeltrust.references.site import Fill, Pending, Volumes
from modeltrust.references.uris import Named, read

_LIVE = Revision(RevisionState.LIVE)
_IMAGE, _DECLARED = Role.IMAGE, Confidence.DECLARED
_RESIDUE_SUFFIXES = (".metadata", ".lock")  # below .cache/huggingface; the rest of the list lies at the top
# What a policy may leave unsigned (policy.requirements.signature; a test compares them): as a chat template it would be anybody's.
_DOCUMENT_SUFFIXES = (".md", ".rst", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")
_DOCUMENT_NAMES = frozenset({"LICENSE", "LICENSE.txt", "NOTICE", "NOTICE.txt", "README", "README.txt"})
_DEFAULT_HUB = "https://huggingface.co"
_OUTLIVING = attrgetter("persistent_volume_claim", "host_path", "nfs", "csi", "ephemeral")
_NOTHING = (None,) * 5


def note(volumes: Volumes, listed: list[Volume]) -> None:
    """Take note of the volumes of a Pod."""
    for index, volume in enumerate(listed):
        name = volume.name or str(index)
        if name in volumes.by_name:  # no Pod may have two, templates of other kinds may: each is reported
            name = f"{name}#{index}"
        volumes.by_name[name] = (volume, index)
        if volume.empty_dir is None and volume.image is None and _OUTLIVING(volume) != _NOTHING:
            volumes.outliving.add(name)


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


def link(scan: Scan, volumes: Volumes) -> None:
    """Turn every pending path into a reference or a finding, then report volumes that are models by themselves."""
    for pending in volumes.pending:
        _link(scan, volumes, pending)
    linked = volumes.linked
    for name, (volume, index) in volumes.by_name.items():
        if (volume.image is not None or volume.csi is not None) and name not in linked:
            report(scan, volume, f"{volumes.pointer}/{index}")


def report(scan: Scan, volume: Volume, pointer: str) -> None:
    """Report a volume that is a model whoever mounts it: an image, a model driver's."""
    mention = Mention(_IMAGE, "", "", pointer, _DECLARED)
    if volume.image is not None and volume.image.reference:
        _image(scan, volume.image.reference, mention, f"{pointer}/image/reference")
    elif volume.csi is not None:
        row = _driver(scan, volume.csi)
        if row is not None and row.reference:
            mention.role = Role.BASE
            _csi(scan, volume.csi, row, mention, f"{pointer}/csi")


def _link(scan: Scan, volumes: Volumes, pending: Pending) -> None:
    place = pending.place
    if not pending.mention.weak and not is_covered(pending.path):
        _unresolved(scan, pending.mention, "the path names a file that signatures need not cover")
    # Below a path on a volume that is older than the Pod, other things may lie beside what is downloaded here.
    parents = place is None or place.volume not in volumes.outliving
    if any(_fills(fill, place, pending.path, parents=parents) for fill in volumes.fills):
        if place is not None:
            scan.paths.append((place.volume, place.path))
        return
    if place is None:
        _unlinked(scan, pending)
        return
    known = volumes.by_name.get(place.volume)
    if known is None:
        _opaque(scan, pending.mention, f"volume {place.volume} is not defined here")
        return
    volume, index = known
    _source(scan, volume, f"{volumes.pointer}/{index}", pending, place, volumes)


def _source(scan: Scan, volume: Volume, pointer: str, pending: Pending, place: Place, volumes: Volumes) -> None:
    mention = pending.mention
    if volume.image is not None and volume.image.reference:
        volumes.linked.add(place.volume)
        _image(scan, volume.image.reference, mention, f"{pointer}/image/reference")
        _check_inside(scan, pending, place)
    elif volume.persistent_volume_claim is not None:
        _claim(scan, volume.persistent_volume_claim.claim_name or "", place, mention)
    elif volume.csi is not None:
        _csi_or_opaque(scan, volume.csi, pointer, place, mention, volumes)
    elif volume.host_path is not None or volume.local is not None:
        _opaque(scan, mention, "the path lies on the node (hostPath), which this object does not describe")
    elif volume.config_map is not None or volume.secret is not None or volume.projected is not None:
        _unlinked(scan, pending)
    elif volume.nfs is not None:
        _opaque(scan, mention, "the path lies on an NFS server")
    else:
        _unfilled(scan, pending, place)


def _unfilled(scan: Scan, pending: Pending, place: Place) -> None:
    if pending.mention.weak or pending.mention.optional:
        return
    message = f"nothing in this object is seen to fill volume {place.volume}"
    _unresolved(scan, pending.mention, message)


def _csi_or_opaque(scan: Scan, csi: Csi, pointer: str, place: Place, mention: Mention, volumes: Volumes) -> None:
    row = _driver(scan, csi)
    if row is None or not row.reference:
        _opaque(scan, mention, f"the path lies on a volume of driver {csi.driver}, which says nothing about its content")
        return
    volumes.linked.add(place.volume)
    _csi(scan, csi, row, mention, f"{pointer}/csi")


def _driver(scan: Scan, csi: Csi) -> DriverRow | None:
    return scan.tables.drivers.get(csi.driver or "")


def _csi(scan: Scan, csi: Csi, row: DriverRow, mention: Mention, locator: str) -> None:
    attributes = csi.volume_attributes or {}
    text = attributes.get(row.reference, "")
    if row.kind and attributes.get(row.kind, "") not in {"", *row.kinds}:
        _opaque(scan, mention, f"driver {csi.driver} mounts a {attributes[row.kind]}, which has no immutable form")
        return
    try:
        named = read(scan.tables.profiles[row.profile], f"{row.scheme}{text}", namespace=scan.namespace)
        if not isinstance(named, Named):
            _opaque(scan, mention, f"got path {text}, expected a reference")
            return
        reference = _csi_resolver(named.reference, attributes.get(row.resolver, "") if row.resolver else "")
        revision = _csi_revision(row, named.revision, attributes.get(row.revision, "") if row.revision else "")
    except InvalidReferenceError as error:
        _opaque(scan, mention, str(error))
        return
    where = f"{locator}/volumeAttributes/{row.reference.replace('~', '~0').replace('/', '~1')}"
    scan.add(FoundReference(text, reference, revision, mention.role, where, mention.confidence, row.profile))


def _csi_resolver(reference: ModelReference, endpoint: str) -> ModelReference:
    endpoint = endpoint.rstrip("/")
    if endpoint in {"", _DEFAULT_HUB}:
        return reference
    return model_reference(reference.scheme, reference.path, resolver=endpoint)


def _image(scan: Scan, text: str, mention: Mention, locator: str) -> None:
    try:
        reference, revision = read_image(text)
    except InvalidReferenceError as error:
        scan.problem(Reason.UNRESOLVED_REFERENCE, locator, str(error), value=text)
        return
    scan.add(FoundReference(text, reference, revision, mention.role, locator, mention.confidence, "image"))


def _check_inside(scan: Scan, pending: Pending, place: Place) -> None:
    """Of an image with /models nothing else is attested, and only folders of the system may lie beside it (``sources.images``)."""
    mention, top = pending.mention, normal(f"/{place.path}").split("/")[1]
    if mention.weak and not pending.accelerated:
        return
    if "$" in place.path:
        _unresolved(scan, mention, "the path in the image is computed")
    elif top in SYSTEM_FOLDERS:
        message = f"the path lies in /{top} of the image, where nothing is attested"
        fix = f"put the model below /{MODEL_FOLDER} of the image"
        scan.problem(Reason.UNRESOLVED_REFERENCE, mention.locator, message, value=mention.text, fix=fix)


def _claim(scan: Scan, name: str, place: Place, mention: Mention) -> None:
    if not scan.namespace:
        _opaque(scan, mention, f"claim {name} stands in an object without a namespace")
        return
    if "$" in place.path:
        _opaque(scan, mention, f"the path on claim {name} is computed")
        return
    try:
        reference = model_reference("pvc", f"{scan.namespace}/{name}/{place.path}".rstrip("/"))
    except InvalidReferenceError as error:
        _opaque(scan, mention, str(error))
        return
    found = FoundReference(mention.text, reference, NO_REVISION, mention.role, mention.locator, Confidence.DERIVED, "path")
    scan.add(found)
    scan.place(reference, NO_REVISION, place)


def is_covered(path: str) -> bool:
    """Whether a signature of the model always covers the file, wherever the model's folder begins.

    Residue and documentation need not be signed: loaded by name, they would be anybody's (attack H6).
    """
    name = path.rpartition("/")[2]
    if name.endswith(_RESIDUE_SUFFIXES) or is_residue(name):
        return False
    return name not in _DOCUMENT_NAMES and not name.lower().endswith(_DOCUMENT_SUFFIXES)


def _opaque(scan: Scan, mention: Mention, message: str) -> None:
    if not mention.optional:
        scan.problem(Reason.OPAQUE_SOURCE, mention.locator, message, value=mention.text)


def _unlinked(scan: Scan, pending: Pending) -> None:
    mention = pending.mention
    if mention.optional or (mention.weak and not pending.accelerated):
        return
    _unresolved(scan, mention, "the path is in no volume of this Pod; nothing here says what it holds")


def _unresolved(scan: Scan, mention: Mention, message: str) -> None:
    fix = "name a model or mount the volume that holds it"
    scan.problem(Reason.UNRESOLVED_REFERENCE, mention.locator, message, value=mention.text, fix=fix)


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
