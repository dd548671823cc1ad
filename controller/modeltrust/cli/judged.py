"""A judged run for people and for programs: the claim first, wherever it is told."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modeltrust.admission.plain import plain
from modeltrust.cli.options import rfc3339
from modeltrust.cli.output import text
from modeltrust.domain.evaluation import Check, EvaluationReport, Judgement, Suite, TriggerResult, commitment
from modeltrust.domain.evidence import Verdict
from modeltrust.evaluation.statistics import upper_bound

_SHOWN = 10  # tests in the text; all stand in JSON and on the page
_SAY = {Verdict.PASSED: text.good, Verdict.WARNED: text.careful, Verdict.INCONCLUSIVE: text.careful, Verdict.FAILED: text.bad}


@dataclass(frozen=True, slots=True)
class Judged:
    """One run.

    Attributes:
        report: what was measured.
        judgement: what follows.
        suite: as it was run.
        content: content digest of the candidate, ``sha256:…``.
    """

    report: EvaluationReport
    judgement: Judgement
    suite: Suite
    content: str


def judged_object(judged: Judged) -> dict[str, Any]:
    """In JSON, version 1."""
    report, judgement, suite = judged.report, judged.judgement, judged.suite
    return {
        "claim": judgement.claim,
        "verdict": judgement.verdict.value,
        "reason": judgement.reason or None,
        "model": report.identity.key,
        "contentDigest": judged.content,
        "suite": {
            "name": suite.name,
            "hash": suite.hash,
            "families": list(suite.families),
            "perStratum": suite.per_stratum,
            "alpha": str(suite.alpha),
            "margin": str(suite.margin),
            "bank": suite.bank,
            "prompts": suite.prompts or None,
            "baseline": suite.baseline or None,
            "serving": suite.serving,
            "external": suite.external,
        },
        "nonce": report.nonce,
        "commitment": commitment(report.nonce),
        "startedAt": rfc3339(report.started_at),
        "finishedAt": rfc3339(report.finished_at),
        "requests": report.requests,
        "tests": [_test(test) for test in judgement.tests],
        "power": None if judgement.power is None else asdict(judgement.power),
        "preflight": [_check(check) for check in report.preflight],
        "selfTest": [_check(check) for check in report.self_test],
        "mining": {"samples": report.mining.samples, "mined": list(report.mining.mined), "note": report.mining.note or None},
        "drift": _drift(report),
        "limits": list(judgement.limits),
    }


def print_judged(judged: Judged, *, page: Path | None) -> None:
    """In lines.

    Args:
        judged: the run.
        page: where its page was written.
    """
    judgement = judged.judgement
    text.say(plain(judgement.claim))
    text.say("")
    _SAY[judgement.verdict](judgement.verdict.value)
    found = sorted((test for test in judgement.tests if test.significant), key=lambda test: -test.effect)
    if found:
        text.say("")
        text.table([("trigger", "task", "controls", "effect", "p adjusted", "changed", "in common"), *map(_line, found[:_SHOWN])])
        if len(found) > _SHOWN:
            text.quiet(f"and {len(found) - _SHOWN} more; -o json has all")
    text.say("")
    for line in _asked(judged):
        text.say(line)
    text.say("")
    text.say("What this does not show:")
    for limit in judgement.limits:
        text.say(f"- {limit}")
    text.say("")
    text.quiet(f"content {judged.content}, nonce {judged.report.nonce}, suite {judged.suite.hash}, bank {judged.suite.bank}")
    if page is not None:
        text.quiet(f"page {page}")


def _asked(judged: Judged) -> list[str]:
    """What always stands beside a verdict (facts/evals.md, section 2)."""
    suite = judged.suite
    asked = f"{suite.per_stratum} prompts in each kind of task, margin {suite.margin}, alpha {suite.alpha}"
    lines = [f"Asked: {asked}; baseline {plain(suite.baseline) or 'none'}. Earlier runs by hand are not counted."]
    if judged.judgement.tests:
        bound = upper_bound(0, suite.per_stratum)
        lines.append(f"A trigger that changed none of {suite.per_stratum} answers may still change up to {bound:.1%} (95 % bound).")
    return lines


def _line(test: TriggerResult) -> tuple[str, ...]:
    common = plain(test.feature) if test.agreed else "nothing"
    return (
        plain(test.name),
        plain(test.stratum),
        test.controls,
        f"{test.effect:+.2f}",
        f"{test.p_adjusted:.5f}",
        f"{test.hits}/{test.n}",
        common,
    )


def _test(test: TriggerResult) -> dict[str, Any]:
    return {
        "name": test.name,
        "stratum": test.stratum,
        "controls": test.controls,
        "n": test.n,
        "effect": test.effect,
        "p": test.p,
        "pAdjusted": test.p_adjusted,
        "hits": test.hits,
        "hitUpper95": test.hit_upper95,
        "significant": test.significant,
        "agreed": test.agreed,
        "feature": test.feature or None,
    }


def _check(check: Check) -> dict[str, Any]:
    return {"name": check.name, "problem": check.problem or None}


def _drift(report: EvaluationReport) -> dict[str, Any] | None:
    drift = report.drift
    if not drift.probes:
        return None
    return {
        "nats": drift.divergence / 1_000_000,
        "entropyShift": drift.entropy_shift / 1_000_000,
        "top1Agreement": drift.agreement / 10_000,
        "probes": drift.probes,
    }
