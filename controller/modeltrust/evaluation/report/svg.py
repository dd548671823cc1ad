"""Plots as SVG text, without script or foreign file. Pure: numbers in, markup out; every text is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_LEFT, _RIGHT, _ROW, _TOP, _AXIS = 260, 24, 26, 8, 34
_WIDTH = 860
_BIN_HEIGHT = 120


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to places.

    Attributes:
        low: number at the left edge.
        high: number at the right edge.
        ticks: numbers that are written below.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        """Pixels from the left; what lies outside stands at the edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a plot.

    Attributes:
        label: what it is about.
        points: one dot each.
        mean: a bar, None for none.
        marked: shown as a finding.
    """

    label: str
    points: tuple[float, ...]
    mean: float | None = None
    marked: bool = False


def dots(rows: Sequence[Row], scale: Scale, *, line: float, about: str) -> str:
    """Rows of dots over one scale.

    Args:
        rows: top to bottom.
        scale: of all rows.
        line: a number that is marked by a vertical line.
        about: what the picture shows, for who cannot see it.
    """
    height = _TOP + _ROW * len(rows) + _AXIS
    parts = [_line(scale, line, height), *_ticks(scale, height)]
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number + _ROW / 2
        kind = "found" if row.marked else "quiet"
        parts.append(f'<text class="label {kind}" x="{_LEFT - 10}" y="{y + 4:.1f}">{escape(row.label)}</text>')
        parts += [
            f'<circle class="{kind}" cx="{scale.place(v):.1f}" cy="{y + _spread(i):.1f}" r="2.6"/>'
            for i, v in enumerate(row.points)
        ]
        if row.mean is not None:
            x = scale.place(row.mean)
            parts.append(f'<path class="mean {kind}" d="M{x:.1f} {y - 9:.1f}V{y + 9:.1f}"/>')
    return _picture(parts, height, about)


def histogram(values: Sequence[float], scale: Scale, *, bins: int, line: float, about: str) -> str:
    """How often each number occurs, and where one of them stands.

    Args:
        values: any number of them.
        scale: of the numbers.
        bins: how many bars.
        line: the number that is compared with them.
        about: what the picture shows, for who cannot see it.
    """
    counts = [0] * bins
    for value in values:
        share = (value - scale.low) / (scale.high - scale.low)
        counts[min(bins - 1, max(0, int(share * bins)))] += 1
    height, tallest = _BIN_HEIGHT + _AXIS, max(1, *counts)
    width = (_WIDTH - _LEFT - _RIGHT) / bins
    parts = [
        f'<rect class="bar" x="{_LEFT + i * width:.1f}" y="{_BIN_HEIGHT * (1 - n / tallest):.1f}"'
        f' width="{width - 1:.1f}" height="{_BIN_HEIGHT * n / tallest:.1f}"/>'
        for i, n in enumerate(counts)
        if n
    ]
    return _picture([*parts, _line(scale, line, height), *_ticks(scale, height)], height, about)


def _spread(index: int) -> float:
    return (index * 7) % 13 - 6  # dots of equal numbers stay visible


def _line(scale: Scale, value: float, height: float) -> str:
    x = scale.place(value)
    return f'<path class="limit" d="M{x:.1f} 0V{height - _AXIS:.1f}"/>'


def _ticks(scale: Scale, height: float) -> list[str]:
    base = height - _AXIS
    axis = f'<path class="axis" d="M{_LEFT} {base:.1f}H{_WIDTH - _RIGHT}"/>'
    texts = [f'<text class="tick" x="{scale.place(v):.1f}" y="{base + 18:.1f}">{escape(t)}</text>' for v, t in scale.ticks]
    return [axis, *texts]


def _picture(parts: Sequence[str], height: float, about: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(about, quote=True)}">'
        f"<title>{escape(about)}</title>{''.join(parts)}</svg>"
    )
