"""From the letter to the statement's JSON bytes; nothing is checked here, since ``predicate.encode`` reads back what it wrote."""

from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from modeltrust.attestation import wire
from modeltrust.domain import dsse
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evidence import EvaluationVerdict, FormatReport, LineageClaim, SignatureEvidence, SignatureFacts, Statement
from modeltrust.domain.facts import Absent, Fact, Known, Unavailable
from modeltrust.domain.reference import RevisionState

_ENCODER = msgspec.json.Encoder()
T = TypeVar("T")


def write(statement: Statement) -> bytes:
    """The canonical JSON bytes.

    Raises:
        ValueError, OverflowError, OSError: a value that JSON or the calendar cannot hold.
    """
    predicate = wire.Predicate(
        content=_written(_map_content(statement.content)),
        assurance=statement.assurance.label,
        signatures=_write_signatures(statement.signatures),
        formats=_write_formats(statement.formats),
        lineage=_write_lineage(statement.lineage),
        evaluations=tuple(_write_evaluation(verdict) for verdict in statement.evaluations),
        weights=statement.weights,
        audience=statement.audience,
        serial=statement.serial,
        issued_at=_write_time(statement.issued_at),
        expires_at=_write_time(statement.expires_at),
        inputs=statement.inputs or msgspec.UNSET,
    )
    subject = wire.Subject(name=statement.identity.key, digest=_digests(statement))
    return _ENCODER.encode(
        wire.InToto(type_=dsse.STATEMENT_TYPE, subject=(subject,), predicate_type=wire.PREDICATE_TYPE, predicate=predicate)
    )


def _written(fact: Fact[T]) -> wire.WireFact[T]:
    match fact:
        case Known(value):
            return wire.WireFact(known=value)
        case Absent():
            return wire.WireFact(absent=wire.Nothing())
        case Unavailable(why):
            return wire.WireFact(unavailable=why)


def _map_content(content: Fact[ContentDigest]) -> Fact[str]:
    return Known(str(content.value)) if isinstance(content, Known) else content


def _digests(statement: Statement) -> wire.Digests:
    pin, content = statement.identity.pin, statement.content
    digest = content.value.hex if isinstance(content, Known) else msgspec.UNSET
    if isinstance(pin, ContentDigest):
        return wire.Digests(modeltrustContent=pin.hex)
    if pin.state is RevisionState.COMMIT:
        return wire.Digests(gitCommit=pin.value, modeltrustContent=digest)
    return wire.Digests(sha256=pin.value.removeprefix("sha256:"), modeltrustContent=digest)


def _write_signatures(fact: Fact[SignatureFacts]) -> wire.WireFact[wire.Signatures]:
    if not isinstance(fact, Known):
        return _written(fact)
    valid = tuple(_write_signature(evidence) for evidence in fact.value.valid)
    rejected = tuple(wire.Rejected(reason=r.reason, message=r.message) for r in fact.value.rejected)
    return wire.WireFact(known=wire.Signatures(valid=valid, rejected=rejected))


def _write_signature(evidence: SignatureEvidence) -> wire.Signature:
    return wire.Signature(
        form=evidence.form,
        kind=evidence.kind,
        fingerprint=evidence.fingerprint,
        issuer=evidence.issuer,
        subject=evidence.subject,
        claims=dict(evidence.claims),
        vouched_by=evidence.vouched_by,
        authorities=evidence.authorities,
        signed_at=_write_optional_time(evidence.signed_at),
        assurance=evidence.assurance.label,
        unsigned_paths=evidence.unsigned_paths,
        not_before=_write_optional_time(evidence.not_before),
        not_after=_write_optional_time(evidence.not_after),
        ticket=evidence.ticket,
    )


def _write_formats(fact: Fact[FormatReport]) -> wire.WireFact[wire.Formats]:
    if not isinstance(fact, Known):
        return _written(fact)
    report = fact.value
    formats = tuple(wire.Format(name=f.name, files=f.files, example=f.example, loadable=f.loadable) for f in report.formats)
    findings = tuple(
        wire.Finding(path=f.path, rule=f.rule, reason=f.reason, message=f.message, severity=f.severity, loadable=f.loadable)
        for f in report.findings
    )
    return wire.WireFact(known=wire.Formats(formats=formats, findings=findings, rules=report.rules, omitted=report.omitted))


def _write_lineage(fact: Fact[tuple[LineageClaim, ...]]) -> wire.WireFact[tuple[wire.Claim, ...]]:
    if not isinstance(fact, Known):
        return _written(fact)
    return wire.WireFact(known=tuple(wire.Claim(relation=c.relation, base=c.base, verified=c.verified) for c in fact.value))


def _write_evaluation(verdict: EvaluationVerdict) -> wire.Evaluation:
    return wire.Evaluation(
        suite=verdict.suite,
        suite_hash=verdict.suite_hash,
        serving_hash=verdict.serving_hash,
        verdict=verdict.verdict,
        claim=verdict.claim,
        finished_at=_write_time(verdict.finished_at),
        expires_at=_write_optional_time(verdict.expires_at),
        external=verdict.external,
        spec_hash=verdict.spec_hash or msgspec.UNSET,
    )


def _write_time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _write_optional_time(seconds: int | None) -> datetime | None:
    return None if seconds is None else _write_time(seconds)
