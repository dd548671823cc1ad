"""The DSSE envelope: what is signed, and strict reading of what carries it.

Source: DSSE v1 protocol; exactly one signature is demanded, since readers disagree about which of several counts
(facts/signing.md section 2.1). Signing and verifying live where keys live.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from modeltrust.domain import strict_json
from modeltrust.domain.errors import MalformedError, quote

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope; nothing in it is verified yet.

    Attributes:
        payload_type: media type of the payload.
        payload: the signed bytes.
        signature: raw bytes of the one signature.
        key_id: a hint, never a proof.
    """

    payload_type: str
    payload: bytes
    signature: bytes
    key_id: str = ""


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def parse_envelope(data: bytes, *, max_bytes: int) -> Envelope:
    """Read an envelope from JSON bytes.

    Raises:
        MalformedError: not strict JSON, not an envelope, or not exactly one signature.
    """
    return envelope_from(strict_json.loads(data, max_bytes=max_bytes))


def envelope_from(value: Any) -> Envelope:
    """Read an envelope from parsed JSON.

    Raises:
        MalformedError: not an envelope, unknown keys, or not exactly one signature.
    """
    document = _object(value, "an envelope", required={"payload", "payloadType", "signatures"}, optional=set())
    signatures = document["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        count = len(signatures) if isinstance(signatures, list) else 0
        raise MalformedError(f"got {count} signatures in an envelope, expected exactly one")
    signature = _object(signatures[0], "a signature", required={"sig"}, optional={"keyid"})
    key_id = signature.get("keyid")
    return Envelope(
        payload_type=_text(document["payloadType"], "payloadType"),
        payload=decode_base64(document["payload"], "payload"),
        signature=decode_base64(signature["sig"], "sig"),
        key_id="" if key_id is None else _text(key_id, "keyid"),
    )


def dump_envelope(envelope: Envelope) -> bytes:
    """JSON bytes of an envelope, as ``parse_envelope`` reads them."""
    return strict_json.dumps(
        {
            "payloadType": envelope.payload_type,
            "payload": base64.b64encode(envelope.payload).decode("ascii"),
            "signatures": [{"keyid": envelope.key_id, "sig": base64.b64encode(envelope.signature).decode("ascii")}],
        }
    )


def decode_base64(value: Any, name: str) -> bytes:
    """Standard base64 with padding, nothing else.

    Raises:
        MalformedError: anything else, or a value that another encoding of the same bytes would not give back.
    """
    try:
        decoded = base64.b64decode(_text(value, name), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"got {name} {quote(value)}, expected base64") from error
    if base64.b64encode(decoded).decode("ascii") != value:
        raise MalformedError(f"got {name} {quote(value)}, expected canonical base64")
    return decoded


def _object(value: Any, name: str, *, required: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError(f"got {quote(type(value).__name__)}, expected {name}")
    missing = required - value.keys()
    unknown = value.keys() - required - optional
    if missing or unknown:
        wrong = sorted(missing) or sorted(unknown)
        raise MalformedError(f"got {'no' if missing else 'unknown'} {quote(wrong[0])} in {name}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise MalformedError(f"got {name} of type {type(value).__name__}, expected a string")
    return value
