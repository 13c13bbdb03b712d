"""Max pooling in one pass: the largest element of each window and its place, and back.

Arrays are (outer, depth, height, width, inner) in memory; windows cover the three axes in the middle.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.sharing import Shared

Ints = tuple[int, ...]
#: What one element of a window costs, in multiply-adds.
COST = 12


class Shape(NamedTuple):
    """Windows over (depth, height, width)."""

    outer: int
    x: Ints
    out: Ints
    inner: int
    kernel: Ints
    stride: Ints
    dilation: Ints
    #: How far the first windows begin before the input; what is beside it is smaller than all numbers.
    before: Ints
    #: Whether no two windows overlap.
    apart: bool
    #: Whether all of the input is in windows that are apart, and none of these reaches beyond it.
    covers: bool

    @property
    def taps(self) -> list[Ints]:
        """The places within a window, row by row."""
        steps = [[i * d for i in range(k)] for k, d in zip(self.kernel, self.dilation, strict=True)]
        return list(itertools.product(*steps))

    @property
    def within(self) -> tuple[int, int]:
        """From which window to which none reaches beyond a row."""
        before, step, count = self.before[2], self.stride[2], self.out[2]
        last = self.x[2] - 1 + before - (self.kernel[2] - 1) * self.dilation[2]
        low = min(-(-before // step), count)
        return low, max(low, min(last // step + 1, count))


def largest(x: np.ndarray, best: np.ndarray, where: np.ndarray, shape: Shape) -> None:
    """`best` and its place in the window (uint8); of equals the first, and nan is larger than all."""
    _largest(shape, x.dtype.char)(shape.outer, _cost(shape), x, best, where)


def spread(found: np.ndarray, y: np.ndarray, where: np.ndarray, shape: Shape) -> None:
    """Add y to `found` at `where` in its window; write it where windows are apart, with zeros in the rest of the window."""
    _spread(shape, y.dtype.char)(shape.outer, _cost(shape), found, y, where)


def _cost(shape: Shape) -> int:
    return COST * shape.outer * math.prod(shape.out) * math.prod(shape.kernel) * shape.inner


def _arrays(k: Kernel, shape: Shape) -> tuple[Array, Array, Array]:
    return (
        k.array(shape.outer, *shape.x, shape.inner),
        k.array(shape.outer, *shape.out, shape.inner),
        k.array(shape.outer, *shape.out, shape.inner, dtype=np.uint8),
    )


def _place(shape: Shape, at: tuple[Index, ...], tap: Ints, edge: bool) -> tuple[tuple[Index, ...], Value | None]:
    """Where a place of a window is in the input, and whether it is there; None where that is certain. With `edge` it may lie
    beside a row, too."""
    found, inside = [], None
    for axis, (i, step, t, before, n, out) in enumerate(
        zip(at, shape.stride, tap, shape.before, shape.x, shape.out, strict=True)
    ):
        first = t - before
        place = i * step + first if first else i * step
        if (edge or axis < 2) and (first < 0 or (out - 1) * step + first >= n):
            assert isinstance(place, Value)
            there = place.compare("ult", n)
            place = there.where(place, 0)
            inside = there if inside is None else inside & there
        found.append(place)
    return tuple(found), inside


@functools.lru_cache(maxsize=128)
def _largest(shape: Shape, char: str) -> Shared:
    k = Kernel("largest", char)
    x, best, where = _arrays(k, shape)
    begin, end = k.range()

    def turn(a: Value, at: tuple[Index, ...], b: Index, edge: bool) -> None:
        def element(tap: Ints) -> Value:
            place, inside = _place(shape, at, tap, edge)
            value = x.load(a, *place, b)
            return value if inside is None else inside.where(value, -math.inf)

        first, *others = shape.taps
        most, place = element(first), Value(k, "0", "i8")
        for i, tap in enumerate(others, 1):
            candidate = element(tap)
            larger = candidate.compare("ugt", most) & most.compare("ord", 0.0)  # nan takes over, and stays
            most, place = larger.where(candidate, most), larger.where(Value(k, str(i), "i8"), place)
        best.store(most, a, *at, b)
        where.store(place, a, *at, b)

    _everywhere(k, shape, begin, end, turn)
    return k.shared()


@functools.lru_cache(maxsize=128)
def _spread(shape: Shape, char: str) -> Shared:
    k = Kernel("spread", char)
    found, y, where = _arrays(k, shape)
    begin, end = k.range()

    def turn(a: Value, at: tuple[Index, ...], b: Index, edge: bool) -> None:
        value, place = y.load(a, *at, b), where.load(a, *at, b)
        zero = k.number(0.0)
        for i, tap in enumerate(shape.taps):
            to, inside = _place(shape, at, tap, edge)
            chosen = place.eq(i) if inside is None else place.eq(i) & inside
            if shape.apart:  # what is beside the input is not to change the element read in its place
                there = zero if inside is None else found.load(a, *to, b)
                found.store(chosen.where(value, there), a, *to, b)
            else:
                found.store(found.load(a, *to, b) + chosen.where(value, zero), a, *to, b)

    _everywhere(k, shape, begin, end, turn)
    return k.shared()


def _everywhere(
    k: Kernel, shape: Shape, begin: Value, end: Value, turn: Callable[[Value, tuple[Index, ...], Index, bool], None]
) -> None:
    """The loops over all windows; the innermost is over `inner`, or where that is one number over the width, and then those
    windows that reach beyond a row are by themselves. `turn` is told whether they may."""
    for a in k.turns(end, begin):
        for d in k.turns(shape.out[0]):
            for h in k.turns(shape.out[1]):
                if shape.inner == 1:
                    low, high = shape.within
                    for first, last, edge in ((0, low, True), (low, high, False), (high, shape.out[2], True)):
                        for w in k.turns(last, first) if first < last else ():
                            turn(a, (d, h, w), 0, edge)
                else:
                    for w in k.turns(shape.out[2]):
                        for b in k.turns(shape.inner):
                            turn(a, (d, h, w), b, True)
