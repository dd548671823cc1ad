"""One clean repository and 40 with one defect each: all 40 are denied, the clean one passes (facts/formats.md section 9.1)."""

import pytest

from modeltrust.domain.evidence import FormatReport, Severity
from modeltrust.domain.reasons import Reason
from modeltrust.formats.inspect import Inspection, inspect
from modeltrust.wiring.rules import load_rules
from tests.support.models import MemoryModel
from tests.support.repositories import DEFECTS, Defect, clean_files, sharded

RULES = load_rules()


def look(model: MemoryModel) -> Inspection:
    return inspect(model.list(), model, RULES)


def denied(report: FormatReport) -> set[Reason]:
    """What the requirement Formats with its defaults would deny for, in the scope Repository."""
    reasons = {finding.reason for finding in report.findings if finding.severity is Severity.ERROR}
    return reasons | {Reason.FORMAT_NOT_ALLOWED for weights in report.formats if weights.name != "Safetensors"}


@pytest.mark.parametrize("files", [clean_files(), sharded()], ids=["one file", "shards"])
def test_clean_repository_passes_without_a_single_finding(files: dict[str, bytes]) -> None:
    inspection = look(MemoryModel(files))
    assert inspection.report.findings == ()
    assert {file.verdict for file in inspection.files} == {"pass"}
    assert [weights.name for weights in inspection.report.formats] == ["Safetensors"]
    assert inspection.report.formats[0].loadable


def test_there_are_40_defects() -> None:
    assert len({defect.name for defect in DEFECTS}) == 40


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_defect_is_denied_with_its_reason_at_its_file(defect: Defect) -> None:
    inspection = look(defect.model())
    assert defect.reason in denied(inspection.report)
    file = next(file for file in inspection.files if file.entry.path == defect.path)
    if defect.rule:
        assert file.verdict == "fail"
        assert defect.rule in {finding.rule for finding in file.findings}
    else:
        assert (file.verdict, file.format) == ("unknown", "pickle")


@pytest.mark.parametrize("defect", [defect for defect in DEFECTS if defect.rule], ids=lambda defect: defect.name)
def test_defect_leaves_the_untouched_files_alone(defect: Defect) -> None:
    clean, found = clean_files(), defect.build()
    touched = {path for path, data in found.items() if clean.get(path) != data} | {defect.path, *(clean.keys() - found.keys())}
    if "shadowed" in defect.name or "additional" in defect.path:  # two sources of one thing: the other one is named too
        touched.add("tokenizer_config.json")
    for file in look(defect.model()).files:
        assert file.entry.path in touched or not [finding for finding in file.findings if finding.severity is Severity.ERROR]
