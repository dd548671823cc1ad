"""The real node is a real node: what its other tests stand on."""

import subprocess
import sys
import urllib.request
import uuid
from typing import Any

import pytest

from e2e import machine
from e2e.conftest import ROOT
from e2e.containers import missing
from e2e.node import BUSYBOX, Node
from e2e.waiting import eventually

Object = dict[str, Any]


@pytest.mark.parametrize(
    ("right", "expected"), [("sys_admin", "mounting an overlay"), ("net_admin", "forwarding packets"), ("all", "")]
)
def test_a_machine_that_refuses_something_is_known_before_a_node_is_tried(right: str, expected: str) -> None:
    """CI skips what needs a node, and says why, where something is refused to begin with."""
    if why := missing() or machine.refused():
        pytest.skip(f"NO RIGHTS WERE TAKEN AWAY: {why}")
    without = ["setpriv", "--inh-caps=-all", f"--bounding-set=-{right}"]
    ask = [sys.executable, "-c", "from e2e import machine; print(machine.refused())"]
    said = subprocess.run([*without, *ask], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said.startswith(expected)
    assert " is refused: " in said


@pytest.fixture
def name() -> str:
    return f"n{uuid.uuid4().hex[:8]}"


def test_a_pod_runs_and_its_log_is_read(node: Node, name: str) -> None:
    node.apply(_pod(name, "echo hello; sleep infinity"))
    node.wait_for_pod(name, "Running")
    eventually(lambda: node.logs(name) == "hello\n", what="the log")


def test_a_job_completes(node: Node, name: str) -> None:
    template = {"spec": {**_pod(name, "true")["spec"], "restartPolicy": "Never"}}
    node.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}})
    node.wait_for_job(name)


def test_a_service_is_reached_from_the_host_and_from_a_pod(node: Node, name: str) -> None:
    server = _pod(name, "echo served > /tmp/index.html; httpd -f -p 8080 -h /tmp")
    server["metadata"]["labels"] = {"app": name}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}}
    node.apply(server, service | {"spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}})
    node.wait_for_pod(name, "Running")
    address = node.get("service", name)["spec"]["clusterIP"]
    eventually(lambda: _fetched(address) == "served\n", what="the Service")
    node.apply(_pod(f"{name}-client", f"wget -q -O - http://{address}", restart="Never"))
    node.wait_for_pod(f"{name}-client", "Succeeded")
    assert node.logs(f"{name}-client") == "served\n"


def test_a_pod_reaches_the_api_server_with_its_own_token(node: Node, name: str) -> None:
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    node.apply(_pod(name, f"cat {folder}/ca.crt; test -s {folder}/token", restart="Never"))
    node.wait_for_pod(name, "Succeeded")
    assert "BEGIN CERTIFICATE" in node.logs(name)


def _fetched(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}", timeout=2) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


def _pod(name: str, script: str, restart: str = "Always") -> Object:
    container = {"name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["sh", "-c", script]}
    spec = {"containers": [container], "restartPolicy": restart, "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
