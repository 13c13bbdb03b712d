"""What was measured of a graph, by box: time, memory, the size of gradients, the spread of activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from tapenet.drawing.folding import members
from tapenet.drawing.known import Known
from tapenet.drawing.model import Drawing, Vertex
from tapenet.drawing.style import LIGHT

Quantity: TypeAlias = Literal["time", "memory", "grad_norm", "activation"]


class Kind(NamedTuple):
    """One of the things that can be painted.

    Attributes:
        label: what it is called in a legend.
        unit: of the values.
        combine: how several values become that of the box around them.
        logarithmic: whether equal steps of colour are equal ratios.
    """

    label: str
    unit: str
    combine: Literal["sum", "norm", "max"]
    logarithmic: bool


KINDS: dict[str, Kind] = {
    "time": Kind("time, forward and backward", "s", "sum", False),
    "memory": Kind("saved for the backward pass", "B", "sum", False),
    "grad_norm": Kind("norm of the gradient", "", "norm", True),
    "activation": Kind("spread of the values", "", "max", True),
}


class Measure(NamedTuple):
    """A quantity of a graph.

    Attributes:
        name: which.
        values: by position of a vertex in the whole drawing, one number for each recorded step; nan where unknown.
    """

    name: str
    values: dict[int, list[float]]

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def of(self, position: int, vertex: Vertex, step: int = -1) -> float | None:
        """The value of a box, which may stand for many; None if it is not known."""
        found = [self.values[m][step] for m in members(position, vertex) if m in self.values]
        found = [value for value in found if not (math.isnan(value) and self.kind.combine == "sum")]
        if not found:
            return None
        if any(math.isnan(value) for value in found):
            return math.nan
        if self.kind.combine == "sum":
            return math.fsum(found)
        return math.hypot(*found) if self.kind.combine == "norm" else max(found)


# -- where measurements come from --------------------------------------------------------------------------------


def from_profile(name: str, source: Drawing, profile: Any) -> Measure:
    """A quantity from a `tn.profile()`.

    Raises:
        ValueError: the profile has none of it.
    """
    read = _READ[name]
    values: dict[int, list[float]] = {}
    for position, vertex in enumerate(source.vertices):
        if not vertex.number:
            continue
        if vertex.kind == "op":
            history = [None if r is None else read(r) for r in profile.history(vertex.number)]
        elif name == "grad_norm" and vertex.kind in ("parameter", "input"):
            history = [None if s is None else s.norm for s in profile.leaf_history(vertex.number)]
        else:
            continue
        if any(value is not None for value in history):
            values[position] = [math.nan if value is None else float(value) for value in history]
    if not values:
        raise ValueError(_missing(name, profile))
    return Measure(name, values)


def _missing(name: str, profile: Any) -> str:
    if name in ("grad_norm", "activation") and not profile.values:
        return f"draw: the profile has no {name}: make it with tn.profile(values=True)"
    return (
        f"draw: the profile has no {name} of this graph: it was made of another one. Draw a loss of the step that was "
        "profiled"
    )


_READ: dict[str, Callable[[Any], float | None]] = {
    "time": lambda record: record.forward + (record.backward or 0.0),
    "memory": lambda record: record.saved,
    "grad_norm": lambda record: None if record.gradient is None else record.gradient.norm,
    "activation": lambda record: None if record.activation is None else record.activation.std,
}


def from_arrays(name: str, known: Known) -> Measure:
    """The size of gradients, or the spread of values, from the arrays themselves."""
    if name == "grad_norm":
        return Measure(name, {p: [float(np.linalg.norm(g.astype(float)))] for p, g in known.gradients.items()})
    return Measure(name, {p: [_spread(v)] for p, v in known.values.items() if v.dtype.kind in "fc" and v.size})


def _spread(array: np.ndarray[Any, Any]) -> float:
    with np.errstate(all="ignore"):
        return float(np.std(array.astype(float if array.dtype.kind == "f" else complex)))


# -- painting ----------------------------------------------------------------------------------------------------


class Scale(NamedTuple):
    """From the least to the greatest value."""

    low: float
    high: float
    kind: Kind

    def colour(self, value: float) -> str:
        """The colour of a value."""
        if not math.isfinite(value):
            return LIGHT.signs["trouble"]
        share = 0.0
        if self.kind.logarithmic:
            if value > 0 and self.high > self.low > 0:
                share = math.log(value / self.low) / math.log(self.high / self.low)
        elif self.high > self.low:
            share = (value - self.low) / (self.high - self.low)
        place = min(max(share, 0.0), 1.0) * (len(LIGHT.ramp) - 1)
        return LIGHT.ramp[round(place)]

    def legend(self) -> tuple[tuple[str, str, str], ...]:
        """Colours with their values, from the least on."""
        entries = []
        for share in (0.0, 0.5, 1.0):
            if self.kind.logarithmic and self.low > 0:
                value = self.low * (self.high / self.low) ** share
            else:
                value = self.low + share * (self.high - self.low)
            entries.append((self.colour(value), LIGHT.border, in_words(value, self.kind)))
        first = entries[0]
        return ((first[0], first[1], f"{self.kind.label}: {first[2]}"), *entries[1:])


def paint(drawing: Drawing, measures: Iterable[Measure], by: str) -> tuple[Drawing, Scale | None]:
    """The drawing with its boxes painted by one measure and the values of all in tooltips, and what colours mean."""
    measures = list(measures)
    chosen = next(measure for measure in measures if measure.name == by)
    values = {i: chosen.of(i, v) for i, v in enumerate(drawing.vertices) if v.kind in _PAINTED}
    finite = [
        v for v in values.values() if v is not None and math.isfinite(v) and (v > 0 or not chosen.kind.logarithmic)
    ]
    scale = Scale(min(finite), max(finite), chosen.kind) if finite else None
    vertices = []
    for i, vertex in enumerate(drawing.vertices):
        told = [(m, m.of(i, vertex)) for m in measures]
        words = tuple(f"{m.name} {in_words(value, m.kind)}" for m, value in told if value is not None)
        value = values.get(i)
        fill = vertex.fill if value is None or scale is None else scale.colour(value)
        vertices.append(vertex._replace(fill=fill, details=(*vertex.details, *words)))
    return drawing._replace(vertices=vertices), scale


_PAINTED = frozenset({"op", "module", "parameter"})


def in_words(value: float, kind: Kind) -> str:
    """A value with its unit.

    >>> in_words(0.00123, KINDS["time"]), in_words(4096, KINDS["memory"]), in_words(0.5, KINDS["grad_norm"])
    ('1.23 ms', '4.1 kB', '0.5')
    """
    if kind.unit == "s" and math.isfinite(value):
        scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if value >= s), (1e-6, "µs"))
        return f"{value / scale:.3g} {unit}"
    if kind.unit == "B" and math.isfinite(value):
        scale, unit = next(((s, u) for s, u in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if value >= s), (1.0, "B"))
        return f"{value / scale:.3g} {unit}" if scale == 1 else f"{value / scale:.1f} {unit}"
    return f"{value:.3g}"
