"""Real cosign signs keyless at a private Sigstore of real services, into real registries; its ``verify`` gives the same answers."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignatureForm, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.signing.verify import verify
from modeltrust.sources.http import Client
from tests.slow.test_cosign import Cosign, push
from tests.slow.test_sources_registry import distribution, free_port, go_containerregistry, running, source
from tests.support import tools
from tests.support.private_signing import ANN, BOB, PIPELINE, ROBOT, Person, Signing, signing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not tools.built("cosign"), reason=tools.NO_COSIGN)]


class Keyless:
    """cosign with the trust material of an instance."""

    def __init__(self, home: Path, place: Signing) -> None:
        self.cosign, self.signing = Cosign(home), place
        config = place.instance.signing_config(f"{place.issuers.plain}/people")
        (home / "keyless.json").write_text(json.dumps(config), encoding="utf-8")
        (home / "root.json").write_bytes(place.instance.trusted_root())

    def sign(self, image: str, person: Person = ANN) -> None:
        trust = ("--signing-config", "keyless.json", "--trusted-root", "root.json")
        self.cosign("sign", "--yes", "--identity-token", self.signing.token(person), *trust, image)

    def verifies(self, image: str, person: Person = ANN, *, issuer: str = "", root: bytes = b"") -> bool:
        (self.cosign.home / "theirs.json").write_bytes(root or self.signing.instance.trusted_root())
        named = ("--certificate-identity", person.subject)
        issued = ("--certificate-oidc-issuer", issuer or self.signing.issuers.url(person.issuer))
        return self.cosign("verify", *named, *issued, "--trusted-root", "theirs.json", image, check=False)


@pytest.fixture(scope="module")
def keyless(private: Signing, tmp_path_factory: pytest.TempPathFactory) -> Keyless:
    return Keyless(tmp_path_factory.mktemp("cosign"), private)


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


def judged(host: str, digest: str, client: Client, *signers: TrustedSigner) -> SignatureEvidence | RejectedSignature:
    model = source(host, digest, client)
    identity, now = Identity(model.reference, model.revision), int(time.time())
    (document,) = model.signatures()
    return verify(document, model.list(), signers=signers, now=now, content=None, identity=identity)


@pytest.mark.parametrize("person", [ANN, PIPELINE, ROBOT], ids=lambda person: person.subject)
def test_what_cosign_signs_keyless_counts_for_whom_it_names(
    host: str, client: Client, keyless: Keyless, private: Signing, person: Person
) -> None:
    digest = push(host, json.dumps({"by": person.subject}).encode())
    keyless.sign(f"{host}/models/guard@{digest}", person)
    signer = private.signer(person)
    found = judged(host, digest, client, signer)
    assert isinstance(found, SignatureEvidence), found
    assert (found.form, found.kind, found.assurance) == (SignatureForm.COSIGN, SignerKind.KEYLESS, Assurance.SOURCE_DIGESTS)
    assert (found.subject, found.issuer) == (person.subject, private.issuers.url(person.issuer))
    assert match(found, signer, f"oci://{host}/models/guard", int(time.time())) == Counted("acme", signer.purposes)
    assert keyless.verifies(f"{host}/models/guard@{digest}", person)


def test_the_first_entry_of_a_new_log_verifies_as_cosign_writes_it(
    host: str, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Zeros are left out of its JSON, and sigstore-python alone refuses what lacks them."""
    with signing(tmp_path_factory.mktemp("new")) as new:
        cosign, digest = Keyless(tmp_path_factory.mktemp("home"), new), push(host, b'{"first": true}')
        cosign.sign(f"{host}/models/guard@{digest}")
        (document,) = source(host, digest, client).signatures()
        (entry,) = json.loads(document)["verificationMaterial"]["tlogEntries"]
        assert "logIndex" not in entry
        found = judged(host, digest, client, new.signer())
        assert isinstance(found, SignatureEvidence), found
        assert cosign.verifies(f"{host}/models/guard@{digest}")


def test_a_wrong_identity_or_issuer_or_root_is_refused_by_both(
    host: str, client: Client, keyless: Keyless, private: Signing, foreign: Signing
) -> None:
    digest, elsewhere = push(host, b'{"wrong": true}'), "https://127.0.0.1:1/people"
    image = f"{host}/models/guard@{digest}"
    keyless.sign(image)
    for signer in (private.signer(BOB), private.signer(issuer=elsewhere)):
        found = judged(host, digest, client, signer)
        assert isinstance(found, SignatureEvidence), found
        answer = match(found, signer, f"oci://{host}/models/guard", int(time.time()))
        assert isinstance(answer, NotCounted)
        assert answer.reason is Reason.SIGNER_NOT_TRUSTED
    rejected = judged(host, digest, client, private.signer(root=foreign.instance.trusted_root()))
    assert isinstance(rejected, RejectedSignature)
    assert rejected.reason is Reason.SIGNER_NOT_TRUSTED
    assert keyless.verifies(image)
    assert not keyless.verifies(image, BOB)
    assert not keyless.verifies(image, issuer=elsewhere)
    assert not keyless.verifies(image, root=foreign.instance.trusted_root())


def test_a_signature_over_another_manifest_is_refused_by_both(
    host: str, client: Client, keyless: Keyless, private: Signing
) -> None:
    signed, other = push(host, b'{"signed": true}'), push(host, b'{"signed": "not this"}')
    keyless.sign(f"{host}/models/guard@{signed}")
    model = source(host, signed, client)
    (document,) = model.signatures()
    theirs = source(host, other, client)
    identity = Identity(theirs.reference, theirs.revision)
    found = verify(document, theirs.list(), signers=(private.signer(),), now=int(time.time()), content=None, identity=identity)
    assert isinstance(found, RejectedSignature)
    assert found.reason is Reason.SIGNATURE_INVALID
    assert not keyless.verifies(f"{host}/models/guard@{other}")


def test_the_root_that_cosign_writes_about_the_instance_is_the_one_that_we_wrote(keyless: Keyless, private: Signing) -> None:
    """The same keys under the same names, so that people may make their inline root with ``cosign trusted-root create``."""
    root, home = private.instance.root_document(), keyless.cosign.home
    arguments = private.instance.described_to_cosign(home)
    keyless.cosign("trusted-root", "create", *arguments, "--out", "made.json")
    made = json.loads((home / "made.json").read_text())
    assert made["mediaType"] == root["mediaType"]
    for part in ("tlogs", "ctlogs"):
        assert [entry["logId"] for entry in made[part]] == [entry["logId"] for entry in root[part]]
        assert [entry["publicKey"]["rawBytes"] for entry in made[part]] == [entry["publicKey"]["rawBytes"] for entry in root[part]]
    for part in ("certificateAuthorities", "timestampAuthorities"):
        assert [entry["certChain"] for entry in made[part]] == [entry["certChain"] for entry in root[part]]
    ours, theirs = private.signer(), private.signer(root=(home / "made.json").read_bytes())
    assert ours.trust.root_fingerprints == theirs.trust.root_fingerprints  # type: ignore[union-attr] # both are keyless
