"""A reliability curve as plain SVG: predicted probabilities against observed frequencies."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from tapenet.drawing.style import LIGHT

_LEFT, _TOP, _SIZE, _BARS = 64, 40, 320, 60


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

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title or 'Reliability')}</title>",
        f'<rect width="{width}" height="{height}" fill="{LIGHT.paper}"/>',
        f'<text x="{_LEFT}" y="22" font-size="14" font-weight="bold" fill="{LIGHT.ink}">{escape(title)}</text>',
    ]
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(f'<path d="M{x(0)} {y(tick):.1f}H{x(1)}M{x(tick):.1f} {y(0)}V{y(1)}" stroke="#e4e7eb"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick:g}</text>')
    line = " ".join(f"{x(p):.1f},{y(t):.1f}" for p, t, _ in points)
    parts += [
        f'<text x="{x(0.5)}" y="{bottom + 38}" text-anchor="middle">probability given</text>',
        f'<text transform="translate(22 {y(0.5)}) rotate(-90)" text-anchor="middle">fraction that came true</text>',
        f'<path d="M{x(0)} {y(0)}L{x(1)} {y(1)}" stroke="{LIGHT.line}" stroke-dasharray="5 4"/>',
        f'<polyline points="{line}" fill="none" stroke="{LIGHT.accent}" stroke-width="2"/>',
    ]
    base = height - 20
    for p, t, w in points:
        said_so = f"<title>given {p:.3f}, came true {t:.3f}: {100 * w / total:.1f} % of the samples</title>"
        high = w / heaviest * _BARS
        parts.append(f'<circle cx="{x(p):.1f}" cy="{y(t):.1f}" r="4" fill="{LIGHT.accent}">{said_so}</circle>')
        parts.append(
            f'<rect x="{x(p) - 4:.1f}" y="{base - high:.1f}" width="8" height="{high:.1f}" fill="{LIGHT.line}">{said_so}</rect>'
        )
    parts.append(f'<text x="{_LEFT - 8}" y="{base - _BARS / 2 + 4:g}" text-anchor="end">samples</text>')
    parts.append(f'<path d="M{x(0)} {base}H{x(1)}" stroke="{LIGHT.line}"/>')
    return "\n".join([*parts, "</svg>\n"])
