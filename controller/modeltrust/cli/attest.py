"""`modeltrust attest REF|DIR …`: the verification flow outside a cluster."""

import secrets
import time
from pathlib import Path
from typing import Any

import click

from modeltrust.api.compile import attestation_identity, evidence_of
from modeltrust.cli import files
from modeltrust.cli.cluster import applied_or_printed
from modeltrust.cli.models import opened, plain_http_option
from modeltrust.cli.signers import read_signers
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.domain.work import Order
from modeltrust.verification.attest import attestation_object, load_attestor_key, seal
from modeltrust.wiring.examination import examiner

_KEY_BYTES = 65_536


@click.command("attest")
@click.argument("name", metavar="REF|DIR")
@click.option("--trust", metavar="DIR", required=True, help="TrustedSigner objects, and ModelAttestations with further evidence")
@click.option("--key", metavar="FILE", type=Path, required=True, help="private key of an attestor: PEM, EC P-256")
@click.option("--audience", metavar="A", required=True, help="UID of the namespace kube-system, or a fleet id")
@click.option("--model", metavar="REF@REV", help="which model this is; required with DIR")
@click.option("--serial", type=click.IntRange(min=0), help="grows with every statement about a model; default: the time")
@plain_http_option
@applied_or_printed
def command(  # noqa: PLR0913 - one parameter per option
    *, name: str, trust: str, key: Path, audience: str, model: str | None, serial: int | None, plain_http: bool
) -> dict[str, Any]:
    """Verify a model and print a ModelAttestation with the signed statement as evidence.

    The statement holds facts, not a verdict: an unsigned model gets one too, which says so.

    \b
    Examples:
      modeltrust attest ./guard-7b --model hf://acme/guard-7b@9f2c… --trust trust/ --key attestor.pem --audience my-cluster
      modeltrust attest oci://registry.acme.example/models/guard@sha256:9f2c… --trust trust/ --key attestor.pem --audience fleet
    """
    identity = _identity(name, model)
    pem = load_attestor_key(files.read_file(key, max_bytes=_KEY_BYTES, what="a private key"))
    now = int(time.time())
    order = Order(
        identity=identity,
        nonce=secrets.token_hex(16),
        signers=read_signers((trust,)),
        bundles=_evidence(trust, identity),
        read_bytes=True,
        now=now,
    )
    with opened(name, plain_http=plain_http) as source:
        report = examiner().examine(order, source)
    statement = seal(report, order=order, evaluations=(), audience=audience, serial=serial or now, now=now, key=pem)
    return attestation_object(identity, statement)


def _identity(name: str, model: str | None) -> Identity:
    if "://" in name:
        if model is not None:
            raise InvalidInputError("got --model with a reference, expected it with a folder only")
        return parse_identity(name)
    if model is None:
        raise InvalidInputError("expected --model REF@REV with a folder: which model this is")
    return parse_identity(model)


def _evidence(trust: str, identity: Identity) -> tuple[bytes, ...]:
    """Bundles that ModelAttestations of this identity in the trust folder supply."""
    attestations = [d.value for d in files.documents((trust,), trust=True) if d.value.get("kind") == "ModelAttestation"]
    return tuple(bundle for value in attestations if attestation_identity(value) == identity for bundle in evidence_of(value))
