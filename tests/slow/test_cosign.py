"""Real cosign signs into real registries, in both layouts: its own ``verify`` gives the same answers (docs/signing.md)."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import KeyTrust, TrustedSigner
from modeltrust.signing import keys
from modeltrust.signing.verify import verify
from modeltrust.sources.http import Client
from tests.slow.test_sources_registry import (
    distribution,
    free_port,
    go_containerregistry,
    layer,
    manifest,
    put_manifest,
    running,
    source,
)
from tests.support import oms, tools

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not tools.built("cosign"), reason=tools.NO_COSIGN)]

NOW = 1_790_000_000
OLD = ("--new-bundle-format=false", "--use-signing-config=false", "--tlog-upload=false")
NEW = ("--signing-config", "sc.json", "--trusted-root", "tr.json")
LAYOUTS = pytest.mark.parametrize("layout", [NEW, OLD], ids=["bundle as referrer", "sha256-….sig tag"])


class Cosign:
    """The program, with a home, keys and (empty) trust material of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        for arguments in (("generate-key-pair",), ("signing-config", "create", "--out", "sc.json")):
            self(*arguments)
        self("trusted-root", "create", "--out", "tr.json")

    def __call__(self, *arguments: str, check: bool = True) -> bool:
        """Run it; whether it said yes."""
        done = subprocess.run(
            [str(tools.program("cosign")), *arguments],
            cwd=self.home,
            env=os.environ | {"COSIGN_PASSWORD": "", "TUF_ROOT": str(self.home / "tuf"), "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.returncode == 0

    def verifies(self, image: str, layout: tuple[str, ...]) -> bool:
        """Whether its own verification accepts."""
        old = ("--new-bundle-format=false",) if layout is OLD else ("--trusted-root", "tr.json")
        return self("verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true", *old, image, check=False)

    @property
    def signer(self) -> TrustedSigner:
        pem = (self.home / "cosign.pub").read_bytes()
        return oms.signer(KeyTrust(pem, keys.fingerprint(keys.load_public_key(pem))))


@pytest.fixture(scope="module")
def cosign(tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return Cosign(tmp_path_factory.mktemp("cosign"))


@pytest.fixture(scope="module", params=[distribution, go_containerregistry], ids=["distribution", "go-containerregistry"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with running(request.param(tmp_path_factory.mktemp("registry"), port), port) as address:
        yield address


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client(plain_http=True)
    yield client
    client.close()


def push(host: str, content: bytes) -> str:
    return put_manifest(host, manifest(host, [layer(host, content, "application/json", "config.json")]))


def judged(host: str, digest: str, client: Client, signer: TrustedSigner) -> list[SignatureEvidence | RejectedSignature]:
    model = source(host, digest, client)
    identity = Identity(model.reference, model.revision)
    documents = model.signatures()
    return [verify(d, model.list(), signers=(signer,), now=NOW, content=None, identity=identity) for d in documents]


@LAYOUTS
def test_what_cosign_signs_counts_like_a_signature_over_every_layer(
    host: str, client: Client, cosign: Cosign, layout: tuple[str, ...]
) -> None:
    digest = push(host, json.dumps({"layout": layout}).encode())
    assert judged(host, digest, client, cosign.signer) == []
    cosign("sign", "--key", "cosign.key", "--yes", *layout, f"{host}/models/guard@{digest}")
    (found,) = judged(host, digest, client, cosign.signer)
    assert isinstance(found, SignatureEvidence), found
    assert (found.form, found.assurance) == (SignatureForm.COSIGN, Assurance.SOURCE_DIGESTS)
    assert cosign.verifies(f"{host}/models/guard@{digest}", layout)


@LAYOUTS
def test_another_key_is_refused_by_both(host: str, client: Client, cosign: Cosign, tmp_path: Path, layout: tuple[str, ...]) -> None:
    digest, stranger = push(host, json.dumps({"stranger": layout}).encode()), Cosign(tmp_path)
    stranger("sign", "--key", "cosign.key", "--yes", *layout, f"{host}/models/guard@{digest}")
    (found,) = judged(host, digest, client, cosign.signer)
    assert isinstance(found, RejectedSignature)
    assert not cosign.verifies(f"{host}/models/guard@{digest}", layout)


def test_an_attestation_about_the_manifest_is_no_signature_for_either(host: str, client: Client, cosign: Cosign) -> None:
    digest = push(host, b'{"attested": true}')
    (cosign.home / "p.json").write_text("{}", encoding="utf-8")
    image = f"{host}/models/guard@{digest}"
    cosign("attest", "--key", "cosign.key", "--yes", "--predicate", "p.json", "--type", "https://acme.example/x/v1", *NEW, image)
    (found,) = judged(host, digest, client, cosign.signer)
    assert isinstance(found, RejectedSignature)
