"""Bundles of released model-signing versions, verified for ever, offline. Made by tests/assets/signing/generate.py."""

from pathlib import Path

import pytest
from cryptography import x509

from modeltrust.domain.evidence import Assurance, SignatureEvidence, SignerKind
from modeltrust.domain.signer import CertificateTrust, KeyTrust, TrustedSigner
from modeltrust.signing import keys
from modeltrust.signing.trust_root import fingerprint
from modeltrust.signing.verify import verify
from tests.support import oms
from tests.support.certificates import URI
from tests.support.sigstore_ca import NOW

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "signing"
BUNDLES = sorted(ASSETS.glob("*.json"))


def signers(folder: Path = ASSETS) -> tuple[TrustedSigner, ...]:
    pem, root = (folder / "key.pub").read_bytes(), (folder / "root.pem").read_bytes()
    anchor = fingerprint(x509.load_pem_x509_certificate(root))
    return (
        oms.signer(KeyTrust(pem, keys.fingerprint(keys.load_public_key(pem)))),
        oms.signer(CertificateTrust(root, frozenset({anchor}), "uri", URI)),
    )


def test_every_release_since_1_0_0_is_there_with_both_methods() -> None:
    releases = ("1.0.0", "1.0.1", "1.1.0", "1.1.1")
    assert [path.name for path in BUNDLES] == sorted(
        f"{release}-{method}.json" for release in releases for method in ("key", "certificate")
    )


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.stem)
def test_a_bundle_of_a_release_verifies(bundle: Path) -> None:
    answer = verify(bundle.read_bytes(), oms.read(ASSETS / "model"), signers=signers(), now=NOW, content=None)
    assert isinstance(answer, SignatureEvidence), answer
    assert answer.kind is (SignerKind.PUBLIC_KEY if bundle.stem.endswith("key") else SignerKind.CERTIFICATE)
    assert (answer.assurance, answer.unsigned_paths) == (Assurance.BYTES_HASHED, ())
