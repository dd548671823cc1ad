"""The chart with cert-manager for real, which issues, injects and renews past our guards; the API server asks through the Service.

No Pods run. Our webhook process stands behind the chart's Service through an EndpointSlice, serves what the kubelet would have
mounted, and asks the API server with exactly the chart's rights.
"""

import base64
import functools
import json
import shutil
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from e2e import cert_manager
from e2e.calls import Calls
from e2e.cert_manager import GROUP, INJECTOR, address, mounted, ready, renew, running_cert_manager
from e2e.control_plane import LOOPBACK, ControlPlane, running
from e2e.load import CALLS_PER_SECOND, Load, bad_pod, closed_namespace, good_pod, pinned
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.cli.demo.world import World
from modeltrust.kube.access import from_kubeconfig
from modeltrust.kube.client import ApiServer
from modeltrust.operator.certificates import Certificates
from tests.support.helm import CHART, NAMESPACE, helm
from tests.support.worker import Pair, command

Object = dict[str, Any]
ROUTED = {"enable-aggregator-routing": "true"}  # the API server dials the addresses behind a Service: there is no kube-proxy
LEAVES = {"modeltrust-webhook-tls": "modeltrust-webhook", "modeltrust-worker-tls": "modeltrust-worker"}
CLIENT = "modeltrust-worker-client"
AUTHORITY = "modeltrust-authority"
CERTIFICATES = (AUTHORITY, *LEAVES, CLIENT)
VALUES = {"certificates.mode": "certManager", "verifyAtLoad.inject": "true", "image.digest": "sha256:" + "a" * 64}
CONFIGURATIONS = ("validatingwebhookconfiguration", "mutatingwebhookconfiguration")
_SECONDS = 60


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own with cert-manager in it; skipped, loudly, only where none can be had."""
    why = cert_manager.missing() or ("" if address() else "this machine has no address that an endpoint may have")
    if why:
        pytest.skip(f"NO CERT-MANAGER, SO ITS MODE OF THE CHART WAS NOT SEEN AT WORK: {why}")
    folder = tmp_path_factory.mktemp("cert-manager")
    with running(folder, ROUTED) as plane, running_cert_manager(plane, folder):
        yield plane


def release(plane: ControlPlane, verb: str, more: Mapping[str, str] | None = None, *, major: int = 4) -> None:
    """`helm install` or `helm upgrade` with the values of this page, and more."""
    sets = [word for key, value in (VALUES | dict(more or {})).items() for word in ("--set", f"{key}={value}")]
    helm(verb, "modeltrust", str(CHART), "--namespace", NAMESPACE, *sets, kubeconfig=plane.admin, major=major)


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[ControlPlane]:
    """The chart, installed by Helm 3, as most releases are; its certificates are asked for and nothing is waited for."""
    plane.kubectl("create", "namespace", NAMESPACE)
    release(plane, "install", major=3)
    yield plane
    helm("uninstall", "modeltrust", "--namespace", NAMESPACE, kubeconfig=plane.admin)


@pytest.fixture(scope="module")
def webhook(installed: ControlPlane, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebhookProcess]:
    """The webhook process behind the chart's Service."""
    plane, folder = installed, tmp_path_factory.mktemp("webhook")
    shutil.copy(world.trust / "attestors.yaml", folder)
    eventually(lambda: ready(plane, NAMESPACE, "modeltrust-webhook-tls"), seconds=_SECONDS, what="the webhook's certificate")
    account = plane.kubeconfig(f"system:serviceaccount:{NAMESPACE}:modeltrust-webhook", organization=GROUP)
    with mounted(plane, "modeltrust-webhook-tls", NAMESPACE, folder / "tls") as mount:
        arguments = ("--poll-seconds", "0.2")
        process = WebhookProcess(folder, account, arguments, address=address(), serving=mount.pair)
        process.start()
        try:
            process.wait_until_ready()
            plane.apply(_endpoints(process))
            yield process
        finally:
            process.stop()


@pytest.fixture(scope="module")
def closed(installed: ControlPlane, webhook: WebhookProcess) -> str:
    """A fail-closed namespace with a policy that is in effect."""
    plane, name = installed, f"c{uuid.uuid4().hex[:8]}"
    plane.apply(closed_namespace(name), pinned(name))
    with Calls(plane) as calls:
        eventually(lambda: "[UnpinnedReference]" in calls.create(bad_pod(name), dry_run=True)[1], seconds=30, what="a denial")
        eventually(lambda: calls.create(good_pod(name), dry_run=True)[0] == 201, seconds=30, what="the namespace's account")
    assert webhook.metric("modeltrust_decisions_total") > 0
    return name


def test_every_certificate_becomes_ready_and_is_for_one_purpose_under_its_names(installed: ControlPlane) -> None:
    for name in CERTIFICATES:
        eventually(functools.partial(ready, installed, NAMESPACE, name), seconds=_SECONDS, what=f"Certificate {name}")
    authority = _leaf(installed, AUTHORITY)
    for name in (*LEAVES, CLIENT):
        leaf = _leaf(installed, name)
        leaf.verify_directly_issued_by(authority)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        assert names == [f"{LEAVES.get(name, 'modeltrust-operator')}.{NAMESPACE}.svc"]
        purposes = list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        wanted = ExtendedKeyUsageOID.CLIENT_AUTH if name == CLIENT else ExtendedKeyUsageOID.SERVER_AUTH
        assert purposes == [wanted]
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_injected_bundle_is_the_ca_of_the_webhooks_secret(installed: ControlPlane) -> None:
    eventually(lambda: _injected(installed), seconds=_SECONDS, what="the bundle in both configurations")
    assert _bundles(installed) == {_secret(installed, "modeltrust-webhook-tls")["ca.crt"]}


def test_a_denial_reaches_kubectl_through_the_charts_own_service(installed: ControlPlane, closed: str) -> None:
    denied = installed.apply(bad_pod(closed), check=False)

    assert denied.returncode != 0
    assert "[UnpinnedReference] hf://acme/guard-7b" in denied.stderr
    assert installed.apply(good_pod(closed), flags=("--dry-run=server",)).returncode == 0


@pytest.fixture
def worker(installed: ControlPlane, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A worker with its Secret as the Pod has it; its port, and a folder with every Secret."""
    for name in (*LEAVES, CLIENT):
        eventually(functools.partial(ready, installed, NAMESPACE, name), seconds=_SECONDS, what=f"Certificate {name}")
        (tmp_path / name).mkdir()
        for file, value in _secret(installed, name).items():
            (tmp_path / name / file).write_bytes(base64.b64decode(value))
    own = tmp_path / "modeltrust-worker-tls"
    words = command(Pair(own / "tls.crt", own / "tls.key"), Pair(own / "ca.crt", own / "ca.crt"))
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["port"], tmp_path
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def test_the_worker_takes_orders_from_the_operators_certificate_and_from_no_other(worker: tuple[int, Path]) -> None:
    port, secrets = worker

    assert _asked(port, secrets, CLIENT).startswith(b"HTTP/1.1 ")
    for name in ("", *LEAVES):  # a server's certificate of the same authority is no client's
        with pytest.raises(OSError, match=r"(?i)certificate|reset|eof"):
            _asked(port, secrets, name)


def _asked(port: int, secrets: Path, name: str) -> bytes:
    """The first bytes of an answer to somebody with the certificate of a Secret; OSError where the worker refuses it."""
    context = ssl.create_default_context(cafile=str(secrets / CLIENT / "ca.crt"))
    if name:
        context.load_cert_chain(secrets / name / "tls.crt", secrets / name / "tls.key")
    with (
        socket.create_connection((LOOPBACK, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=f"modeltrust-worker.{NAMESPACE}.svc") as connection,
    ):
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n")
        answer = connection.recv(64)
    if not answer:
        raise ConnectionResetError("reset without an answer")
    return answer


def test_an_emptied_bundle_is_injected_again(installed: ControlPlane, closed: str) -> None:
    patch = json.dumps([{"op": "replace", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": ""} for index in (0, 1)])
    installed.kubectl("patch", CONFIGURATIONS[0], "modeltrust", "--type=json", "--patch", patch)

    eventually(lambda: _injected(installed), seconds=_SECONDS, what="the bundle")
    eventually(lambda: "[UnpinnedReference]" in installed.apply(bad_pod(closed), check=False).stderr, seconds=20, what="a denial")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/webhooks/1/failurePolicy", "Ignore"),
        ("/webhooks/0/clientConfig/service/name", "mine"),
        ("/webhooks/0/rules", []),
        ("/webhooks/0/namespaceSelector", {}),
    ],
)
def test_the_injectors_account_may_change_nothing_but_the_bundle(installed: ControlPlane, path: str, value: Any) -> None:
    patch = json.dumps([{"op": "replace", "path": path, "value": value}])
    account = installed.kubeconfig(INJECTOR, organization=GROUP)

    result = installed.kubectl("patch", CONFIGURATIONS[0], "modeltrust", "--type=json", "--patch", patch, check=False, user=account)

    assert "only who may delete modelpolicies may change it" in result.stderr


@pytest.mark.parametrize("secret", [*LEAVES, CLIENT])
def test_a_deleted_secret_is_issued_again_with_another_key(installed: ControlPlane, closed: str, secret: str) -> None:
    before = _leaf(installed, secret)
    assert closed

    installed.kubectl("delete", "secret", secret, "--namespace", NAMESPACE)

    eventually(lambda: _changed(installed, secret, before), seconds=_SECONDS, what=f"another {secret}")
    assert _leaf(installed, secret).public_key() != before.public_key()


def test_deleting_and_renewing_the_webhooks_certificate_fails_no_call(
    installed: ControlPlane, webhook: WebhookProcess, closed: str
) -> None:
    plane, name = installed, "modeltrust-webhook-tls"
    with Calls(plane) as calls, Load(calls, closed) as load:
        for change in (functools.partial(_delete, plane, name), functools.partial(renew, plane, NAMESPACE, name)):
            served = _served(webhook)
            change()
            eventually(functools.partial(_serves_another, webhook, served), seconds=_SECONDS, what="another one being served")
            _go_on(load)

    assert load.wrong[:3] == []


def test_renewing_the_authority_and_then_what_it_signed_fails_no_call(
    installed: ControlPlane, webhook: WebhookProcess, closed: str
) -> None:
    """As every eight months: the authority's new certificate has the old one's key, and either verifies what either signed."""
    plane, authority = installed, _leaf(installed, AUTHORITY)
    with Calls(plane) as calls, Load(calls, closed) as load:
        renew(plane, NAMESPACE, AUTHORITY)
        eventually(lambda: _changed(plane, AUTHORITY, authority), seconds=_SECONDS, what="another authority")
        for name in (*LEAVES, CLIENT):
            before, served = _leaf(plane, name), _served(webhook)
            renew(plane, NAMESPACE, name)
            eventually(functools.partial(_changed, plane, name, before), seconds=_SECONDS, what=f"another {name}")
            if name == "modeltrust-webhook-tls":
                eventually(functools.partial(_serves_another, webhook, served), seconds=_SECONDS, what="it being served")
        _go_on(load)

    assert load.wrong[:3] == []
    following = _leaf(plane, AUTHORITY)
    assert following.public_key() == authority.public_key()
    assert following.serial_number != authority.serial_number
    assert _ca(plane, "modeltrust-webhook-tls") == [following]
    assert _injected(plane)


@pytest.mark.parametrize("major", [3, 4], ids=lambda major: f"helm {major}")
def test_an_upgrade_keeps_the_injected_bundle(installed: ControlPlane, closed: str, major: int) -> None:
    """Helm 3 compares three texts, Helm 4 applies what it owns: neither may take away what cainjector wrote."""
    versions = [installed.get(kind, "modeltrust")["metadata"]["generation"] for kind in CONFIGURATIONS]

    release(installed, "upgrade", {"webhook.timeoutSeconds": str(major + 1)}, major=major)

    found = [installed.get(kind, "modeltrust") for kind in CONFIGURATIONS]
    assert [each["metadata"]["generation"] for each in found] == [version + 1 for version in versions]
    assert _injected(installed)
    assert "[UnpinnedReference]" in installed.apply(bad_pod(closed), check=False).stderr


def test_an_issuer_of_somebody_elses_serves_as_well(installed: ControlPlane, closed: str) -> None:
    assert closed
    issuer = {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "platform"}}
    root = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": "platform", "namespace": "cert-manager"},
    }
    root["spec"] = {"isCA": True, "commonName": "platform", "secretName": "platform", "issuerRef": {"name": "self"}}
    own = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "self", "namespace": "cert-manager"}}
    installed.apply(own | {"spec": {"selfSigned": {}}}, root, issuer | {"spec": {"ca": {"secretName": "platform"}}})
    before = _leaf(installed, "modeltrust-webhook-tls")
    issued_by = {"name": "platform", "kind": "ClusterIssuer"}

    release(installed, "upgrade", {f"certificates.certManager.issuerRef.{key}": value for key, value in issued_by.items()})

    eventually(
        lambda: _changed(installed, "modeltrust-webhook-tls", before), seconds=_SECONDS, what="a certificate of the platform"
    )
    assert _leaf(installed, "modeltrust-webhook-tls").issuer.rfc4514_string() == "CN=platform"
    eventually(lambda: _injected(installed), seconds=_SECONDS, what="the platform's authority in the bundle")
    eventually(lambda: "[UnpinnedReference]" in installed.apply(bad_pod(closed), check=False).stderr, seconds=30, what="a denial")


def test_the_mode_can_be_changed_there_and_back(installed: ControlPlane, closed: str) -> None:
    """The operator takes over Secrets that cert-manager made, and cert-manager those of the operator."""
    now = int(time.time())

    release(installed, "upgrade", {"certificates.mode": "selfRotated"})
    account = installed.kubeconfig(f"system:serviceaccount:{NAMESPACE}:modeltrust-operator", organization=GROUP)
    certificates = Certificates(ApiServer(from_kubeconfig(account)), NAMESPACE, drifted=lambda _: None, event=lambda *_: None)
    eventually(lambda: _tried(certificates, now), seconds=20, what="the operator's taking over")
    ours = _leaf(installed, "modeltrust-webhook-tls")
    assert ours.issuer.rfc4514_string().startswith("CN=modeltrust 2")
    assert len(_bundles(installed)) == 1
    eventually(lambda: "[UnpinnedReference]" in installed.apply(bad_pod(closed), check=False).stderr, seconds=30, what="a denial")

    release(installed, "upgrade")
    for name in CERTIFICATES:
        eventually(functools.partial(ready, installed, NAMESPACE, name), seconds=_SECONDS, what=f"Certificate {name}")
    eventually(lambda: _changed(installed, "modeltrust-webhook-tls", ours), seconds=_SECONDS, what="a certificate of cert-manager")
    eventually(lambda: _injected(installed), seconds=_SECONDS, what="the bundle")
    eventually(lambda: "[UnpinnedReference]" in installed.apply(bad_pod(closed), check=False).stderr, seconds=30, what="a denial")


def _endpoints(process: WebhookProcess) -> Object:
    metadata = {"name": "process", "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": "modeltrust-webhook"}}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": process.port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [process.address], "conditions": {"ready": True}}],
    }


def _go_on(load: Load) -> None:
    count = load.count
    eventually(lambda: load.count > count + 2 * CALLS_PER_SECOND, seconds=30, what="calls under it")


def _delete(plane: ControlPlane, secret: str) -> None:
    plane.kubectl("delete", "secret", secret, "--namespace", NAMESPACE)


def _secret(plane: ControlPlane, name: str) -> Object:
    found = plane.kubectl("get", "secret", name, "--namespace", NAMESPACE, "-o", "json", check=False).stdout
    data: Object = json.loads(found or "{}").get("data", {})
    return data


def _leaf(plane: ControlPlane, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(base64.b64decode(_secret(plane, name)["tls.crt"]))[0]


def _ca(plane: ControlPlane, name: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(base64.b64decode(_secret(plane, name)["ca.crt"]))


def _changed(plane: ControlPlane, name: str, before: x509.Certificate) -> bool:
    return bool(_secret(plane, name).get("tls.crt")) and _leaf(plane, name) != before


def _served(webhook: WebhookProcess) -> str:
    return ssl.get_server_certificate((webhook.address, webhook.port))


def _serves_another(webhook: WebhookProcess, before: str) -> bool:
    return _served(webhook) != before


def _bundles(plane: ControlPlane) -> set[str]:
    return {
        webhook["clientConfig"].get("caBundle", "")
        for kind in CONFIGURATIONS
        for webhook in plane.get(kind, "modeltrust")["webhooks"]
    }


def _injected(plane: ControlPlane) -> bool:
    """Whether both configurations believe the CA of the webhook's Secret; cainjector keeps the ones before, since 1.19."""
    wanted = base64.b64decode(_secret(plane, "modeltrust-webhook-tls").get("ca.crt", ""))
    return bool(wanted) and all(wanted.strip() in base64.b64decode(bundle) for bundle in _bundles(plane))


def _tried(certificates: Certificates, now: int) -> bool:
    try:
        return certificates.reconcile(now) > now
    except Exception:  # noqa: BLE001 - whatever it is: rights take a moment to arrive, and the deadline tells
        return False
