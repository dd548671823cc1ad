"""An evaluation for other people's tools: an in-toto test-result, and a behavioural predicate of our own with the numbers.

Both are in-toto statements about the content of the model and the configuration that served it. They are signed with a key of
their own, never with a statement's (attack H4), and no webhook of ours believes them. Something inconclusive shows nothing, so it
gives no test-result; the behavioural predicate says that it was inconclusive. No floats are signed: numbers are decimal strings.

    test-result   https://in-toto.io/attestation/test-result/v0.1   PASSED | WARNED | FAILED, names of tests
    behaviour     https://modeltrust.dev/behaviour/v1               docs/evaluation.md, "Exports"
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from modeltrust.domain import dsse, limits
from modeltrust.domain.digest import ContentDigest
from modeltrust.domain.evaluation import EvaluationReport, Judgement, Suite, TriggerResult, commitment
from modeltrust.domain.evidence import Verdict
from modeltrust.domain.reference import Revision, RevisionState
from modeltrust.policy.wording import moment

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
BEHAVIOUR = "https://modeltrust.dev/behaviour/v1"
_RESULTS = {Verdict.PASSED: "PASSED", Verdict.WARNED: "WARNED", Verdict.FAILED: "FAILED"}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One run, as it is exported.

    Attributes:
        report: what was measured.
        judgement: what follows, computed by whoever signs.
        suite: as it was run.
        content: of the candidate.
        run: number of this run; 0: runs are not counted.
    """

    report: EvaluationReport
    judgement: Judgement
    suite: Suite
    content: ContentDigest
    run: int = 0


def result(evaluated: Evaluated) -> bytes | None:
    """The payload of a test-result, or None where nothing was shown."""
    result = _RESULTS.get(evaluated.judgement.verdict)
    if result is None:
        return None
    names: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for name, said in _names(evaluated.judgement.tests).items():
        names[said].append(name)
    return _statement(evaluated, TEST_RESULT, {"result": result, "configuration": _configuration(evaluated.suite), **names})


def behaviour(evaluated: Evaluated) -> bytes:
    """The payload of our own predicate, whatever the verdict."""
    report, judgement, suite = evaluated.report, evaluated.judgement, evaluated.suite
    shown = sorted(judgement.tests, key=lambda test: (not test.significant, test.p_adjusted))[: limits.EXPORTED_TESTS]
    predicate: dict[str, Any] = {
        "claim": judgement.claim,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "limits": list(judgement.limits),
        "suite": {
            "name": suite.name,
            "digest": {"sha256": suite.hash},
            "families": list(suite.families),
            "perStratum": suite.per_stratum,
            "alpha": str(suite.alpha),
            "margin": str(suite.margin),
            "bank": {"sha256": suite.bank},
            "prompts": suite.prompts,
        },
        "baseline": suite.baseline,
        "serving": {"digest": {"sha256": report.serving_hash}, "external": suite.external},
        "nonceCommitment": commitment(report.nonce),
        "nonce": report.nonce,
        "run": evaluated.run,
        "startedOn": moment(report.started_at),
        "finishedOn": moment(report.finished_at),
        "tests": [_test(test) for test in shown],
        "testsOmitted": len(judgement.tests) - len(shown),
        "power": _power(judgement),
        "mining": {"samples": report.mining.samples, "mined": list(report.mining.mined), "note": report.mining.note},
        "drift": _drift(report),
    }
    return _statement(evaluated, BEHAVIOUR, predicate)


def _statement(evaluated: Evaluated, kind: str, predicate: dict[str, Any]) -> bytes:
    subject = {"name": evaluated.report.identity.key, "digest": _digests(evaluated)}
    serving = {"name": "serving configuration", "digest": {"sha256": evaluated.report.serving_hash}}
    return msgspec.json.encode(
        {"_type": dsse.STATEMENT_TYPE, "subject": [subject, serving], "predicateType": kind, "predicate": predicate}
    )


def _digests(evaluated: Evaluated) -> dict[str, str]:
    pin = evaluated.report.identity.pin
    digests = {"modeltrustContent": evaluated.content.hex}
    if isinstance(pin, Revision) and pin.state is RevisionState.COMMIT:
        return {"gitCommit": pin.value} | digests
    if isinstance(pin, Revision) and pin.state is RevisionState.DIGEST:
        return {"sha256": pin.value.removeprefix("sha256:")} | digests
    return digests


def _configuration(suite: Suite) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": f"suite {suite.name}", "digest": {"sha256": suite.hash}},
        {"name": "probe bank", "digest": {"sha256": suite.bank}},
        {"name": "serving configuration", "digest": {"sha256": suite.serving}},
    ]
    if suite.prompts:
        found.append({"name": "private prompts", "digest": {"sha256": suite.prompts}})
    return found + ([{"name": f"baseline {suite.baseline}"}] if suite.baseline else [])


def _names(tests: Iterable[TriggerResult]) -> dict[str, str]:
    """Each trigger in each kind of task with the worst that any of its controls says."""
    found: dict[str, str] = {}
    order = ("passedTests", "warnedTests", "failedTests")
    for test in tests:
        said = "passedTests"
        if test.significant:
            said = "failedTests" if test.agreed and test.controls != "within" else "warnedTests"
        name = f"{test.name}/{test.stratum}"
        found[name] = max(found.get(name, said), said, key=order.index)
    return found


def _test(test: TriggerResult) -> dict[str, Any]:
    return {
        "name": test.name,
        "stratum": test.stratum,
        "controls": test.controls,
        "n": test.n,
        "effect": f"{test.effect:.4f}",
        "p": f"{test.p:.6f}",
        "pAdjusted": f"{test.p_adjusted:.6f}",
        "hits": test.hits,
        "hitUpper95": f"{test.hit_upper95:.4f}",
        "significant": test.significant,
        "agreed": test.agreed,
    }


def _power(judgement: Judgement) -> dict[str, str] | None:
    power = judgement.power
    if power is None:
        return None
    return {"full": f"{power.full:.2f}", "half": f"{power.half:.2f}", "quarter": f"{power.quarter:.2f}"}


def _drift(report: EvaluationReport) -> dict[str, Any] | None:
    drift = report.drift
    if not drift.probes:
        return None
    nats, entropy = f"{drift.divergence / 1_000_000:.6f}", f"{drift.entropy_shift / 1_000_000:.6f}"
    return {"nats": nats, "entropyShift": entropy, "top1Agreement": f"{drift.agreement / 10_000:.4f}", "probes": drift.probes}
