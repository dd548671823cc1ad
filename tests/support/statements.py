"""Builders of statements, attestor keys and envelopes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.attestation import envelope, predicate
from modeltrust.attestation.attestors import Attestors, parse_attestors
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import (
    Assurance,
    FormatReport,
    SignatureEvidence,
    SignatureFacts,
    SignatureForm,
    SignerKind,
    Statement,
    WeightFormat,
)
from modeltrust.domain.facts import Known
from modeltrust.domain.reference import Identity, parse_identity

NOW = 1_790_000_000  # 2026-09-21, unix seconds
DAY = 24 * 3600
AUDIENCE = "cluster-1"
COMMIT = "9f2c41d0a6e1b70f9f2c41d0a6e1b70f9f2c41d0"
IDENTITY = parse_identity(f"hf://acme/guard-7b@{COMMIT}")
FINGERPRINT = "ab" * 32


def a_signature(**changes: Any) -> SignatureEvidence:
    """Evidence of an OMS signature by a key, over every byte."""
    evidence = SignatureEvidence(SignatureForm.OMS, SignerKind.PUBLIC_KEY, FINGERPRINT, assurance=Assurance.BYTES_HASHED)
    return dataclasses.replace(evidence, **changes)


def a_statement(**changes: Any) -> Statement:
    """A statement about ``hf://acme/guard-7b`` that any ordinary policy accepts, issued at NOW; changes are its fields."""
    statement = Statement(
        identity=IDENTITY,
        content=Known(ContentDigest("c0" * 32)),
        assurance=Assurance.BYTES_HASHED,
        signatures=Known(SignatureFacts((a_signature(),))),
        formats=Known(FormatReport((WeightFormat("Safetensors", 1, "model.safetensors", loadable=True),), (), "2026-11-01")),
        lineage=Known(()),
        evaluations=(),
        weights=("3e" * 32,),
        audience=AUDIENCE,
        serial=1,
        issued_at=NOW,
        expires_at=NOW + 7 * DAY,
    )
    return dataclasses.replace(statement, **changes)


def an_attestor_key() -> ec.EllipticCurvePrivateKey:
    """A fresh key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Its public half as PEM text."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode("ascii")


def attestor_entry(
    key: ec.EllipticCurvePrivateKey, audience: str = AUDIENCE, models: Sequence[str] = ("**",), **more: Any
) -> dict[str, Any]:
    """An entry of the attestor trust file."""
    return {
        "keyId": envelope.fingerprint(key.public_key()),
        "pem": public_pem(key),
        "audience": audience,
        "models": list(models),
        "maximumAssurance": "BytesHashed",
        **more,
    }


def attestors_for(
    key: ec.EllipticCurvePrivateKey, audience: str = AUDIENCE, models: Sequence[str] = ("**",), **more: Any
) -> Attestors:
    """A compiled trust file with one attestor."""
    return parse_attestors([attestor_entry(key, audience, models, **more)])


def sealed(statement: Statement, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The statement in its envelope."""
    return envelope.sign(predicate.encode(statement), key)


def identity_of(text: str) -> Identity:
    """Short for ``parse_identity``."""
    return parse_identity(text)
