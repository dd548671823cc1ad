"""Bundles of released model-signing versions, verified or refused for ever, offline. Made by tests/assets/signing/generate.py."""

from pathlib import Path

import pytest
from cryptography import x509

from modeltrust.domain.dsse import Envelope
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence, SignerKind
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import CertificateTrust, KeyTrust, TrustedSigner
from modeltrust.signing import keys, legacy
from modeltrust.signing.bundle import parse_bundle
from modeltrust.signing.trust_root import fingerprint
from modeltrust.signing.verify import verify
from tests.assets.signing.generate import methods
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


LEGACY = [path for path in BUNDLES if path.stem.startswith("0.2.")]
CURRENT = [path for path in BUNDLES if path not in LEGACY]


def judged(bundle: bytes) -> SignatureEvidence | RejectedSignature:
    return verify(bundle, oms.read(ASSETS / "model"), signers=signers(), now=NOW, content=None)


def test_every_release_since_0_2_0_is_there_with_every_method_that_it_can_sign_with() -> None:
    releases = ("0.2.0", "0.3.1", "1.0.0", "1.0.1", "1.1.0", "1.1.1")
    assert [path.name for path in BUNDLES] == sorted(
        f"{release}-{method}.json" for release in releases for method in methods(release)
    )


@pytest.mark.parametrize("bundle", CURRENT, ids=lambda path: path.stem)
def test_a_bundle_of_a_release_verifies(bundle: Path) -> None:
    answer = judged(bundle.read_bytes())
    assert isinstance(answer, SignatureEvidence), answer
    assert answer.kind is (SignerKind.PUBLIC_KEY if bundle.stem.endswith("key") else SignerKind.CERTIFICATE)
    assert (answer.assurance, answer.unsigned_paths) == (Assurance.BYTES_HASHED, ())


@pytest.mark.parametrize("bundle", LEGACY, ids=lambda path: path.stem)
def test_a_bundle_of_release_0_2_0_is_refused_as_legacy(bundle: Path) -> None:
    answer = judged(bundle.read_bytes())
    assert isinstance(answer, RejectedSignature)
    assert (answer.reason, "legacy" in answer.message, "predicate type" in answer.message) == (Reason.SIGNATURE_INVALID, True, True)


@pytest.mark.parametrize("bundle", LEGACY, ids=lambda path: path.stem)
def test_its_encoding_is_what_we_call_legacy(bundle: Path) -> None:
    """So that the refusal of the encoding alone, which no release combined with today's statement, is about the real thing."""
    parsed = parse_bundle(bundle.read_bytes())
    key = keys.load_public_key((ASSETS / "key.pub").read_bytes())
    assert isinstance(parsed.content, Envelope)
    assert legacy.encoded_by(key, parsed.content)
