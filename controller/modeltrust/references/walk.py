"""The Pod walker: containers, hooks, environment, command lines and volumes of one Pod spec."""

from dataclasses import dataclass

from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import NO_REVISION, Revision, RevisionState, hub_revision
from modeltrust.domain.workload import FoundImage, FoundReference
from modeltrust.references.budget import Budget, bound
from modeltrust.references.caches import Caches
from modeltrust.references.env import Environment, environment
from modeltrust.references.findings import Findings
from modeltrust.references.mentions import Mention
from modeltrust.references.pod import Container, EnvVar, PodSpec, Volume
from modeltrust.references.resolver import Resolvers
from modeltrust.references.runs import Context, Runs
from modeltrust.references.tables import Program, Tables
from modeltrust.references.uris import LocalPath, Named, read
from modeltrust.references.volumes import Fill, Linker, Pending, Volumes, normal, place_of

_WEAK_SCHEMES = frozenset({"hf", "s3", "gs", "oci", "ms", "pvc"})


@dataclass(slots=True)
class Pod:
    """What its containers share.

    Attributes:
        volumes: its volumes and what is known of their content.
        extra_env: entries that the controller puts in front.
    """

    volumes: Volumes
    extra_env: tuple[EnvVar, ...] = ()


class Walker:
    """Walks Pod specs and loose containers of one object.

    Attributes:
        implied: whether command lines are complete, so that a program's default model counts.
    """

    __slots__ = ("_budget", "_caches", "_findings", "_linker", "_resolvers", "_runs", "_tables", "implied")

    def __init__(self, tables: Tables, findings: Findings, budget: Budget) -> None:
        self._tables = tables
        self._findings = findings
        self._budget = budget
        self._resolvers = Resolvers(tables, findings)
        self._runs = Runs(tables, findings, budget)
        self._linker = Linker(tables, findings)
        self._caches = Caches(tables, findings)
        self.implied = False

    def pod(
        self,
        spec: PodSpec,
        pointer: str,
        namespace: str,
        *,
        supplied: tuple[str, ...] = (),
        beside: list[tuple[Container, str, str]] | None = None,
    ) -> None:
        """Walk a Pod spec.

        Args:
            spec: decoded.
            pointer: of the spec.
            namespace: of the object; empty for cluster-scoped ones.
            supplied: container paths that the controller fills from another field of the object.
            beside: containers of the same Pod that stand in other fields, with pointer and program.
        """
        pod = self.open(namespace, supplied)
        self.volumes(pod, spec.volumes, f"{pointer}/volumes")
        before = len(self._findings.references)
        for name, containers in (
            ("initContainers", spec.init_containers),
            ("containers", spec.containers),
            ("ephemeralContainers", spec.ephemeral_containers),
        ):
            if containers:
                bound(len(containers), limits.CONTAINERS, name)
                for index, container in enumerate(containers):
                    self.container(container, f"{pointer}/{name}/{index}", pod, None)
        for container, where, program in beside or ():
            self.container(container, where, pod, self._tables.programs.get(program))
        self.close(pod)
        if len(self._findings.references) != before:
            self._names(spec, pointer)

    def open(self, namespace: str, supplied: tuple[str, ...] = ()) -> Pod:
        """Start a Pod, or a group of containers that form one."""
        return Pod(Volumes(namespace, fills=[Fill(None, path) for path in supplied]))

    def volumes(self, pod: Pod, volumes: list[Volume] | None, pointer: str) -> None:
        """Take note of volumes."""
        if volumes:
            bound(len(volumes), limits.VOLUMES, "volumes")
            self._budget.charge(len(volumes))
            for index, volume in enumerate(volumes):
                pod.volumes.add(volume.name or str(index), volume, f"{pointer}/{index}")

    def close(self, pod: Pod) -> None:
        """Link paths to volumes, once every container has been read."""
        self._linker.link(pod.volumes)

    def volume(self, volume: Volume, pointer: str, namespace: str) -> None:
        """Report a volume outside a Pod: a PersistentVolume's source."""
        self._linker.report(volume, pointer, namespace)

    def container(self, container: Container, pointer: str, pod: Pod, hint: Program | None) -> None:
        """Walk one container."""
        mounts = container.volume_mounts
        self._budget.charge(8 + 2 * len(container.env or ()) + len(mounts or ()))
        accelerated = self._accelerated(container)
        if container.image:
            self._findings.images.append(FoundImage(container.image, f"{pointer}/image", accelerated))
        known = environment(container, extra=pod.extra_env)
        if mounts and len(mounts) > limits.VOLUMES:
            bound(len(mounts), limits.VOLUMES, "volume mounts")
        for mention, seen in self._runs.of(container, known, pointer, Context(hint, accelerated, self.implied)):
            self.mention(mention, seen, container, pointer, pod, accelerated=accelerated)

    def mention(
        self, mention: Mention, seen: Environment, container: Container, pointer: str, pod: Pod, *, accelerated: bool
    ) -> None:
        """Read one mention in the light of its container."""
        try:
            reading = read(self._tables.profiles[mention.profile], mention.text, namespace=pod.volumes.namespace)
            if isinstance(reading, Named):
                self._named(mention, reading, seen, container, pointer, pod, accelerated=accelerated)
            else:
                self._path(mention, reading, container, pod, accelerated=accelerated)
        except InvalidReferenceError as error:
            if mention.optional or (mention.weak and "/" not in mention.text and "$" not in mention.text):
                return
            fix = "state the model literally"
            self._findings.problem(Reason.UNRESOLVED_REFERENCE, mention.locator, str(error), value=mention.text, fix=fix)

    def _named(  # noqa: PLR0913 - the container's context
        self, mention: Mention, named: Named, seen: Environment, container: Container, pointer: str, pod: Pod, *, accelerated: bool
    ) -> None:
        reference = named.reference
        one_word = "/" not in reference.path
        if mention.weak and (one_word or reference.scheme not in _WEAK_SCHEMES) and not accelerated:
            return
        if mention.optional and one_word:
            return
        resolved = self._resolvers.apply(mention, named, seen, pointer)
        revision = _revision(mention, named, resolved.scheme)
        found = FoundReference(mention.text, resolved, revision, mention.role, mention.locator, mention.confidence, mention.profile)
        self._findings.add(found)
        self._findings.inference |= not mention.weak
        if pod.volumes.outliving and reference.scheme == "hf":
            self._caches.check(mention, container, seen, pointer, pod.volumes)
        if mention.destination:
            path = normal(mention.destination)
            pod.volumes.fills.append(Fill(place_of(container, path), path))

    def _path(self, mention: Mention, reading: LocalPath, container: Container, pod: Pod, *, accelerated: bool) -> None:
        if mention.weak and not reading.path.startswith("/"):
            return
        path = reading.path
        if not path.startswith("/"):
            path = f"{container.working_dir or ''}/{path.removeprefix('./')}"
        path = normal(path)
        pending = Pending(mention, path, place_of(container, path), container.image or "", accelerated)
        pod.volumes.pending.append(pending)

    def _accelerated(self, container: Container) -> bool:
        resources = container.resources
        if resources is None:
            return False
        found = bool(resources.claims)
        for amounts in (resources.limits, resources.requests):
            if not found and amounts:
                found = any(name.startswith(self._tables.accelerators) and str(amounts[name]) != "0" for name in amounts)
        self._findings.accelerators |= found
        return found

    def _names(self, spec: PodSpec, pointer: str) -> None:
        # hostAliases and private name servers decide which machine answers for the hub.
        if spec.host_aliases:
            self._names_problem(f"{pointer}/hostAliases", "hostAliases can send the hub's name to another machine")
        if spec.dns_config is not None and spec.dns_config.nameservers:
            self._names_problem(f"{pointer}/dnsConfig/nameservers", "own name servers can send the hub's name to another machine")

    def _names_problem(self, locator: str, message: str) -> None:
        self._findings.problem(Reason.UNDECLARED_RESOLVER, locator, message, fix="remove it")


def _revision(mention: Mention, named: Named, scheme: str) -> Revision:
    if mention.revision and named.revision is NO_REVISION:
        if "$" in mention.revision or "{{" in mention.revision:
            raise InvalidReferenceError("got a revision that only another place can fill, expected a literal revision")
        stated = hub_revision(mention.revision)
        # Only the Hugging Face hub addresses a repository by commit.
        return stated if scheme == "hf" else Revision(RevisionState.TAG, stated.value)
    return named.revision
