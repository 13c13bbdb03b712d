"""Convolution without columns: sums over shifted rows, held in vector registers.

Arrays lie as (channel, depth, height, width, batch), batch innermost, so that a window's shift by one place along the
width is a shift by `batch` numbers in memory: with stride 1, a row of the result is a sum over channels and taps of one
number times one dense run of a row of the input. A tile of the result, some channels times some vectors, stays in
registers while all channels and taps are added to it. That is the inner loop of a matrix product whose right operand
need not be built.

The gradient by the weights is the same with other roles: a tile of it stays in registers, a vector of partial sums for
each number, while rows of input and output gradient pass by.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import blocks, even, pieces
from tapenet.kernels.constants import lasting
from tapenet.kernels.moves import add_up
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared, parts

Ints = tuple[int, ...]
#: Taps at most: they are unrolled, and the code grows with them.
MOST_TAPS = 49
#: Bytes of input and output gradient that the weights' gradient works on at a time, to stay in the second level cache.
BLOCK = 1 << 19


class Shape(NamedTuple):
    """A sum over taps: out[o, i * out_step + out_start] = bias[o] + the sum of weight[o, c, t] * x[c, i * step + taps[t]].

    Places are of (depth, height, width). `counts` is how many i there are along each axis.
    """

    channels: int
    outs: int
    groups: int
    batch: int
    x: Ints
    out: Ints
    counts: Ints
    step: Ints
    taps: tuple[Ints, ...]
    out_step: Ints = (1, 1, 1)
    out_start: Ints = (0, 0, 0)

    @property
    def dense(self) -> bool:
        """Whether neighbours along the width are neighbours in memory, in both arrays."""
        return self.step[2] == self.out_step[2] == 1

    @property
    def run(self) -> int:
        """The numbers of one dense run."""
        return self.counts[2] * self.batch if self.dense else self.batch

    def offset(self, tap: Ints) -> int:
        """How far in memory a tap is from the first place of its window."""
        d, h, w = tap
        return ((d * self.x[1] + h) * self.x[2] + w) * self.batch

    @property
    def multiply_adds(self) -> int:
        return math.prod(self.counts) * self.batch * self.outs * self.channels // self.groups * len(self.taps)


def takes(char: str, shape: Shape) -> bool:
    """Whether there is a kernel for a shape and a dtype, by NumPy's character."""
    return (
        char in "fd"
        and 0 < len(shape.taps) <= MOST_TAPS
        and 2 * shape.run * np.dtype(char).itemsize >= registers().bytes
    )


def _arrays(k: Kernel, shape: Shape, own: bool = False) -> tuple[Array, Array, Array]:
    """Input, weights, perhaps of each part its own, and output, as arguments of a kernel."""
    x = k.array(shape.channels, *shape.x[:2], shape.x[2] * shape.batch)
    weight = (k.each if own else k.array)(shape.outs, shape.channels // shape.groups, len(shape.taps))
    return x, weight, k.array(shape.outs, *shape.out[:2], shape.out[2] * shape.batch)


def _widths(k: Kernel, shape: Shape) -> Iterator[Index]:
    """The places along the width that runs begin at."""
    if shape.dense:
        yield 0
    else:
        yield from k.turns(shape.counts[2])


# -- the sum over taps -------------------------------------------------------------------------------------------


def sums(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """Compute `out` as `Shape` says. All arrays are C-contiguous; weight is (outs, channels / groups, taps)."""
    _sums(shape, x.dtype.char)(_rows(shape), shape.multiply_adds, x, weight, out, bias)


def _rows(shape: Shape) -> int:
    """The length of the axis that threads share: the first that has one."""
    return shape.counts[0] if shape.counts[0] > 1 else shape.counts[1]


def _outer(k: Kernel, shape: Shape, begin: Value, end: Value) -> Iterator[tuple[Index, Index]]:
    """The places along depth and height, of which the first axis goes from `begin` to `end`."""
    if shape.counts[0] == 1:
        for h in k.turns(end, begin):
            yield 0, h
    else:
        for d in k.turns(end, begin):
            for h in k.turns(shape.counts[1]):
                yield d, h


@factory(256)
def _sums(shape: Shape, char: str) -> Shared:
    k = Kernel("sums", char, vectors=shape.outs > shape.groups)
    x, weight, out = _arrays(k, shape)
    bias = k.array(shape.outs)
    begin, end = k.range()
    outs, channels = shape.outs // shape.groups, shape.channels // shape.groups
    height, width = _tile(outs)
    for d, h in _outer(k, shape, begin, end):
        for g in k.turns(shape.groups):
            for o, size in blocks(k, outs, height):
                first = g * outs + o
                for w in _widths(k, shape):
                    place = (d, h, w)
                    source = x.moved(g * channels, *_at(shape, place, shape.step, (0, 0, 0)))
                    target = out.moved(first, *_at(shape, place, shape.out_step, shape.out_start))
                    for r, vectors, rest in pieces(k, shape.run, width):
                        _add_up(k, shape, source.moved(0, 0, 0, r), weight.moved(first), bias.moved(first),
                                target.moved(0, 0, 0, r), size, vectors, rest)  # fmt: skip
    return k.shared()


def _at(shape: Shape, place: tuple[Index, ...], step: Ints, start: Ints) -> tuple[Index, ...]:
    """Where a place is in an array: along depth, height, and width with batch."""
    d, h, w = (i * s + b if b else i * s for i, s, b in zip(place, step, start, strict=True))
    return d, h, w * shape.batch


def _tile(outs: int) -> tuple[int, int]:
    """How many channels, and how many vectors, of the result are held in registers."""
    room = registers().number - 5
    if outs == 1:
        return 1, min(8, room // 2)
    height = min(8, room // 3) if outs > 4 else outs
    height = next(even(outs, height))[2]
    return height, max(1, min(4, room // height))


def _add_up(
    k: Kernel, shape: Shape, x: Array, weight: Array, bias: Array, out: Array, size: int, vectors: int, rest: int | None
) -> None:  # fmt: skip
    """One tile of the result."""
    counts = [rest if v == vectors - 1 else None for v in range(vectors)]
    totals = [[k.variable(k.spread(bias.load(o), k.lanes)) for _ in counts] for o in range(size)]
    for c in k.turns(shape.channels // shape.groups):
        now = [[total.value for total in row] for row in totals]
        for t, (d, h, w) in enumerate(shape.taps):
            pieces = [
                x.load(c, d, h, w * shape.batch + v * k.lanes, lanes=k.lanes, count=counts[v]) for v in range(vectors)
            ]
            for o, sums in enumerate(now):
                number = k.spread(weight.load(o, c, t), k.lanes)
                for v, piece in enumerate(pieces):
                    sums[v] = number * piece + sums[v]
        for row, values in zip(totals, now, strict=True):
            for total, value in zip(row, values, strict=True):
                total.set(value)
    for o, row in enumerate(totals):
        for v, total in enumerate(row):
            out.store(total.value, o, 0, 0, v * k.lanes, count=counts[v])


# -- the gradient by the weights ---------------------------------------------------------------------------------


def weight_sums(x: np.ndarray, found: np.ndarray, y: np.ndarray, shape: Shape) -> None:
    """Write to found[o, c, t] the sum over places and batch of y[o] times x[c] at tap t: the gradient by the weights of `sums`,
    where y is the gradient by its result. All arrays are C-contiguous.

    Threads share the rows, as in `sums`, and have sums of their own, where there are more products than that costs: else each
    would read what lies in the other's cache. They share the outputs elsewhere."""
    rows, cost = _rows(shape), shape.multiply_adds
    number = parts(rows, cost, 2 * found.size)  # a vector for each number comes down to it too
    run, offsets = _weight_sums(shape, x.dtype.char, number > 1), _offsets(shape)
    if number > 1:
        sums = aligned((number, *found.shape), found.dtype)
        run(rows, cost, x, sums, y, lasting(offsets), parts=number)
        add_up(sums, found)
    else:
        run(shape.outs // _weight_tile(shape)[0], cost, x, found, y, lasting(offsets))


def _weight_tile(shape: Shape) -> tuple[int, int, int]:
    """How many outputs, channels and taps of the gradient are held in registers: a vector of partial sums for each."""
    room, wide = (24, 6) if registers().number == 32 else (10, 3)
    outs = shape.outs // shape.groups
    if outs == 1:
        wide = room
    taps = next(even(len(shape.taps), wide))[2]
    channels = min(shape.channels // shape.groups, max(1, wide // taps))
    most = max(1, room // (taps * channels))
    return max(n for n in range(1, most + 1) if outs % n == 0), channels, taps


@functools.lru_cache(maxsize=256)
def _offsets(shape: Shape) -> np.ndarray:
    """Where taps are in memory."""
    return np.array([shape.offset(tap) for tap in shape.taps], np.int64)


@factory(256)
def _weight_sums(shape: Shape, char: str, by_rows: bool) -> Shared:
    """The range is that of the rows, and each part has sums of its own; or that of blocks of outputs."""
    k = Kernel("weight_sums", char, vectors=shape.outs > shape.groups)
    x, found, y = _arrays(k, shape, by_rows)
    offsets = [shape.offset(tap) for tap in shape.taps]
    known = k.array(1, dtype=np.int64)
    begin, end = k.range()
    outs, channels = shape.outs // shape.groups, shape.channels // shape.groups
    height, some, wide = _weight_tile(shape)
    of_rows, of_blocks = (k.index(0), k.index(_rows(shape))), (k.index(0), k.index(shape.outs // height))
    if by_rows:
        of_rows = begin, end
    else:
        of_blocks = begin, end
    for d, h, rows, again in _bands(k, shape, *of_rows):
        for block in k.turns(of_blocks[1], of_blocks[0]):
            o = block * height
            group = 0 if shape.groups == 1 else o.op("udiv", o, outs)
            for c, number in blocks(k, channels, some):
                source = x.moved(group * channels + c, d * shape.step[0], h * shape.step[1])
                for t, taps in _taps(k, known, offsets, wide):
                    _add_products(k, shape, source, found.moved(o, c, t), y.moved(o, d, h), rows,
                                  (height, number), taps, again)  # fmt: skip
    return k.shared()


def _taps(k: Kernel, known: Array, offsets: list[int], wide: int) -> Iterator[tuple[Index, Sequence[Index]]]:
    """Blocks of so many taps: the first, and where they are. Of many a loop reads that from memory: written out 49 taps take
    LLVM 0.5 s."""
    whole = len(offsets) // wide * wide
    if whole > 2 * wide:
        for t in k.turns(whole, 0, wide):
            yield t, [known.load(t + i) for i in range(wide)]
    else:
        whole = 0
    for first in range(whole, len(offsets), wide):
        yield first, offsets[first : first + wide]


def _bands(k: Kernel, shape: Shape, begin: Value, end: Value) -> Iterator[tuple[Index, Index, Index, Value]]:
    """Bands of rows that stay in the second level cache: depth, first row, how many rows, and whether there was one before. The
    first axis that has a length goes from `begin` to `end`."""
    per_row = shape.batch * k.dtype.itemsize * (shape.channels * shape.x[2] * shape.step[1] + shape.outs * shape.out[2])
    most = max(1, BLOCK // per_row)
    if shape.counts[0] == 1:
        for h, some in k.blocks(end, most, begin):
            yield 0, h, some, h > begin
    else:
        for d in k.turns(end, begin):
            for first, rows in blocks(k, shape.counts[1], most):
                yield d, first, rows, (d > begin) | (k.index(0) + first > 0)


def _add_products(
    k: Kernel, shape: Shape, x: Array, found: Array, y: Array, rows: Index, size: tuple[int, int],
    taps: Sequence[Index], again: Value,
) -> None:  # fmt: skip
    """One tile of the weights' gradient, over some rows: added to what is there, or written."""
    columns = [(c, t) for c in range(size[1]) for t in range(len(taps))]
    zero = k.number(0.0, k.lanes)
    totals = [[k.variable(zero) for _ in columns] for _ in range(size[0])]

    def turn(place: tuple[Index, Index], r: Index, rest: int | None) -> None:
        h, w = place
        left = [y.load(o, 0, h, w * shape.batch + r, lanes=k.lanes, count=rest) for o in range(size[0])]
        seen = [
            x.moved(c, 0, h * shape.step[1], w * (shape.step[2] * shape.batch) + r).shaped(1) for c in range(size[1])
        ]
        for i, (c, t) in enumerate(columns):
            right = seen[c].load(taps[t], lanes=k.lanes, count=rest)
            for o, value in enumerate(left):
                totals[o][i].set(value * right + totals[o][i].value)

    for h in k.turns(rows):
        for w in _widths(k, shape):
            for r, _, rest in pieces(k, shape.run, 1):
                turn((h, w), r, rest)
    for o, row in enumerate(totals):
        for (c, t), total in zip(columns, row, strict=True):
            before = again.where(found.load(o, c, t), 0.0)
            found.store(before + k.total(total.value), o, c, t)
