"""ModelAttestations as we write them: how they are called, and of which model they are.

Whoever signs evidence and whoever only asks for some must agree on both, so it stands here, below either.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.reference import Identity

REQUESTED_BY = "modeltrust.dev/requested-by"  # label: made without a person, so that it may be collected without one
REQUESTED_FOR = "modeltrust.dev/requested-for"  # annotation: namespace of the workload that asked first; for people
EXPIRATION_TIME = "modeltrust.dev/expiration-time"  # annotation: unless a workload uses the model by then, the operator collects it
_SLUG_CHARACTERS = 30  # with "-" and 32 hex: 63, so that the name also fits a label
_HASH_CHARACTERS = 32  # 128 bits (M4)
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")


def attestation_name(identity: Identity, kind: str = "") -> str:
    """A DNS-1123 name: what a person recognises, the kind of evidence if any, and 128 bits of the identity's hash (M4)."""
    words = _NOT_IN_NAMES.sub("-", f"{identity.reference.scheme}-{identity.reference.path}".lower())
    suffix = f"-{kind}" if kind else ""
    slug = words[: _SLUG_CHARACTERS - len(suffix)].strip("-")
    return f"{slug}{suffix}-{hashlib.sha256(identity.key.encode()).hexdigest()[:_HASH_CHARACTERS]}"


def attestation(identity: Identity, kind: str = "") -> dict[str, Any]:
    """A ModelAttestation without evidence.

    Args:
        identity: of what.
        kind: of the evidence that the caller will add; part of the name.
    """
    spec = {"model": identity.key}
    if isinstance(identity.pin, ContentDigest):
        spec = {"model": identity.reference.text, "contentDigest": str(identity.pin)}
    return {
        "apiVersion": "modeltrust.dev/v1alpha1",
        "kind": "ModelAttestation",
        "metadata": {"name": attestation_name(identity, kind)},
        "spec": spec,
    }


def requested_attestation(identity: Identity, *, namespace: str, expires_at: int) -> dict[str, Any]:
    """A ModelAttestation that asks for evidence on behalf of a workload.

    Args:
        identity: of what.
        namespace: of the workload; empty where it is not known.
        expires_at: unix seconds.
    """
    document = attestation(identity)
    document["metadata"]["labels"] = {REQUESTED_BY: "webhook"}
    annotations = {EXPIRATION_TIME: datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    document["metadata"]["annotations"] = annotations | ({REQUESTED_FOR: namespace} if namespace else {})
    return document
