"""`modeltrust approve REF@REV --key K --ticket T --expires DAYS`: countersign a pinned model of somebody else."""

import time
from pathlib import Path
from typing import Any

import click

from modeltrust.cli import files
from modeltrust.cli.cluster import applied_or_printed
from modeltrust.cli.models import listed, opened, plain_http_option
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import InvalidInputError, MalformedError, quote
from modeltrust.domain.reference import Identity, parse_identity
from modeltrust.signing.approval import build_approval
from modeltrust.signing.sign import sign_approval
from modeltrust.verification.attest import approval_object
from modeltrust.verification.content import content_of
from modeltrust.wiring.examination import SERVED

_DAY = 24 * 3600
_LONGEST_DAYS = 365  # an approval ends; a longer one is a signature in all but name
_KEY_BYTES = 65_536


@click.command("approve")
@click.argument("name", metavar="REF@REV")
@click.option("--key", metavar="FILE", type=Path, required=True, help="private key of a TrustedSigner with purpose Approval")
@click.option("--ticket", metavar="T", required=True, help="where it was decided")
@click.option("--expires", metavar="DAYS", type=click.IntRange(1, _LONGEST_DAYS), required=True)
@click.option("--content-digest", metavar="sha256:…", help="what was inspected (modeltrust digest DIR); else read from the source")
@plain_http_option
@applied_or_printed
def command(*, name: str, key: Path, ticket: str, expires: int, content_digest: str | None, plain_http: bool) -> dict[str, Any]:
    """Countersign a pinned model of somebody else; prints a ModelAttestation with the approval as evidence.

    \b
    Examples:
      modeltrust approve hf://acme/guard-7b@9f2c… --key approver.pem --ticket SEC-42 --expires 90 \\
        --content-digest "$(modeltrust digest ./guard-7b)"
    """
    identity = parse_identity(name)
    content = _content_at(identity, plain_http=plain_http) if content_digest is None else _content(content_digest)
    pem = files.read_file(key, max_bytes=_KEY_BYTES, what="a private key")
    now = int(time.time())
    payload = build_approval(identity, content, ticket=ticket, issued_at=now, expires_at=now + expires * _DAY)
    return approval_object(identity, sign_approval(payload, pem))


def _content_at(identity: Identity, *, plain_http: bool) -> ContentDigest:
    if identity.reference.scheme not in SERVED:
        raise InvalidInputError(
            f"got {quote(identity.reference)}, which no source of this version serves; "
            "expected --content-digest, as `modeltrust digest DIR` prints it for the copy that was inspected"
        )
    with opened(identity.key, plain_http=plain_http) as source:
        return content_of(listed(source))


def _content(text: str) -> ContentDigest:
    try:
        return ContentDigest.parse(text)
    except MalformedError as error:
        raise InvalidInputError(f"--content-digest: {error}") from error
