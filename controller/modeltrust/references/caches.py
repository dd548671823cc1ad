"""Hub caches and local directories that answer in the hub's place (facts/workloads.md §9, numbers 26 and 35).

A hub client that finds a snapshot folder of the wanted commit asks nobody. Whoever can write the volume behind the
cache decides the bytes.
"""

from modeltrust.domain.reasons import Reason
from modeltrust.references.env import Environment
from modeltrust.references.mentions import Mention
from modeltrust.references.scan import Scan
from modeltrust.references.site import Site
from modeltrust.references.volumes import normal, place_of

_DEFAULT_CACHES = ("/root/.cache/huggingface/hub", "/home/user/.cache/huggingface/hub", "/.cache/huggingface/hub")

_MOVED = frozenset({"HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})  # with one of them the hub's own default counts no more


def check(scan: Scan, mention: Mention, seen: Environment, site: Site) -> None:
    """Report a cache or a directory on a volume that others can fill, for a reference to a hub."""
    container, volumes, pointer = site.container, site.volumes, site.pointer
    for path in _paths(scan, seen):
        place = place_of(container, normal(path))
        if place is not None and place.volume in volumes.outliving:
            _problem(scan, pointer, f"the hub cache {path} lies on volume {place.volume}, which others may have filled")
            return
    names = (f"/{mention.text}", f"/{mention.text.partition('/')[0]}")
    for mount in container.volume_mounts or ():
        path = mount.mount_path.rstrip("/")
        if mount.name in volumes.outliving and (path.endswith(names) or path == container.working_dir):
            _problem(scan, pointer, f"volume {mount.name} may hold a directory named {mention.text}, which wins over the hub")
            return


def _paths(scan: Scan, seen: Environment) -> tuple[str, ...]:
    values = seen.values
    stated = tuple(value for name in sorted(scan.tables.caches & values.keys()) if (value := values[name]))
    return stated if _MOVED & values.keys() else (*stated, *_DEFAULT_CACHES)


def _problem(scan: Scan, pointer: str, message: str) -> None:
    fix = "use an emptyDir for the cache, or download into a volume in an init container of this Pod"
    scan.problem(Reason.OPAQUE_SOURCE, f"{pointer}/volumeMounts", message, fix=fix)
