"""Believing a statement against its bare ECDSA check: ratios of one run, never microseconds (facts/performance.md §9)."""

import statistics
import time
from collections.abc import Callable

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modeltrust.attestation import envelope, predicate
from modeltrust.attestation.attestors import parse_attestors
from modeltrust.domain import dsse, limits
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
from modeltrust.domain.reference import parse_identity

_NOW = 1_790_000_000
_CALLS = 300
_REPEATS = 15


def _statement() -> Statement:
    signature = SignatureEvidence(SignatureForm.OMS, SignerKind.PUBLIC_KEY, "ab" * 32, assurance=Assurance.BYTES_HASHED)
    return Statement(
        identity=parse_identity("hf://acme/guard-7b@9f2c41d0a6e1b70f9f2c41d0a6e1b70f9f2c41d0"),
        content=Known(ContentDigest("c0" * 32)),
        assurance=Assurance.BYTES_HASHED,
        signatures=Known(SignatureFacts((signature,))),
        formats=Known(FormatReport((WeightFormat("Safetensors", 1, "model.safetensors", loadable=True),), (), "7b" * 32)),
        lineage=Known(()),
        evaluations=(),
        weights=("3e" * 32,),
        audience="cluster-1",
        serial=1,
        issued_at=_NOW,
        expires_at=_NOW + limits.STATEMENT_SECONDS,
    )


def _seconds(piece: Callable[[], object]) -> float:
    start = time.thread_time()
    for _ in range(_CALLS):
        piece()
    return (time.thread_time() - start) / _CALLS


def main() -> None:
    """Print how much more than the signature check alone it takes to believe a typical statement, and to read its payload."""
    key = ec.generate_private_key(ec.SECP256R1())
    payload = predicate.encode(_statement())
    signed = envelope.sign(payload, key)
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    entry = {
        "keyId": envelope.fingerprint(key.public_key()),
        "pem": pem.decode(),
        "audience": "cluster-1",
        "models": ["hf://acme/*"],
    }
    attestors = parse_attestors([{**entry, "maximumAssurance": "BytesHashed"}])
    parsed, public = dsse.parse_envelope(signed, max_bytes=limits.STATEMENT_BYTES), key.public_key()
    pieces: dict[str, Callable[[], object]] = {
        "ecdsa": lambda: envelope.verify(parsed, public),
        "believe": lambda: attestors.verify(signed, now=_NOW),
        "read": lambda: predicate.decode(payload),
    }
    rounds = [{name: _seconds(piece) for name, piece in pieces.items()} for _ in range(_REPEATS)]
    for name in ("believe", "read"):
        ratio = statistics.median(times[name] / times["ecdsa"] for times in rounds)
        print(f"statement of {len(signed)} bytes: {name} = {ratio:.2f} x the bare ECDSA P-256 check")


if __name__ == "__main__":
    main()
