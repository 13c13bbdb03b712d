"""Measurements of a graph, by box: time, memory, size of gradients, spread of activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tapenet.drawing.model import Combine, Drawing, Vertex
from tapenet.drawing.passes.folding import members
from tapenet.drawing.sources.known import Known
from tapenet.drawing.style import LIGHT, PLAIN, Entry, Palette
from tapenet.profiling.profile import Profile
from tapenet.profiling.quantities import seconds, size
from tapenet.profiling.records import Record
from tapenet.profiling.values import Stats, stats


class Kind(NamedTuple):
    """A quantity that boxes can be painted by.

    Attributes:
        label: what it is called in a legend.
        unit: of the values.
        combine: how several values become that of the box around them.
        logarithmic: whether equal steps of colour are equal ratios.
        short: what stands before a value in a box; "" if the unit says enough.
    """

    label: str
    unit: str
    combine: Combine
    logarithmic: bool
    short: str = ""


KINDS: dict[str, Kind] = {
    "time": Kind("time, forward and backward", "s", "sum", False),
    "memory": Kind("saved for the backward pass", "B", "sum", False),
    "grad_norm": Kind("norm of the gradient", "", "norm", True, "norm"),
    "activation": Kind("spread of the values", "", "max", True, "spread"),
}


class Measure(NamedTuple):
    """A quantity of a graph.

    Attributes:
        name: which.
        values: by position of a vertex in the whole drawing, one number for each recorded step; None where unknown.
        learned: the parameters among these. What a box with some is worth as to gradients, is what they are.
    """

    name: str
    values: dict[int, list[float | None]]
    learned: frozenset[int] = frozenset()

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def of(self, position: int, vertex: Vertex, step: int = -1) -> float | None:
        """The value of a box, which may stand for many; None if it is not known."""
        inside = [m for m in members(position, vertex) if m in self.values]
        if self.name == "grad_norm" and not self.learned.isdisjoint(inside):
            inside = [m for m in inside if m in self.learned]
        steps = [self.values[m][step] for m in inside]
        found = [value for value in steps if value is not None]
        if not found:
            return None
        if any(math.isnan(value) for value in found):
            return math.nan
        if self.kind.combine == "sum":
            return math.fsum(found)
        return math.hypot(*found) if self.kind.combine == "norm" else max(found)


# -- where measurements come from --------------------------------------------------------------------------------


def records(source: Drawing, profile: Profile) -> dict[int, list[Record | None]]:
    """What a profile has of each op of a graph, by position: a record for each step, None where it did not run.

    Ops that did not run in a step themselves, as those of a module that was run anew to be drawn, have the records of
    those at the same place: the n-th of its name in its module, where a step ran just as many.
    """
    ran: dict[tuple[str, str], list[int]] = {}
    for record in profile.steps[-1].records if profile.steps else ():
        if record.number is not None:
            ran.setdefault((record.op, record.path), []).append(record.number)
    drawn: dict[tuple[str, str], list[int]] = {}
    for position, vertex in enumerate(source.vertices):
        if vertex.kind == "op":
            path = "" if vertex.cluster is None else source.clusters[vertex.cluster].path
            drawn.setdefault((vertex.op, path), []).append(position)
    found = {}
    for key, positions in drawn.items():
        places = ran.get(key, [])
        for i, position in enumerate(positions):
            history = profile.history(source.vertices[position].number)
            if not any(history) and len(places) == len(positions):
                history = profile.history(places[i])
            if any(history):
                found[position] = history
    return found


def from_profile(name: str, source: Drawing, profile: Profile) -> Measure:
    """A quantity from a `tn.profile()`, for all vertices that the profile knows."""
    read = _READ[name]
    histories = {p: [None if r is None else read(r) for r in found] for p, found in records(source, profile).items()}
    if name == "grad_norm":
        for position, vertex in enumerate(source.vertices):
            if vertex.number and vertex.kind in ("parameter", "input"):
                histories[position] = [_norm(leaf) for leaf in profile.leaf_history(vertex.number)]
    return Measure(name, {p: h for p, h in sorted(histories.items()) if set(h) - {None}}, _learned(source))


def missing(name: str | None, profile: Profile) -> str:
    """Why a profile lacks a quantity, or, for None, knows nothing of a graph."""
    if not profile.steps:
        return "draw: the profile holds no step yet: draw after its `with` block"
    if name in ("grad_norm", "activation") and not profile.values:
        return f"draw: the profile has no {name}: make it with tn.profile(values=True)"
    if name == "grad_norm":
        return "draw: the profile has no grad_norm of this graph: call backward() inside its `with` block"
    return (
        "draw: the profile is of another graph. Draw a loss of the step that was profiled, or the module that ran in it"
    )


def _learned(source: Drawing) -> frozenset[int]:
    return frozenset(i for i, vertex in enumerate(source.vertices) if vertex.kind == "parameter")


def _norm(gradient: Stats | None) -> float | None:
    """Of all elements: the statistics leave nan and infinity out."""
    if gradient is None or gradient.finite:
        return None if gradient is None else gradient.norm
    return math.nan if gradient.nans else math.inf


def _deviation(values: Stats | None) -> float | None:
    """Of all elements but -inf, by which masks leave some out."""
    if values is None or (values.infs == values.masked and not values.nans):
        return None if values is None else values.std
    return math.nan if values.nans else math.inf


_READ: dict[str, Callable[[Record], float | None]] = {
    "time": lambda record: record.seconds,
    "memory": lambda record: record.saved,
    "grad_norm": lambda record: _norm(record.gradient),
    "activation": lambda record: _deviation(record.activation),
}


def from_arrays(name: str, source: Drawing, known: Known) -> Measure:
    """The size of gradients, or the spread of values, from the arrays themselves."""
    arrays = known.gradients if name == "grad_norm" else known.values
    read = _norm if name == "grad_norm" else _deviation
    values: dict[int, list[float | None]]
    values = {p: [read(stats([a]))] for p, a in arrays.items() if a.dtype.kind in "fc" and a.size}
    return Measure(name, values, _learned(source))


# -- painting ----------------------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """A colour scale from the least to the greatest value.

    Attributes:
        low, high: these.
        kind: of what.
        trouble: whether there are others, which are not finite.
        palette: what has the colours.
    """

    low: float
    high: float
    kind: Kind
    trouble: bool = False
    palette: Palette = LIGHT

    def colour(self, value: float) -> str:
        """The colour of a value."""
        if not math.isfinite(value):
            return self.palette.signs["trouble"]
        share = 0.0
        if self.kind.logarithmic:
            if value > 0 and self.high > self.low > 0:
                share = math.log(value / self.low) / math.log(self.high / self.low)
        elif self.high > self.low:
            share = (value - self.low) / (self.high - self.low)
        place = min(max(share, 0.0), 1.0) * (len(self.palette.ramp) - 1)
        return self.palette.ramp[round(place)]

    def legend(self) -> list[Entry]:
        """The colours from the least value to the greatest, and that of others."""
        words = f"{self.kind.label}: {in_words(self.low, self.kind)}"
        fills: tuple[str, ...] = (self.colour(self.low),)
        if self.high > self.low:
            words += f" to {in_words(self.high, self.kind)}"
            fills = self.palette.ramp
            if self.kind.logarithmic and self.low > 0:
                words += " (log scale)"
        entries = [Entry(words, self.palette.border, PLAIN, fills)]
        if self.trouble:
            entries.append(Entry("not finite", self.palette.border, PLAIN, (self.palette.signs["trouble"],)))
        return entries


def paint(
    drawing: Drawing, measures: Iterable[Measure], by: str, palette: Palette = LIGHT
) -> tuple[Drawing, Scale | None]:
    """The drawing with its boxes painted by one measure, whose value is written in them, with the values of all measures in
    tooltips; and the scale of the colours."""
    measures = list(measures)
    chosen = next(measure for measure in measures if measure.name == by)
    values = {i: chosen.of(i, v) for i, v in enumerate(drawing.vertices) if v.kind in _PAINTED}
    known = [v for v in values.values() if v is not None]
    finite = [v for v in known if math.isfinite(v)]
    # On a logarithmic scale 0 is as far as it goes.
    shown = [v for v in finite if v > 0 or not chosen.kind.logarithmic] or finite
    low, high = (min(shown), max(shown)) if shown else (0.0, 0.0)
    scale = Scale(low, high, chosen.kind, len(finite) < len(known), palette) if known else None
    total = math.fsum(finite) if chosen.kind.combine == "sum" else 0.0
    vertices = []
    for i, vertex in enumerate(drawing.vertices):
        told = [(m, m.of(i, vertex)) for m in measures]
        words = tuple(f"{m.name} {in_words(value, m.kind)}" for m, value in told if value is not None)
        value = values.get(i)
        fill, title = vertex.fill, vertex.title
        if value is not None and scale is not None:
            fill = scale.colour(value)
            title = f"{title}\n{_line(value, total, chosen.kind, vertex.count)}"
        vertices.append(vertex._replace(title=title, fill=fill, details=(*vertex.details, *words)))
    return drawing._replace(vertices=vertices), scale


def _line(value: float, total: float, kind: Kind, count: int) -> str:
    """A value as it stands in a box, which may stand for several, with its share of the total."""
    words = " ".join(filter(None, (kind.short, in_words(value, kind))))
    if kind.combine != "sum" or not total > 0:
        return words
    share = 100 * value / total
    words += " in all" if count > 1 else ""
    return f"{words} · {'< 1' if 0 < share < 1 else f'{share:.0f}'} %"


_PAINTED = frozenset({"op", "module", "parameter"})


def in_words(value: float, kind: Kind) -> str:
    """A value with its unit.

    >>> in_words(0.00123, KINDS["time"]), in_words(4096, KINDS["memory"]), in_words(0.5, KINDS["grad_norm"])
    ('1.23 ms', '4.1 kB', '0.5')
    """
    if math.isfinite(value) and kind.unit == "s":
        return seconds(value)
    if math.isfinite(value) and kind.unit == "B":
        return size(round(value))
    return _digits(value)


def _digits(value: float) -> str:
    """A number with three significant digits."""
    return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
