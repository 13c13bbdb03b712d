"""Normalisation of channels in few passes, and what it has in common with that of groups."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapenet.kernels import like
from tapenet.kernels.threads import deal
from tapenet.native.kernel import Array, Index, Kernel, Terms, Value
from tapenet.native.loops import long_length

#: What one element costs, in multiply-adds.
COST = 20


def _dense(vector: Any) -> Any:
    return np.ascontiguousarray(vector)


def deviations(a: Array, mean: Value) -> Terms:
    """Of each element what adds up to what rounding has left of the mean, and to the squares."""

    def terms(i: Value) -> list[Value]:
        centred = a.load(i) - mean
        return [centred, centred * centred]

    return terms


def _measured(off: Value, square: Value, n: Value) -> tuple[Value, Value]:
    """What is left of the mean, and the variance."""
    length = n.convert("sitofp", off.type)
    rest = off / length
    return rest, square / length - rest * rest


def mean_of(k: Kernel, n: Value, term: Any) -> Value:
    """The mean of term(j) for j below n."""
    (total,) = k.sums(1, n, lambda j: [term(j)])
    return total / n.convert("sitofp", total.type)


def usable(mean: Value, first: Value) -> Value:
    """The mean, or where its sum overflowed the first number: numbers as large as that are all equal, or the squares of
    their differences overflow too."""
    return (abs(mean) < math.inf).where(mean, first)


def batch_norm(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any, Any]:
    """The result, mean, variance and 1 / √(variance + eps) of each channel of (before, channels, after)."""
    channels = x.shape[1]
    out = like(x)
    mean, var, scale = np.empty((3, channels), x.dtype)
    run = _batch_norm(x.dtype.char, x.shape[0] * x.shape[2] >= long_length())
    weight = np.ones(channels, x.dtype) if weight is None else _dense(weight)
    bias = np.zeros(channels, x.dtype) if bias is None else _dense(bias)
    number = np.full(1, eps, x.dtype)
    arguments = (x, out, mean, var, scale, weight, bias, number)
    deal(lambda first, last: run(*arguments, first, last, *x.shape), channels, COST * x.size)
    return out, mean, var, scale


def batch_norm_grad(
    g: Any, x: Any, weight: Any, mean: Any, scale: Any, g_mean: Any, g_var: Any
) -> tuple[Any, Any, Any]:
    """The gradients by x, weight and bias, where those by the mean and the variance are given too."""
    channels = x.shape[1]
    dx = like(x)
    along, total = np.empty((2, channels), x.dtype)
    weight = np.ones(channels, x.dtype) if weight is None else _dense(weight)
    run = _batch_norm_grad(x.dtype.char, x.shape[0] * x.shape[2] >= long_length())
    g_mean, g_var = (np.ascontiguousarray(np.broadcast_to(v, channels), x.dtype) for v in (g_mean, g_var))
    arguments = (g, x, dx, along, total, weight, _dense(mean), _dense(scale), g_mean, g_var)
    deal(lambda first, last: run(*arguments, first, last, *x.shape), channels, COST * x.size)
    return dx, along, total


def _channel(k: Kernel, c: Index, shape: tuple[Value, Value, Value]) -> Iterator[Value]:
    """The loop over the elements of a channel, by their place."""
    before, channels, after = shape
    for b in k.turns(before):
        start = (b * channels + c) * after
        for j in k.turns(after):
            yield start + j


def _channel_sums(k: Kernel, many: int, c: Index, shape: tuple[Value, Value, Value], terms: Terms) -> list[Value]:
    """Sums over a channel, of terms by their place."""
    before, channels, after = shape
    totals = k.totals(many)
    for b in k.turns(before):
        start = (b * channels + c) * after
        k.add_up(totals, after, lambda j, start=start: terms(start + j))  # type: ignore[misc]
    return k.rounded(totals)


@functools.lru_cache(maxsize=4)
def _batch_norm(char: str, long: bool) -> Any:
    k = Kernel("batch_norm", char, long)
    x, out, mean, var, scale, weight, bias, eps = (k.array(1) for _ in range(8))
    begin, end = k.integer(), k.integer()
    shape = k.integer(), k.integer(), k.integer()
    count = shape[0] * shape[2]
    for c in k.turns(end, begin):
        (total,) = _channel_sums(k, 1, c, shape, lambda at: [x.load(at)])
        middle = usable(total / count.convert("sitofp", total.type), x.load(c * shape[2]))
        off, square = _channel_sums(k, 2, c, shape, deviations(x, middle))
        rest, width = _measured(off, square, count)
        factor = 1.0 / (width + eps.load(0)).intrinsic("sqrt")
        for array, value in ((mean, middle + rest), (var, width), (scale, factor)):
            array.store(value, c)
        slope, shift = factor * weight.load(c), bias.load(c)
        for at in _channel(k, c, shape):
            out.store((x.load(at) - middle - rest) * slope + shift, at)
    return k.compile()


@functools.lru_cache(maxsize=4)
def _batch_norm_grad(char: str, long: bool) -> Any:
    k = Kernel("batch_norm_grad", char, long)
    g, x, dx, along, total, weight, mean, scale, g_mean, g_var = (k.array(1) for _ in range(10))
    begin, end = k.integer(), k.integer()
    shape = k.integer(), k.integer(), k.integer()
    for c in k.turns(end, begin):
        middle, factor = mean.load(c), scale.load(c)

        def look(at: Value, middle: Value = middle) -> list[Value]:
            upper = g.load(at)
            return [upper * (x.load(at) - middle), upper]

        products, by_bias = _channel_sums(k, 2, c, shape, look)
        by_weight = products * factor
        along.store(by_weight, c)
        total.store(by_bias, c)
        slope = factor * weight.load(c)
        n = (shape[0] * shape[2]).convert("sitofp", slope.type)
        by_x = (slope * factor * by_weight - g_var.load(c) * 2.0) / n
        by_all = (slope * by_bias - g_mean.load(c)) / n
        for at in _channel(k, c, shape):
            dx.store(g.load(at) * slope - ((x.load(at) - middle) * by_x + by_all), at)
    return k.compile()
