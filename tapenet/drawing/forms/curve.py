"""A line chart as plain SVG: enough to show a loss falling, with no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 40, 45
#: Distinct in print and to colour-blind readers (Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def curve(series: Mapping[str, Sequence[float]], title: str = "", x_label: str = "step") -> str:
    """Draw one line per series over 1, 2, 3, ..., each named in a legend, on a common axis.

    Args:
        series: values by name; values that are not finite leave a gap.
        title: shown above.
        x_label: what is counted along the horizontal axis.

    Returns:
        the SVG as text.

    Raises:
        ValueError: no series has a finite value.

    >>> text = curve({"loss": [3.0, 2.0, 1.0]}, title="training")
    >>> text.startswith("<svg") and "polyline" in text
    True
    """
    finite = [v for values in series.values() for v in values if math.isfinite(v)]
    if not finite:
        raise ValueError("curve: there is no finite value to draw")
    count = max(len(values) for values in series.values())
    ticks = _ticks(min(0.0, *finite), max(finite))
    low, high = ticks[0], ticks[-1]

    def x(i: float) -> float:
        return _LEFT + (i / max(count - 1, 1)) * (_WIDTH - _LEFT - _RIGHT)

    def y(v: float) -> float:
        return _TOP + (high - v) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title or ', '.join(series))}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in ticks:
        parts.append(f'<path d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    parts += [
        f'<text x="{x(i):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{i + 1}</text>'
        for i in sorted({0, (count - 1) // 2, count - 1})
    ]
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
    )
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        for run in _runs(values):
            points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in run)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        right = _WIDTH - _RIGHT - 130 * (len(series) - number)
        parts.append(f'<path d="M{right} 16h20" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{right + 26}" y="20">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _runs(values: Sequence[float]) -> list[list[tuple[int, float]]]:
    """Stretches of finite values, with their positions."""
    runs: list[list[tuple[int, float]]] = [[]]
    for i, v in enumerate(values):
        if math.isfinite(v):
            runs[-1].append((i, v))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers that enclose [low, high]."""
    span = (high - low) or abs(high) or 1.0
    raw = span / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * i for i in range(first, max(last, first + 1) + 1)]
