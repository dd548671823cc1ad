"""The command line against a real cluster, as the caller's kubeconfig says; with and without anything installed."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.calls import Calls
from e2e.control_plane import ControlPlane, running
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo import objects
from modeltrust.cli.demo.world import World

Object = dict[str, Any]
COMMIT = "1" * 40


class Ran:
    """What a command did."""

    def __init__(self, kubeconfig: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "modeltrust", arguments[0], "--kubeconfig", str(kubeconfig), *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=os.environ)
        assert "Traceback" not in done.stderr
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def document(self) -> Object:
        value: Object = json.loads(self.out)
        return value


def scattered(plane: ControlPlane) -> str:
    """A namespace with workloads of several kinds, pinned and not; the controllers make ReplicaSets and Pods."""
    name = f"x{uuid.uuid4().hex[:8]}"
    plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    eventually(lambda: plane.kubectl("-n", name, "get", "sa", "default", check=False).returncode == 0, what="its account")
    floating = objects.deployment("acme/guard-7b", "main", namespace=name)
    pinned = objects.deployment("acme/guard-7b", COMMIT, namespace=name)
    pinned["metadata"]["name"] = "pinned"
    plain = {"containers": [{"name": "web", "image": "nginx"}]}
    web = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": name}, "spec": plain}
    plane.apply(floating, pinned, web)
    eventually(lambda: len(plane.get("pods", "-n", name)["items"]) >= 3, seconds=30, what="the Pods")
    return name


def test_the_inventory_works_with_nothing_installed(tmp_path: Path) -> None:
    with running(tmp_path) as plane:
        namespace = scattered(plane)
        ran = Ran(plane.admin, "inventory", "-o", "json")
        (tmp_path / "policy.yaml").write_text(yaml.safe_dump(anywhere(namespace)))
        what_if = Ran(plane.admin, "inventory", "-n", namespace, "--policy", str(tmp_path / "policy.yaml"), "-o", "json")

    here = {entry["name"]: entry for entry in ran.document["workloads"] if entry["namespace"] == namespace}
    assert ran.code == 0, ran.err
    assert not ran.document["installed"]
    assert {name: entry["kind"] for name, entry in here.items()} == {"guard": "Deployment", "pinned": "Deployment"}
    assert [model["pinned"] for name in ("guard", "pinned") for model in here[name]["models"]] == [False, True]
    assert {entry["name"]: entry["outcome"] for entry in what_if.document["workloads"]} == {"guard": "deny", "pinned": "pending"}
    assert what_if.document["summary"]["wouldDeny"] == 1


def anywhere(namespace: str) -> Object:
    """The demo's policy production for one namespace."""
    policy = objects.policies()[0]
    spec = {**policy["spec"], "match": {**policy["spec"]["match"], "namespaces": {"names": [namespace]}}}
    return {**policy, "metadata": {"name": namespace}, "spec": spec}


@pytest.fixture
def enforced(plane: ControlPlane, webhook: WebhookProcess) -> str:  # noqa: ARG001 - it must run
    """A namespace whose workloads were there before its policy."""
    namespace = scattered(plane)
    plane.apply(anywhere(namespace))
    with Calls(plane) as calls:
        probe = objects.deployment("acme/guard-7b", "main", namespace=namespace)
        probe["metadata"]["name"] = "probe"
        eventually(lambda: "[UnpinnedReference]" in calls.create(probe, dry_run=True)[1], what="the policy's effect")
    return namespace


def test_why_tells_in_the_words_of_the_denial_and_with_its_reason(plane: ControlPlane, enforced: str, world: World) -> None:
    attestors = str(world.trust / "attestors.yaml")
    with Calls(plane) as calls:
        probe = objects.deployment("acme/guard-7b", "main", namespace=enforced)
        probe["metadata"]["name"] = "probe"
        _, denial = calls.create(probe, dry_run=True)

    ran = Ran(plane.admin, "why", "deployment/guard", "-n", enforced, "--attestors", attestors)

    assert ran.code == 11, ran.err
    (said,) = [line for line in ran.out.splitlines() if line.startswith("[UnpinnedReference]")]
    assert said in denial
    assert "What would make it pass" in ran.out
    by_short_name = Ran(plane.admin, "why", "deploy/pinned", "-n", enforced, "--attestors", attestors, "-o", "json")
    assert by_short_name.document["outcome"] == "pending"
    assert Ran(plane.admin, "why", "deploy/nowhere", "-n", enforced).code == 2


def test_revoke_denies_what_was_admitted_and_lists_what_runs(plane: ControlPlane, enforced: str, world: World) -> None:
    attestors = str(world.trust / "attestors.yaml")
    model = f"hf://acme/guard-7b@{COMMIT}"
    options = ("--reason", "backdoor", "--reference", f"INC-{enforced}", "--attestors", attestors)
    dry = Ran(plane.admin, "revoke", "--model", model, *options)
    assert plane.apply(yaml.safe_load(dry.out), flags=("--dry-run=server",)).returncode == 0

    ran = Ran(plane.admin, "revoke", "--model", model, *options, "--apply")

    try:
        assert ran.code == 0, ran.err
        assert f"{enforced}  Deployment/pinned  {model}" in ran.out
        assert "Deployment/guard " not in ran.out
        with Calls(plane) as calls:
            again = objects.deployment("acme/guard-7b", COMMIT, namespace=enforced)
            again["metadata"]["name"] = "again"
            eventually(lambda: "[ModelRevoked]" in calls.create(again, dry_run=True)[1], seconds=5, what="the denial")
        why = Ran(plane.admin, "why", "deployment/pinned", "-n", enforced, "--attestors", attestors)
        assert "[ModelRevoked]" in why.out
    finally:
        plane.kubectl("delete", "modelrevocation", "--all")


def test_a_reader_of_one_namespace_is_told_what_he_may_not_see(plane: ControlPlane, enforced: str) -> None:
    plane.kubectl("create", "rolebinding", "reader", "--clusterrole=view", "--user=reader", "-n", enforced)
    ran = Ran(plane.kubeconfig("reader"), "inventory", "-n", enforced, "-o", "json")
    assert {entry["name"] for entry in ran.document["workloads"]} >= {"guard", "pinned"}
    assert ran.code in {0, 12}
    assert ran.document["problems"]


@pytest.mark.usefixtures("enforced")
def test_the_doctor_names_what_is_missing_of_half_an_installation(plane: ControlPlane) -> None:
    ran = Ran(plane.admin, "doctor", "--release-namespace", "modeltrust", "-o", "json")
    found = {check["name"]: check for check in ran.document["checks"]}
    assert ran.code == 11, ran.err
    assert found["kinds"]["state"] == "ok"
    assert found["guards"]["state"] == "ok"
    assert found["webhook open"]["state"] == found["webhook open, caBundle"]["state"] == "ok" or found["webhook open"]["fix"]
    assert found["operator"]["state"] == "failed"
    assert found["leader"]["state"] == "failed"
    assert found["a denial"]["state"] == "ok", found["a denial"]
    assert all(check["fix"] for check in found.values() if check["state"] == "failed")


@pytest.mark.usefixtures("enforced")
def test_the_doctor_of_somebody_without_permissions_says_that_he_cannot_look(plane: ControlPlane) -> None:
    ran = Ran(plane.kubeconfig("nobody"), "doctor", "--release-namespace", "modeltrust", "-o", "json")
    assert ran.code == 12, ran.err
    assert {check["state"] for check in ran.document["checks"]} <= {"unknown", "ok"}
