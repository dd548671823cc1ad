"""The Pod walker: containers, hooks, environment, command lines and volumes of one Pod spec."""

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import NO_REVISION, Revision, RevisionState, hub_revision
from modeltrust.domain.workload import FoundImage, FoundReference
from modeltrust.references import caches, resolver, runs
from modeltrust.references import volumes as volume_reader
from modeltrust.references.budget import bound
from modeltrust.references.env import Environment, environment
from modeltrust.references.mentions import Mention
from modeltrust.references.pod import Container, PodSpec, Resources, Volume
from modeltrust.references.scan import Scan
from modeltrust.references.site import Fill, Pending, Site, Volumes
from modeltrust.references.uris import LocalPath, Named, read
from modeltrust.references.volumes import normal, place_of

_WEAK_SCHEMES = frozenset({"hf", "s3", "gs", "oci", "ms", "pvc"})


def read_volumes(scan: Scan, listed: list[Volume], volumes: Volumes) -> None:
    """Take note of the volumes of a Pod.

    Raises:
        LimitExceededError: too many.
    """
    bound(len(listed), limits.VOLUMES, "volumes")
    scan.charge(len(listed))
    volume_reader.note(volumes, listed)


def read_containers(scan: Scan, listed: list[Container], field: str, volumes: Volumes, *, pointer: str, implied: bool) -> None:
    """Walk the containers of one field of a Pod spec.

    Args:
        scan: the extraction.
        listed: the containers.
        field: ``containers``, ``initContainers`` or ``ephemeralContainers``.
        volumes: of the Pod.
        pointer: of the Pod spec.
        implied: whether command lines are complete, so that a program's default model counts.

    Raises:
        LimitExceededError: too many, or too much in one of them.
    """
    bound(len(listed), limits.CONTAINERS, field)
    for index, container in enumerate(listed):
        site = Site(container, f"{pointer}/{field}/{index}", volumes)
        site.implied = implied
        read_container(scan, site)


def read_container(scan: Scan, site: Site) -> None:
    """Walk one container."""
    container = site.container
    mounts = container.volume_mounts
    scan.charge(8 + 2 * len(container.env or ()) + len(mounts or ()))
    resources = container.resources
    accelerated = site.accelerated = resources is not None and _accelerated(scan, resources)
    if container.image:
        scan.images.append(FoundImage(container.image, f"{site.pointer}/image", accelerated))
    if mounts and len(mounts) > limits.VOLUMES:
        bound(len(mounts), limits.VOLUMES, "volume mounts")
    for mention, seen in runs.of(scan, site, environment(container)):
        read_mention(scan, mention, seen, site)


def read_mention(scan: Scan, mention: Mention, seen: Environment, site: Site) -> None:
    """Read one mention in the light of its container."""
    try:
        reading = read(scan.tables.profiles[mention.profile], mention.text, namespace=scan.namespace)
        if isinstance(reading, Named):
            _named(scan, mention, reading, seen, site)
        else:
            _path(mention, reading, site)
    except InvalidReferenceError as error:
        if mention.optional or (mention.weak and "/" not in mention.text and "$" not in mention.text):
            return
        fix = "state the model literally"
        scan.problem(Reason.UNRESOLVED_REFERENCE, mention.locator, str(error), value=mention.text, fix=fix)


def _named(scan: Scan, mention: Mention, named: Named, seen: Environment, site: Site) -> None:
    reference = named.reference
    if mention.weak or mention.optional:
        one_word = "/" not in reference.path
        if mention.weak and (one_word or reference.scheme not in _WEAK_SCHEMES) and not site.accelerated:
            return
        if mention.optional and one_word:
            return
    resolved = resolver.apply(scan, mention, named, seen, site.pointer)
    revision = _revision(mention, named, resolved.scheme) if mention.revision else named.revision
    scan.add(FoundReference(mention.text, resolved, revision, mention.role, mention.locator, mention.confidence, mention.profile))
    if not mention.weak:
        scan.inference = True
    if site.volumes.outliving and reference.scheme == "hf":
        caches.check(scan, mention, seen, site)
    place = None
    if mention.destination:
        path = normal(mention.destination)
        place = place_of(site.container, path)
        site.volumes.fills.append(Fill(place, path))
    if site.volumes.pointer:
        scan.place(resolved, revision, place)


def _path(mention: Mention, reading: LocalPath, site: Site) -> None:
    path = reading.path
    if not path.startswith("/"):
        if mention.weak:
            return
        path = f"{site.container.working_dir or ''}/{path.removeprefix('./')}"
    path = normal(path)
    site.volumes.pending.append(Pending(mention, path, place_of(site.container, path), site.accelerated))


def _accelerated(scan: Scan, resources: Resources) -> bool:
    accelerators = scan.tables.accelerators
    found = bool(resources.claims)
    for amounts in (resources.limits, resources.requests):
        if amounts:
            for name in amounts:
                if name.startswith(accelerators) and str(amounts[name]) != "0":
                    found = True
    if found:
        scan.accelerators = True
    return found


def check_names(scan: Scan, spec: PodSpec, pointer: str) -> None:
    """Report host aliases and private name servers: they decide which machine answers for the hub."""
    if spec.host_aliases:
        _names_problem(scan, f"{pointer}/hostAliases", "hostAliases can send the hub's name to another machine")
    if spec.dns_config is not None and spec.dns_config.nameservers:
        message = "own name servers can send the hub's name to another machine"
        _names_problem(scan, f"{pointer}/dnsConfig/nameservers", message)


def _names_problem(scan: Scan, locator: str, message: str) -> None:
    scan.problem(Reason.UNDECLARED_RESOLVER, locator, message, fix="remove it")


def _revision(mention: Mention, named: Named, scheme: str) -> Revision:
    if named.revision is NO_REVISION:
        if "$" in mention.revision or "{{" in mention.revision:
            raise InvalidReferenceError("got a revision that only another place can fill, expected a literal revision")
        stated = hub_revision(mention.revision)
        # Only the Hugging Face hub addresses a repository by commit.
        return stated if scheme == "hf" else Revision(RevisionState.TAG, stated.value)
    return named.revision
