"""`modeltrust verify DIR|REF --signer FILE…`: the signature against TrustedSigner objects."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from modeltrust.api.v1alpha1.model_policy import check_document_path
from modeltrust.cli import options
from modeltrust.cli.exits import Exit
from modeltrust.cli.models import listed, opened, plain_http_option
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.cli.signers import read_signers
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.evidence import Assurance, RejectedSignature, SignatureEvidence
from modeltrust.domain.reasons import EXPLANATIONS, Reason
from modeltrust.domain.reference import parse_reference
from modeltrust.domain.signer import TrustedSigner
from modeltrust.policy.requirements.signature import too_loose
from modeltrust.policy.signers import Counted, match
from modeltrust.signing.verify import verify
from modeltrust.verification.content import content_of

TRUSTED = "Trusted"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one signature document turned out to be; ``reason`` is Trusted or one of the table."""

    reason: str
    message: str
    signer: str | None = None
    evidence: SignatureEvidence | None = None


@click.command("verify")
@click.argument("name", metavar="DIR|REF")
@click.option("--signer", "signers", metavar="FILE", multiple=True, required=True, help="TrustedSigner objects; repeatable")
@click.option("--signature", type=Path, metavar="PATH", help="the bundle; default model.sig in DIR")
@click.option("--model", metavar="REF", help="the reference that scopes are compared with; required with DIR")
@click.option("--unsigned-path", "unsigned_paths", metavar="PATH", multiple=True, help="documentation or image, need not be signed")
@click.option(
    "--minimum-assurance",
    type=click.Choice([level.label for level in (Assurance.SIGNATURE_ONLY, Assurance.SOURCE_DIGESTS, Assurance.BYTES_HASHED)]),
    default=Assurance.SOURCE_DIGESTS.label,
    help="how closely files must be compared with what was signed",
)
@click.option("--now", metavar="TIME", help="judge as of this time (RFC 3339)")
@plain_http_option
@options.output("json")
def command(  # noqa: PLR0913 - one parameter per option
    *,
    name: str,
    signers: tuple[str, ...],
    signature: Path | None,
    model: str | None,
    unsigned_paths: tuple[str, ...],
    minimum_assurance: str,
    now: str | None,
    plain_http: bool,
    output: str,
) -> int:
    """Check a model's signature against TrustedSigner objects.

    Exit code 11: no signature that counts, files that are not signed, or that could not be compared with what was signed.

    \b
    Examples:
      modeltrust verify ./guard-7b --signer signers/ --model hf://acme/guard-7b
      modeltrust verify oci://registry.acme.example/models/guard@sha256:9f2c… --signer acme.yaml -o json
    """
    if model is None and "://" not in name:
        raise InvalidInputError("expected --model REF with a folder: the reference that scopes are compared with")
    reference, _ = parse_reference(model or name)
    trusted, moment = read_signers(signers), options.parse_now(now)
    with opened(name, signature=signature, plain_http=plain_http) as source:
        bundles = source.signatures()
        listing = listed(source)
    content = content_of(listing)
    facts = [verify(bundle, listing, signers=trusted, now=moment, content=content, identity=None) for bundle in bundles]
    for path in unsigned_paths:
        check_document_path(path)
    minimum = Assurance.parse(minimum_assurance)
    answers = [
        _covering(_answer(fact, trusted, str(reference), moment), minimum=minimum, unsigned_paths=unsigned_paths) for fact in facts
    ]
    verdict = "pass" if any(answer.reason == TRUSTED for answer in answers) else "fail"
    if output == "json":
        json_output.write(_document(verdict, str(content), answers))
    else:
        _print(verdict, str(content), answers)
    return int(Exit.OK if verdict == "pass" else Exit.DENIED)


def _answer(fact: SignatureEvidence | RejectedSignature, signers: tuple[TrustedSigner, ...], reference: str, now: int) -> Answer:
    if isinstance(fact, RejectedSignature):
        return Answer(fact.reason.value, fact.message)
    refused = Answer(Reason.SIGNER_NOT_TRUSTED.value, "matches no TrustedSigner given", evidence=fact)
    for signer in signers:
        result = match(fact, signer, reference, now)
        if isinstance(result, Counted):
            return Answer(TRUSTED, f"signed by {signer.name}", signer=signer.name, evidence=fact)
        if refused.reason == Reason.SIGNER_NOT_TRUSTED.value:
            refused = Answer(result.reason.value, result.message, evidence=fact)
    return refused


def _covering(answer: Answer, *, minimum: Assurance, unsigned_paths: tuple[str, ...]) -> Answer:
    """As the requirement Signature has it: who signed is not enough, what was signed must be what is there."""
    if answer.reason != TRUSTED or answer.evidence is None:
        return answer
    loose = too_loose(answer.evidence, minimum=minimum, unsigned_paths=unsigned_paths)
    return answer if loose is None else Answer(loose.reason.value, loose.message, evidence=answer.evidence)


def _document(verdict: str, content: str, answers: list[Answer]) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "contentDigest": content,
        "assurance": _assurance(answers).label,
        "signatures": [_signature(answer) for answer in answers],
        "findings": [] if answers else [_unsigned()],
    }


def _assurance(answers: list[Answer]) -> Assurance:
    reached = [a.evidence.assurance for a in answers if a.reason == TRUSTED and a.evidence is not None]
    return max(reached, default=Assurance.SIGNATURE_ONLY)


def _unsigned() -> dict[str, str]:
    return {"reason": Reason.UNSIGNED.value, "message": EXPLANATIONS[Reason.UNSIGNED].meaning}


def _signature(answer: Answer) -> dict[str, Any]:
    evidence = answer.evidence
    return {
        "signer": answer.signer,
        "kind": None if evidence is None else evidence.kind.value,
        "identity": None if evidence is None else evidence.subject or evidence.fingerprint,
        "issuer": None if evidence is None else evidence.issuer or None,
        "time": None if evidence is None or evidence.signed_at is None else options.rfc3339(evidence.signed_at),
        "reason": answer.reason,
        "message": answer.message,
    }


def _print(verdict: str, content: str, answers: list[Answer]) -> None:
    text.say(f"content {content}")
    for answer in answers:
        (text.good if answer.reason == TRUSTED else text.bad)(f"[{answer.reason}] {answer.message}")
        if answer.evidence is not None and answer.evidence.unsigned_paths:
            text.careful(f"  not covered: {', '.join(answer.evidence.unsigned_paths)}")
    if not answers:
        text.bad(f"[{Reason.UNSIGNED.value}] {_unsigned()['message']}")
    text.say(f"{verdict}: assurance {_assurance(answers).label}" if verdict == "pass" else verdict)
