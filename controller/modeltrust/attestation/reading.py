"""From the statement's JSON to the letter, every value checked against its range."""

from collections.abc import Sized
from datetime import datetime

from modeltrust.attestation import wire
from modeltrust.domain import dsse, limits
from modeltrust.domain.digest import ContentDigest, is_sha256_hex
from modeltrust.domain.errors import LimitExceededError, MalformedError, quote
from modeltrust.domain.evidence import (
    Assurance,
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    LineageClaim,
    RejectedSignature,
    SignatureEvidence,
    SignatureFacts,
    Statement,
    WeightFormat,
)
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reference import Identity, parse_identity_key


def read(document: wire.InToto) -> Statement:
    """The letter in a document of the right shape.

    Raises:
        MalformedError: another type or version, or a value out of its range.
        LimitExceededError: more than a statement may hold.
        InvalidReferenceError: the subject is no canonical identity.
    """
    _expect(document.type_, dsse.STATEMENT_TYPE, "_type")
    _expect(document.predicate_type, wire.PREDICATE_TYPE, "predicateType")
    if len(document.subject) != 1:
        raise MalformedError(f"got {len(document.subject)} subjects, expected exactly one")
    predicate = document.predicate
    identity = parse_identity_key(document.subject[0].name)
    return Statement(
        identity=identity,
        content=_read_content(predicate.content.fact(), identity),
        assurance=_read_assurance(predicate.assurance),
        signatures=_read_signatures(predicate.signatures.fact()),
        formats=_read_formats(predicate.formats.fact()),
        lineage=_read_lineage(predicate.lineage.fact()),
        evaluations=_read_evaluations(predicate.evaluations),
        weights=_hexes(predicate.weights, limits.WEIGHT_DIGESTS_PER_STATEMENT, "weights"),
        audience=_word(predicate.audience, limits.AUDIENCE_CHARACTERS, "audience"),
        serial=_count(predicate.serial, "serial"),
        issued_at=_read_time(predicate.issued_at),
        expires_at=_read_time(predicate.expires_at),
        inputs=_hex(predicate.inputs, "inputs") if isinstance(predicate.inputs, str) else "",
    )


def _read_content(fact: Fact[str], identity: Identity) -> Fact[ContentDigest]:
    if not isinstance(fact, Known):
        return _explained(fact)
    content = ContentDigest.parse(fact.value)
    if isinstance(identity.pin, ContentDigest) and identity.pin != content:
        raise MalformedError(f"got content {content} of {quote(identity)}, expected the digest that pins it")
    return Known(content)


def _read_signatures(fact: Fact[wire.Signatures]) -> Fact[SignatureFacts]:
    if not isinstance(fact, Known):
        return _explained(fact)
    found = fact.value
    _at_most(found.valid + found.rejected, limits.SIGNATURES_PER_STATEMENT, "signatures")
    valid = tuple(_read_signature(signature) for signature in found.valid)
    rejected = tuple(RejectedSignature(r.reason, _text(r.message)) for r in found.rejected)
    return Known(SignatureFacts(valid, rejected))


def _read_signature(signature: wire.Signature) -> SignatureEvidence:
    _at_most(signature.claims, limits.CLAIMS_PER_SIGNATURE, "claims")
    _at_most(signature.vouched_by, limits.VOUCHERS_PER_SIGNATURE, "vouchedBy")
    _at_most(signature.authorities, limits.AUTHORITIES_PER_SIGNATURE, "authorities")
    _at_most(signature.unsigned_paths, limits.UNSIGNED_PATHS, "unsignedPaths")
    return SignatureEvidence(
        form=signature.form,
        kind=signature.kind,
        fingerprint=_hex(signature.fingerprint, "fingerprint"),
        issuer=_text(signature.issuer),
        subject=_text(signature.subject),
        claims=tuple((_text(name), _text(value)) for name, value in signature.claims.items()),
        vouched_by=tuple(_text(voucher) for voucher in signature.vouched_by),
        authorities=tuple(_hex(authority, "authorities") for authority in signature.authorities),
        signed_at=_read_optional_time(signature.signed_at),
        assurance=_read_assurance(signature.assurance),
        unsigned_paths=tuple(_text(path) for path in signature.unsigned_paths),
        not_before=_read_optional_time(signature.not_before),
        not_after=_read_optional_time(signature.not_after),
        ticket=_text(signature.ticket),
    )


def _read_formats(fact: Fact[wire.Formats]) -> Fact[FormatReport]:
    if not isinstance(fact, Known):
        return _explained(fact)
    report = fact.value
    _at_most(report.formats, limits.FORMATS_PER_MODEL, "formats")
    _at_most(report.findings, limits.FINDINGS_PER_MODEL, "findings")
    formats = tuple(WeightFormat(_text(f.name), _count(f.files, "files"), _text(f.example), f.loadable) for f in report.formats)
    findings = tuple(
        FormatFinding(_text(f.path), _text(f.rule), f.reason, _text(f.message), f.severity, f.loadable) for f in report.findings
    )
    return Known(FormatReport(formats, findings, _text(report.rules), _count(report.omitted, "omitted")))


def _read_lineage(fact: Fact[tuple[wire.Claim, ...]]) -> Fact[tuple[LineageClaim, ...]]:
    if not isinstance(fact, Known):
        return _explained(fact)
    _at_most(fact.value, limits.LINEAGE_CLAIMS, "lineage")
    return Known(tuple(LineageClaim(_text(claim.relation), _text(claim.base), claim.verified) for claim in fact.value))


def _read_evaluations(evaluations: tuple[wire.Evaluation, ...]) -> tuple[EvaluationVerdict, ...]:
    _at_most(evaluations, limits.EVALUATIONS_PER_STATEMENT, "evaluations")
    if len({(e.suite, e.suite_hash) for e in evaluations}) != len(evaluations):
        raise MalformedError("got two evaluations of one suite and hash, expected the latest alone")
    return tuple(_read_evaluation(evaluation) for evaluation in evaluations)


def _read_evaluation(evaluation: wire.Evaluation) -> EvaluationVerdict:
    return EvaluationVerdict(
        suite=_word(evaluation.suite, limits.STATEMENT_TEXT_CHARACTERS, "suite"),
        suite_hash=_hex(evaluation.suite_hash, "suiteHash"),
        serving_hash=_hex(evaluation.serving_hash, "servingHash"),
        verdict=evaluation.verdict,
        claim=_text(evaluation.claim),
        finished_at=_read_time(evaluation.finished_at),
        expires_at=_read_optional_time(evaluation.expires_at),
        external=evaluation.external,
        spec_hash=_hex(evaluation.spec_hash, "specHash") if isinstance(evaluation.spec_hash, str) else "",
    )


def _explained(fact: Absent | Unavailable) -> Absent | Unavailable:
    if isinstance(fact, Unavailable):
        _text(fact.why)
    return fact


def _read_assurance(label: str) -> Assurance:
    try:
        assurance = Assurance.parse(label)
    except KeyError as error:
        raise MalformedError(f"got assurance {quote(label)}, expected one of ours") from error
    if assurance is Assurance.VERIFIED_AT_LOAD:
        raise MalformedError("got assurance VerifiedAtLoad in a statement, expected it to be proved by the Pod alone")
    return assurance


def _read_time(value: datetime) -> int:
    if value.tzinfo is None:
        raise MalformedError("got a time without a zone, expected RFC 3339 in UTC")
    seconds = int(value.timestamp())
    if seconds < 0:
        raise MalformedError(f"got a time {seconds} seconds after 1970, expected none before it")
    return seconds


def _read_optional_time(value: datetime | None) -> int | None:
    return None if value is None else _read_time(value)


def _expect(got: str, expected: str, name: str) -> None:
    if got != expected:
        raise MalformedError(f"got {name} {quote(got)}, expected {expected}")


def _at_most(values: Sized, bound: int, name: str) -> None:
    if len(values) > bound:
        raise LimitExceededError(f"got {len(values)} {name}, expected at most {bound}")


def _hexes(values: tuple[str, ...], bound: int, name: str) -> tuple[str, ...]:
    _at_most(values, bound, name)
    return tuple(_hex(value, name) for value in values)


def _hex(value: str, name: str) -> str:
    if not is_sha256_hex(value):
        raise MalformedError(f"got {name} {quote(value)}, expected 64 lower-case hexadecimal digits")
    return value


def _text(value: str) -> str:
    if len(value) > limits.STATEMENT_TEXT_CHARACTERS:
        raise LimitExceededError(f"got a text of {len(value)} characters, expected at most {limits.STATEMENT_TEXT_CHARACTERS}")
    return value


def _word(value: str, bound: int, name: str) -> str:
    if not value or len(value) > bound:
        raise MalformedError(f"got {name} of {len(value)} characters, expected 1 to {bound}")
    return value


def _count(value: int, name: str) -> int:
    if not 0 <= value <= limits.STATEMENT_NUMBER:
        raise MalformedError(f"got {name} {quote(value)}, expected 0 to {limits.STATEMENT_NUMBER}")
    return value
