"""Verify-at-load: what is injected into Pods and what is demanded of them (design/admission.md, "Verify-at-load").

One init container, the last, in our image by digest, recomputes the content digest of each model's folder before a server starts.
The mutating webhook adds it; the validating one demands it, and rebuilds it from what it finds and the operator's configuration:
nothing in it comes from the workload but names of volumes, paths and digests, and a digest counts only where a statement about the
model says the same (C4). What the author writes about our container is not read at all (F94); a container of its name with anything
else in it is neither repaired nor ignored (F93).

``mutate`` also makes read-only what must be: mounts of these volumes in ``containers``, and claims that no init container fills.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from modeltrust.admission.pod_volumes import Pod
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.reference import RevisionState
from modeltrust.domain.values import value
from modeltrust.domain.workload import AtLoad, FoundReference, Placed, Workload

NAME = "modeltrust-verify-at-load"
MIRROR = "kubernetes.io/config.mirror"  # a Pod that a kubelet shows: the API server refuses patches of it
Operation = dict[str, Any]
Place = tuple[str, str]  # volume, path inside it
_FOLDER = "/volumes"
_USER = 65532
_COMMAND = ["job", "verify-at-load"]
_PATH = re.compile(r"(?:[A-Za-z0-9._@:+=,~-]+(?:/[A-Za-z0-9._@:+=,~-]+)*)?")  # no "$": the kubelet expands variables in args
_TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_PULL_POLICIES = ("IfNotPresent", "Always")  # the plugin AlwaysPullImages changes it; a digest is the same image either way
_IMAGE_LOCATOR = re.compile(r"/spec/volumes/([0-9]+)/image/reference")
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@value
class Demand:
    """One folder that the verifier compares.

    Attributes:
        volume: name of the volume.
        path: inside it, without leading or trailing slash; empty for all of it.
        digest: of the content that must be there.
    """

    volume: str
    path: str
    digest: ContentDigest


def container(image: str, demands: Iterable[Demand]) -> dict[str, Any]:
    """The init container, with every field that the API server would otherwise fill in.

    Args:
        image: by digest, from the operator's configuration.
        demands: at least one.
    """
    ordered = sorted(demands, key=lambda demand: (demand.volume, demand.path, demand.digest.hex))
    folders = [f"{_FOLDER}/{demand.volume}/{demand.path}".rstrip("/") for demand in ordered]
    digests = [word for demand in ordered for word in ("--digest", str(demand.digest))]
    volumes = sorted({demand.volume for demand in ordered})
    return {
        "name": NAME,
        "image": image,
        "imagePullPolicy": _PULL_POLICIES[0],
        "args": [*_COMMAND, *folders, *digests],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": name, "mountPath": f"{_FOLDER}/{name}", "readOnly": True} for name in volumes],
    }


def is_pod(workload: Workload) -> bool:
    """Whether the object is a Pod: the only kind that is changed, and the only one whose verifier is looked at."""
    return not workload.group and workload.kind == "Pod"


def judge_at_load(workload: Workload, document: bytes, *, image: str | None, strict: bool) -> Workload:
    """Say of every reference whether the Pod's verifier compares its bytes.

    Args:
        workload: what was extracted.
        document: the same object, JSON.
        image: of the verifier; empty where none is configured, so that nothing can be verified; None where the answer does not
            depend on it (the command line, which sees Pods before anything is injected).
        strict: whether the verifier must be in the Pod already; without, whether it could be put there is enough.

    Returns:
        The workload, each reference with ``at_load``.
    """
    if image == "":
        judged = [AtLoad(why="no verifier is configured (--inject-image)") for _ in workload.references]
    elif is_pod(workload):
        judged = _judge_pod(workload, document, image, strict=strict and image is not None)
    else:
        judged = [_elsewhere(workload, found) for found in workload.references]
    references = [_with(found, at_load) for found, at_load in zip(workload.references, judged, strict=True)]
    return dataclasses.replace(workload, references=tuple(references))


def patch(
    workload: Workload, document: bytes, *, image: str, digest_of: Callable[[FoundReference], ContentDigest | None]
) -> tuple[Operation, ...]:
    """How to change a Pod so that it is verified; empty where nothing is to be verified, it cannot be, or it is already.

    Args:
        workload: what was extracted.
        document: the same Pod, JSON.
        image: of the verifier, by digest.
        digest_of: the content of a reference that has to be verified and is known, else None.
    """
    try:
        pod = Pod(document)
    except _UNREADABLE:
        return ()
    present = _present(pod, image)
    if MIRROR in pod.annotations or isinstance(present, str):
        return ()
    demands = {(demand.volume, demand.path): demand for demand in present}
    wanted = [demand for found in workload.references for demand in _wanted(workload, pod, found, digest_of)]
    if not wanted:
        return ()
    demands |= {(demand.volume, demand.path): demand for demand in wanted}
    return (*_read_only(pod, {demand.volume for demand in wanted}), *_put_last(pod, container(image, demands.values())))


def _wanted(
    workload: Workload, pod: Pod, found: FoundReference, digest_of: Callable[[FoundReference], ContentDigest | None]
) -> list[Demand]:
    digest = digest_of(found)
    places = None if digest is None else _places(workload, pod, found, patched=True)
    return [] if digest is None or not isinstance(places, set) else [Demand(volume, path, digest) for volume, path in places]


def _judge_pod(workload: Workload, document: bytes, image: str | None, *, strict: bool) -> list[AtLoad]:
    try:
        pod = Pod(document)
        present = _present(pod, image or "") if strict else ()
        if strict and not present:
            present = f"the Pod has no init container {NAME}; the mutating webhook adds it where the model can be verified"
        elif strict and pod.init[-1].name != NAME and not isinstance(present, str):
            present = f"init container {NAME} is not the last, so what it compares may change afterwards"
    except _UNREADABLE:
        return [AtLoad(why="the Pod has an unknown form") for _ in workload.references]
    return [_judge_reference(workload, pod, found, present, strict=strict) for found in workload.references]


def _judge_reference(
    workload: Workload, pod: Pod, found: FoundReference, present: tuple[Demand, ...] | str, *, strict: bool
) -> AtLoad:
    if _is_image(found):
        return AtLoad(why=_inside_image(pod, found))
    places = _places(workload, pod, found, patched=not strict)
    if isinstance(places, str):
        return AtLoad(why=places)
    if not strict:
        return _stated(workload, found)
    if isinstance(present, str):
        return AtLoad(why=present)
    digests = {demand.digest for demand in present if (demand.volume, demand.path) in places}
    if len(digests) != 1 or not places <= {(demand.volume, demand.path) for demand in present}:
        return AtLoad(why=f"init container {NAME} does not compare its folder")
    return AtLoad(digests.pop())


def _elsewhere(workload: Workload, found: FoundReference) -> AtLoad:
    """Of a reference in an object that is no Pod: its Pods are judged when they are made."""
    if _is_image(found):
        return AtLoad()
    if workload.runtime_loaded:
        return AtLoad(why="it reaches running Pods without a new Pod, so nothing can verify it there")
    return _stated(workload, found)


def _stated(workload: Workload, found: FoundReference) -> AtLoad:
    if found.revision.immutable:
        return AtLoad()
    digest = workload.content_digests.get(found.reference.text)
    if digest is None:
        return AtLoad(why="the annotation modeltrust.dev/content-digests states none")
    return AtLoad(digest)


def _places(workload: Workload, pod: Pod, found: FoundReference, *, patched: bool) -> set[Place] | str:
    """Where a reference lies, all of which must be compared; or why comparing would prove nothing."""
    key = f"{found.reference.text}@{found.revision.value}" if found.revision.value else found.reference.text
    placed = [place for place in workload.placed if place.key == key]
    if not placed or not all(place.volume for place in placed):
        return "the server loads it by itself, after every init container; it must be downloaded into a volume before"
    why = pod.escape() or next((why for place in placed if (why := _unverifiable(workload, pod, place, patched=patched))), "")
    return why or {(place.volume, place.path) for place in placed}


def _unverifiable(workload: Workload, pod: Pod, place: Placed, *, patched: bool) -> str:
    if _PATH.fullmatch(place.path) is None or not {".", ".."}.isdisjoint(place.path.split("/")):
        return f"its path on volume {place.volume} is computed or unusual"
    why = pod.writer(place.volume, patched=patched) or pod.inside(place.volume)
    if why:
        return why
    folders = [other.path for other in workload.placed if other.volume == place.volume]
    for volume, path in workload.paths:
        if volume == place.volume and not any(_covers(folder, path) for folder in folders):
            return f"a container reads {path or 'all'} of volume {volume}, which holds more than what is compared"
    return ""


def _covers(folder: str, path: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _present(pod: Pod, image: str) -> tuple[Demand, ...] | str:
    """What the Pod's verifier compares: nothing where there is none, or why the one that is there does not count."""
    where = [index for index, init in enumerate(pod.init) if init.name == NAME]
    others = [*(pod.spec.containers or ()), *(pod.spec.ephemeral_containers or ())]
    if not where and not any(other.name == NAME for other in others):
        return ()
    if len(where) != 1 or any(other.name == NAME for other in others):
        return f"{NAME} is no single init container"
    found = _OBJECT.decode((pod.spec.init_containers or [])[where[0]])
    demands = _demands(found.get("args"))
    if not demands or not _equal(found, container(image, demands)):
        return f"init container {NAME} is not the one that modeltrust adds; remove it"
    return demands


def _demands(args: Any) -> tuple[Demand, ...]:
    """What arguments of ours say; nothing where they are not ours."""
    if not isinstance(args, list) or not all(isinstance(word, str) for word in args) or args[:2] != _COMMAND:
        return ()
    words = args[len(_COMMAND) :]
    count = len(words) // 3  # a folder, and an option with its value, each
    folders, digests = words[:count], words[count + 1 :: 2]
    try:
        return tuple(Demand(*_split(folder), ContentDigest.parse(digest)) for folder, digest in zip(folders, digests, strict=True))
    except (MalformedError, ValueError):
        return ()


def _split(folder: str) -> Place:
    if not folder.startswith(f"{_FOLDER}/"):
        raise ValueError(folder)
    volume, _, path = folder.removeprefix(f"{_FOLDER}/").partition("/")
    return volume, path


def _equal(found: Mapping[str, Any], expected: dict[str, Any]) -> bool:
    """Whether a container is ours, but for what the API server's own plugins do to every container.

    They pull always, mount the Pod's token read-only, and add default resources that we state none of.
    """
    if found.get("imagePullPolicy") not in _PULL_POLICIES:
        return False
    mounts = found.get("volumeMounts")
    if not isinstance(mounts, list) or not all(isinstance(mount, dict) for mount in mounts):
        return False
    resources = found.get("resources")
    if not isinstance(resources, dict) or not _holds(resources, expected["resources"]):
        return False
    kept = [mount for mount in mounts if not _is_token(mount)]
    same = {"imagePullPolicy": expected["imagePullPolicy"], "resources": expected["resources"], "volumeMounts": kept}
    return {**found, **same} == expected and len(mounts) - len(kept) <= 1


def _holds(found: Mapping[str, Any], expected: Mapping[str, Mapping[str, str]]) -> bool:
    if not found.keys() <= expected.keys():
        return False
    return all(isinstance(found.get(kind), dict) and found[kind].items() >= amounts.items() for kind, amounts in expected.items())


def _is_token(mount: Mapping[str, Any]) -> bool:
    name = mount.get("name")
    rest = {"mountPath": _TOKEN_FOLDER, "readOnly": True, "name": name}
    return isinstance(name, str) and name.startswith("kube-api-access-") and dict(mount) == rest


def _read_only(pod: Pod, volumes: set[str]) -> list[Operation]:
    operations: list[Operation] = []
    for index, listed in enumerate(pod.spec.containers or ()):
        for number, mount in enumerate(listed.mounts):
            if mount.name in volumes and not mount.read_only:
                operations.append(_add(f"/spec/containers/{index}/volumeMounts/{number}/readOnly", value=True))
    claims = {
        v.persistent_volume_claim.claim_name for v in pod.spec.volumes or () if v.name in volumes and v.persistent_volume_claim
    }
    for index, volume in enumerate(pod.spec.volumes or ()):
        claim = volume.persistent_volume_claim
        if claim is not None and claim.claim_name in claims and not claim.read_only:
            operations.append(_add(f"/spec/volumes/{index}/persistentVolumeClaim/readOnly", value=True))
    return operations


def _put_last(pod: Pod, wanted: dict[str, Any]) -> list[Operation]:
    """The verifier put last: added, moved behind what another webhook appended, or renewed; nothing where it stands there."""
    if not pod.init:
        return [_add("/spec/initContainers", value=[wanted])]
    operations: list[Operation] = []
    for index, init in enumerate(pod.init):
        if init.name == NAME:
            found = _OBJECT.decode((pod.spec.init_containers or [])[index])
            if index == len(pod.init) - 1 and _equal(found, wanted):
                return []
            operations.append({"op": "remove", "path": f"/spec/initContainers/{index}"})
    return [*operations, _add("/spec/initContainers/-", value=wanted)]


def _add(path: str, *, value: object) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _is_image(found: FoundReference) -> bool:
    """An image volume by digest: whoever pulls it compares its bytes with the digest, and it is always read-only."""
    return found.spelling == "image" and found.revision.state is RevisionState.DIGEST


def _inside_image(pod: Pod, found: FoundReference) -> str:
    place = _IMAGE_LOCATOR.fullmatch(found.locator)
    volumes = pod.spec.volumes or []
    if place is None or int(place[1]) >= len(volumes):
        return "the image is no volume of the Pod"
    return pod.inside(volumes[int(place[1])].name)


def _with(found: FoundReference, at_load: AtLoad) -> FoundReference:
    return dataclasses.replace(found, at_load=at_load)
