"""The chart, installed by helm on a real node with the image that `make image` built (MODELTRUST_IMAGE names the archive)."""

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import images
from e2e.node import BUSYBOX, Node
from e2e.waiting import eventually
from tests.support.helm import CHART, NAMESPACE, helm

Object = dict[str, Any]
IMAGE = "modeltrust.test/modeltrust:built"
COMPONENTS = ("webhook", "operator", "worker")
_SECONDS = 240  # on a busy machine: the kubelet looks for a missing Secret at longer and longer intervals, up to two minutes
_LEVELS = {f"pod-security.kubernetes.io/{level}": "restricted" for level in ("enforce", "warn")}


@dataclass(slots=True)
class Release:
    """One release, in its namespace.

    Attributes:
        node: where.
        values: of the chart, by their dotted names.
        chart: its folder.
    """

    node: Node
    values: dict[str, str]
    chart: Path = CHART

    def install(self, verb: str = "install", **more: str) -> None:
        """`helm install` or `helm upgrade` with the values; ``more`` are annotations of the webhook's Pods."""
        sets = [word for key, value in self.values.items() for word in ("--set", f"{key}={value}")]
        for key, value in more.items():
            sets += ["--set-string", f"webhook.podAnnotations.{key}={value}"]
        # The node's tests share the CRDs, which are kept: whoever made them, they are this release's now.
        adopt = ("--take-ownership",) if verb == "install" else ()
        if verb == "install":  # other tests of the session grant a webhook of theirs the same rights, by kubectl
            self.node.kubectl("delete", "clusterrole,clusterrolebinding", "modeltrust-webhook", "--ignore-not-found")
        helm(verb, "modeltrust", str(self.chart), "--namespace", NAMESPACE, *adopt, *sets, kubeconfig=self.node.admin)

    def helm(self, *arguments: str, check: bool = True) -> str:
        """Another command of helm about this release; what it printed."""
        return helm(*arguments, "--namespace", NAMESPACE, kubeconfig=self.node.admin, check=check).stdout

    def uninstall(self, *, check: bool = True) -> None:
        """`helm uninstall`, and wait until its Pods are gone."""
        self.helm("uninstall", "modeltrust", check=check)
        eventually(lambda: not self.pods(), seconds=60, what="the end of its Pods")

    def rolled_out(self, *components: str) -> None:
        """Wait until every Pod of the components is new and Ready."""
        for component in components or COMPONENTS:
            flags = ("rollout", "status", f"deployment/modeltrust-{component}", "--timeout=1s")
            done = functools.partial(self.kubectl, *flags, check=False)
            try:
                eventually(done, seconds=_SECONDS, what=f"readiness of {component}")
            except AssertionError as error:
                raise AssertionError(f"{error}: {self.states()}") from error

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl in the release's namespace; what it printed, empty where it failed."""
        done = self.node.kubectl(*arguments, "--namespace", NAMESPACE, check=check)
        return done.stdout if done.returncode == 0 else ""

    def pods(self, component: str = "") -> list[Object]:
        """Its Pods."""
        selector = f"app.kubernetes.io/name=modeltrust{component and f',app.kubernetes.io/component={component}'}"
        items: list[Object] = self.node.get("pods", "--namespace", NAMESPACE, "--selector", selector)["items"]
        return items

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
    """The values that name the built image, which is imported; the test is skipped, loudly, where there is none."""
    archive = os.environ.get("MODELTRUST_IMAGE", "")
    if not archive or not Path(archive).exists():
        pytest.skip("NOTHING WAS INSTALLED: MODELTRUST_IMAGE names no archive; `make image` builds it")
    repository, _, digest = node.containers.load(Path(archive), IMAGE, images.digest_of(Path(archive))).partition("@")
    return {"image.repository": repository, "image.digest": digest}


def fresh_namespace(node: Node) -> None:
    """The release's namespace as docs/install.md makes it, with nothing in it."""
    node.kubectl("delete", "namespace", NAMESPACE, "modeltrust-jobs", "--ignore-not-found", "--timeout=90s")
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": _LEVELS}})


def plain(namespace: str, name: str) -> Object:
    """A Pod that names no model and runs."""
    container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
