"""Cosign signatures over the digest of an OCI manifest: three spellings of one sentence, "this manifest is mine".

- cosign 3: a Sigstore bundle with an in-toto statement, predicate type ``https://sigstore.dev/cosign/sign/v1`` (pkg/types);
- a Sigstore bundle with a message signature over the manifest's own bytes;
- cosign 1 and 2: a simple signing payload in a layer of the tag ``sha256-<hex>.sig`` (specs/SIGNATURE_SPEC.md); the source hands it
  over as one document (``domain.simple_signing``).

A manifest's digest covers every layer, and which path each has, so such a signature counts like one over the model's files, but
only where the model is named by that digest. Names beside it bind nothing and are not compared (facts/signing.md section 8.4).
"""

import hashlib
from typing import Any

from modeltrust.domain import dsse, limits, simple_signing, strict_json
from modeltrust.domain.digest import is_sha256_hex
from modeltrust.domain.errors import MalformedError, UntrustedError, quote
from modeltrust.domain.listing import SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, Revision, RevisionState
from modeltrust.signing import manifest
from modeltrust.signing.content import Content, Message
from modeltrust.signing.fields import fields, text

PREDICATE_TYPE = "https://sigstore.dev/cosign/sign/v1"
_TYPES = frozenset({"cosign container image signature", PREDICATE_TYPE})


def is_cosign(content: Content) -> bool:
    """Whether this is a signature over a manifest, whoever made it. False where that cannot be read: who reads it next says why."""
    if isinstance(content, Message):
        return True
    try:
        return manifest.predicate_type(content.payload) == PREDICATE_TYPE
    except MalformedError:
        return False


def parse_document(data: bytes) -> Message:
    """Read ``domain.simple_signing.document``.

    Raises:
        MalformedError: too large, no signature, or bytes that are none.
        UntrustedError: SignatureInvalid: a keyless signature. The old layout keeps no proof that it is in the log.
    """
    layer = fields(
        strict_json.loads(data, max_bytes=limits.STATEMENT_BYTES),
        "a cosign signature",
        required={"mediaType", "payload", "annotations"},
    )
    annotations = fields(
        layer["annotations"], "annotations", required={simple_signing.SIGNATURE}, optional={simple_signing.CERTIFICATE}
    )
    if simple_signing.CERTIFICATE in annotations:
        raise _invalid("is a keyless cosign signature in a sha256-….sig tag, without inclusion proof; sign again with cosign 3")
    payload = dsse.decode_base64(layer["payload"], "payload")
    signature = dsse.decode_base64(annotations[simple_signing.SIGNATURE], "the signature")
    return Message(hashlib.sha256(payload).digest(), signature, payload)


def named_digest(content: Content) -> str:
    """64 hex: of the manifest that a verified signature is about.

    Raises:
        MalformedError: the statement is not exactly one of cosign's.
    """
    if isinstance(content, dsse.Envelope):
        return _in_toto(content.payload)
    return content.sha256.hex() if content.statement is None else _simple_signing(content.statement)


def check_subject(digest: str, identity: Identity | None, listing: SourceListing) -> None:
    """Whether a signature over a manifest is about this model, whose files were listed from that manifest.

    Raises:
        UntrustedError: SignatureInvalid: of another manifest, or the model is not named by its manifest's digest.
    """
    if identity is None or not _is_manifest(identity):
        raise _invalid(f"is over an OCI manifest, and {quote(identity)} is not named by one; expected oci://…@sha256:…")
    if identity.pin != Revision(RevisionState.DIGEST, f"sha256:{digest}"):
        raise _invalid(f"is over manifest sha256:{digest}, expected {quote(identity)}")
    # Files of a folder that somebody calls by this name were compared with nothing that the signature covers.
    if listing.reference != identity.reference or listing.revision != identity.pin:
        raise _invalid(f"is over {quote(identity)}, and these files were not listed from that manifest")


def _is_manifest(identity: Identity) -> bool:
    return identity.reference.scheme == "oci" and identity.reference.resolver is None


def _in_toto(payload: bytes) -> str:
    statement = fields(
        strict_json.loads(payload, max_bytes=limits.STATEMENT_BYTES),
        "a cosign statement",
        required={"_type", "subject", "predicateType"},
        optional={"predicate"},
    )
    if statement["_type"] != dsse.STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
        raise MalformedError(f"got predicate type {quote(statement['predicateType'])}, expected {PREDICATE_TYPE}")
    subjects = statement["subject"]
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise MalformedError(f"got {len(subjects) if isinstance(subjects, list) else 0} subjects, expected exactly one")
    subject = fields(subjects[0], "the subject", required={"digest"}, optional={"name", "annotations"})
    return _hex(fields(subject["digest"], "the subject's digest", required={"sha256"})["sha256"])


def _simple_signing(payload: bytes) -> str:
    signed = fields(
        strict_json.loads(payload, max_bytes=limits.STATEMENT_BYTES),
        "a simple signing payload",
        required={"critical"},
        optional={"optional"},
    )
    critical = fields(signed["critical"], "critical", required={"identity", "image", "type"})
    if critical["type"] not in _TYPES:
        raise MalformedError(f"got type {quote(critical['type'])}, expected a cosign signature's")
    image = fields(critical["image"], "image", required={"docker-manifest-digest"})
    algorithm, _, digest = text(image["docker-manifest-digest"], "docker-manifest-digest").partition(":")
    if algorithm != "sha256":
        raise MalformedError(f"got docker-manifest-digest {quote(image['docker-manifest-digest'])}, expected sha256:")
    return _hex(digest)


def _hex(value: Any) -> str:
    digest = text(value, "sha256")
    if not is_sha256_hex(digest):
        raise MalformedError(f"got digest {quote(digest)}, expected 64 lower-case hexadecimal digits")
    return digest


def _invalid(message: str) -> UntrustedError:
    return UntrustedError(f"the signature {message}", reason=Reason.SIGNATURE_INVALID.value)
