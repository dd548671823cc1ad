"""Approvals: a countersignature of the platform team about the content of somebody else's model.

A DSSE in-toto statement, predicate type ``https://modeltrust.dev/approval/v1`` (design/api.md). It ends, it names the decision it
rests on, and it counts for the purpose Approval only.

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name": "<canonical reference>", "digest": {"sha256": "<hex of the content digest>"}}],
     "predicateType": "https://modeltrust.dev/approval/v1",
     "predicate": {"identity": "<reference@pin>", "ticket": "SEC-42", "issuedAt": "2026-11-24T10:00:00Z", "expiresAt": "…"}}
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modeltrust.domain import limits, strict_json
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.dsse import STATEMENT_TYPE
from modeltrust.domain.errors import InvalidInputError, InvalidReferenceError, MalformedError, UntrustedError, quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, parse_identity_key
from modeltrust.signing.fields import fields, text

PREDICATE_TYPE = "https://modeltrust.dev/approval/v1"
_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
_TIME_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Approval:
    """A parsed approval.

    Attributes:
        identity: of which model at which pin.
        content: which files.
        ticket: where it was decided.
        issued_at: as claimed, unix seconds.
        expires_at: unix seconds.
    """

    identity: Identity
    content: ContentDigest
    ticket: str
    issued_at: int
    expires_at: int


def build_approval(identity: Identity, content: ContentDigest, ticket: str, issued_at: int, expires_at: int) -> bytes:
    """The payload to sign.

    Args:
        identity: what is approved; everybody reads it, it decides what the approval is about.
        content: the content digest that was inspected.
        ticket: where it was decided.
        issued_at: unix seconds.
        expires_at: unix seconds.

    Raises:
        InvalidInputError: no ticket, or a life that is empty or longer than ``limits.APPROVAL_SECONDS``.
    """
    try:
        _check_ticket(ticket)
        _check_life(issued_at, expires_at)
    except MalformedError as error:
        raise InvalidInputError(str(error)) from error
    return strict_json.dumps(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": str(identity.reference), "digest": {"sha256": content.hex}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "identity": identity.key,
                "ticket": ticket,
                "issuedAt": _rfc3339(issued_at),
                "expiresAt": _rfc3339(expires_at),
            },
        }
    )


def parse_approval(payload: bytes) -> Approval:
    """Read the payload of an approval.

    Raises:
        MalformedError: anything that ``build_approval`` does not write.
    """
    statement = fields(
        strict_json.loads(payload, max_bytes=limits.STATEMENT_BYTES),
        "an approval",
        required={"_type", "subject", "predicateType", "predicate"},
    )
    if statement["_type"] != STATEMENT_TYPE or statement["predicateType"] != PREDICATE_TYPE:
        raise MalformedError(f"got predicate type {quote(statement['predicateType'])}, expected {PREDICATE_TYPE}")
    predicate = fields(statement["predicate"], "the approval", required={"identity", "ticket", "issuedAt", "expiresAt"})
    name, content = _subject(statement["subject"])
    identity = _identity(text(predicate["identity"], "identity"))
    if name != str(identity.reference):
        raise MalformedError(f"got subject {quote(name)}, expected {quote(identity.reference)} as in the identity")
    ticket = text(predicate["ticket"], "ticket")
    issued_at, expires_at = _seconds(predicate["issuedAt"], "issuedAt"), _seconds(predicate["expiresAt"], "expiresAt")
    _check_ticket(ticket)
    _check_life(issued_at, expires_at)
    return Approval(identity, content, ticket, issued_at, expires_at)


def check_subject(approval: Approval, *, identity: Identity | None, content: ContentDigest | None, now: int) -> None:
    """Whether an approval is about this model. Whether it has ended is judged at admission, from ``not_after``.

    Raises:
        UntrustedError: SignatureInvalid: about another model or other files, or from the future. AssuranceTooLow: nobody can say
            whether these are the files; that is no sign that anything is wrong, so nothing is revoked for it (H3).
    """
    if identity is None or approval.identity != identity:
        raise _untrusted(f"the approval is about {quote(approval.identity)}, expected {quote(identity)}")
    if content is None:
        why = "the approval cannot be compared: the source does not state a digest for each file"
        raise UntrustedError(why, reason=Reason.ASSURANCE_TOO_LOW.value)
    if approval.content != content:
        raise _untrusted(f"the approval is about content {approval.content}, expected {content}")
    if approval.issued_at > now + limits.CLOCK_SKEW_SECONDS:
        raise _untrusted(f"the approval was issued at {_rfc3339(approval.issued_at)}, which is in the future")


def _untrusted(message: str) -> UntrustedError:
    return UntrustedError(message, reason=Reason.SIGNATURE_INVALID.value)


def _subject(value: Any) -> tuple[str, ContentDigest]:
    if not isinstance(value, list) or len(value) != 1:
        raise MalformedError(f"got {len(value) if isinstance(value, list) else 0} subjects, expected exactly one")
    subject = fields(value[0], "the subject", required={"name", "digest"})
    digest = fields(subject["digest"], "the subject's digest", required={"sha256"})
    return text(subject["name"], "the subject's name"), ContentDigest(text(digest["sha256"], "sha256"))


def _identity(key: str) -> Identity:
    try:
        return parse_identity_key(key)
    except InvalidReferenceError as error:
        raise MalformedError(f"got identity {quote(key)}: {error}") from error


def _check_ticket(ticket: str) -> None:
    if not 0 < len(ticket) <= limits.TICKET_CHARACTERS or not ticket.isprintable() or not ticket.strip():
        raise MalformedError(f"got ticket {quote(ticket)}, expected 1 to {limits.TICKET_CHARACTERS} printable characters")


def _check_life(issued_at: int, expires_at: int) -> None:
    if not 0 < expires_at - issued_at <= limits.APPROVAL_SECONDS:
        days = limits.APPROVAL_SECONDS // (24 * 3600)
        raise MalformedError(f"got an approval for {expires_at - issued_at} seconds, expected at least one and at most {days} days")


def _rfc3339(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_RFC_3339)


def _seconds(value: Any, name: str) -> int:
    written = text(value, name)
    try:
        moment = datetime.strptime(written, _RFC_3339).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError(f"got {name} {quote(written)}, expected a time like 2026-11-24T10:00:00Z") from error
    if len(written) != _TIME_CHARACTERS:  # strptime reads single digits, too
        raise MalformedError(f"got {name} {quote(written)}, expected a time like 2026-11-24T10:00:00Z")
    return int(moment.timestamp())
