"""After the first day, on a real node: every process gone, an upgrade from the chart before, back, away, and once more."""

import io
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.calls import Calls
from e2e.load import Load, bad_pod, closed_namespace, pinned
from e2e.node import Node, only_asked
from e2e.release import Release, built, fresh_namespace, guarded, plain, without_kinds
from e2e.waiting import eventually
from tests.support.helm import NAMESPACE

pytestmark = only_asked

Object = dict[str, Any]
ROOT = Path(__file__).parent.parent
CHART = "charts/modeltrust"
_KUBERNETES_OWN = {"secrets": (), "configmaps": ("kube-root-ca.crt",), "serviceaccounts": ("default",), "leases": ()}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart of the last tag, or as it was before its last change."""
    commits = _git("log", "--format=%H", "--max-count=2", "--", CHART).split()
    tagged = _git("describe", "--tags", "--abbrev=0").strip()
    commit = tagged or (commits[1] if len(commits) > 1 else "")
    if not commit:
        pytest.skip("NO UPGRADE WAS SEEN: this checkout has no history")
    folder = tmp_path_factory.mktemp("before")
    packed = subprocess.run(["git", "archive", commit, CHART], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / CHART


@pytest.fixture(scope="module")
def release(node: Node, before: Path) -> Iterator[Release]:
    """The release as it was before, in a cluster that knew none of our kinds."""
    fresh_namespace(node)
    without_kinds(node)
    release = Release(node, built(node) | {"webhook.replicas": "2", "worker.replicas": "1"}, adopts=False)
    replace(release, chart=before).install()
    try:
        release.rolled_out()
        yield release
    finally:
        release.uninstall(check=False)


@pytest.fixture
def name() -> str:
    return f"u{uuid.uuid4().hex[:8]}"


@pytest.fixture
def closed(release: Release, name: str) -> Iterator[str]:
    """A fail-closed namespace with a policy that is in effect."""
    assert release.pods()
    with guarded(release, name) as space:
        yield space


def test_every_process_gone_denies_where_failure_is_closed_and_heals_without_help(
    node: Node, release: Release, closed: str, name: str
) -> None:
    elsewhere = f"{name}-open"
    node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": elsewhere}})
    with Calls(node) as calls:
        eventually(lambda: calls.create(plain(elsewhere, "first"), dry_run=True)[0] == 201, what="the namespace's service account")
        release.kubectl("delete", "pods", "--all", "--grace-period=0", "--force")
        begun, denied = time.monotonic(), ""
        while not denied and time.monotonic() - begun < 5:
            status, said = calls.create(plain(closed, "gone"), dry_run=True)
            denied = said if status != 201 else ""
        assert 'failed calling webhook "closed.admission.modeltrust.dev"' in denied
        assert calls.create(plain(elsewhere, "untouched"))[0] == 201
        eventually(lambda: calls.create(plain(closed, "healed"), dry_run=True)[0] == 201, seconds=90, what="recovery")
        print(f"answers again {time.monotonic() - begun:.0f} s after every Pod was gone; meanwhile: {denied}")  # noqa: T201 - a figure
    node.wait_for_pod("untouched", "Running", namespace=elsewhere)
    release.rolled_out()


def test_an_upgrade_from_the_chart_before_and_a_rollback_fail_no_call(node: Node, release: Release, closed: str) -> None:
    secrets = _left(node)["secrets"]
    with Calls(node) as calls, Load(calls, closed) as load:
        release.install("upgrade", round="two")
        release.rolled_out()
        upgraded, kinds = load.count, _kinds(node)
        release.helm("rollback", "modeltrust", "1")
        release.rolled_out()
        release.settled("webhook")  # until the last of the old Pods has drained
    assert load.wrong[:3] == []
    assert upgraded > 100
    assert kinds == _written()
    assert [line.split()[0] for line in release.helm("history", "modeltrust").splitlines()[1:]] == ["1", "2", "3"]
    assert _left(node)["secrets"] == secrets


def test_uninstalled_nothing_but_the_kinds_stays_and_it_can_be_installed_again(node: Node, release: Release, name: str) -> None:
    release.uninstall()
    node.apply(closed_namespace(name))
    with Calls(node) as calls:
        eventually(lambda: calls.create(plain(name, "after"))[0] == 201, seconds=5, what="a plain Pod")
    eventually(lambda: not any(_left(node).values()), seconds=30, what=f"what is left: {_left(node)}")
    labelled = [found for found in _labelled(node) if not found.startswith("customresourcedefinition.")]
    assert labelled == []
    assert node.kubectl("get", "namespace", "modeltrust-jobs", check=False).returncode != 0
    assert node.get("crd", "modelpolicies.modeltrust.dev")

    replace(release, adopts=True).install()
    release.rolled_out()
    with Calls(node) as calls:
        node.apply(pinned(name))
        eventually(lambda: "[UnpinnedReference]" in calls.create(bad_pod(name), dry_run=True)[1], seconds=30, what="a denial")
    node.kubectl("delete", "modelpolicy", name)


def _kinds(node: Node) -> dict[str, Object]:
    """What each of our kinds looks like in the cluster, by its name."""
    found = [kind for kind in node.get("crds")["items"] if kind["spec"]["group"] == "modeltrust.dev"]
    return {kind["metadata"]["name"]: kind["spec"]["versions"] for kind in found}


def _written() -> dict[str, Object]:
    """The same as this checkout has it."""
    found = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    return {kind["metadata"]["name"]: kind["spec"]["versions"] for kind in found}


def _left(node: Node) -> dict[str, list[str]]:
    """What the operator makes, by kind, in the release's namespace."""
    found = {}
    for kind, others in _KUBERNETES_OWN.items():
        items = node.get(kind, "--namespace", NAMESPACE)["items"]
        names = [item["metadata"]["name"] for item in items if item.get("type") != "helm.sh/release.v1"]
        found[kind] = sorted(set(names) - set(others))
    return found


def _labelled(node: Node) -> list[str]:
    """Everything in the cluster that says it is ours, of every kind that is served."""
    kinds = node.kubectl("api-resources", "--verbs=list", "--output=name").stdout.split()
    asked = ("--all-namespaces", "--selector", "app.kubernetes.io/name=modeltrust", "--output=name")
    return node.kubectl("get", ",".join(kind for kind in kinds if not kind.startswith("events")), *asked).stdout.split()


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=False, capture_output=True, text=True).stdout
