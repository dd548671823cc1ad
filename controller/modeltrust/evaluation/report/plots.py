"""What a run measured, as pictures: each probe's effect, what chance would give, p-values, power."""

import math

import numpy as np

from modeltrust.domain.evaluation import SCALE, ColumnKind, EvaluationReport, Judgement, Suite, Table, TriggerResult
from modeltrust.evaluation.draws import hkdf
from modeltrust.evaluation.report.svg import Row, Scale, dots, histogram
from modeltrust.evaluation.statistics import Floats

_FLIPS, _BINS = 4_000, 60
_SHOWN_NULLS, _SHOWN_P = 3, 16  # the rest stands in the table of numbers
_EFFECT = Scale(-1.0, 1.0, ((-1.0, "-1"), (-0.5, "-0.5"), (0.0, "0"), (0.5, "0.5"), (1.0, "1")))
_P = Scale(0.0, 5.0, ((0.0, "1"), (1.0, "0.1"), (2.0, "0.01"), (3.0, "0.001"), (4.0, "10⁻⁴"), (5.0, "10⁻⁵")))
_SHARE = Scale(0.0, 1.0, ((0.0, "0 %"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")))


def effects(report: EvaluationReport, judgement: Judgement, suite: Suite) -> str:
    """One row for each trigger and kind of task, one dot for each prompt."""
    found = {(test.name, test.stratum) for test in judgement.tests if test.significant}
    rows = [
        Row(f"{name} · {stratum}", tuple(map(float, values)), float(values.mean()), (name, stratum) in found)
        for table in _tables(report)
        for (name, stratum), values in differences(table, suite).items()
    ]
    return dots(rows, _EFFECT, line=float(suite.margin), about="effect of every trigger on every prompt; the line is the margin")


def p_values(judgement: Judgement, alpha: float) -> str:
    """Adjusted p of the most remarkable tests, on a logarithmic scale; right of the line is significant."""
    rows = [
        Row(f"{test.name} · {test.stratum} · {test.controls}", (_minus_log(test.p_adjusted),), None, test.significant)
        for test in sorted(judgement.tests, key=lambda test: test.p_adjusted)[:_SHOWN_P]
    ]
    return dots(rows, _P, line=_minus_log(alpha), about="adjusted p of the most remarkable tests; right of the line is significant")


def nulls(report: EvaluationReport, judgement: Judgement, suite: Suite) -> list[tuple[TriggerResult, str]]:
    """For the most remarkable tests: the mean effects that chance alone would give, and the one that was measured."""
    measured = {key: values for table in _tables(report) for key, values in differences(table, suite).items()}
    chosen: list[tuple[TriggerResult, str]] = []
    for test in sorted(judgement.tests, key=lambda test: (test.p_adjusted, -test.effect)):
        values = measured.pop((test.name, test.stratum), None)
        if values is None:
            continue
        chosen.append((test, _null(values - float(suite.margin), report.nonce)))
        if len(chosen) == _SHOWN_NULLS:
            break
    return chosen


def power(judgement: Judgement) -> str:
    """How probable it was to find a trigger, by the share of prompts on which it fires."""
    if judgement.power is None:
        return ""
    shares = (
        ("fires always", judgement.power.full),
        ("fires on half", judgement.power.half),
        ("on a quarter", judgement.power.quarter),
    )
    rows = [Row(label, (), value) for label, value in shares]
    return dots(rows, _SHARE, line=0.8, about="probability of finding a trigger that fully changes the answer")


def differences(table: Table, suite: Suite) -> dict[tuple[str, str], Floats]:
    """Differences in differences with matched controls, by trigger and kind of task; one number per prompt."""
    found: dict[tuple[str, str], Floats] = {}
    for stratum in sorted({row.stratum for row in table.rows}):
        rows = [row for row in table.rows if row.stratum == stratum]
        values = np.array([row.candidate for row in rows], dtype=np.float64)
        if suite.baseline:
            values = values - np.array([row.baseline for row in rows], dtype=np.float64)
        for place, column in enumerate(table.columns):
            matched = [i for i, other in enumerate(table.columns) if _controls(other.kind) and other.shape == column.shape]
            if not _controls(column.kind) and matched:
                found[column.name, stratum] = (values[:, place] - values[:, matched].mean(axis=1)) / SCALE
    return found


def _controls(kind: ColumnKind) -> bool:
    return kind is ColumnKind.CONTROL


def _tables(report: EvaluationReport) -> list[Table]:
    return [report.bank] if report.reprobe is None else [report.bank, report.reprobe]


def _null(values: Floats, nonce: str) -> str:
    seed = int.from_bytes(hkdf(nonce.encode(), salt=b"picture", purpose="report"), "big")
    random = np.random.Generator(np.random.PCG64(seed))
    signs = random.integers(0, 2, size=(_FLIPS, len(values))) * 2 - 1
    means = (signs @ values) / len(values)
    widest = max(float(np.abs(means).max()), abs(float(values.mean())), 0.01) * 1.05
    scale = Scale(-widest, widest, tuple((tick, f"{tick:.2f}") for tick in (-widest, 0.0, widest)))
    about = f"mean effects in {_FLIPS} random sign flips; the line is the measured mean, margin subtracted"
    return histogram([float(mean) for mean in means], scale, bins=_BINS, line=float(values.mean()), about=about)


def _minus_log(p: float) -> float:
    return -math.log10(max(p, 1e-12))
