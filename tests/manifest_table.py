"""Measures extraction over real manifests: ``python -m tests.manifest_table [-v]``.

The data set is not part of the repository; where it is absent the script says so and exits 0. How the figures are
computed is said in the data set's README.
"""

import csv
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modeltrust.domain.workload import Role, Workload
from modeltrust.references.extract import Extractor
from modeltrust.wiring.rows import load_tables, load_yaml

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "manifests"
_ROLES = {"repo": {Role.REPOSITORY}, "artifact": {Role.IMAGE, Role.UNKNOWN}}
_COUNTED = {Role.BASE, Role.DRAFT, Role.ADAPTER, Role.REPOSITORY, Role.IMAGE, Role.UNKNOWN}


@dataclass(frozen=True)
class Expected:
    """One label."""

    role: str
    state: str
    text: str


@dataclass
class Row:
    """The outcome for one file."""

    file: str
    expected: list[Expected]
    extra: list[str]
    workloads: list[Workload] = field(default_factory=list)
    crash: str = ""
    hits: list[Expected] = field(default_factory=list)
    misses: list[Expected] = field(default_factory=list)
    false: list[str] = field(default_factory=list)


@dataclass
class Figures:
    """Totals over all files."""

    rows: list[Row]

    def count(self, *states: str) -> tuple[int, int]:
        """Found and expected labels of some states, right role included."""
        hits = sum(item.state in states for row in self.rows for item in row.hits)
        return hits, hits + sum(item.state in states for row in self.rows for item in row.misses)

    @property
    def false(self) -> list[tuple[str, str]]:
        """References that no label allows."""
        return [(row.file, text) for row in self.rows for text in row.false]

    @property
    def reported(self) -> int:
        """Distinct reported references."""
        return sum(len(_reported(row)) for row in self.rows)

    @property
    def model_free(self) -> list[tuple[str, str]]:
        """References on files that hold none."""
        return [(row.file, text) for row in self.rows if not row.expected for text in row.false]

    @property
    def crashes(self) -> list[tuple[str, str]]:
        """Files on which something escaped."""
        return [(row.file, row.crash) for row in self.rows if row.crash]


def measure(folder: Path = FOLDER) -> Figures | None:
    """Run extraction over the data set; None when it is absent."""
    index = folder / "INDEX.tsv"
    if not index.exists():
        return None
    extractor = Extractor(load_tables(), load_yaml)
    with index.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return Figures([_measure_file(folder / line[0], line[3], line[4], extractor) for line in lines])


def _measure_file(path: Path, expected: str, extra: str, extractor: Extractor) -> Row:
    row = Row(path.name, _labels(expected), json.loads(extra))
    try:
        for document in _documents(path):
            row.workloads.append(extractor.extract(json.dumps(document, default=str).encode(), namespace="team"))
    except Exception as error:  # noqa: BLE001 - what must not happen is counted, not raised
        row.crash = f"{type(error).__name__}: {error}"
    _compare(row)
    return row


def _documents(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    found = []
    for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
        if isinstance(document, dict) and document.get("kind") == "List":
            found += document["items"]
        elif isinstance(document, dict) and "kind" in document:
            found.append(document)
    return found


def _labels(text: str) -> list[Expected]:
    if text == "none":
        return []
    return [Expected(*item.split("|", 2)) for item in text.split(" ; ")]


def _reported(row: Row) -> set[tuple[Role, str]]:
    return {(found.role, found.raw.strip().rstrip("/")) for workload in row.workloads for found in workload.references}


def _compare(row: Row) -> None:
    reported = _reported(row)
    unresolved = [
        f"{finding.value} {finding.message} {finding.locator}" for workload in row.workloads for finding in workload.unresolved
    ]
    for label in row.expected:
        (row.hits if _is_found(label, reported, unresolved) else row.misses).append(label)
    allowed = {label.text.strip().rstrip("/") for label in row.expected} | {text.strip().rstrip("/") for text in row.extra}
    parts = {part for label in row.expected if label.state == "comp" for part in label.text.split("+")}
    for role, text in sorted(reported):
        if role in _COUNTED and text not in allowed and not any(part in text for part in parts):
            row.false.append(f"{role} {text}")


def _is_found(label: Expected, reported: set[tuple[Role, str]], unresolved: list[str]) -> bool:
    roles = _ROLES.get(label.role) or {Role(label.role)}
    text = label.text.strip().rstrip("/")
    if label.state == "unres":
        return any(text in finding for finding in unresolved)
    if label.state == "comp":
        return any(role in roles and _in_order(label.text.split("+"), found) for role, found in reported)
    return any(role in roles and found == text for role, found in reported)


def _in_order(parts: list[str], text: str) -> bool:
    position = 0
    for part in parts:
        place = text.find(part, position)
        if place < 0:
            return False
        position = place + len(part)
    return True


def main() -> int:
    """Print the table."""
    figures = measure()
    if figures is None:
        sys.stdout.write(f"no data set at {FOLDER}: nothing measured\n")
        return 0
    for row in figures.rows:
        findings = sum(len(workload.unresolved) for workload in row.workloads)
        total = len(row.expected)
        sys.stdout.write(f"{len(row.hits):>2}/{total:<2} false {len(row.false)} findings {findings:<2} {row.file}\n")
        for label in row.misses:
            sys.stdout.write(f"        miss  {label.role} {label.state} {label.text}\n")
        for text in row.false:
            sys.stdout.write(f"        false {text}\n")
        if row.crash:
            sys.stdout.write(f"        CRASH {row.crash}\n")
        if "-v" in sys.argv:
            _print_findings(row)
    for name, states in (
        ("lit+comp", ("lit", "comp")),
        ("path", ("path",)),
        ("unres", ("unres",)),
        ("name", ("name",)),
        ("baked", ("baked",)),
    ):
        hits, total = figures.count(*states)
        sys.stdout.write(f"{name:<9} {hits}/{total} = {hits / max(total, 1):.1%}\n")
    sys.stdout.write(f"false     {len(figures.false)}/{figures.reported}; on model-free files {len(figures.model_free)}\n")
    sys.stdout.write(f"crashes   {len(figures.crashes)}\n")
    return 0


def _print_findings(row: Row) -> None:
    for workload in row.workloads:
        for found in workload.references:
            revision = f"{found.revision.state} {found.revision.value}"
            sys.stdout.write(
                f"        ref   {workload.kind} {found.role} {found.reference} {revision} {found.locator} {found.confidence}\n"
            )
        for finding in workload.unresolved:
            sys.stdout.write(
                f"        open  {workload.kind} {finding.reason} {finding.locator}: {finding.message} [{finding.value}]\n"
            )


if __name__ == "__main__":
    raise SystemExit(main())
