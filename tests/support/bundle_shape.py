"""What a keyless bundle consists of, without its values: to compare those of real services with those of the minter."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from asn1crypto import tsp  # type: ignore[import-untyped] # the package has no stubs
from cryptography import x509

MATERIAL, ENTRY = "verificationMaterial", "verificationMaterial.tlogEntries[]"
_BODY = f"{ENTRY}.canonicalizedBody"


def shape(document: dict[str, Any]) -> frozenset[str]:
    """Every path in the bundle, in the log entry's body, in the certificate and in the timestamp."""
    material = document["verificationMaterial"]
    body = json.loads(base64.b64decode(material["tlogEntries"][0]["canonicalizedBody"]))
    certificate = base64.b64decode(material["certificate"]["rawBytes"])
    token = base64.b64decode(material["timestampVerificationData"]["rfc3161Timestamps"][0]["signedTimestamp"])
    return frozenset((*_paths(document), *_paths(body, _BODY), *_certificate(certificate), *_token(token)))


def _paths(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _paths(item, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for item in value or [""]:
            yield from _paths(item, f"{at}[]")
    else:
        yield at


def _certificate(der: bytes) -> Iterator[str]:
    certificate = x509.load_der_x509_certificate(der)
    yield f"certificate: subject {len(list(certificate.subject))} parts"
    for extension in certificate.extensions:
        yield f"certificate: {extension.oid.dotted_string}{' critical' if extension.critical else ''}"


def _token(der: bytes) -> Iterator[str]:
    signed = tsp.TimeStampResp.load(der)["time_stamp_token"]["content"]
    info, (signer,) = signed["encap_content_info"]["content"].parsed, signed["signer_infos"]
    yield f"timestamp: {len(signed['certificates'])} certificates"
    yield from (f"timestamp: {name}" for name, value in info.native.items() if value is not None)
    yield from (f"timestamp: signed {attribute['type'].native}" for attribute in signer["signed_attrs"])
