"""The AdmissionReview codec: a typed partial decode of what is read, and nothing else.

Unknown fields are skipped unparsed: five times faster than ``json.loads``, and the best defence against hostile bodies
(facts/performance.md section 6). userInfo is never read: nobody is exempt by who asks (design/admission.md).
"""

import base64
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError, quote

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
CREATE = "CREATE"
UPDATE = "UPDATE"
PREFIX = "modeltrust.dev/"  # of our annotations: always compared

_NULL = b"null"
_ABSENT = msgspec.Raw(_NULL)
# The API server writes uid first in request. Quotes inside strings are escaped, so this cannot match within one.
_UID = re.compile(rb'"request"\s*:\s*\{\s*"uid"\s*:\s*"([!#-\[\]-~]{1,%d})"' % limits.UID_CHARACTERS)
_REASONS = {403: "Forbidden", 422: "Invalid"}  # metav1.StatusReason of each code
_BEGINNING_BYTES, _PLACES = 64, 4
_NOT_COMPARED = ("metadata", "status")


class GroupVersionKind(msgspec.Struct, frozen=True, gc=False):
    """Of the object in the review."""

    group: str = ""
    version: str = ""
    kind: str = ""


class GroupVersionResource(msgspec.Struct, frozen=True, gc=False):
    """Of the request."""

    group: str = ""
    version: str = ""
    resource: str = ""


class Review(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is read of a request.

    Attributes:
        uid: to be echoed.
        operation: ``CREATE``, ``UPDATE`` …
        kind: of the object.
        resource: of the request.
        sub_resource: such as ``ephemeralcontainers``, else empty.
        namespace: empty for cluster-scoped objects.
        name: empty where the API server makes it up.
        dry_run: nothing may be requested then.
        object: JSON of the object; ``null`` for DELETE.
        old_object: JSON of each top-level field of the object before; None for CREATE. An update compares them.
    """

    uid: str
    operation: str
    kind: GroupVersionKind
    resource: GroupVersionResource
    object: msgspec.Raw = _ABSENT
    old_object: dict[str, msgspec.Raw] | None = None
    sub_resource: str = ""
    namespace: str = ""
    name: str = ""
    dry_run: bool | None = None

    @property
    def document(self) -> bytes:
        """The object as JSON bytes, empty where there is none."""
        return _bytes(self.object)

    @property
    def oversized(self) -> bool:
        """Whether the object, admitted now, would not fit into the review of its update: nobody could change it any more (H10)."""
        return self.operation == CREATE and len(memoryview(self.object)) > limits.CREATE_OBJECT_BYTES


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A request that cannot be read, and can be answered: with a denial.

    Attributes:
        uid: to be echoed.
        why: one sentence.
    """

    uid: str
    why: str


class Cause(Protocol):
    """One problem, for machines."""

    @property
    def reason(self) -> str:
        """From ``domain.reasons``."""
        ...

    @property
    def field(self) -> str:
        """Where it stands."""
        ...

    @property
    def message(self) -> str:
        """One sentence."""
        ...


class _Envelope(msgspec.Struct, gc=False, rename="camel"):
    api_version: str
    kind: str
    request: Review


class _Cause(msgspec.Struct, gc=False):
    reason: str
    message: str
    field: str


class _Details(msgspec.Struct, gc=False):
    causes: list[_Cause]


class _Status(msgspec.Struct, gc=False, omit_defaults=True):
    code: int
    message: str
    reason: str = ""
    details: _Details | None = None
    status: Literal["Failure", ""] = ""


class _Response(msgspec.Struct, gc=False, omit_defaults=True, rename="camel"):
    uid: str
    allowed: bool
    status: _Status | None = None
    warnings: Sequence[str] = ()
    audit_annotations: Mapping[str, str] | None = None
    patch: str | None = None
    patch_type: Literal["JSONPatch"] | None = None


class _Answer(msgspec.Struct, gc=False, rename="camel", tag_field="kind", tag=KIND):
    response: _Response
    api_version: str = API_VERSION


class _Metadata(msgspec.Struct, gc=False):
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_METADATA = msgspec.json.Decoder(_Metadata)
_ENCODER = msgspec.json.Encoder()


def decode(body: bytes) -> Review | Undecodable:
    """Read an AdmissionReview v1.

    Returns:
        The request, or, once its uid is known, why it cannot be read.

    Raises:
        MalformedError: it cannot be read and no uid was found: the only answer left is HTTP 400, which denies under
            ``failurePolicy: Fail`` alone.
    """
    if len(body) > limits.REVIEW_BYTES:
        return recover(body, f"got a review of {len(body)} bytes, expected at most {limits.REVIEW_BYTES}")
    try:
        envelope = _ENVELOPE.decode(body)
    except RecursionError:
        return recover(body, "the review is nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return recover(body, f"the review cannot be read: {quote(error)}")
    if envelope.api_version != API_VERSION or envelope.kind != KIND:
        return recover(body, f"got {quote(envelope.api_version)} {quote(envelope.kind)}, expected {API_VERSION} {KIND}")
    if not 0 < len(envelope.request.uid) <= limits.UID_CHARACTERS:
        raise MalformedError(f"got a uid of {len(envelope.request.uid)} characters, expected 1 to {limits.UID_CHARACTERS}")
    return envelope.request


def recover(head: bytes, why: str) -> Undecodable:
    """Find the uid of a request that cannot be read, in its first bytes.

    Args:
        head: the beginning of the body; more than ``limits.UID_SCAN_BYTES`` is not looked at.
        why: it cannot be read.

    Raises:
        MalformedError: there is no uid.
    """
    uid = first_uid(head)
    if not uid:
        raise MalformedError(f"{why}; no uid in the first {limits.UID_SCAN_BYTES} bytes")
    return Undecodable(uid=uid, why=why)


def first_uid(head: bytes) -> str:
    """The uid that stands first in the first ``limits.UID_SCAN_BYTES`` of a body; empty where there is none."""
    found = _UID.search(head, 0, limits.UID_SCAN_BYTES)
    return "" if found is None else found[1].decode("ascii")


def encode(  # noqa: PLR0913 - one parameter per part of the answer
    uid: str,
    *,
    allowed: bool,
    code: int = 403,
    message: str = "",
    causes: Iterable[Cause] = (),
    warnings: Iterable[str] = (),
    audit: Mapping[str, str] | None = None,
) -> bytes:
    """Write the answer.

    Args:
        uid: of the request.
        allowed: the verdict.
        code: HTTP status of a denial, as the client sees it.
        message: text of a denial.
        causes: of a denial, one per problem.
        warnings: shown by kubectl beside either verdict.
        audit: annotations for the audit log.
    """
    status = None if allowed else _status(code, message, causes)
    answer = _Answer(_Response(uid, allowed, status, tuple(warnings), audit or None))
    try:
        return _ENCODER.encode(answer)
    except UnicodeEncodeError:  # a lone surrogate in a foreign value must not turn a denial into an error
        return _ENCODER.encode(_encodable(answer))


def encode_patch(uid: str, operations: Sequence[Mapping[str, Any]]) -> bytes:
    """Write the answer of a mutating webhook: it allows, and changes what the operations say.

    Args:
        uid: of the request.
        operations: of a JSON patch (RFC 6902); with none, neither patch nor type is sent, since one without the other is an error.
    """
    patch = base64.b64encode(_ENCODER.encode(operations)).decode("ascii") if operations else None
    return _ENCODER.encode(_Answer(_Response(uid, allowed=True, patch=patch, patch_type="JSONPatch" if patch else None)))


def unchanged(review: Review, watched_annotations: Collection[str], watched_labels: Collection[str]) -> bool:
    """Whether an update changes nothing that matters, so that it passes unjudged.

    Old and new are equal, byte for byte, in everything outside metadata and status, in our annotations, and in every annotation and
    label that the tables read. Bytes rather than values: what the API server writes differently is judged. Comparing ``.spec``
    would make kinds without one equal (attack C2).

    Args:
        review: any request; only an UPDATE can be unchanged.
        watched_annotations: exact names, and prefixes with a trailing ``*``.
        watched_labels: the same for labels.
    """
    old, document = review.old_object, review.document
    if review.operation != UPDATE or not document or not old:
        return False
    try:
        # What stays the same stands in the new object byte for byte: a search that mostly fails spares parsing it.
        for key in reversed(old):  # what is changed stands behind apiVersion and kind
            if key not in _NOT_COMPARED and not _may_hold(document, bytes(old[key])):
                return False
        new = _TOP_LEVEL.decode(document)
        if _compared(old) != _compared(new):
            return False
        was, now = _METADATA.decode(old.get("metadata", b"{}")), _METADATA.decode(new.get("metadata", b"{}"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    watched = (*watched_annotations, f"{PREFIX}*")
    return _watched(was.annotations, watched) == _watched(now.annotations, watched) and (
        _watched(was.labels, watched_labels) == _watched(now.labels, watched_labels)
    )


def _may_hold(document: bytes, part: bytes) -> bool:
    """Whether the part perhaps stands in the document; found by its beginning, which a search finds faster than the whole."""
    beginning, start = part[:_BEGINNING_BYTES], -1
    for _ in range(_PLACES):  # bounded: a beginning that repeats a million times is not compared a million times
        start = document.find(beginning, start + 1)
        if start < 0:
            return False
        if document.startswith(part, start):
            return True
    return True


def _compared(fields: Mapping[str, msgspec.Raw]) -> dict[str, bytes]:
    return {key: bytes(value) for key, value in fields.items() if key not in _NOT_COMPARED}


def _watched(values: Mapping[str, str] | None, names: Collection[str]) -> dict[str, str]:
    if not values:
        return {}
    prefixes = tuple(name[:-1] for name in names if name.endswith("*"))
    return {key: value for key, value in values.items() if key in names or key.startswith(prefixes)}


def _bytes(raw: msgspec.Raw) -> bytes:
    data = bytes(raw)
    return b"" if data == _NULL else data


def _status(code: int, message: str, causes: Iterable[Cause]) -> _Status:
    shown = [_Cause(cause.reason, cause.message, cause.field) for cause in causes]
    return _Status(code, message, _REASONS.get(code, ""), _Details(shown) if shown else None, "Failure")


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, msgspec.Struct):
        return type(value)(*map(_encodable, msgspec.structs.astuple(value)))
    return [_encodable(item) for item in value] if isinstance(value, (list, tuple)) else value
