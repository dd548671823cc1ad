"""What is in a model, file by file, from its listing, ranged reads and small files; weights are never read.

This package finds, ``policy`` judges: formats of weights are listed and compared with a policy's allow-list there. What is refused
here is dangerous or contradictory whatever a policy allows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from modeltrust.domain import limits
from modeltrust.domain.evidence import FormatFinding, FormatReport, LineageClaim, Severity, WeightFormat
from modeltrust.domain.listing import FileEntry, FileKind, SourceListing
from modeltrust.domain.source import RangeReader
from modeltrust.formats.classify import classify
from modeltrust.formats.contents import Content, Examiner
from modeltrust.formats.lineage import claims
from modeltrust.formats.names import check_names
from modeltrust.formats.relations import check_relations
from modeltrust.formats.roles import is_loadable
from modeltrust.formats.rules import FileClass, Problem, Rules

_EXAMINED_WEIGHTS = frozenset({"Safetensors", "GGUF"})
_UNREADABLE = frozenset({"names.path", "names.kind", "names.duplicate"})  # what such an entry stands for is not known


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """One file and what is said of it.

    Attributes:
        entry: as listed.
        format: word for what it is by its name, ``unknown`` where the table has none.
        verdict: ``fail`` with an error; ``unknown`` for weights that are never parsed (pickle, ONNX …): a policy's allow-list
            decides on them; else ``pass``.
        findings: all of this file, in the order found.
    """

    entry: FileEntry
    format: str
    verdict: Literal["pass", "fail", "unknown"]
    findings: tuple[FormatFinding, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that the inspection of one model says.

    Attributes:
        files: every entry of the listing, in its order.
        report: for the statement; bounded.
        lineage: bases that the model names; claims.
        weights: paths of the files that hold weights, whatever their format.
    """

    files: tuple[InspectedFile, ...]
    report: FormatReport
    lineage: tuple[LineageClaim, ...]
    weights: tuple[str, ...]


def inspect(listing: SourceListing, reader: RangeReader, rules: Rules) -> Inspection:
    """Inspect one model.

    Args:
        listing: every file.
        reader: of the same model at the same revision.
        rules: the tables.

    Raises:
        UnavailableError: the source does not answer; nothing is known then.
        NotFoundError: the source lists a file that it does not have.
    """
    if len(listing.files) > limits.FILES:
        return _refused(
            listing, rules, Problem("repository.too-many-files", f"got {len(listing.files)} files, at most {limits.FILES}")
        )
    if not listing.files:
        return _refused(listing, rules, Problem("repository.empty", "got no file, expected a model"))
    classes = {entry.path: classify(entry.path, rules) for entry in listing.files}
    found = list(check_names(listing.files))
    contents = _examine(listing.files, classes, {path for path, problem in found if problem.rule in _UNREADABLE}, reader, rules)
    found += [(path, problem) for path, content in contents.items() for problem in content.problems]
    found += check_relations(contents, classes, rules)
    loadable = {path: is_loadable(path, row, classes) for path, row in classes.items()}
    findings = _findings(found, loadable, rules)
    return Inspection(
        files=tuple(_file(entry, classes[entry.path], findings.get(entry.path, ())) for entry in listing.files),
        report=_report(classes, loadable, [finding for group in findings.values() for finding in group], rules),
        lineage=_lineage(listing, contents),
        weights=tuple(path for path, row in classes.items() if row.weights),
    )


def _examine(
    files: Sequence[FileEntry], classes: Mapping[str, FileClass], unreadable: set[str], reader: RangeReader, rules: Rules
) -> dict[str, Content]:
    examiner = Examiner(reader, rules)
    return {
        entry.path: examiner.examine(entry, classes[entry.path])
        for entry in files
        if entry.kind is FileKind.FILE and entry.path not in unreadable
    }


def _findings(
    found: Iterable[tuple[str, Problem]], loadable: Mapping[str, bool], rules: Rules
) -> dict[str, tuple[FormatFinding, ...]]:
    grouped: dict[str, dict[FormatFinding, None]] = {}
    for path, problem in found:
        # What a name or a link does, it does to whoever unpacks the model, loader or not.
        concerns = loadable.get(path, True) or (problem.rule.startswith("names.") and problem.rule != "names.hidden")
        grouped.setdefault(path, {})[rules.finding(path, problem, loadable=concerns)] = None
    return {path: tuple(group) for path, group in grouped.items()}


def _file(entry: FileEntry, row: FileClass, findings: tuple[FormatFinding, ...]) -> InspectedFile:
    if any(finding.severity is Severity.ERROR for finding in findings):
        return InspectedFile(entry, row.format, "fail", findings)
    unparsed = row.weights and row.weights not in _EXAMINED_WEIGHTS
    return InspectedFile(entry, row.format, "unknown" if unparsed else "pass", findings)


def _report(
    classes: Mapping[str, FileClass], loadable: Mapping[str, bool], findings: list[FormatFinding], rules: Rules
) -> FormatReport:
    findings.sort(key=lambda finding: (finding.severity is not Severity.ERROR, not finding.loadable, finding.path, finding.rule))
    kept = tuple(findings[: limits.FINDINGS_PER_MODEL])
    return FormatReport(_weight_formats(classes, loadable), kept, rules.version, len(findings) - len(kept))


def _weight_formats(classes: Mapping[str, FileClass], loadable: Mapping[str, bool]) -> tuple[WeightFormat, ...]:
    paths: dict[str, list[str]] = {}
    for path, row in classes.items():
        if row.weights:
            paths.setdefault(row.weights, []).append(path)
    formats = []
    for name, group in sorted(paths.items()):
        chosen = [path for path in group if loadable[path]]
        formats.append(WeightFormat(name, len(group), (chosen or group)[0], bool(chosen)))
    return tuple(formats)


def _lineage(listing: SourceListing, contents: Mapping[str, Content]) -> tuple[LineageClaim, ...]:
    nothing = Content()
    readme = contents.get("README.md", nothing).text
    adapter = contents.get("adapter_config.json", nothing).document
    config = contents.get("config.json", nothing).document
    return claims(readme, adapter, config, listing.reference)


def _refused(listing: SourceListing, rules: Rules, problem: Problem) -> Inspection:
    finding = rules.finding("", problem, loadable=True)
    files = tuple(InspectedFile(entry, "unknown", "unknown", ()) for entry in listing.files[: limits.FILES])
    return Inspection(files, FormatReport((), (finding,), rules.version), (), ())
