"""The statement as in-toto JSON: canonical bytes, read strictly.

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name": <identity key>, "digest": {"gitCommit" | "sha256": …, "modeltrustContent": …}}],
     "predicateType": "https://modeltrust.dev/statement/v1",
     "predicate": {"content": {"known": "sha256:…"}, …}}

The subject's digest holds what pins the model (``gitCommit`` for a hub commit, ``sha256`` for an OCI manifest digest) and, under
``modeltrustContent``, the content digest, version 1, where it is known or is itself the pin. Facts are ``{"known": …}``,
``{"absent": {}}`` or ``{"unavailable": "why"}``; times are RFC 3339 in UTC with whole seconds.

One letter has one spelling: a payload counts only if it is byte for byte what ``encode`` writes. That refuses duplicate keys,
which msgspec would accept, together with every other second spelling.
"""

import msgspec

from modeltrust.attestation import wire
from modeltrust.attestation.reading import read
from modeltrust.attestation.writing import write
from modeltrust.domain import limits
from modeltrust.domain.errors import InvalidReferenceError, LimitExceededError, MalformedError, quote
from modeltrust.domain.evidence import Statement

_DECODER = msgspec.json.Decoder(wire.InToto)
_PEEKER = msgspec.json.Decoder(wire.Peeked)


def encode(statement: Statement) -> bytes:
    """The payload that says this, and that ``decode`` reads as this.

    Raises:
        MalformedError: the statement cannot be said: a value is out of its range, an identity is not canonical.
        LimitExceededError: it holds more than a statement may.
    """
    try:
        payload = write(statement)
    except (ValueError, OverflowError, OSError) as error:
        raise MalformedError(f"got a statement that cannot be written: {quote(error)}") from error
    if decode(payload) != statement:
        raise MalformedError(f"got a statement about {quote(statement.identity)} that would be read differently")
    return payload


def decode(payload: bytes) -> Statement:
    """Read a payload; whether anybody signed it is ``attestors``' question.

    Raises:
        MalformedError: not the canonical JSON of a statement of this version.
        LimitExceededError: it is larger or holds more than a statement may.
    """
    if len(payload) > limits.STATEMENT_BYTES:
        raise LimitExceededError(f"got a statement of {len(payload)} bytes, expected at most {limits.STATEMENT_BYTES}")
    try:
        statement = read(_DECODER.decode(payload))
        canonical = write(statement)
    except (msgspec.DecodeError, InvalidReferenceError, UnicodeError, RecursionError) as error:
        raise MalformedError(f"got a payload that is no statement: {quote(error)}") from error
    if canonical != payload:
        raise MalformedError("got a statement in another spelling, expected the one that canonical JSON gives")
    return statement


def peek_subject(payload: bytes) -> str:
    """The name of the one subject, without a look at anything else.

    Raises:
        MalformedError: there is none.
    """
    try:
        subjects = _PEEKER.decode(payload).subject
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(f"got a payload that is no statement: {quote(error)}") from error
    if len(subjects) != 1:
        raise MalformedError(f"got {len(subjects)} subjects, expected exactly one")
    return subjects[0].name
