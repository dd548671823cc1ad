"""The chart, installed by helm on a real node with the image that `make image` built (MODELTRUST_IMAGE names the archive)."""

import contextlib
import functools
import json
import os
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import images
from e2e.calls import Calls
from e2e.load import bad_pod, closed_namespace, good_pod, pinned
from e2e.node import ASKED, BUSYBOX, Node
from e2e.waiting import eventually
from modeltrust.cli.demo import objects
from tests.support.helm import CHART, NAMESPACE, helm

Object = dict[str, Any]
IMAGE = "modeltrust.test/modeltrust:built"
COMPONENTS = ("webhook", "operator", "worker")
CRDS = str(CHART.parent.parent / "crds")
_PORT = 9443  # of a webhook's Pod
_OURS = "app.kubernetes.io/name=modeltrust"
_SECONDS = 150  # without progress: the kubelet looks for a missing Secret at longer and longer intervals, up to two minutes
_LEVELS = {f"pod-security.kubernetes.io/{level}": "restricted" for level in ("enforce", "warn")}


@dataclass(slots=True)
class Release:
    """One release, in its namespace.

    Attributes:
        node: where.
        values: of the chart, by their dotted names.
        chart: its folder.
        adopts: the kinds are there already: the node's tests share them.
    """

    node: Node
    values: dict[str, str]
    chart: Path = CHART
    adopts: bool = True

    def install(self, verb: str = "install", **more: str) -> None:
        """`helm install` or `helm upgrade` with the values; ``more`` are annotations of the webhook's Pods."""
        sets = [word for key, value in self.values.items() for word in ("--set", f"{key}={value}")]
        for key, value in more.items():
            sets += ["--set-string", f"webhook.podAnnotations.{key}={value}"]
        adopt = ("--take-ownership",) if verb == "install" and self.adopts else ()
        helm(verb, "modeltrust", str(self.chart), "--namespace", NAMESPACE, *adopt, *sets, kubeconfig=self.node.admin)

    def helm(self, *arguments: str, check: bool = True) -> str:
        """Another command of helm about this release; what it printed."""
        return helm(*arguments, "--namespace", NAMESPACE, kubeconfig=self.node.admin, check=check).stdout

    def uninstall(self, *, check: bool = True) -> None:
        """`helm uninstall`, and wait until its Pods are gone."""
        self.helm("uninstall", "modeltrust", check=check)
        eventually(lambda: not self.pods(), seconds=60, what="the end of its Pods", progress=self.progress)

    def rolled_out(self, *components: str) -> None:
        """Wait until every Pod of the components is new and Ready."""
        for component in components or COMPONENTS:
            flags = ("rollout", "status", f"deployment/modeltrust-{component}", "--timeout=1s")
            done = functools.partial(self.kubectl, *flags, check=False)
            try:
                eventually(done, seconds=_SECONDS, what=f"readiness of {component}", progress=self.progress)
            except AssertionError as error:
                raise AssertionError(f"{error}: {self.states()}") from error

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl in the release's namespace; what it printed, empty where it failed."""
        done = self.node.kubectl(*arguments, "--namespace", NAMESPACE, check=check)
        return done.stdout if done.returncode == 0 else ""

    def pods(self, component: str = "") -> list[Object]:
        """Its Pods."""
        selector = f"{_OURS}{component and f',app.kubernetes.io/component={component}'}"
        items: list[Object] = self.node.get("pods", "--namespace", NAMESPACE, "--selector", selector)["items"]
        return items

    def progress(self) -> tuple[str, ...]:
        """How far each of its Pods is; for ``eventually``."""
        return self.node.progress(NAMESPACE, _OURS)

    def settled(self, component: str) -> list[Object]:
        """The Pods of a component, once all of them are Ready and none is on its way out."""
        self.rolled_out(component)
        eventually(
            lambda: not any("deletionTimestamp" in pod["metadata"] for pod in self.pods(component)),
            seconds=60,
            what=f"the end of the {component}'s former Pods",
            progress=self.progress,
        )
        return self.pods(component)

    def enforced(self, namespace: str) -> None:
        """Wait until every webhook Pod denies an unpinned model there: a policy reaches each by a watch of its own."""
        eventually(
            lambda: all(_denies(pod["status"].get("podIP", ""), bad_pod(namespace)) for pod in self.settled("webhook")),
            seconds=30,
            what=f"a policy for {namespace} in every webhook Pod",
        )

    def states(self) -> str:
        """What each container does, and the end of its log."""
        told = []
        for pod in self.pods():
            name = pod["metadata"]["name"]
            statuses = json.dumps([status["state"] for status in pod["status"].get("containerStatuses", [])])
            told.append(f"{name}: {statuses} {self.kubectl('logs', name, '--tail=5', check=False)}")
        return "\n".join(told)

    def log(self, component: str) -> list[Object]:
        """Every JSON line that the Pods of a component have logged."""
        lines = [
            line for pod in self.pods(component) for line in self.kubectl("logs", pod["metadata"]["name"], check=False).splitlines()
        ]
        return [json.loads(line) for line in lines if line.startswith("{")]


def built(node: Node) -> dict[str, str]:
    """The values that name the built image, which is imported; as ``imported``."""
    repository, _, digest = imported(node).partition("@")
    return {"image.repository": repository, "image.digest": digest}


def imported(node: Node, name: str = IMAGE) -> str:
    """The built image under a name, by digest; skipped, loudly, where there is none, and failed where a node was asked for."""
    archive = os.environ.get("MODELTRUST_IMAGE", "")
    if not archive or not Path(archive).exists():
        told = f"NOTHING WAS INSTALLED: got MODELTRUST_IMAGE {archive!r}, expected the archive that `make image` builds"
        (pytest.fail if ASKED else pytest.skip)(told)
    return node.containers.load(Path(archive), name, images.digest_of(Path(archive)))


def cleared(node: Node) -> None:
    """Nothing of ours is in the cluster but the kinds: other tests of the session run processes of theirs, with the same rights."""
    node.kubectl("delete", "namespace", NAMESPACE, "modeltrust-jobs", "--ignore-not-found", "--timeout=90s")
    node.kubectl("delete", "clusterrole,clusterrolebinding", "modeltrust-webhook", "modeltrust-operator", "--ignore-not-found")


def without_kinds(node: Node) -> None:
    """The kinds are gone, and everything of these kinds."""
    node.kubectl("delete", "--filename", CRDS, "--ignore-not-found", "--timeout=90s")


def with_kinds(node: Node) -> None:
    """The kinds are there."""
    node.kubectl("apply", "--filename", CRDS)
    node.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def fresh_namespace(node: Node) -> None:
    """The release's namespace as docs/install.md makes it, with nothing in it."""
    cleared(node)
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": _LEVELS}})


def _denies(address: str, value: Object) -> bool:
    request = urllib.request.Request(
        f"https://{address}:{_PORT}/validate", objects.review(value), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, context=ssl._create_unverified_context(), timeout=5) as answer:  # noqa: S323, SLF001
            response = json.load(answer)["response"]
    except (OSError, ValueError):
        return False
    return "[UnpinnedReference]" in response.get("status", {}).get("message", "")


@contextlib.contextmanager
def guarded(release: Release, name: str) -> Iterator[str]:
    """A fail-closed namespace of this name with a policy that is in effect, and its service account."""
    node = release.node
    node.apply(closed_namespace(name), pinned(name))
    release.enforced(name)
    with Calls(node) as calls:
        eventually(lambda: "[UnpinnedReference]" in calls.create(bad_pod(name), dry_run=True)[1], seconds=30, what="a denial")
        eventually(lambda: calls.create(good_pod(name), dry_run=True)[0] == 201, what="the namespace's service account")
    try:
        yield name
    finally:
        node.kubectl("delete", "modelpolicy", name)
        node.kubectl("delete", "namespace", name, "--wait=false")


def plain(namespace: str, name: str) -> Object:
    """A Pod that names no model and runs."""
    container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
