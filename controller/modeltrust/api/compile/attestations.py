"""ModelAttestation: its identity, the evidence it supplies, and the statements among it."""

from collections.abc import Mapping
from typing import Any

from modeltrust.api.compile.reading import read
from modeltrust.api.v1alpha1 import model_attestation as api
from modeltrust.domain import dsse, limits, strict_json
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.reference import Identity, parse_identity

STATEMENT_PREDICATE = "https://modeltrust.dev/statement/v1"


def attestation_identity(obj: Mapping[str, Any]) -> Identity:
    """Which model a ModelAttestation is about; the key of an index comes from the signed statement instead (attack M4).

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    spec = read(api.KIND, obj).spec
    return parse_identity(spec.model, content=None if spec.content_digest is None else ContentDigest.parse(spec.content_digest))


def evidence_of(obj: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The inline documents in spec.evidence, in order; nothing in them is verified.

    Raises:
        InvalidInputError: with the path of what is wrong.
    """
    entries = read(api.KIND, obj).spec.evidence or ()
    return tuple(entry.bundle.inline.encode("utf-8") for entry in entries if entry.bundle.inline is not None)


def statements_of(obj: Mapping[str, Any]) -> tuple[bytes, ...]:
    """Every envelope in a ModelAttestation that claims to be a statement: status.statement, and those in spec.evidence.

    Lenient about everything else in the object, since nothing here is believed: whoever wrote it, only the signature counts. So an
    object that a newer version wrote, or a broken entry beside a good one, takes no model down.

    Returns:
        Envelopes as JSON bytes, bounded in number and size, without duplicates.
    """
    status, spec = obj.get("status"), obj.get("spec")
    stated = status.get("statement") if isinstance(status, dict) else None
    found = [_bounded(stated)] if isinstance(stated, str) else []
    entries = spec.get("evidence") if isinstance(spec, dict) else None
    for entry in entries[: limits.API_EVIDENCE] if isinstance(entries, list) else ():
        bundle = entry.get("bundle") if isinstance(entry, dict) else None
        inline = bundle.get("inline") if isinstance(bundle, dict) else None
        if isinstance(inline, str) and _is_statement(data := _bounded(inline)):
            found.append(data)
    return tuple(dict.fromkeys(data for data in found if data))


envelopes = statements_of


def _bounded(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass") if len(text) <= limits.STATEMENT_BYTES else b""
    return data if len(data) <= limits.STATEMENT_BYTES else b""


def _is_statement(data: bytes) -> bool:
    """Whether the bytes claim to be a statement; bundles and approvals beside it are the examiner's."""
    try:
        envelope = dsse.parse_envelope(data, max_bytes=limits.STATEMENT_BYTES)
        payload = strict_json.loads(envelope.payload, max_bytes=limits.STATEMENT_BYTES)
    except MalformedError:
        return False
    return isinstance(payload, dict) and payload.get("predicateType") == STATEMENT_PREDICATE
