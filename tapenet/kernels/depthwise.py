"""Convolution of each channel by itself, vectors of channels at a time.

Images are turned so that their channels lie innermost, (height, width, batch, channel). Then a place of the result is a sum
over the taps that see the image of a vector of weights times a vector of it, whatever the size of map, kernel, stride and
batch; taps that would see border are never come to. Turning back and forth costs as much as about ten taps.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tapenet.kernels.moves import transposed, turned_into
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.sharing import Shared

Ints = tuple[int, int]
#: Sums that are held in registers.
SUMS = 8
#: Places of maps so small that turning costs less than what the direct sum loses on short runs.
SMALL = 16


class Shape(NamedTuple):
    """A convolution of each of so many channels by itself, over height and width."""

    channels: int
    batch: int
    x: Ints
    out: Ints
    kernel: Ints
    stride: Ints
    dilation: Ints
    before: Ints

    @property
    def seen(self) -> float:
        """Which part of all taps of all windows sees the image."""
        found = 1.0
        for n, m, k, s, d, before in zip(*self[2:], strict=True):
            inside = sum(0 <= i * s + t * d - before < n for i in range(m) for t in range(k))
            found *= inside / (m * k)
        return found

    @property
    def multiply_adds(self) -> int:
        return self.channels * self.batch * math.prod(self.out) * math.prod(self.kernel)


def takes(char: str, shape: Shape) -> bool:
    """Whether there is a kernel for a shape and a dtype, by NumPy's character."""
    strided = any(s > 1 and d > 1 for s, d in zip(shape.stride, shape.dilation, strict=True))
    return char in "fd" and shape.channels >= 16 and not strided


@functools.lru_cache(maxsize=512)
def pays(shape: Shape) -> bool:
    """Whether this beats the direct sum, which adds up border too, and runs of the batch: 960 channels on 2 x 2 maps take 60
    instead of 250 µs at batch 16, but 144 channels on 16 x 16 maps 950 instead of 730."""
    return math.prod(shape.out) <= SMALL or shape.seen < 0.6


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """out (channels, height, width, batch) = bias + the convolution of x (the same axes) by weight (channels, taps)."""
    made = np.empty((math.prod(shape.out) * shape.batch, shape.channels), x.dtype)
    run = _sums(shape, False, x.dtype.char)
    run(shape.out[0], shape.multiply_adds, _turned(x), np.ascontiguousarray(weight.T), bias, made)
    turned_into(made, out.reshape(shape.channels, -1))


def input_grad(y: np.ndarray, weight: np.ndarray, found: np.ndarray, shape: Shape) -> None:
    """The gradient by x, of one by the result."""
    made = np.empty((math.prod(shape.x) * shape.batch, shape.channels), y.dtype)
    run = _sums(shape, True, y.dtype.char)
    bias = np.zeros(shape.channels, y.dtype)
    run(shape.x[0], shape.multiply_adds, _turned(y), np.ascontiguousarray(weight.T), bias, made)
    turned_into(made, found.reshape(shape.channels, -1))


def weight_grad(x: np.ndarray, y: np.ndarray, shape: Shape) -> np.ndarray:
    """The gradient by the weights, (channels, taps)."""
    taps = math.prod(shape.kernel)
    made = np.zeros((taps, shape.channels), x.dtype)
    _weights(shape, x.dtype.char)(taps, shape.multiply_adds, _turned(x), _turned(y), made)
    return np.ascontiguousarray(made.T)


def _turned(a: np.ndarray) -> np.ndarray:
    return transposed(a.reshape(len(a), -1))


def _channels(k: Kernel, shape: Shape, most: int) -> Iterator[tuple[Index, list[int | None]]]:
    """The channels in blocks of some vectors: where each begins, and how many numbers its vectors have, if not all."""
    wide = most * k.lanes
    whole, rest = divmod(shape.channels, wide)
    if whole:
        for block in k.turns(whole):
            yield block * wide, [None] * most
    if rest:
        yield whole * wide, [count for _, count in k.vectors(0, rest)]


def _least(a: Value, b: Value | int) -> Value:
    return (a < b).where(a, b)


def _most(a: Value, b: Value | int) -> Value:
    return (a > b).where(a, b)


def _taps(k: Kernel, shape: Shape, axis: int, place: Value, back: bool) -> Iterator[tuple[Value, Value]]:
    """The taps along an axis by which a place of the result sees the image, and where; or, on the way `back`, by which a
    place of the image is seen, and from where."""
    n, s, d, before = (
        (shape.out if back else shape.x)[axis],
        shape.stride[axis],
        shape.dilation[axis],
        shape.before[axis],
    )
    taps = shape.kernel[axis]
    if not back:
        # 0 <= place * s + t * d - before < n
        corner = place * s - before
        first = _most((d - 1) - corner, 0)
        last = _most((n - 1 + d) - corner, 0)
        for t in k.turns(_least(last.op("udiv", last, d), taps), first.op("udiv", first, d)):
            yield t, corner + t * d
        return
    # 0 <= place + before - t * d = s * from < s * n
    corner = place + before
    if s == 1:
        first, last = _most(corner - (n - 1) + (d - 1), 0), corner + d
        for t in k.turns(_least(last.op("udiv", last, d), taps), first.op("udiv", first, d)):
            yield t, corner - t * d
        return
    # Of every s taps one: those before the first that is in reach are left out in steps of s.
    rest = corner.op("urem", corner, s)
    far = _most(corner - (s * (n - 1)) - rest + (s - 1), 0)
    first = far.op("udiv", far, s) * s + rest
    for t in k.turns(_least(corner + 1, taps), first, s):
        at = corner - t
        yield t, at.op("udiv", at, s)


@functools.lru_cache(maxsize=256)
def _sums(shape: Shape, back: bool, char: str) -> Shared:
    k = Kernel("depthwise", char)
    n, channels = shape.batch, shape.channels
    source, target = (shape.out, shape.x) if back else (shape.x, shape.out)
    x = k.array(*source, n, channels)
    weight, bias = k.array(*shape.kernel, channels), k.array(channels)
    out = k.array(*target, n, channels)
    begin, end = k.range()
    images = math.gcd(n, SUMS)
    for h in k.turns(end, begin):
        for c, counts in _channels(k, shape, min(4, max(1, SUMS // images))):
            for w in k.turns(target[1]):
                for first in k.turns(n, 0, images):
                    starts = [_load(k, bias.moved(c), v, count) for v, count in enumerate(counts)]
                    totals = [[k.variable(start) for start in starts] for _ in range(images)]
                    for a, i in _taps(k, shape, 0, h, back):
                        for b, j in _taps(k, shape, 1, w, back):
                            at, by = x.moved(i, j, first, c), weight.moved(a, b, c)
                            numbers = [_load(k, by, v, count) for v, count in enumerate(counts)]
                            for m, row in enumerate(totals):
                                for v, (total, count) in enumerate(zip(row, counts, strict=True)):
                                    total.set(numbers[v] * _load(k, at.moved(0, 0, m), v, count) + total.value)
                    for m, row in enumerate(totals):
                        for v, (total, count) in enumerate(zip(row, counts, strict=True)):
                            out.store(total.value, h, w, first + m, c + v * k.lanes, count=count)
    return k.shared()


def _load(k: Kernel, row: Array, v: int, count: int | None) -> Value:
    """The v-th vector of a row of channels."""
    return row.shaped(1).load(v * k.lanes, lanes=k.lanes, count=count)


@functools.lru_cache(maxsize=256)
def _weights(shape: Shape, char: str) -> Shared:
    k = Kernel("depthwise_weights", char)
    n, channels = shape.batch, shape.channels
    x, y = k.array(*shape.x, n, channels), k.array(*shape.out, n, channels)
    found = k.array(*shape.kernel, channels)
    begin, end = k.range()
    images = math.gcd(n, 4)
    for c, counts in _channels(k, shape, 2):
        for h in k.turns(shape.out[0]):
            for tap in k.turns(end, begin):
                a = tap.op("udiv", tap, shape.kernel[1])
                b = tap - a * shape.kernel[1]
                i = h * shape.stride[0] + a * shape.dilation[0] - shape.before[0]
                for _ in k.turns(((i >= 0) & (i < shape.x[0])).where(k.index(1), 0)):
                    # 0 <= w * s + b * d - before < n
                    s, length = shape.stride[1], shape.x[1]
                    off = b * shape.dilation[1] - shape.before[1]
                    low, high = _most((s - 1) - off, 0), _most((length - 1 + s) - off, 0)
                    to = found.moved(a, b, c)
                    zero = k.number(0.0, k.lanes)
                    totals = [[k.variable(zero) for _ in counts] for _ in range(images)]
                    for w in k.turns(_least(high.op("udiv", high, s), shape.out[1]), low.op("udiv", low, s)):
                        for first in k.turns(n, 0, images):
                            left, right = x.moved(i, w * s + off, first, c), y.moved(h, w, first, c)
                            for m, row in enumerate(totals):
                                for v, (total, count) in enumerate(zip(row, counts, strict=True)):
                                    value = _load(k, right.moved(0, 0, m), v, count)
                                    total.set(value * _load(k, left.moved(0, 0, m), v, count) + total.value)
                    for v, count in enumerate(counts):
                        value = _load(k, to, v, count)
                        for row in totals:
                            value = value + row[v].value
                        to.shaped(1).store(value, v * k.lanes, count=count)
    return k.shared()
