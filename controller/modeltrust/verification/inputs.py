"""What a statement's facts depend on, as one hash: while it is the same, a renewal need not look at the model again.

Left out is what changes nothing about the facts: credentials, and whom a signer's scope, purposes, validity or identities count for
(promises.md 4: adding a signer's identity invalidates nothing; the facts are matched against it live).
"""

import hashlib
from dataclasses import replace

from modeltrust.api import work
from modeltrust.domain.signer import CertificateTrust, KeylessTrust, KeyTrust, TrustedSigner
from modeltrust.domain.work import Order, RemoteBundle, SourceAccess

_CONTEXT = b"modeltrust/inputs/v1"


def inputs_of(order: Order, *, read_bytes: bool, versions: tuple[str, ...]) -> str:
    """64 hex over what would change the answer.

    Args:
        order: what is asked; its nonce and time do not count.
        read_bytes: whether every byte is read.
        versions: of the tables and of the trust root that come with the worker.
    """
    bare = replace(
        order,
        nonce="0" * 32,
        now=0,
        signers=(),
        read_bytes=read_bytes,
        source=None if order.source is None else _without_credentials(order.source),
        remote_bundles=tuple(RemoteBundle(b.reference, _without_credentials(b.access)) for b in order.remote_bundles),
    )
    material = sorted({_material(signer) for signer in order.signers})
    parts = (_CONTEXT, *(version.encode() for version in versions), b"|", *material, b"|", work.encode_order(bare))
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(hashlib.sha256(part).digest())
    return hasher.hexdigest()


def partial(inputs: str) -> str:
    """What a statement carries instead where some fact could not be had: it is to be looked at again."""
    return hashlib.sha256(f"partial:{inputs}".encode()).hexdigest()


def _without_credentials(source: SourceAccess) -> SourceAccess:
    return replace(source, username="", password="")


def _material(signer: TrustedSigner) -> bytes:
    """What verifying a bundle reads of a signer."""
    match signer.trust:
        case KeyTrust(_, fingerprint):
            return b"key:" + fingerprint.encode()
        case KeylessTrust(_, root, _):
            return b"keyless:" + (b"" if root is None else hashlib.sha256(root).digest())
        case CertificateTrust(roots, _, kind, value, time):
            return b"certificate:" + repr((hashlib.sha256(roots).hexdigest(), kind, value, time.value)).encode()
