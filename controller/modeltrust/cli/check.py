"""`modeltrust check FILE… --trust DIR`: would these workloads be admitted?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from modeltrust.admission import message
from modeltrust.admission.decide import Question
from modeltrust.api.compile import check_object
from modeltrust.api.manifests import locate
from modeltrust.cli import files, options
from modeltrust.cli.exits import of_outcomes
from modeltrust.cli.output import github, sarif, text
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output.decisions import finding_object, sentence
from modeltrust.cli.output.problem import Problem
from modeltrust.cli.workloads import Subject, subjects
from modeltrust.domain.decision import Decision, Finding, Outcome, Status
from modeltrust.domain.errors import InvalidInputError, ModelTrustError
from modeltrust.references.extract import Extractor
from modeltrust.wiring.admission import live_from_folder


@dataclass(frozen=True, slots=True)
class Checked:
    """One object with the decision about it."""

    subject: Subject
    namespace: str  # empty for a cluster-scoped object
    decision: Decision


@click.command("check")
@options.manifests
@click.option("--trust", metavar="DIR|FILE", required=True, help="policies, signers, attestations … and attestors.yaml")
@click.option("--set-namespace", default="", help="namespace of objects that state none")
@click.option("--strict", is_flag=True, help="exit with 10 when there are only warnings")
@click.option("--now", metavar="TIME", help="judge as of this time (RFC 3339)")
@options.output("json", "sarif", "github")
def command(names: tuple[str, ...], trust: str, set_namespace: str, strict: bool, now: str | None, output: str) -> int:  # noqa: FBT001 - a flag
    """Would these workloads be admitted?

    FILE is a manifest (YAML or JSON, several documents), a folder of them, or - for standard input. The answer, its words and
    its reasons are the webhook's own.

    \b
    Examples:
      modeltrust check deployment.yaml --trust policies/production/trust
      kustomize build . | modeltrust check - --trust trust/ -o sarif
    """
    moment = options.parse_now(now)
    live = live_from_folder(Path(trust), now=moment)
    checked: list[Checked] = []
    for subject in subjects(files.documents(names), set_namespace):
        if subject.ours:
            _check_ours(subject, live.extractor)
            continue
        workload = live.extractor.extract(subject.data, namespace=subject.namespace)
        if workload.images or workload.references or workload.unresolved:
            question = Question(document=subject.data, namespace=workload.namespace, passes=True)
            checked.append(Checked(subject, workload.namespace, live.admission.decide(question, moment)))
    _WRITERS[output](checked)
    return int(of_outcomes([entry.decision.outcome for entry in checked], strict=strict))


def _check_ours(subject: Subject, extractor: Extractor) -> None:
    """Refuse of our own kinds what the webhook refuses."""
    try:
        check_object(subject.document.value, extractor)
    except ModelTrustError as error:
        raise InvalidInputError(f"{subject.file}:{subject.line}: {error}") from error


def _write_json(checked: list[Checked]) -> None:
    outcomes = [entry.decision.outcome for entry in checked]
    json_output.write(
        {
            "summary": {
                "admitted": sum(outcome in {Outcome.ADMIT, Outcome.WARN} for outcome in outcomes),
                "denied": outcomes.count(Outcome.DENY),
                "pending": outcomes.count(Outcome.PENDING),
                "errors": outcomes.count(Outcome.ERROR),
            },
            "decisions": [_decision(entry) for entry in checked],
        }
    )


def _decision(entry: Checked) -> dict[str, Any]:
    subject = entry.subject
    return {
        "file": subject.file,
        "index": subject.index,
        "kind": subject.kind,
        "namespace": entry.namespace,
        "name": subject.name,
        "allowed": entry.decision.allowed,
        "outcome": entry.decision.outcome.label,
        "findings": [finding_object(finding) for finding in entry.decision.findings],
        "warnings": list(message.warnings(entry.decision)),
    }


def _write_text(checked: list[Checked]) -> None:
    for entry in checked:
        subject, decision = entry.subject, entry.decision
        where = f"{subject.namespace}/{subject.name}" if subject.namespace else subject.name
        text.heading(f"{subject.kind} {where}", f"{subject.file}:{subject.line}")
        _SAY[decision.outcome](f"  {decision.outcome.label}")
        for finding in message.told(decision):
            text.say(f"  {sentence(finding)}")
            if finding.fix:
                text.quiet(f"    Fix: {finding.fix}")
        for finding in decision.findings:
            if finding.exempted_by and finding.reason is not None and finding.status is not Status.PASS:
                text.quiet(f"  {sentence(finding)}, excused by the exemption {finding.exempted_by}")
    counts = {outcome: sum(entry.decision.outcome is outcome for entry in checked) for outcome in Outcome}
    text.say(", ".join(f"{count} {outcome.label}" for outcome, count in counts.items() if count) or "nothing to check")


def _reason(finding: Finding) -> str:
    return "" if finding.reason is None else finding.reason.value


_SAY = {
    Outcome.ADMIT: text.good,
    Outcome.WARN: text.careful,
    Outcome.PENDING: text.careful,
    Outcome.ERROR: text.bad,
    Outcome.DENY: text.bad,
}


def _problems(checked: list[Checked]) -> list[Problem]:
    return [
        Problem(
            file=entry.subject.file,
            position=locate(entry.subject.document, finding.locator),
            rule=_reason(finding),
            message=finding.message,
            fix=finding.fix,
            error=not finding.advisory and finding.status is not Status.PENDING,
        )
        for entry in checked
        for finding in message.told(entry.decision)
    ]


_WRITERS: dict[str, Callable[[list[Checked]], None]] = {
    "text": _write_text,
    "json": _write_json,
    "sarif": lambda checked: sarif.write(_problems(checked)),
    "github": lambda checked: github.write(_problems(checked)),
}
