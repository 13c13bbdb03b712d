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
    """Windows over (depth, height, width), within an input that has its borders already."""

    outer: int
    x: Ints
    out: Ints
    inner: int
    kernel: Ints
    stride: Ints
    dilation: Ints
    #: Whether no two windows overlap.
    apart: bool

    @property
    def taps(self) -> list[Ints]:
        """The places within a window, row by row."""
        steps = [[i * d for i in range(k)] for k, d in zip(self.kernel, self.dilation, strict=True)]
        return list(itertools.product(*steps))


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


def _place(shape: Shape, at: tuple[Index, ...], tap: Ints) -> tuple[Index, ...]:
    """Where a place of a window is in the input."""
    return tuple(i * s + t if t else i * s for i, s, t in zip(at, shape.stride, tap, strict=True))


@functools.lru_cache(maxsize=128)
def _largest(shape: Shape, char: str) -> Shared:
    k = Kernel("largest", char)
    x, best, where = _arrays(k, shape)
    begin, end = k.range()

    def turn(a: Value, at: tuple[Index, ...], b: Index) -> None:
        first, *others = shape.taps
        most, place = x.load(a, *_place(shape, at, first), b), Value(k, "0", "i8")
        for i, tap in enumerate(others, 1):
            candidate = x.load(a, *_place(shape, at, tap), b)
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

    def turn(a: Value, at: tuple[Index, ...], b: Index) -> None:
        value, place = y.load(a, *at, b), where.load(a, *at, b)
        zero = k.number(0.0)
        for i, tap in enumerate(shape.taps):
            to = (a, *_place(shape, at, tap), b)
            part = place.eq(i).where(value, zero)
            found.store(part if shape.apart else found.load(*to) + part, *to)

    _everywhere(k, shape, begin, end, turn)
    return k.shared()


def _everywhere(
    k: Kernel, shape: Shape, begin: Value, end: Value, turn: Callable[[Value, tuple[Index, ...], Index], None]
) -> None:
    """The loops over all windows; the innermost is over `inner`, or where that is one number over the width."""
    for a in k.turns(end, begin):
        for d in k.turns(shape.out[0]):
            for h in k.turns(shape.out[1]):
                for w in k.turns(shape.out[2]):
                    if shape.inner == 1:
                        turn(a, (d, h, w), 0)
                    else:
                        for b in k.turns(shape.inner):
                            turn(a, (d, h, w), b)
