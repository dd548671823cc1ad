"""Hold coverage to its floors: 90 % of everything, 97 % where a mistake admits a model. Branches included."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

FLOORS = {
    "": 90.0,
    "domain/": 97.0,
    "policy/": 97.0,
    "references/": 97.0,
    "formats/": 97.0,
}


def main() -> int:
    """Print each floor with what was reached; returns 1 where one was missed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        subprocess.run([sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], check=True)
        files = json.loads(report.read_text(encoding="utf-8"))["files"]
    missed = 0
    for prefix, floor in FLOORS.items():
        summaries = [entry["summary"] for name, entry in files.items() if f"modeltrust/{prefix}" in name]
        total = sum(s["num_statements"] + s["num_branches"] for s in summaries)
        covered = sum(s["covered_lines"] + s["covered_branches"] for s in summaries)
        reached = 100.0 * covered / total if total else 100.0
        missed += reached < floor
        sys.stdout.write(f"coverage {prefix or 'overall':12} {reached:6.2f} %  (floor {floor:.0f} %)\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
