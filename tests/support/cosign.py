"""What cosign signs about the manifest of a model, in its three spellings."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from modeltrust.domain import simple_signing
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reference import Identity, ModelReference, Revision, RevisionState
from tests.support import oms

DIGEST = oms.sha256(b"a manifest")
OTHER = oms.sha256(b"another manifest")
MODEL = ModelReference("oci", "registry.acme.example/models/guard")
REVISION = Revision(RevisionState.DIGEST, f"sha256:{DIGEST}")
IDENTITY = Identity(MODEL, REVISION)
ELSEWHERE = Identity(ModelReference("hf", "acme/guard"), ContentDigest(DIGEST))


def listing(*, bytes_read: bool = False) -> SourceListing:
    """The files of the manifest, as the registry lists them."""
    return SourceListing(MODEL, REVISION, oms.listing().files, bytes_read=bytes_read)


def statement(digest: str = DIGEST) -> dict[str, Any]:
    """In-toto, as cosign 3 writes it."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }


def payload(digest: str = DIGEST) -> bytes:
    return json.dumps(statement(digest)).encode()


def message_document(key: ec.EllipticCurvePrivateKey, digest: str = DIGEST) -> dict[str, Any]:
    """A bundle with a signature over the manifest's own bytes."""
    sha256 = bytes.fromhex(digest)
    signature = key.sign(sha256, ec.ECDSA(Prehashed(hashes.SHA256())))
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": oms.sha256(oms.public_pem(key))}, "tlogEntries": []},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": base64.b64encode(sha256).decode()},
            "signature": base64.b64encode(signature).decode(),
        },
    }


def simple(digest: str = DIGEST) -> dict[str, Any]:
    """Simple signing, as cosign 1 and 2 wrote it."""
    return {
        "critical": {
            "identity": {"docker-reference": "registry.acme.example/models/guard"},
            "image": {"docker-manifest-digest": f"sha256:{digest}"},
            "type": "cosign container image signature",
        },
        "optional": None,
    }


def layer(key: ec.EllipticCurvePrivateKey, signed: dict[str, Any] | bytes | None = None, **annotations: str) -> bytes:
    """The document that a source makes of a layer in the old layout."""
    data = signed if isinstance(signed, bytes) else json.dumps(simple() if signed is None else signed).encode()
    signature = base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()
    return simple_signing.document(data, {simple_signing.SIGNATURE: signature} | annotations)
