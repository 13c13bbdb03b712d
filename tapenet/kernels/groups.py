"""Group normalisation: statistics of groups of channels of each sample, in few passes over what is in the cache.

Arrays have the five axes of `tapenet.ops.layers.normalization.group`: (sample, group, channel in the group, position, 1),
where the positions of a channel lie side by side, or (1, group, channel in the group, position, sample), where samples
do and a vector is the same place of as many of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.normalization import deviations, mean_of, usable
from tapenet.kernels.threads import deal
from tapenet.native.emitter import Value
from tapenet.native.kernel import Array, Index, Kernel
from tapenet.native.loops import long_length

#: What one element costs, in multiply-adds.
COST = 20
#: Rows of samples that are added up before their sum goes to a total.
RUN = 1024
#: Vectors of samples that are taken together, so that additions need not wait for each other.
TOGETHER = 4


def group_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any, Any]:
    """The result, and of each group the mean, variance and 1 / √(variance + eps), shaped (sample, group, 1) or
    (1, group, sample). Weight and bias are of (group, channel in the group), or None."""
    samples, groups, width, positions, batch = x.shape
    out = aligned(x.shape, x.dtype)
    mean, var, scale = np.empty((3, samples, groups, batch), x.dtype)
    arguments = (x, out, mean, var, scale, _by_channel(weight, 1, x), _by_channel(bias, 0, x), np.full(1, eps, x.dtype))
    if batch == 1:
        run = _forward(x.dtype.char, width * positions >= long_length())
    else:
        run = _forward_of_samples(x.dtype.char, batch)
    deal(lambda first, last: run(*arguments, first, last, groups, width, positions), samples * groups, COST * x.size)
    return out, mean, var, scale


def group_norm_grad(
    g: Any, x: Any, weight: Any, mean: Any, scale: Any, g_mean: Any, g_var: Any
) -> tuple[Any, Any, Any]:
    """The gradients by x, weight and bias, where those by the means and the variances are given too."""
    samples, groups, width, positions, batch = x.shape
    dx = aligned(x.shape, x.dtype)
    along, total = np.empty((2, samples, groups, width, batch), x.dtype)
    statistics = (np.ascontiguousarray(np.broadcast_to(a, mean.shape), x.dtype) for a in (mean, scale, g_mean, g_var))
    arguments = (g, x, dx, along, total, _by_channel(weight, 1, x), *statistics)
    if batch == 1:
        run = _backward(x.dtype.char, width * positions >= long_length())
    else:
        run = _backward_of_samples(x.dtype.char, batch)
    deal(lambda first, last: run(*arguments, first, last, groups, width, positions), samples * groups, COST * x.size)
    return dx, along.sum((0, 3)), total.sum((0, 3))


def _by_channel(vector: Any, default: float, x: Any) -> Any:
    """A number for each channel."""
    return np.full(x.shape[1:3], default, x.dtype) if vector is None else np.ascontiguousarray(vector)


def _length(width: Value, positions: Value, type: str) -> tuple[Value, Value]:
    """How many elements a group has, as an integer and as a float."""
    n = width * positions
    return n, n.convert("sitofp", type)


# -- positions side by side --------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4)
def _forward(char: str, long: bool) -> Any:
    k = Kernel("group_norm", char, long)
    x, out, mean, var, scale, weight, bias, eps = (k.array(1) for _ in range(8))
    begin, end, groups, width, positions = (k.integer() for _ in range(5))
    n, length = _length(width, positions, eps.load(0).type)
    for i in k.turns(end, begin):
        first = i.op("urem", i, groups) * width
        group, to = x.moved(i * n), out.moved(i * n)
        middle = usable(mean_of(k, n, group.load), group.load(0))
        off, square = k.sums(2, n, deviations(group, middle))
        rest = off / length  # what rounding has left of the mean
        spread = square / length - rest * rest
        factor = 1.0 / (spread + eps.load(0)).intrinsic("sqrt")
        for array, value in ((mean, middle + rest), (var, spread), (scale, factor)):
            array.store(value, i)
        for c in k.turns(width):
            slope, shift = factor * weight.load(first + c), bias.load(first + c)
            own, made = group.moved(c * positions), to.moved(c * positions)
            for j in k.turns(positions):
                made.store((own.load(j) - middle - rest) * slope + shift, j)
    return k.compile()


@functools.lru_cache(maxsize=4)
def _backward(char: str, long: bool) -> Any:
    k = Kernel("group_norm_grad", char, long)
    g, x, dx, along, total, weight, mean, scale, g_mean, g_var = (k.array(1) for _ in range(10))
    begin, end, groups, width, positions = (k.integer() for _ in range(5))
    n, length = _length(width, positions, weight.load(0).type)
    for i in k.turns(end, begin):
        first = i.op("urem", i, groups) * width
        upper, group, to = (a.moved(i * n) for a in (g, x, dx))
        middle, factor = mean.load(i), scale.load(i)
        all_along, all_total = k.variable(k.number(0.0)), k.variable(k.number(0.0))
        for c in k.turns(width):
            above, own = upper.moved(c * positions), group.moved(c * positions)

            def look(j: Value, above: Array = above, own: Array = own, middle: Value = middle) -> list[Value]:
                value = above.load(j)
                return [value * (own.load(j) - middle), value]

            products, by_bias = k.sums(2, positions, look)
            by_weight, w = products * factor, weight.load(first + c)
            along.store(by_weight, i * width + c)
            total.store(by_bias, i * width + c)
            all_along += by_weight * w
            all_total += by_bias * w
        by_x, by_all = _shares(all_along.value, all_total.value, factor, g_mean.load(i), g_var.load(i), length)
        for c in k.turns(width):
            above, own, made = (a.moved(c * positions) for a in (upper, group, to))
            slope = factor * weight.load(first + c)
            for j in k.turns(positions):
                made.store(above.load(j) * slope - ((own.load(j) - middle) * by_x + by_all), j)
    return k.compile()


def _shares(
    along: Value, total: Value, factor: Value, g_mean: Value, g_var: Value, length: Value
) -> tuple[Value, Value]:
    """What the gradient loses by the variance, times x - mean, and by the mean."""
    return (factor * factor * along - g_var * 2.0) / length, (factor * total - g_mean) / length


# -- samples side by side ----------------------------------------------------------------------------------------


class _Strip:
    """Samples that are taken together: vectors of them from `start` on, the last perhaps not full."""

    def __init__(self, k: Kernel, batch: int, start: Index, count: int) -> None:
        self.k = k
        self.batch = batch
        self.start = start
        self.vectors = list(k.vectors(0, count))
        #: How many rows are added up side by side, where there are few vectors.
        self.rows = max(1, TOGETHER // len(self.vectors))

    def load(self, a: Array, row: Index) -> list[Value]:
        """A row's numbers: one vector of each group of lanes."""
        at = a.moved(row * self.batch + self.start)
        return [at.load(v, lanes=self.k.lanes, count=count) for v, count in self.vectors]

    def store(self, a: Array, row: Index, values: list[Value]) -> None:
        at = a.moved(row * self.batch + self.start)
        for value, (v, count) in zip(values, self.vectors, strict=True):
            at.store(value, v, count=count)

    def sums(self, count: Value, terms: Any) -> list[list[Value]]:
        """The sums of vectors over `count` rows; terms(row) gives a list of the vectors of one sum, or of several. Rows are
        added up in runs, and then the runs: so many numbers one by one would lose digits."""
        k, u = self.k, self.rows
        zero = k.number(0.0, k.lanes)
        width = len(self.vectors)
        totals = [[k.variable(zero) for _ in range(width)] for _ in range(2)]
        for start in k.turns(count, step=RUN):
            rest = count - start
            end = start + (rest < RUN).where(rest, RUN)
            even = end - (end - start).op("urem", end - start, u)
            cells: Any = [[[k.variable(zero) for _ in range(width)] for _ in range(2)] for _ in range(u)]
            for r in k.turns(even, start, step=u):
                for i in range(u):
                    _gather(cells[i], terms(r + i if i else r))
            for r in k.turns(end, even):
                _gather(cells[0], terms(r))
            for parts in cells:
                _gather(totals, [[cell.value for cell in sums] for sums in parts])
        return [[cell.value for cell in sums] for sums in totals]


def _gather(cells: Any, terms: Any) -> None:
    for sums, values in zip(cells, terms, strict=False):
        for cell, value in zip(sums, values, strict=True):
            cell += value


def _strips(k: Kernel, batch: int) -> Iterator[_Strip]:
    """All samples in strips."""
    width = TOGETHER * k.lanes
    full = batch // width
    if full:
        for s in k.turns(full):
            yield _Strip(k, batch, s * width, width)
    if batch % width:
        yield _Strip(k, batch, full * width, batch % width)


@functools.lru_cache(maxsize=32)
def _forward_of_samples(char: str, batch: int) -> Any:
    k = Kernel("group_norm_of_samples", char)
    x, out, mean, var, scale, weight, bias, eps = (k.array(1) for _ in range(8))
    begin, end, _, width, positions = (k.integer() for _ in range(5))
    n, length = _length(width, positions, eps.load(0).type)
    length, least = k.spread(length, k.lanes), k.spread(eps.load(0), k.lanes)
    for i in k.turns(end, begin):
        group, to = x.moved(i * n * batch), out.moved(i * n * batch)
        for strip in _strips(k, batch):
            total, _ = strip.sums(n, lambda r, s=strip, a=group: [s.load(a, r)])
            middles = [usable(t / length, first) for t, first in zip(total, strip.load(group, 0), strict=True)]

            def measured(r: Value, s: Any = strip, a: Any = group, middles: Any = middles) -> Any:
                centred = [v - m for v, m in zip(s.load(a, r), middles, strict=True)]
                return centred, [v * v for v in centred]

            off, square = strip.sums(n, measured)
            rests = [o / length for o in off]
            spreads = [q / length - r * r for q, r in zip(square, rests, strict=True)]
            factors = [1.0 / (v + least).intrinsic("sqrt") for v in spreads]
            means = [m + r for m, r in zip(middles, rests, strict=True)]
            for array, values in ((mean, means), (var, spreads), (scale, factors)):
                strip.store(array, i, values)
            for c in k.turns(width):
                w, shift = (k.spread(a.load(i * width + c), k.lanes) for a in (weight, bias))
                slopes = [f * w for f in factors]
                for p in k.turns(positions):
                    row = c * positions + p
                    parts = zip(strip.load(group, row), middles, rests, slopes, strict=True)
                    strip.store(to, row, [(v - m - rest) * slope + shift for v, m, rest, slope in parts])
    return k.compile()


@functools.lru_cache(maxsize=32)
def _backward_of_samples(char: str, batch: int) -> Any:
    k = Kernel("group_norm_grad_of_samples", char)
    g, x, dx, along, total, weight, mean, scale, g_mean, g_var = (k.array(1) for _ in range(10))
    begin, end, _, width, positions = (k.integer() for _ in range(5))
    n, length = _length(width, positions, weight.load(0).type)
    length = k.spread(length, k.lanes)
    for i in k.turns(end, begin):
        upper, group, to = (a.moved(i * n * batch) for a in (g, x, dx))
        for strip in _strips(k, batch):
            middles, factors = strip.load(mean, i), strip.load(scale, i)
            zero = k.number(0.0, k.lanes)
            all_along, all_total = ([k.variable(zero) for _ in middles] for _ in range(2))
            for c in k.turns(width):

                def look(
                    p: Value, c: Any = c, s: Any = strip, upper: Any = upper, group: Any = group, middles: Any = middles
                ) -> Any:
                    row = c * positions + p
                    values = s.load(upper, row)
                    own = zip(values, s.load(group, row), middles, strict=True)
                    return [v * (x - m) for v, x, m in own], values

                products, sums = strip.sums(positions, look)
                by_weight = [p * f for p, f in zip(products, factors, strict=True)]
                strip.store(along, i * width + c, by_weight)
                strip.store(total, i * width + c, sums)
                w = k.spread(weight.load(i * width + c), k.lanes)
                for cells, values in ((all_along, by_weight), (all_total, sums)):
                    for cell, value in zip(cells, values, strict=True):
                        cell += value * w
            shares = [
                _shares(a.value, t.value, f, m, v, length)
                for a, t, f, m, v in zip(
                    all_along, all_total, factors, strip.load(g_mean, i), strip.load(g_var, i), strict=True
                )
            ]
            for c in k.turns(width):
                w = k.spread(weight.load(i * width + c), k.lanes)
                slopes = [f * w for f in factors]
                for p in k.turns(positions):
                    row = c * positions + p
                    parts = zip(strip.load(upper, row), strip.load(group, row), slopes, middles, shares, strict=True)
                    strip.store(to, row, [v * s - ((x - m) * by_x + by_all) for v, x, s, m, (by_x, by_all) in parts])
    return k.compile()
