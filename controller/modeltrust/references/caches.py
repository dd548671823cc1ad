"""Hub caches and local directories that answer in the hub's place (facts/workloads.md §9, numbers 26 and 35).

A hub client that finds a snapshot folder of the wanted commit asks nobody. Whoever can write the volume behind the
cache decides the bytes.
"""

from modeltrust.domain.reasons import Reason
from modeltrust.references.env import Environment
from modeltrust.references.findings import Findings
from modeltrust.references.mentions import Mention
from modeltrust.references.pod import Container
from modeltrust.references.tables import Tables
from modeltrust.references.volumes import Volumes, normal, place_of

_DEFAULT_CACHES = ("/root/.cache/huggingface/hub", "/home/user/.cache/huggingface/hub", "/.cache/huggingface/hub")


class Caches:
    """Looks for caches that outlive the Pod."""

    __slots__ = ("_findings", "_tables")

    def __init__(self, tables: Tables, findings: Findings) -> None:
        self._tables = tables
        self._findings = findings

    def check(self, mention: Mention, container: Container, seen: Environment, pointer: str, volumes: Volumes) -> None:
        """Report a cache or a directory on a volume that others can fill, for a reference to a hub."""
        mounts = container.volume_mounts or ()
        for path in self._paths(seen):
            place = place_of(container, normal(path))
            if place is not None and place.volume in volumes.outliving:
                self._problem(pointer, f"the hub cache {path} lies on volume {place.volume}, which others may have filled")
                return
        names = (f"/{mention.text}", f"/{mention.text.partition('/')[0]}")
        for mount in mounts:
            path = mount.mount_path.rstrip("/")
            if mount.name in volumes.outliving and (path.endswith(names) or path == container.working_dir):
                self._problem(pointer, f"volume {mount.name} may hold a directory named {mention.text}, which wins over the hub")
                return

    def _paths(self, seen: Environment) -> tuple[str, ...]:
        values = seen.values
        names = [name for name in self._tables.resolver_names & values.keys() if self._tables.resolvers[name].cache]
        stated = tuple(value for name in names if (value := values[name]))
        return stated or _DEFAULT_CACHES

    def _problem(self, pointer: str, message: str) -> None:
        fix = "use an emptyDir for the cache, or download into a volume in an init container of this Pod"
        self._findings.problem(Reason.OPAQUE_SOURCE, f"{pointer}/volumeMounts", message, fix=fix)
