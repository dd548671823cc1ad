"""Jobs at an API server, and which Pod's log is a Job's: the Pod that the Job controller made for this very Job (attack C6)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from modeltrust.domain.errors import UnavailableError, quote
from modeltrust.kube import paths
from modeltrust.kube.client import Object


@dataclass(frozen=True, slots=True)
class Ended:
    """How a Job ended.

    Attributes:
        good: whether it completed.
        reason: of its condition, such as DeadlineExceeded or PodFailurePolicy.
    """

    good: bool
    reason: str


def ended(job: Object) -> Ended | None:
    """How a Job ended, None while it runs."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            return Ended(condition["type"] == "Complete", str(condition.get("reason", "")))
    return None


class Reads(Protocol):
    """Who reads of the cluster; ``kube.client.ApiServer`` is one."""

    def get_object(self, path: str) -> Object:
        """One object."""
        ...

    def list_objects(self, path: str, parameters: Mapping[str, str] | None = None) -> Iterator[Object]:
        """Every object of a collection."""
        ...

    def pod_log(self, namespace: str, pod: str, *, max_bytes: int, container: str = "", tail_lines: int = 0) -> bytes:
        """What a container wrote."""
        ...


def runs(found: object, wanted: Object) -> bool:
    """Whether a Pod's spec runs what was written, and nothing beside it (attack C6).

    The API server, its own plugins and the kubelet add defaults; a command, a variable, a container or a volume is no default.

    Args:
        found: of a Pod, or of a Job's template.
        wanted: as it was written, with ``containers``.
    """
    if not isinstance(found, dict) or not found.keys() <= wanted.keys() | _ADDED_TO_POD:
        return False
    if not all(_covers(found.get(key), value) for key, value in wanted.items()):
        return False
    for key in ("initContainers", "containers"):
        for mine, theirs in zip(wanted.get(key, ()), found.get(key, ()), strict=True):  # so many as wanted: see _covers
            if not theirs.keys() <= mine.keys() | _ADDED_TO_CONTAINER:
                return False
    return True


def _covers(found: object, wanted: object) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_covers(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_covers, found, wanted))
    return found == wanted


_ADDED_TO_POD = frozenset(
    {"dnsPolicy", "hostname", "nodeName", "preemptionPolicy", "priority", "priorityClassName", "schedulerName", "serviceAccount"}
    | {"terminationGracePeriodSeconds", "tolerations", "nodeSelector", "overhead", "runtimeClassName", "imagePullSecrets"}
)
_ADDED_TO_CONTAINER = frozenset(
    {"imagePullPolicy", "resizePolicy", "resources", "terminationMessagePath", "terminationMessagePolicy"}
)


def log_of(api: Reads, job: Object, *, spec: Object, namespace: str, container: str, max_bytes: int) -> bytes:
    """What the one Pod of a Job wrote.

    A Pod counts if its controller is this Job by UID, whatever its name and labels say: those anybody may choose who may create
    Pods; owners, too, so it must also run what was written. The log is read by name, so the Pod is looked at again afterwards: one
    that was put in its place meanwhile, or given another image, is not believed.

    Args:
        api: of the cluster.
        job: as the API server has it.
        spec: of its Pod, as it was written.
        namespace: of the Job.
        container: whose log.
        max_bytes: more is refused.

    Raises:
        UnavailableError: no Pod, several that succeeded, or another one than before.
        LimitExceededError: it wrote more.
        NotFoundError: the Pod is gone.
    """
    uid = job["metadata"]["uid"]
    selector = {"labelSelector": f"batch.kubernetes.io/controller-uid={uid}"}
    pods = [pod for pod in api.list_objects(paths.core("pods", namespace=namespace), selector) if _made_by(pod, uid)]
    done = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Succeeded"]
    if len(done) != 1:
        name = quote(job["metadata"]["name"])
        raise UnavailableError(f"got {len(done)} Pods that succeeded of the Job {name}, expected one")
    name, pod_uid = done[0]["metadata"]["name"], done[0]["metadata"]["uid"]
    if not runs(done[0].get("spec"), spec):
        raise UnavailableError(f"the Pod {quote(name)} does not run what its Job was written for")
    log = api.pod_log(namespace, name, container=container, max_bytes=max_bytes)
    after = api.get_object(paths.core("pods", name, namespace=namespace))
    if after["metadata"]["uid"] != pod_uid or not _made_by(after, uid) or not runs(after.get("spec"), spec):
        raise UnavailableError(f"the Pod {quote(name)} is another one than before")
    return log


def _made_by(pod: Object, uid: str) -> bool:
    owners = [owner for owner in pod["metadata"].get("ownerReferences") or [] if owner.get("controller")]
    return len(owners) == 1 and (owners[0].get("kind"), owners[0].get("uid")) == ("Job", uid)
