"""Line charts as SVG: enough to show how a loss falls, with no plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tapenet.drawing.forms.elements import attributes, label, sheet
from tapenet.drawing.metrics import room
from tapenet.drawing.style import LIGHT
from tapenet.drawing.text import clean

_WIDTH, _HEIGHT = 640, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 20, 64, 45
#: Those of drawings, which are told apart in print and by colour-blind readers.
_COLOURS = (
    LIGHT.accent, LIGHT.gradient, LIGHT.update, LIGHT.kinds["output"].border, LIGHT.kinds["input"].border, LIGHT.ink,
    LIGHT.muted,
)  # fmt: skip
#: The lines behind the curves.
_GRID = LIGHT.clusters[1]
#: How many letters a name has at most.
_NAME = 40


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
    body: list[str] = []
    for number, (series, y_label) in enumerate(panels):
        body += _panel(series, x_label, y_label, across, mark, number * _HEIGHT)
    name = ", ".join(clean(name, _NAME) for series, _ in panels for name in series)
    return sheet(_WIDTH, height, name, title, body)


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
    x_label: str,
    y_label: str,
    across: _Across,
    mark: tuple[float, str] | None,
    down: float,
) -> list[str]:
    """One chart, that far down."""
    finite = [v for values in series.values() for v in values if math.isfinite(v)]
    if not finite:
        raise ValueError("curve: there is no finite value to draw")
    low = min(finite)
    # From 0 on, unless what there is to see would be a thin line far away from it.
    ticks = _ticks(low if low > 0.5 * max(finite) else min(0.0, low), max(finite))
    low, high = ticks[0], ticks[-1]

    top, bottom, right = down + _TOP, down + _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def y(v: float) -> float:
        return top + (high - v) / (high - low) * (bottom - top)

    parts = []
    for tick in ticks:
        parts.append(f"<path{attributes(d=f'M{_LEFT} {y(tick):.1f}H{right}', fill='none', stroke=_GRID)}/>")
        parts.append(label(f"{tick:.6g}", _LEFT - 8, y(tick) + 4, "end"))
    parts += [label(words, across(place), bottom + 18, "middle") for place, words in across.ticks]
    parts.append(label(x_label, (_LEFT + right) / 2, bottom + 35, "middle", fill=LIGHT.muted))
    if y_label:
        parts.append(label(y_label, 20, top - 10, fill=LIGHT.muted))
    if mark is not None:
        place = across(mark[0])
        end = place > _WIDTH / 2
        line = attributes(d=f"M{place:.1f} {top}V{bottom}", fill="none", stroke=LIGHT.line, stroke_dasharray="4 3")
        parts.append(f"<path{line}/>")
        parts.append(label(mark[1], place + (-5 if end else 5), top + 12, "end" if end else "start", fill=LIGHT.muted))
    names = {name: clean(name, _NAME) for name in series}
    left = right - sum(room(shown, 12) + 40 for shown in names.values())
    for number, (name, values) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        for run in _runs(values):
            points = " ".join(f"{across(across.places[i]):.1f},{y(v):.1f}" for i, v in run)
            if len(run) > 1:
                parts.append(f"<polyline{attributes(points=points, fill='none', stroke=colour, stroke_width='1.8')}/>")
            else:
                x, height = points.split(",")
                parts.append(f"<circle{attributes(cx=x, cy=height, r=3, fill=colour)}/>")
        sample = attributes(d=f"M{left:.1f} {top - 14}H{left + 20:.1f}", fill="none", stroke=colour)
        parts.append(f"<path{sample}{attributes(stroke_width='3')}/>")
        parts.append(label(names[name], left + 26, top - 10))
        left += room(names[name], 12) + 40
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
