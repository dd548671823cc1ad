"""The worker's half: what the source does not tell is Unavailable, and never a clean bill."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from modeltrust.domain import limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.errors import LimitExceededError, MalformedError, NotFoundError, UnavailableError
from modeltrust.domain.evidence import (
    Assurance,
    FormatFinding,
    FormatReport,
    LineageClaim,
    RejectedSignature,
    SignatureEvidence,
    SignatureFacts,
    WeightFormat,
)
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.reasons import Reason
from modeltrust.domain.reference import Identity, Revision, RevisionState, parse_identity
from modeltrust.domain.signer import TrustedSigner
from modeltrust.domain.source import RangeReader
from modeltrust.domain.work import Order, Report
from modeltrust.verification import unknowns
from modeltrust.verification.content import content_of
from modeltrust.verification.examine import Examiner
from tests.support.sources import MemorySource, entry, raising
from tests.support.statements import IDENTITY, NOW, a_signature

FILES = {"config.json": b"{}", "model.safetensors": b"weights"}
NONCE = "0f" * 16


@dataclasses.dataclass(frozen=True)
class Inspection:
    """As formats answers."""

    report: FormatReport
    lineage: tuple[LineageClaim, ...]
    weights: tuple[str, ...]


def inspect(listing: SourceListing, reader: RangeReader) -> Inspection:
    """Weights are what ends in .safetensors; every JSON file must hold braces."""
    weights = tuple(e.path for e in listing.files if e.path.endswith(".safetensors"))
    findings = tuple(
        FormatFinding(e.path, "json.object", Reason.MALFORMED_FILE, "no object")
        for e in listing.files
        if e.path.endswith(".json") and not reader.read(e.path, 0, e.size).startswith(b"{")
    )
    formats = (WeightFormat("Safetensors", len(weights), weights[0], loadable=True),) if weights else ()
    return Inspection(FormatReport(formats, findings, "v1"), (LineageClaim("finetune", "hf://acme/base"),), weights)


def verify(
    data: bytes,
    listing: SourceListing,
    *,
    signers: tuple[TrustedSigner, ...],
    now: int,
    content: ContentDigest | None,
    identity: Identity | None,
) -> SignatureEvidence | RejectedSignature:
    """A document is good if it names the content digest."""
    assert signers == ()
    assert now == NOW
    assert identity is not None
    if content is None or str(content).encode() not in data:
        return RejectedSignature(Reason.SIGNATURE_INVALID, f"got {data.decode()}")
    reached = Assurance.BYTES_HASHED if listing.bytes_read else Assurance.SOURCE_DIGESTS
    return a_signature(assurance=reached, subject=data.decode().partition(" ")[2])


EXAMINER = Examiner(inspect, verify)
GOOD = str(content_of(MemorySource(FILES).list())).encode()


def examine(source: MemorySource, examiner: Examiner = EXAMINER, **changes: Any) -> Report:
    order = Order(identity=IDENTITY, nonce=NONCE, signers=(), bundles=(), read_bytes=False, now=NOW)
    return examiner.examine(dataclasses.replace(order, **changes), source)


def source(**changes: Any) -> MemorySource:
    return MemorySource(dict(FILES), **changes)


def test_a_signed_model_is_reported_whole() -> None:
    report = examine(source(bundles=(GOOD,), bytes_read=True))
    assert report == Report(
        identity=IDENTITY,
        nonce=NONCE,
        content=Known(content_of(MemorySource(FILES).list())),
        assurance=Assurance.BYTES_HASHED,
        files=2,
        bytes=9,
        weights=(hashlib.sha256(b"weights").hexdigest(),),
        signatures=Known(SignatureFacts((a_signature(),))),
        formats=Known(FormatReport((WeightFormat("Safetensors", 1, "model.safetensors", loadable=True),), (), "v1")),
        lineage=Known((LineageClaim("finetune", "hf://acme/base"),)),
    )


def test_without_reading_bytes_the_assurance_is_that_of_the_source() -> None:
    assert examine(source()).assurance is Assurance.SOURCE_DIGESTS
    assert examine(source(), read_bytes=True).assurance is Assurance.BYTES_HASHED


def test_no_document_anywhere_is_absent() -> None:
    assert examine(source()).signatures == Absent()


@pytest.mark.parametrize("error", [UnavailableError("503"), NotFoundError("no such bundle")])
def test_signatures_that_could_not_be_looked_for_are_unavailable_and_keep_what_was_supplied_from_nothing(error: Exception) -> None:
    for supplied in ((), (b"bad",)):
        report = examine(source(on_signatures=raising(error)), bundles=supplied)
        assert isinstance(report.signatures, Unavailable)
        assert str(error) in report.signatures.why
        assert isinstance(report.formats, Known)
    assert outcome(examine(source(on_signatures=raising(error)), bundles=(GOOD,))) == (1, [Reason.ATTESTATION_PENDING])


@pytest.mark.parametrize(
    ("error", "reason"),
    [(MalformedError("a link"), Reason.SIGNATURE_INVALID), (LimitExceededError("too large"), Reason.LIMIT_EXCEEDED)],
)
def test_a_document_that_makes_no_sense_is_a_rejected_one(error: Exception, reason: Reason) -> None:
    report = examine(source(on_signatures=raising(error)), bundles=(GOOD,))
    rejected = RejectedSignature(reason, f"the signatures at the source cannot be read: {error}")
    assert report.signatures == Known(SignatureFacts((a_signature(assurance=Assurance.SOURCE_DIGESTS),), (rejected,)))


def outcome(report: Report) -> tuple[int, list[Reason]]:
    """How many signatures verify, and why the others do not."""
    assert isinstance(report.signatures, Known)
    return len(report.signatures.value.valid), [rejected.reason for rejected in report.signatures.value.rejected]


def test_a_document_that_nobody_can_judge_now_is_not_known_to_be_bad_and_keeps_no_other_from_counting() -> None:
    """F71; whoever may add a document could otherwise deny every model of a cluster that has no way to the public good root."""

    def unknown(data: bytes, listing: SourceListing, **options: Any) -> SignatureEvidence | RejectedSignature:
        if data == b"keyless":
            raise UnavailableError("the trust root is not known")
        return verify(data, listing, **options)

    report = examine(source(), Examiner(inspect, unknown), bundles=(b"key", b"keyless"))
    assert isinstance(report.signatures, Unavailable)
    assert "cannot be judged" in report.signatures.why
    counted = examine(source(), Examiner(inspect, unknown), bundles=(b"keyless", GOOD, b"key"))
    assert outcome(counted) == (1, [Reason.ATTESTATION_PENDING, Reason.SIGNATURE_INVALID])


def test_evidence_that_could_not_be_fetched_keeps_no_other_from_counting_and_is_never_absent() -> None:
    order = Order(identity=IDENTITY, nonce=NONCE, signers=(), bundles=(), read_bytes=False, now=NOW)
    missing = (unknowns.pending("the registry answered 503"),)
    for bundles in ((), (b"bad",)):
        report = EXAMINER.examine(dataclasses.replace(order, bundles=bundles), source(), evidence=missing)
        assert report.signatures == Unavailable("the registry answered 503")
    report = EXAMINER.examine(dataclasses.replace(order, bundles=(GOOD,)), source(), evidence=missing)
    assert outcome(report) == (1, [Reason.ATTESTATION_PENDING])
    spoiled = (RejectedSignature(Reason.SIGNATURE_INVALID, "three layers"),)
    assert outcome(EXAMINER.examine(order, source(), evidence=spoiled)) == (0, [Reason.SIGNATURE_INVALID])


def test_documents_that_are_none_push_no_signature_out_wherever_it_is() -> None:
    flood = tuple(b"bad %d" % number for number in range(20))
    for report in (examine(source(bundles=(GOOD,)), bundles=flood), examine(source(bundles=(*flood, GOOD)))):
        count, reasons = outcome(report)
        assert (count, len(reasons)) == (1, limits.SIGNATURES_PER_STATEMENT - 1)
        assert reasons[-1] is Reason.LIMIT_EXCEEDED


def test_supplied_evidence_and_what_the_source_has_are_both_verified_each_once() -> None:
    report = examine(source(bundles=(b"bad", GOOD + b" source")), bundles=(GOOD + b" supplied", b"bad"))
    assert isinstance(report.signatures, Known)
    assert [evidence.subject for evidence in report.signatures.value.valid] == ["supplied", "source"]
    assert report.signatures.value.rejected == (RejectedSignature(Reason.SIGNATURE_INVALID, "got bad"),)


def test_supplied_evidence_comes_before_a_flood_at_the_source() -> None:
    flood = tuple(b"bad %d" % number for number in range(20))
    report = examine(source(bundles=flood), bundles=(GOOD,))
    assert isinstance(report.signatures, Known)
    facts = report.signatures.value
    assert len(facts.valid) == 1
    assert len(facts.valid + facts.rejected) == limits.SIGNATURES_PER_STATEMENT
    assert facts.rejected[-1].reason is Reason.LIMIT_EXCEEDED
    assert "6 more" in facts.rejected[-1].message


@pytest.mark.parametrize(
    "error", [UnavailableError("503"), NotFoundError("no such model"), MalformedError("nonsense"), LimitExceededError("huge")]
)
def test_a_model_that_cannot_be_listed_is_unavailable_and_never_unsigned(error: Exception) -> None:
    unknown = Unavailable(str(error))
    assert examine(source(on_list=raising(error)), bundles=(GOOD,)) == Report(
        IDENTITY, NONCE, unknown, Assurance.SIGNATURE_ONLY, 0, 0, (), unknown, unknown, unknown
    )


def test_files_that_cannot_be_read_leave_what_is_known_otherwise() -> None:
    report = examine(source(on_read=raising(UnavailableError("503")), bundles=(GOOD,)))
    assert isinstance(report.formats, Unavailable)
    assert isinstance(report.lineage, Unavailable)
    assert isinstance(report.content, Known)
    assert isinstance(report.signatures, Known)


def test_bytes_that_cannot_be_hashed_on_order_leave_nothing_known() -> None:
    report = examine(source(on_read=raising(UnavailableError("503"))), read_bytes=True)
    assert {type(fact) for fact in (report.content, report.signatures, report.formats, report.lineage)} == {Unavailable}


@pytest.mark.parametrize(
    "wrong",
    [
        entry("w.safetensors", b"x", sha256=False),
        FileEntry("link", 1, "0" * 64, kind=FileKind.SYMLINK),
        FileEntry("layer.tar", 1, "0" * 64, kind=FileKind.ARCHIVE),
    ],
)
def test_content_that_cannot_be_known_is_unavailable_and_formats_are_still_found(wrong: FileEntry) -> None:
    report = examine(source(entries=(entry("config.json", b"{}"), wrong), bundles=(GOOD,)))
    assert isinstance(report.content, Unavailable)
    assert isinstance(report.formats, Known)
    assert report.signatures == Known(SignatureFacts((), (RejectedSignature(Reason.SIGNATURE_INVALID, f"got {GOOD.decode()}"),)))


def digest(text: str) -> Revision:
    return Revision(RevisionState.DIGEST, f"sha256:{hashlib.sha256(text.encode()).hexdigest()}")


OCI = parse_identity(f"oci://reg.example/acme/guard@{digest('manifest')}")


def test_the_ordered_model_at_the_ordered_revision_is_examined() -> None:
    report = examine(source(reference=OCI.reference, revision=digest("manifest")), identity=OCI)
    assert isinstance(report.content, Known)


@pytest.mark.parametrize(
    "listed",
    [
        {"reference": IDENTITY.reference, "revision": digest("manifest")},
        {"reference": OCI.reference, "revision": digest("other")},
        {"reference": OCI.reference},
    ],
)
def test_another_model_or_revision_than_ordered_says_nothing_about_it(listed: dict[str, Any]) -> None:
    report = examine(source(**listed, bundles=(GOOD,)), identity=OCI)
    assert {type(fact) for fact in (report.content, report.signatures, report.formats, report.lineage)} == {Unavailable}


PINNED = parse_identity("s3://bucket/guard", content=content_of(MemorySource(FILES).list()))


def test_a_model_pinned_by_its_content_is_examined_if_it_has_that_content() -> None:
    assert examine(source(reference=PINNED.reference), identity=PINNED).content == Known(PINNED.pin)


@pytest.mark.parametrize(
    "entries",
    [
        (entry("config.json", b"{}"),),
        (entry("config.json", b"{}"), entry("model.safetensors", b"weights", sha256=False)),
    ],
)
def test_other_content_than_the_pin_says_nothing_about_the_model(entries: tuple[FileEntry, ...]) -> None:
    report = examine(source(entries=entries), identity=PINNED)
    assert {type(fact) for fact in (report.content, report.signatures, report.formats, report.lineage)} == {Unavailable}


class TwoFaced(MemorySource):
    """Shows a clean file to whoever asks first and another afterwards."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """A lie, then the truth."""
        seen = any(read[0] == path for read in self.reads)
        data = super().read(path, start, length)
        return data if seen else b"{}"[start : start + length]


def test_a_source_that_shows_the_inspection_other_bytes_than_the_hash_says_nothing() -> None:
    lying = TwoFaced({"config.json": b"[]"})
    for read_bytes in (False, True):
        lying.reads.clear()
        report = examine(lying, read_bytes=read_bytes)
        assert isinstance(report.formats, Unavailable)
        assert isinstance(report.content, Unavailable)


def test_too_many_weight_files_are_an_error_since_a_shorter_list_would_hide_some() -> None:
    many = tuple(FileEntry(f"{n}.safetensors", 1, f"{n:064x}") for n in range(limits.WEIGHT_DIGESTS_PER_STATEMENT + 1))
    with pytest.raises(LimitExceededError):
        examine(source(entries=many))


def test_what_a_model_says_too_much_of_is_cut_and_counted() -> None:
    long = "x" * 5_000
    findings = (FormatFinding(long, "rule", Reason.REMOTE_CODE, long),) * 300
    answer = Inspection(
        FormatReport((WeightFormat("A", 1, long, loadable=True),), findings, "v1", 1), (LineageClaim(long, long),), ()
    )
    report = examine(source(), Examiner(lambda _listing, _reader: answer, verify))
    assert isinstance(report.formats, Known)
    kept = report.formats.value
    assert len(kept.findings) + kept.omitted == 301
    assert 10 < len(kept.findings) < 200
    assert len(kept.findings[0].path) == len(kept.findings[0].message) == limits.STATEMENT_TEXT_CHARACTERS
    assert kept.findings[0].path.endswith("…")
    assert isinstance(report.lineage, Known)
    assert len(report.lineage.value[0].base) == limits.STATEMENT_TEXT_CHARACTERS


def test_a_text_that_no_json_can_hold_is_mended_before_it_is_reported() -> None:
    report = examine(source(on_list=raising(UnavailableError("got \udcff in a name"))))
    assert report.content == Unavailable("got ? in a name")


LONG: tuple[Callable[[str], SignatureEvidence], ...] = (
    lambda text: a_signature(subject=text),
    lambda text: a_signature(issuer=text),
    lambda text: a_signature(claims=(("name", text),)),
    lambda text: a_signature(claims=((text, "value"),)),
    lambda text: a_signature(unsigned_paths=("README.md", text)),
)


@pytest.mark.parametrize("evidence", LONG)
def test_a_signature_that_no_statement_can_hold_is_rejected_and_not_shortened(evidence: Callable[[str], SignatureEvidence]) -> None:
    fits, longer = "x" * limits.STATEMENT_TEXT_CHARACTERS, "x" * (limits.STATEMENT_TEXT_CHARACTERS + 1)
    for text, is_valid in ((fits, True), (longer, False)):
        report = examine(source(bundles=(b"any",)), Examiner(inspect, lambda *_, text=text, **__: evidence(text)))
        assert isinstance(report.signatures, Known)
        assert bool(report.signatures.value.valid) is is_valid
        assert [r.reason for r in report.signatures.value.rejected] == ([] if is_valid else [Reason.LIMIT_EXCEEDED])
