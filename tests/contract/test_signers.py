"""Signing records facts, the compiler reads signers, policy matches the two: every kind of signer, across all three packages."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.api.compile import compile_signer
from modeltrust.domain.evidence import SignatureEvidence
from modeltrust.policy.signers import Counted, NotCounted, match
from modeltrust.signing.verify import verify
from tests.support import oms
from tests.support.certificates import URI, authority, leaf
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW, TestSigstore, b64

MODEL = "hf://acme/guard-7b"
KEY = ec.generate_private_key(ec.SECP256R1())
ROOT = authority("root")
LEAF = leaf(ROOT)
SIGSTORE = TestSigstore()


def signer(**trust: Any) -> dict[str, Any]:
    spec = {"purposes": ["Author"], "scope": {"models": ["hf://acme/*"]}, **trust}
    return {"apiVersion": "modeltrust.dev/v1alpha1", "kind": "TrustedSigner", "metadata": {"name": "acme"}, "spec": spec}


def certificate_bundle() -> bytes:
    value = oms.key_document(oms.payload(), LEAF.key)
    chain = {"certificates": [{"rawBytes": b64(pair.der)} for pair in (LEAF, ROOT)]}
    return json.dumps({**value, "verificationMaterial": {"x509CertificateChain": chain, "tlogEntries": []}}).encode()


def keyless(**changes: Any) -> dict[str, Any]:
    identity = {"name": "release", "issuer": ISSUER, "subject": IDENTITY, **changes}
    return signer(keyless={"identities": [identity], "trustRoot": {"inline": SIGSTORE.trusted_root().decode()}})


def certificate(name: dict[str, str]) -> dict[str, Any]:
    return signer(certificate={"roots": ROOT.pem.decode(), "subjectAlternativeName": name, "validity": "AtVerification"})


CASES = {
    "key": (oms.key_bundle(oms.payload(), KEY), signer(publicKey={"pem": oms.public_pem(KEY).decode()})),
    "certificate": (certificate_bundle(), certificate({"uri": URI})),
    "keyless, log v1": (SIGSTORE.bundle(oms.payload(), version=1), keyless()),
    "keyless, log v2": (SIGSTORE.bundle(oms.payload(), version=2), keyless()),
}
STRANGERS = {
    "another key": (CASES["key"][0], signer(publicKey={"pem": oms.public_pem(ec.generate_private_key(ec.SECP256R1())).decode()})),
    "another name": (CASES["certificate"][0], certificate({"uri": URI + "/x"})),
    "a name of another kind": (CASES["certificate"][0], certificate({"dns": "acme.example"})),
    "another subject": (CASES["keyless, log v1"][0], keyless(subject=IDENTITY + "x")),
    "another issuer": (CASES["keyless, log v1"][0], keyless(issuer="https://issuer.evil.example")),
    "a claim that is not made": (CASES["keyless, log v2"][0], keyless(claims={"sourceRepositoryURI": "https://github.com/evil/x"})),
}


@pytest.mark.parametrize(("bundle", "written"), CASES.values(), ids=CASES)
def test_a_signature_of_a_trusted_signer_counts(bundle: bytes, written: dict[str, Any]) -> None:
    compiled = compile_signer(written)
    evidence = verify(bundle, oms.listing(), signers=(compiled,), now=NOW, content=None)

    assert isinstance(evidence, SignatureEvidence), evidence
    assert isinstance(match(evidence, compiled, MODEL, NOW), Counted)


@pytest.mark.parametrize(("bundle", "written"), STRANGERS.values(), ids=STRANGERS)
def test_a_signature_of_a_stranger_does_not_count(bundle: bytes, written: dict[str, Any]) -> None:
    compiled = compile_signer(written)
    trusted = tuple(compile_signer(right) for _, right in CASES.values())
    evidence = verify(bundle, oms.listing(), signers=(compiled, *trusted), now=NOW, content=None)

    assert isinstance(evidence, SignatureEvidence), evidence
    assert isinstance(match(evidence, compiled, MODEL, NOW), NotCounted)
