"""`helm install` with the chart's own values and nothing prepared: certificates are made, changed under load, and repaired."""

import base64
import functools
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.calls import Calls
from e2e.load import Load, bad_pod
from e2e.node import Node, only_asked
from e2e.release import Release, built, fresh_namespace, guarded, plain
from e2e.waiting import eventually
from modeltrust.operator.certificate_authority import new_authority
from tests.support.helm import NAMESPACE

pytestmark = only_asked

Object = dict[str, Any]
SECRETS = {"modeltrust-ca", "modeltrust-webhook-tls", "modeltrust-worker-tls", "modeltrust-worker-client", "modeltrust-attestor"}


@pytest.fixture(scope="module")
def release(node: Node) -> Iterator[Release]:
    """Installed as a newcomer would."""
    fresh_namespace(node)
    release = Release(node, built(node) | {"webhook.replicas": "2", "worker.replicas": "1"})
    begun = time.monotonic()
    release.install()
    try:
        release.rolled_out()
        print(f"every process was Ready {time.monotonic() - begun:.0f} s after helm install")  # noqa: T201 - a figure of the issue
        yield release
    finally:
        release.uninstall(check=False)


@pytest.fixture
def closed(release: Release) -> Iterator[str]:
    """A fail-closed namespace with a policy that is in effect."""
    assert release.pods()
    name = f"c{uuid.uuid4().hex[:8]}"
    with guarded(release, name) as space:
        yield space


def test_nothing_has_to_be_prepared_and_everything_is_owned_by_the_release(node: Node, release: Release) -> None:
    assert release.pods()
    secrets = [
        entry for entry in node.get("secrets", "--namespace", NAMESPACE)["items"] if not entry["type"].startswith("helm.sh/")
    ]
    assert {entry["metadata"]["name"] for entry in secrets} == SECRETS
    assert _bundle(node)
    restarts = {
        pod["metadata"]["name"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
        for pod in release.pods()
    }
    assert set(restarts.values()) == {0}, restarts


def test_the_api_server_lets_no_pod_into_the_releases_namespaces_that_is_not_restricted(node: Node, release: Release) -> None:
    assert release.pods()  # so these are
    for namespace in (NAMESPACE, "modeltrust-jobs"):
        refused = node.apply(plain(namespace, "unrestricted"), check=False, flags=("--dry-run=server",))
        assert 'violates PodSecurity "restricted' in refused.stderr, namespace


def test_a_newcomers_first_policy_denies_by_kubectl_and_what_names_no_model_runs(node: Node, closed: str) -> None:
    denied = node.apply(bad_pod(closed), check=False)
    assert denied.returncode != 0
    assert "[UnpinnedReference] hf://acme/guard-7b" in denied.stderr
    node.apply(plain(closed, "runs"))
    node.wait_for_pod("runs", "Running", namespace=closed)


def test_an_emptied_ca_bundle_is_written_again_and_told(node: Node, release: Release, closed: str) -> None:
    good = _bundle(node)
    before = len(_told(release, "CABundleWritten"))
    paths = [f"/webhooks/{index}/clientConfig/caBundle" for index in (0, 1)]
    patch = json.dumps([{"op": "replace", "path": path, "value": ""} for path in paths])
    node.kubectl("patch", "validatingwebhookconfiguration", "modeltrust", "--type=json", "--patch", patch)
    begun = time.monotonic()
    eventually(lambda: _bundle(node) == good, seconds=90, what="the bundle")
    print(f"caBundle was there again after {time.monotonic() - begun:.0f} s")  # noqa: T201 - a figure of the issue
    eventually(lambda: "[UnpinnedReference]" in node.apply(bad_pod(closed), check=False).stderr, seconds=20, what="a denial")
    assert len(_told(release, "CABundleWritten")) == before + 1


def test_a_change_of_authority_and_of_every_certificate_fails_no_call(node: Node, release: Release, closed: str) -> None:
    """The next authority is put in place as one that is an hour old: from there on, everything is the operator's."""
    stored = node.get("secret", "modeltrust-ca", "--namespace", NAMESPACE)
    served = {name: _leaf(node, name) for name in ("modeltrust-webhook-tls", "modeltrust-worker-tls", "modeltrust-worker-client")}
    address = node.get("service", "modeltrust-webhook", "--namespace", NAMESPACE)["spec"]["clusterIP"]
    before = ssl.get_server_certificate((address, 443))
    following = new_authority(int(time.time()) - 2 * 3600)
    data = {"next.crt": following.certificate, "next.key": following.key}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}

    with Calls(node) as calls, Load(calls, closed) as load:
        node.apply({**stored, "data": {**stored["data"], **encoded}})
        eventually(lambda: _signing(node) == following.certificate, seconds=200, what="the next authority signing")
        for name, certificate in served.items():
            eventually(functools.partial(_changed, node, name, certificate), seconds=30, what=f"a new {name}")
        eventually(lambda: ssl.get_server_certificate((address, 443)) != before, seconds=120, what="the new one being served")
        time.sleep(5)  # calls under the new one alone

    assert load.wrong[:3] == []
    assert load.count > 20 * 30
    assert {"CertificateAuthorityChanged", "CertificateRenewed"} <= {line.get("reason") for line in release.log("operator")}


def _told(release: Release, reason: str) -> list[Object]:
    return [line for line in release.log("operator") if line.get("reason") == reason]


def _bundle(node: Node) -> str:
    found = node.get("validatingwebhookconfiguration", "modeltrust")
    (bundle,) = {webhook["clientConfig"].get("caBundle", "") for webhook in found["webhooks"]}
    return str(bundle)


def _changed(node: Node, name: str, old: bytes) -> bool:
    return _leaf(node, name) != old


def _leaf(node: Node, name: str) -> bytes:
    return base64.b64decode(node.get("secret", name, "--namespace", NAMESPACE)["data"]["tls.crt"])


def _signing(node: Node) -> bytes:
    return base64.b64decode(node.get("secret", "modeltrust-ca", "--namespace", NAMESPACE)["data"]["ca.crt"])
