"""A reliability curve as SVG: predicted probabilities against observed frequencies."""

from __future__ import annotations

from collections.abc import Iterable

from tapenet.drawing.forms.elements import attributes, label, sheet
from tapenet.drawing.style import LIGHT

_LEFT, _TOP, _SIZE, _BARS = 64, 60, 320, 60


def reliability(said: Iterable[float], came_true: Iterable[float], weight: Iterable[float], *, title: str = "") -> str:
    """Draw one point per bin, a line through the points, the diagonal, and below it the weight of each bin.

    Args:
        said: the mean probability that was given, from 0 to 1.
        came_true: the fraction that came true.
        weight: how much is in each bin.
        title: shown above.

    Returns:
        the SVG as text.

    >>> text = reliability([0.2, 0.9], [0.25, 0.8], [4, 5], title="Calibration")
    >>> text.startswith("<svg") and text.count("<circle") == 2
    True
    """
    points = list(zip(map(float, said), map(float, came_true), map(float, weight), strict=True))
    heaviest, total = max(w for _, _, w in points), sum(w for _, _, w in points)
    width, bottom = _LEFT + _SIZE + 30, _TOP + _SIZE
    height = bottom + 50 + _BARS + 20

    def x(v: float) -> float:
        return _LEFT + v * _SIZE

    def y(v: float) -> float:
        return bottom - v * _SIZE

    parts = []
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        grid = f"M{x(0)} {y(tick):.1f}H{x(1)}M{x(tick):.1f} {y(0)}V{y(1)}"
        parts.append(f"<path{attributes(d=grid, fill='none', stroke=LIGHT.clusters[1])}/>")
        parts.append(label(f"{tick:g}", _LEFT - 8, y(tick) + 4, "end"))
        parts.append(label(f"{tick:g}", x(tick), bottom + 18, "middle"))
    line = " ".join(f"{x(p):.1f},{y(t):.1f}" for p, t, _ in points)
    diagonal = attributes(d=f"M{x(0)} {y(0)}L{x(1)} {y(1)}", fill="none", stroke=LIGHT.line, stroke_dasharray="5 4")
    parts += [
        label("probability given", x(0.5), bottom + 38, "middle", fill=LIGHT.muted),
        label("fraction that came true", 20, _TOP - 12, fill=LIGHT.muted),
        f"<path{diagonal}/>",
        f"<polyline{attributes(points=line, fill='none', stroke=LIGHT.accent, stroke_width='2')}/>",
    ]
    base = height - 20
    for p, t, w in points:
        told = f"<title>given {p:.3f}, came true {t:.3f}: {100 * w / total:.1f} % of the samples</title>"
        high = w / heaviest * _BARS
        bar = attributes(x=x(p) - 4, y=base - high, width=8, height=high, fill=LIGHT.line)
        parts.append(f"<g>{told}<circle{attributes(cx=x(p), cy=y(t), r=4, fill=LIGHT.accent)}/><rect{bar}/></g>")
    parts.append(label("samples", _LEFT - 8, base - _BARS / 2 + 4, "end"))
    parts.append(f"<path{attributes(d=f'M{x(0)} {base}H{x(1)}', fill='none', stroke=LIGHT.line)}/>")
    return sheet(width, height, "Reliability", title, parts)
