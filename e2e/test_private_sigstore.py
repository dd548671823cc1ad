"""Models that a ServiceAccount signed, keyless, at a private Sigstore whose identity provider is the cluster itself.

Everything is real: the API server issues the token, Fulcio, a CT log, Rekor v2 and a timestamp authority vouch, model-signing
signs, operator and worker verify with the inline trust root of a TrustedSigner, the webhook answers.
"""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import cluster_issuer
from e2e.cluster_issuer import ISSUER, subject, token
from e2e.control_plane import ControlPlane
from e2e.operator import ACCOUNT, OperatorProcess, believe, install, leading
from e2e.origins import HubOrigin
from e2e.scenes import Scene, ours, policy
from e2e.waiting import eventually
from e2e.webhook import WebhookProcess
from modeltrust.api.attestations import attestation_name
from modeltrust.cli.demo.world import World, flip_one_byte
from modeltrust.domain.errors import UnavailableError
from modeltrust.domain.reference import Identity
from modeltrust.signing.sign import sign_keyless
from tests.support import oidc_issuer
from tests.support.private_sigstore import PrivateSigstore
from tests.support.sigstore_ca import TestSigstore
from tests.support.worker import RunningWorker

Object = dict[str, Any]
TRAINER = "trainer"
pytestmark = pytest.mark.skipif(bool(cluster_issuer.missing()), reason=cluster_issuer.missing())


@pytest.fixture(scope="module")
def instance(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSigstore]:
    with cluster_issuer.instance_of(plane, tmp_path_factory.mktemp("sigstore")) as instance:
        yield instance


@dataclass(frozen=True, slots=True)
class Keyless:
    """A team that signs with its ServiceAccounts."""

    scene: Scene
    instance: PrivateSigstore
    config: Path

    @property
    def team(self) -> str:
        """Its namespace, and the name of its TrustedSigner."""
        return self.scene.team

    def signer(self, *, root: bytes, **identity: str) -> Object:
        """The TrustedSigner for the trainer, unless an identity says otherwise."""
        entry = {"name": TRAINER, "issuer": ISSUER, "subject": subject(self.team, TRAINER), **identity}
        keyless = {"identities": [entry], "trustRoot": {"inline": root.decode()}}
        return ours(
            "TrustedSigner",
            self.team,
            {"purposes": ["Author"], "keyless": keyless, "scope": {"models": [self.scene.hub.scope("acme")]}},
        )

    def trust(self, **identity: str) -> None:
        """The trainer under the instance's root."""
        self.scene.plane.apply(self.signer(root=self.instance.trusted_root(), **identity))

    def model(self, account: str = TRAINER, *, namespace: str = "", flip: bool = False) -> Identity:
        """A model at the hub that an account signed."""
        folder = self.scene.make(key=None)
        self.sign(folder, token(self.scene.plane, namespace or self.team, account))
        if flip:
            flip_one_byte(folder)
        return self.scene.hub.push(folder, f"acme/{folder.name}")

    def sign(self, folder: Path, shown: str) -> None:
        """As ``modeltrust sign --keyless`` does."""
        sign_keyless(folder, folder / "model.sig", token=shown, trust_config=self.config)


@pytest.fixture(scope="module")
def keyless(
    plane: ControlPlane,
    world: World,
    webhook: WebhookProcess,
    hub: HubOrigin,
    instance: PrivateSigstore,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Keyless]:
    install(plane)
    believe(plane, world)
    team = f"x{uuid.uuid4().hex[:8]}"
    for namespace, accounts in ((team, (TRAINER, "intern")), (f"{team}-other", (TRAINER,))):
        plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for account in accounts:
            plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}})
    plane.apply(ours("ModelSource", team, hub.source("acme")), policy(team, [hub.scope("*")], team))
    assert webhook.ready()
    folder = tmp_path_factory.mktemp("models")
    with oidc_issuer.serving(tmp_path_factory.mktemp("discovery")) as discovery:
        # Kubernetes' own discovery document lacks what model-signing wants to read there; the token is the cluster's all the same.
        config = folder / "trust-config.json"
        config.write_bytes(instance.trust_config(f"{discovery.plain}/nobody"))
        made = Keyless(Scene(plane, hub, world, folder, team), instance, config)
        made.trust()
        yield made


@pytest.fixture(scope="module", autouse=True)
def operator(
    keyless: Keyless, worker: RunningWorker, webhook: WebhookProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    plane = keyless.scene.plane
    process = OperatorProcess(tmp_path_factory.mktemp("operator"), plane.kubeconfig(ACCOUNT), worker)
    with leading(process, plane, webhook):
        yield process


@contextlib.contextmanager
def changed(keyless: Keyless, signer: Object) -> Iterator[None]:
    """Another TrustedSigner for a while."""
    keyless.scene.plane.apply(signer)
    try:
        yield
    finally:
        keyless.trust()


def test_a_model_that_the_trusted_service_account_signed_is_admitted_and_says_by_whom(keyless: Keyless) -> None:
    model = keyless.model()
    workload = keyless.scene.workload(model)
    assert "[AttestationPending]" in keyless.scene.ask(workload)
    print(f"admitted {keyless.scene.admitted(workload):.1f} s after it was asked for")  # noqa: T201 - a figure
    keyless.scene.becomes(model, "SignatureVerified", "True", "Trusted")
    (found,) = keyless.scene.plane.get("modelattestation", attestation_name(model))["status"]["signatures"]
    assert (found["issuer"], found["subject"]) == (ISSUER, subject(keyless.team, TRAINER))


def test_the_signer_s_status_names_every_key_of_the_inline_root(keyless: Keyless) -> None:
    def fingerprints() -> list[str]:
        status: Object = keyless.scene.plane.get("trustedsigner", keyless.team).get("status", {})
        return list(status.get("fingerprints", []))

    eventually(lambda: len(fingerprints()) == 7, seconds=30, what="two CAs, CT log, log, three of the timestamp authority")


@pytest.mark.parametrize(
    ("account", "elsewhere"), [("intern", False), (TRAINER, True)], ids=["another account", "the same name in another namespace"]
)
def test_what_another_account_signed_is_denied_as_another_signer_s(
    keyless: Keyless,
    account: str,
    elsewhere: bool,  # noqa: FBT001 - a table
) -> None:
    model = keyless.model(account, namespace=f"{keyless.team}-other" if elsewhere else "")
    workload = keyless.scene.workload(model)
    keyless.scene.ask(workload)
    keyless.scene.denied(workload, "SignerNotTrusted")
    assert account in keyless.scene.ask(workload, dry=True)


def test_another_issuer_or_the_root_of_another_instance_is_denied_until_the_signer_says_the_right_one(keyless: Keyless) -> None:
    """The model is verified under the wrong root first, so that the right one must be heard."""
    wrong = keyless.signer(root=TestSigstore().trusted_root())
    with changed(keyless, wrong):
        model = keyless.model()
        workload = keyless.scene.workload(model)
        keyless.scene.ask(workload)
        keyless.scene.denied(workload, "SignerNotTrusted")
    keyless.scene.admitted(workload)
    with changed(keyless, keyless.signer(root=keyless.instance.trusted_root(), issuer="https://kubernetes.elsewhere.example")):
        keyless.scene.denied(keyless.scene.workload(model), "SignerNotTrusted", seconds=10)
    keyless.scene.admitted(keyless.scene.workload(model))


def test_a_byte_that_changed_after_the_account_signed_is_denied(keyless: Keyless) -> None:
    workload = keyless.scene.workload(keyless.model(flip=True))
    keyless.scene.ask(workload)
    keyless.scene.denied(workload, "SignatureInvalid")


def test_a_token_for_another_audience_signs_nothing(keyless: Keyless) -> None:
    folder = keyless.scene.make(key=None)
    for audience in ("https://kubernetes.default.svc", "vault"):
        with pytest.raises(UnavailableError):
            keyless.sign(folder, token(keyless.scene.plane, keyless.team, TRAINER, audience=audience))
    assert not (folder / "model.sig").exists()
