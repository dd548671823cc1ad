"""One signature of cosign's old layout as one document: sources put it together, signing takes it apart.

In the registry payload and signature lie apart: the payload is a layer of the manifest with the tag ``sha256-<hex>.sig``, the
signature an annotation of that layer's descriptor (cosign specs/SIGNATURE_SPEC.md).
"""

import base64
from collections.abc import Mapping

from modeltrust.domain import strict_json

MEDIA_TYPE = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
_PREFIX = f'{{"mediaType":"{MEDIA_TYPE}",'.encode()


def document(payload: bytes, annotations: Mapping[str, str]) -> bytes:
    """One layer as JSON: its media type, payload and what of its annotations says who signed.

    Args:
        payload: the layer's bytes.
        annotations: of its descriptor.
    """
    kept = {name: annotations[name] for name in (SIGNATURE, CERTIFICATE) if name in annotations}
    return _PREFIX + strict_json.dumps({"payload": base64.b64encode(payload).decode("ascii"), "annotations": kept})[1:]


def is_document(data: bytes) -> bool:
    """Whether ``document`` may have made this, rather than a Sigstore bundle; nothing more is known then."""
    return data.startswith(_PREFIX)
