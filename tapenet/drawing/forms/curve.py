"""Line charts as plain SVG: enough to show how a loss falls, with no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from tapenet.drawing.text import clean

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 20, 44, 45
#: Distinct in print and to colour-blind readers (Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
#: How wide a letter is on the average, in pixels, and how many a name has at most.
_LETTER, _NAME = 6.3, 40


def curve(
    series: Mapping[str, Sequence[float]],
    title: str = "",
    x_label: str = "step",
    y_label: str = "",
    *,
    x: Sequence[float] | None = None,
    log_x: bool = False,
    mark: tuple[float, str] | None = None,
) -> str:
    """Draw one line per series over 1, 2, 3, ..., each named in a legend, on common axes.

    Args:
        series: values by name; values that are not finite leave a gap.
        title: shown above.
        x_label, y_label: what is along the horizontal axis, and along the vertical one.
        x: where the values are, in place of 1, 2, 3, ...
        log_x: the horizontal axis is logarithmic.
        mark: a place along the horizontal axis to draw a line at, and what to call it.

    Returns:
        the SVG as text.

    Raises:
        ValueError: no series has a finite value.

    >>> text = curve({"loss": [3.0, 2.0, 1.0]}, title="training", mark=(3, "best"))
    >>> text.startswith("<svg") and "polyline" in text
    True
    """
    return curves([(series, y_label)], title, x_label, x=x, log_x=log_x, mark=mark)


def curves(
    panels: Sequence[tuple[Mapping[str, Sequence[float]], str]],
    title: str = "",
    x_label: str = "step",
    *,
    x: Sequence[float] | None = None,
    log_x: bool = False,
    mark: tuple[float, str] | None = None,
) -> str:
    """Several line charts, one below the other, over the same horizontal axis.

    Args:
        panels: for each, its series and the label of its vertical axis; see `curve`.
        title, x_label, x, log_x, mark: as of `curve`.

    Raises:
        ValueError: a chart has no finite value.

    >>> curves([({"loss": [3.0, 2.0]}, "loss"), ({"accuracy": [0.5, 0.9]}, "accuracy")]).count("<polyline")
    2
    """
    height = _HEIGHT * len(panels)
    count = max(len(values) for series, _ in panels for values in series.values())
    across = _Across(list(range(1, count + 1)) if x is None else x, log_x, whole=x is None)
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" '
        f'height="{height}" font-family="Helvetica, Arial, sans-serif" font-size="12" role="img">',
        f"<title>{escape(title or ', '.join(name for series, _ in panels for name in series))}</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (series, y_label) in enumerate(panels):
        text.append(f'<g transform="translate(0 {number * _HEIGHT})">')
        text += _panel(series, "" if number else title, x_label, y_label, across, mark)
        text.append("</g>")
    return "\n".join([*text, "</svg>\n"])


class _Across:
    """The horizontal axis."""

    def __init__(self, places: Sequence[float], log: bool, whole: bool) -> None:
        self.places = places
        self._log = log
        self._low, self._high = self._scaled(places[0]), self._scaled(places[-1])
        if log:
            exponents = range(math.ceil(self._low - 1e-9), math.floor(self._high + 1e-9) + 1)
            self.ticks = [(10.0**e, f"1e{e}") for e in exponents]
        elif whole:
            count = len(places)
            self.ticks = [(i + 1, str(i + 1)) for i in sorted({0, (count - 1) // 2, count - 1})]
        else:
            inside = [t for t in _ticks(min(places), max(places)) if min(places) <= t <= max(places)]
            self.ticks = [(t, f"{t:g}") for t in inside]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else value

    def __call__(self, value: float) -> float:
        share = (self._scaled(value) - self._low) / ((self._high - self._low) or 1.0)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _panel(
    series: Mapping[str, Sequence[float]],
    title: str,
    x_label: str,
    y_label: str,
    across: _Across,
    mark: tuple[float, str] | None,
) -> list[str]:
    finite = [v for values in series.values() for v in values if math.isfinite(v)]
    if not finite:
        raise ValueError("curve: there is no finite value to draw")
    low = min(finite)
    # From 0 on, unless what there is to see would be a thin line far away from it.
    ticks = _ticks(low if low > 0.5 * max(finite) else min(0.0, low), max(finite))
    low, high = ticks[0], ticks[-1]

    def y(v: float) -> float:
        return _TOP + (high - v) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text x="{_LEFT}" y="18" font-size="14" font-weight="bold">{escape(title)}</text>'] if title else []
    for tick in ticks:
        parts.append(f'<path d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.6g}</text>')
    parts += [
        f'<text x="{across(place):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{words}</text>'
        for place, words in across.ticks
    ]
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
    )
    if y_label:
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(
            f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(y_label)}</text>'
        )
    if mark is not None:
        place = across(mark[0])
        end = place > _WIDTH / 2
        parts.append(
            f'<path d="M{place:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#888888" stroke-dasharray="4 3"/>'
            f'<text x="{place + (-5 if end else 5):.1f}" y="{_TOP + 12}" fill="#555555" '
            f'text-anchor="{"end" if end else "start"}">{escape(mark[1])}</text>'
        )
    names = {name: clean(name, _NAME) for name in series}
    left = _WIDTH - _RIGHT - sum(_LETTER * len(shown) + 40 for shown in names.values())
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        for run in _runs(values):
            points = " ".join(f"{across(across.places[i]):.1f},{y(v):.1f}" for i, v in run)
            if len(run) > 1:
                parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            else:
                centre, top = points.split(",")
                parts.append(f'<circle cx="{centre}" cy="{top}" r="3" fill="{colour}"/>')
        parts.append(f'<path d="M{left:.1f} 30h20" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{left + 26:.1f}" y="34">{escape(names[name])}</text>')
        left += _LETTER * len(names[name]) + 40
    return parts


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
