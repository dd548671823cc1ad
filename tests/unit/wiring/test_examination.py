"""The heavy composition root, over a real model in a folder."""

import dataclasses
from pathlib import Path

import pytest

from modeltrust.api import work
from modeltrust.domain.errors import InvalidInputError
from modeltrust.domain.evidence import Assurance, RejectedSignature
from modeltrust.domain.facts import Absent, Known, Unavailable
from modeltrust.domain.reference import parse_reference
from modeltrust.domain.work import Order, Report
from modeltrust.verification.attest import seal
from modeltrust.wiring.examination import examiner, open_folder, open_reference
from tests.support.models import write_model
from tests.support.statements import AUDIENCE, IDENTITY, NOW, an_attestor_key, attestors_for

ORDER = Order(identity=IDENTITY, nonce="0f" * 16, signers=(), bundles=(), read_bytes=True, now=NOW)


def examine(folder: Path, order: Order = ORDER) -> Report:
    return examiner().examine(order, open_folder(folder))


def test_from_a_folder_to_a_statement_that_is_believed(tmp_path: Path) -> None:
    write_model(tmp_path)
    order = work.decode_order(work.encode_order(ORDER))
    report = work.decode_report(work.encode_report(examine(tmp_path, order)))
    key = an_attestor_key()
    envelope = seal(report, order=order, evaluations=(), audience=AUDIENCE, serial=1, now=NOW, key=key)
    statement = attestors_for(key).verify(envelope, now=NOW, expected=IDENTITY)
    assert statement.signatures == Absent()
    assert statement.assurance is Assurance.BYTES_HASHED
    assert isinstance(statement.formats, Known)
    assert statement.formats.value.findings == ()
    assert len(statement.weights) == 1


def test_a_document_that_is_no_signature_is_rejected_and_not_absent(tmp_path: Path) -> None:
    write_model(tmp_path)
    (tmp_path / "model.sig").write_bytes(b"{}")
    report = examine(tmp_path, dataclasses.replace(ORDER, bundles=(b"\xff",)))
    assert isinstance(report.signatures, Known)
    assert report.signatures.value.valid == ()
    assert [type(rejected) for rejected in report.signatures.value.rejected] == [RejectedSignature] * 2


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    report = examine(tmp_path / "missing")
    assert {type(fact) for fact in (report.content, report.signatures, report.formats, report.lineage)} == {Unavailable}


def test_progress_is_told_as_bytes_are_read(tmp_path: Path) -> None:
    write_model(tmp_path)
    seen: list[int] = []
    listing = open_folder(tmp_path, progress=seen.append).list()
    assert sum(seen) == sum(entry.size for entry in listing.files)


@pytest.mark.parametrize("name", ["gs://bucket/key", "pvc://team/claim/path", "ngc://a/b"])
def test_a_store_that_no_source_serves_is_one_clear_line(name: str) -> None:
    with pytest.raises(InvalidInputError, match="nothing else is served"):
        open_reference(*parse_reference(name))


@pytest.mark.parametrize("name", ["oci://reg.example/acme/guard", "hf://acme/guard", "hf://acme/guard@main", "s3://bucket"])
def test_a_model_that_nothing_fixes_is_refused(name: str) -> None:
    with pytest.raises(InvalidInputError):
        open_reference(*parse_reference(name))


def test_a_registry_by_digest_is_opened_without_asking_it_anything() -> None:
    open_reference(*parse_reference(f"oci://reg.example/acme/guard@sha256:{'0' * 64}"))
