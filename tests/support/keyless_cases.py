"""Keyless bundles of one test instance, judged: what the tests of bundles and of trust roots share."""

import json
from typing import Any

from modeltrust.domain.evidence import RejectedSignature, SignatureEvidence
from modeltrust.domain.globs import Glob
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeylessIdentity, KeylessTrust, Purpose, TrustedSigner
from modeltrust.signing.verify import verify
from tests.support import oms
from tests.support.oracle import keyless as oracle
from tests.support.oracle.keyless import FOREIGN, INSTANCE, PAYLOAD
from tests.support.sigstore_ca import IDENTITY, ISSUER, NOW

__all__ = ["FOREIGN", "INSTANCE", "PAYLOAD", "SIGNERS", "accepted", "judged", "minted", "refused", "sigstore_accepts", "trusting"]


def trusting(root: bytes | None, *, name: str = "acme", keys: frozenset[str] = frozenset(), **fields: Any) -> TrustedSigner:
    """One identity under a trust root, the public good one without; INSTANCE's keys unless given; ``fields`` are the identity's."""
    identity = KeylessIdentity("release", **{"issuer": ISSUER, "subject": IDENTITY, **fields})
    return TrustedSigner(
        name,
        (),
        frozenset({Purpose.AUTHOR}),
        KeylessTrust((identity,), root, keys or INSTANCE.fingerprints()),
        (Glob("hf://acme/**"),),
    )


SIGNERS = (trusting(INSTANCE.trusted_root()),)


def judged(
    document: dict[str, Any] | bytes, *, root: dict[str, Any] | None = None, signers: tuple[TrustedSigner, ...] = SIGNERS
) -> SignatureEvidence | RejectedSignature:
    """What ``verify`` says about a bundle over the usual model."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    signers = signers if root is None else (trusting(json.dumps(root).encode()),)
    return verify(data, oms.listing(), signers=signers, now=NOW, content=None)


def accepted(document: dict[str, Any] | bytes, **options: Any) -> SignatureEvidence:
    """The facts, of which there must be some."""
    result = judged(document, **options)
    assert isinstance(result, SignatureEvidence), result
    return result


def refused(document: dict[str, Any] | bytes, reason: Reason = Reason.SIGNATURE_INVALID, says: str = "", **options: Any) -> None:
    """It must be refused, for this reason."""
    result = judged(document, **options)
    assert isinstance(result, RejectedSignature), result
    assert (result.reason, says in result.message) == (reason, True), result.message


def minted(**options: Any) -> dict[str, Any]:
    """A bundle of INSTANCE; options as ``TestSigstore.document``, and ``payload``."""
    if options.keys() <= {"version"}:
        return INSTANCE.sample(PAYLOAD, **options)
    return INSTANCE.document(options.pop("payload", PAYLOAD), **options)


def sigstore_accepts(document: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """What sigstore-python alone says."""
    return oracle.sigstore_accepts(json.dumps(document).encode(), root or INSTANCE.root_document())
