"""Cases of tests/cases/<requirement>/<case>/: what is trusted, a workload, perhaps a statement, and the expected answer.

trust.yaml      ModelPolicy, TrustedSigner and EvaluationSuite objects
workload.yaml   one object
statement.yaml  optional, about GUARD: signer (a name, "stranger" or null), weights, found, bases, evaluations (of the suite as it
                stands in trust.yaml, or of the one with the hash spec)
expected.yaml   outcome and reasons
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modeltrust.api.compile import compile_suite
from modeltrust.domain.evidence import (
    EvaluationVerdict,
    FormatFinding,
    FormatReport,
    LineageClaim,
    SignatureFacts,
    Statement,
    Verdict,
    WeightFormat,
)
from modeltrust.domain.facts import Known
from modeltrust.domain.reasons import Reason
from modeltrust.domain.signer import KeyTrust, TrustedSigner
from tests.support import fast_yaml
from tests.support.statements import FINGERPRINT, NOW, a_signature, a_statement

ROOT = Path(__file__).parent.parent / "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """One case, as read."""

    name: str
    trust: tuple[dict[str, Any], ...]
    workload: dict[str, Any]
    statement: dict[str, Any] | None
    outcome: str
    reasons: frozenset[str]


def all_cases() -> list[Case]:
    """Every case, sorted by name."""
    return [_case(path.parent) for path in sorted(ROOT.glob("*/*/expected.yaml"))]


def _case(folder: Path) -> Case:
    expected = fast_yaml.load((folder / "expected.yaml").read_text(encoding="utf-8"))
    described = folder / "statement.yaml"
    return Case(
        name=f"{folder.parent.name}/{folder.name}",
        trust=tuple(fast_yaml.load_all((folder / "trust.yaml").read_text(encoding="utf-8"))),
        workload=fast_yaml.load((folder / "workload.yaml").read_text(encoding="utf-8")),
        statement=fast_yaml.load(described.read_text(encoding="utf-8")) if described.exists() else None,
        outcome=expected["outcome"],
        reasons=frozenset(expected["reasons"]),
    )


def suites_of(trust: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The hash of what each EvaluationSuite says."""
    return {obj["metadata"]["name"]: compile_suite(obj).spec_hash for obj in trust if obj["kind"] == "EvaluationSuite"}


def statement_of(described: dict[str, Any], signers: tuple[TrustedSigner, ...], suites: dict[str, str]) -> Statement:
    """The statement that a case describes."""
    keys = {signer.name: signer.trust.fingerprint for signer in signers if isinstance(signer.trust, KeyTrust)} | {
        "stranger": FINGERPRINT
    }
    signer = described.get("signer")
    weights = described.get("weights", ["Safetensors"])
    return a_statement(
        signatures=Known(SignatureFacts(() if signer is None else (a_signature(fingerprint=keys[signer]),))),
        formats=Known(
            FormatReport(
                tuple(WeightFormat(name, 1, "model", loadable=True) for name in weights),
                tuple(FormatFinding("config.json", "rule", Reason(reason), "found") for reason in described.get("found", [])),
                "1",
            )
        ),
        lineage=Known(tuple(LineageClaim("finetune", base) for base in described.get("bases", []))),
        evaluations=tuple(_run(run, suites) for run in described.get("evaluations", [])),
    )


def _run(run: dict[str, Any], suites: dict[str, str]) -> EvaluationVerdict:
    spec = run.get("spec", suites.get(run["suite"], ""))
    return EvaluationVerdict(run["suite"], "1" * 64, "2" * 64, Verdict(run["verdict"]), "", NOW - run["ageSeconds"], spec_hash=spec)
