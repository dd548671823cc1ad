"""`modeltrust why KIND/NAME`: what would the webhook say about this object now, on what evidence, and what would change it?"""

from pathlib import Path

import click

from modeltrust.admission import message
from modeltrust.admission.decide import Question
from modeltrust.api.attestations import attestation_name
from modeltrust.cli import options
from modeltrust.cli.cluster import reaching, trusted, trusting
from modeltrust.cli.evidence import Evidence, evidence_object, gathered, print_evidence
from modeltrust.cli.exits import Exit, of_outcomes
from modeltrust.cli.output import json as json_output
from modeltrust.cli.output import text
from modeltrust.cli.output.decisions import finding_object, sentence
from modeltrust.domain.decision import Decision, Outcome, Status
from modeltrust.domain.errors import InvalidInputError, MalformedError, quote
from modeltrust.domain.reasons import Reason
from modeltrust.domain.values import value
from modeltrust.domain.workload import Workload
from modeltrust.kube.client import ApiServer
from modeltrust.kube.workloads import Item, called, item
from modeltrust.policy.policy import Unmatched
from modeltrust.wiring.snapshot import Trusted

_IDENTIFIER = "why"
_NOTHING_LOADED = Workload(group="", version="", kind="", namespace="", name="")


@value
class Asked:
    """One object, the answer about it, and what the answer rests on."""

    item: Item
    decision: Decision
    workload: Workload
    evidence: tuple[Evidence, ...]


@click.command("why")
@click.argument("name", metavar="KIND/NAME")
@reaching
@click.option("-n", "--namespace", default="default", show_default=True, help="of the object")
@trusting
@click.option("--unmatched", type=click.Choice([entry.value for entry in Unmatched]), default="Allow", help="as the webhook's")
@click.option("--now", metavar="TIME", help="judge as of this time (RFC 3339)")
@options.output("json")
def command(  # noqa: PLR0913 - one parameter per option
    *,
    api: ApiServer,
    name: str,
    namespace: str,
    trust: str | None,
    attestors: Path | None,
    unmatched: str,
    now: str | None,
    output: str,
) -> int:
    """Would this object be admitted now, on what evidence, and what would change the answer?

    The decision, its words and its reasons are the webhook's own; the live object is judged as if it were created now.

    \b
    Examples:
      modeltrust why deployment/guard -n team-a
      modeltrust why isvc/guard -n team-a -o json
      modeltrust why pod/guard-7d9f -n team-a --trust policies/next   would it pass under those policies?
    """
    moment = options.parse_now(now)
    trusts = trusted(api, trust=trust, attestors=attestors, now=moment)
    asked = _ask(_fetch(api, trusts, name, namespace), trusts, Unmatched(unmatched), moment)
    if output == "json":
        _write_json(asked, trusts, moment)
    else:
        _write_text(asked, trusts, moment)
    return int(of_outcomes([asked.decision.outcome], strict=False)) if trusts.installed else int(Exit.NOTHING)


def _fetch(api: ApiServer, trusts: Trusted, name: str, namespace: str) -> Item:
    kind, slash, object_name = name.partition("/")
    if not slash or not kind or not object_name:
        raise InvalidInputError(f"got {quote(name)}, expected KIND/NAME such as deployment/guard")
    served = called(trusts.discover(api), kind)
    return item(api.get(served.path(object_name, namespace=namespace if served.namespaced else ""), {}), served)


def _ask(found: Item, trusts: Trusted, unmatched: Unmatched, now: int) -> Asked:
    namespace = found.link.namespace
    decision = trusts.admission(unmatched).decide(Question(found.data, namespace, passes=True), now)
    try:
        workload = trusts.extractor.extract(found.data, namespace=namespace)
    except MalformedError:  # the decision says so
        workload = _NOTHING_LOADED
    return Asked(found, decision, workload, tuple(gathered(workload.references, trusts.store, now)))


def _said(asked: Asked) -> str:
    link = asked.item.link
    subject = message.Subject(link.kind, link.namespace, link.name)
    if not asked.decision.allowed:
        return message.denial(asked.decision, subject, identifier=_IDENTIFIER)
    return "\n".join([f"{subject} would be admitted", *message.warnings(asked.decision)])


def _steps(asked: Asked) -> list[str]:
    """What would make it pass, each step once, in the order of the problems."""
    steps: dict[str, None] = {}
    for finding in message.problems(asked.decision):
        steps[finding.fix or _STEPS.get(finding.reason, "")] = None
    for evidence in asked.evidence:
        if evidence.statement is None and evidence.found.revision.immutable and asked.decision.outcome is Outcome.PENDING:
            identity = evidence.found.identity()
            if identity is not None:
                name = attestation_name(identity)
                steps[f"wait: kubectl wait --for=condition=Ready modelattestation/{name}"] = None
    return [step for step in steps if step]


_STEPS: dict[Reason | None, str] = {
    Reason.ATTESTATION_EXPIRED: "the operator renews statements daily: modeltrust doctor says why it did not",
    Reason.STATEMENT_INVALID: "delete what is forged, and let the operator verify the model again",
    Reason.UNSIGNED: "sign the model, or approve it: modeltrust approve REF@REV --key … --ticket … --expires DAYS",
    Reason.SIGNER_NOT_TRUSTED: "sign with a trusted identity, or approve it: modeltrust approve REF@REV …",
    Reason.MODEL_REVOKED: "use another revision or model; the ModelRevocation says whom to ask",
    Reason.INTERNAL_ERROR: "report this: MODELTRUST_DEBUG=1 shows where it comes from",
}


def _write_json(asked: Asked, trusts: Trusted, now: int) -> None:
    link, decision = asked.item.link, asked.decision
    json_output.write(
        {
            "kind": link.kind,
            "namespace": link.namespace,
            "name": link.name,
            "allowed": decision.allowed,
            "outcome": decision.outcome.label,
            "message": _said(asked),
            "findings": [finding_object(finding) for finding in decision.findings],
            "evidence": [evidence_object(evidence, now) for evidence in asked.evidence],
            "steps": _steps(asked),
            "installed": trusts.installed,
            "problems": list(trusts.problems),
        }
    )


def _write_text(asked: Asked, trusts: Trusted, now: int) -> None:
    (text.good if asked.decision.allowed else text.bad)(_said(asked))
    advice = [finding for finding in message.told(asked.decision) if finding.advisory]
    if advice:
        text.heading("Advice, which keeps nothing out")
        for finding in advice:
            text.careful(f"  {sentence(finding)}")
    passed = sorted({(entry.policy, entry.requirement) for entry in asked.decision.findings if entry.status is Status.PASS})
    if passed:
        text.heading("What holds")
        text.say("  " + ", ".join(f"{requirement} ({policy})" for policy, requirement in passed))
    text.heading("Evidence")
    for evidence in asked.evidence:
        print_evidence(evidence, now)
    if not asked.evidence:
        text.say("  it loads no model that can be named")
    steps = _steps(asked)
    if steps:
        text.heading("What would make it pass")
        for step in steps:
            text.say(f"  - {step}")
    for note in _notes(trusts):
        click.echo(f"modeltrust: {note}", err=True)


def _notes(trusts: Trusted) -> list[str]:
    notes = list(trusts.problems)
    if not trusts.installed:
        notes.append("modeltrust is not installed in this cluster, so nothing is asked; --trust DIR says what a policy would do")
    elif not trusts.attestors:
        notes.append("no attestor file was found, so no statement counts here; --attestors FILE names one")
    return notes
