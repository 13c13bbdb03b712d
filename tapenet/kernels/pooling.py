"""Max pooling in one pass: the largest element of each window and its place, and back. And average pooling.

Arrays are (outer, depth, height, width, inner) in memory; windows cover the three axes in the middle.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tapenet.kernels.blocks import move
from tapenet.kernels.blocks import turn as turned
from tapenet.kernels.constants import lasting, zeros
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

Ints = tuple[int, ...]
#: What one element of a window costs, in multiply-adds.
COST = 12
#: Rows at least that threads share.
HIGH = 4
#: Places of a map at most of which several are worked on at once, each a lane of vectors: they stay in the first level cache.
#: 3 x 3 by 2 of 64 x 256 x 8 x 8 takes 0.12 of the time so, of 64 x 16 x 14 x 14 0.2. Of windows that are apart LLVM makes
#: vectors along rows: 2 x 2 of 64 x 256 x 8 x 8 would take 1.2 to 1.6 of the time.
SMALL = 256


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

    @property
    def taps(self) -> list[Ints]:
        """The places within a window, row by row."""
        steps = [[i * d for i in range(k)] for k, d in zip(self.kernel, self.dilation, strict=True)]
        return list(itertools.product(*steps))

    @property
    def fills(self) -> bool:
        """Whether `spread` writes all of what windows are in: they lie side by side from its first place on, and what is left
        over behind them it fills with zeros."""
        return self.apart and all(
            before == 0 and reach == n * length <= whole
            for before, reach, n, length, whole in zip(
                self.before, self.covers, self.out, self.kernel, self.x, strict=True
            )
        )

    @property
    def covers(self) -> Ints:
        """Where the last window ends along each axis."""
        return tuple(
            (n - 1) * step + (length - 1) * gap + 1
            for n, step, length, gap in zip(self.out, self.stride, self.kernel, self.dilation, strict=True)
        )

    @property
    def line(self) -> int:
        """Places of a row with what windows see beside it."""
        return max(self.covers[2], self.before[2] + self.x[2])

    @property
    def within(self) -> tuple[int, int]:
        """From which window to which none reaches beyond a row."""
        before, step, count = self.before[2], self.stride[2], self.out[2]
        last = self.x[2] - 1 + before - (self.kernel[2] - 1) * self.dilation[2]
        low = min(-(-before // step), count)
        return low, max(low, min(last // step + 1, count))


def largest(x: np.ndarray, best: np.ndarray, where: np.ndarray, shape: Shape) -> None:
    """`best` and its place in the window (uint8); of equals the first, and nan is larger than all."""
    if lanes := _lanes(shape, x.itemsize):
        run = _of_several(shape, False, x.dtype.char)
        run(shape.outer // lanes, _cost(shape), x, best, where, *_rooms(shape, lanes, x.itemsize))
        return
    rows = _by_rows(shape)
    _largest(shape, rows, x.dtype.char)(shape.out[1] if rows else shape.outer, _cost(shape), x, best, where)


def spread(found: np.ndarray, y: np.ndarray, where: np.ndarray, shape: Shape) -> None:
    """Add y to `found` at `where` in its window; write it where windows are apart, with zeros in the rest of the window. Unless
    the shape `fills`, `found` begins with zeros where there is no window, windows overlap or reach beyond the input."""
    if lanes := _lanes(shape, y.itemsize):
        run = _of_several(shape, True, y.dtype.char)
        run(shape.outer // lanes, _cost(shape), found, y, where, *_rooms(shape, lanes, y.itemsize))
        return
    rows = _by_rows(shape) and shape.apart
    _spread(shape, rows, y.dtype.char)(shape.out[1] if rows else shape.outer, _cost(shape), found, y, where)


def average(x: np.ndarray, out: np.ndarray, shares: np.ndarray, shape: Shape) -> None:
    """Write the sum of each window, times its share: one for all, or one for each window of a map. Shares stay as they are."""
    line, width = shape.line * shape.inner * x.itemsize, shape.x[2] * shape.inner
    run = _average(shape, shares.size > 1, x.dtype.char)
    run(shape.outer, _cost(shape), x, out, lasting(shares), zeros(width, x.dtype), line)


def _lanes(shape: Shape, itemsize: int) -> int:
    """How many maps are taken at once, each a lane of vectors; 0 if they are taken one by one."""
    lanes = registers().bytes // itemsize
    small = shape.inner == 1 and not shape.apart and math.prod(shape.x) <= SMALL
    return lanes if small and shape.outer % lanes == 0 else 0


def _rooms(shape: Shape, lanes: int, itemsize: int) -> Ints:
    """Bytes of that many maps, of a number and of a place for each window."""
    windows = math.prod(shape.out) * lanes
    return math.prod(shape.x) * lanes * itemsize, windows * itemsize, windows


def _by_rows(shape: Shape) -> bool:
    """Whether threads share the rows, as convolutions of images do that have their batch innermost: each core has its own in
    its cache."""
    return shape.inner > 1 and shape.out[1] >= HIGH


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


@factory(128)
def _largest(shape: Shape, rows: bool, char: str) -> Shared:
    k = Kernel("largest", char)
    x, best, where = _arrays(k, shape)

    def turn(a: Value, at: tuple[Index, ...], edge: bool) -> None:
        _largest_at(k, shape, x.part(a), best.part(a), where.part(a), at, edge)

    _everywhere(k, shape, rows, turn)
    return k.shared()


def _largest_at(
    k: Kernel, shape: Shape, x: Array, best: Array, where: Array, at: tuple[Index, ...], edge: bool
) -> None:  # fmt: skip
    """One window of a map."""
    places = [_place(shape, at, tap, edge) for tap in shape.taps]
    for b in _each(k, shape):

        def element(i: int, b: Index = b) -> Value:
            place, inside = places[i]
            value = x.load(*place, b)
            return value if inside is None else inside.where(value, -math.inf)

        most, place = element(0), Value(k, "0", "i8")
        for i in range(1, len(places)):
            candidate = element(i)
            larger = candidate.compare("ugt", most) & most.compare("ord", 0.0)  # nan takes over, and stays
            most, place = larger.where(candidate, most), larger.where(Value(k, str(i), "i8"), place)
        best.store(most, *at, b)
        where.store(place, *at, b)


@factory(128)
def _spread(shape: Shape, rows: bool, char: str) -> Shared:
    k = Kernel("spread", char)
    found, y, where = _arrays(k, shape)

    def turn(a: Value, at: tuple[Index, ...], edge: bool) -> None:
        _spread_at(k, shape, found.part(a), y.part(a), where.part(a), at, edge)

    def left_over(a: Value, d: Value, h: Value) -> None:
        """Zeros behind the windows of a row, and behind the last row."""
        (deep, high, wide), (depth, height, width) = shape.covers, shape.x
        last, behind = h.eq(shape.out[1] - 1), d.eq(shape.out[0] - 1)
        lines = [found.part(a, d * shape.stride[0] + i) for i in range(shape.kernel[0])]
        for line in lines if wide < width else ():
            for j in range(shape.kernel[1]):
                move(k, None, line.part(h * shape.stride[1] + j, wide).shaped(1), (width - wide) * shape.inner)
        for _ in k.when(last) if high < height else ():
            for line in lines:
                move(k, None, line.part(high).shaped(1), (height - high) * width * shape.inner)
        for _ in k.when(last & behind) if deep < depth else ():
            move(k, None, found.part(a, deep).shaped(1), (depth - deep) * height * width * shape.inner)

    _everywhere(k, shape, rows, turn, left_over if shape.fills else None)
    return k.shared()


def _spread_at(
    k: Kernel, shape: Shape, found: Array, y: Array, where: Array, at: tuple[Index, ...], edge: bool
) -> None:  # fmt: skip
    """One window of a map."""
    places, zero = [_place(shape, at, tap, edge) for tap in shape.taps], k.number(0.0)

    def put(i: int, b: Index, chosen: Value) -> None:
        to = (*places[i][0], b)
        part = chosen.where(y.load(*at, b), zero)
        found.store(part if shape.apart else found.load(*to) + part, *to)

    if all(inside is None for _, inside in places):
        for b in _each(k, shape):
            for i in range(len(places)):
                put(i, b, where.load(*at, b).eq(i))
        return
    for i, (_, inside) in enumerate(places):  # one by one: of places that may be equal LLVM makes no vectors
        for _ in range(1) if inside is None else k.when(inside):
            for b in _each(k, shape):
                put(i, b, where.load(*at, b).eq(i))


@factory(128)
def _of_several(shape: Shape, back: bool, char: str) -> Shared:
    """`_largest`, or with `back` `_spread`, of as many maps at once as a vector has lanes; the range is of these. They are
    copied so that the maps are innermost, and the result is copied back."""
    k = Kernel("spread_of_several" if back else "largest_of_several", char)
    x, y, where = _arrays(k, shape)
    maps, numbers = k.scratch(*shape.x, k.lanes), k.scratch(*shape.out, k.lanes)
    places = k.scratch(*shape.out, k.lanes, dtype=np.uint8)
    begin, end = k.range()
    several, size, windows = shape._replace(inner=k.lanes), math.prod(shape.x), math.prod(shape.out)

    def copy_places(first: Value) -> None:
        own, together = where.part(first).shaped(k.lanes, windows), places.shaped(windows, k.lanes)
        for lane in k.turns(k.lanes):
            for o in k.turns(windows):
                if back:
                    together.store(own.load(lane, o), o, lane)
                else:
                    own.store(together.load(o, lane), lane, o)

    for i in k.turns(end, begin):
        first = i * k.lanes
        if back:
            turned(k, y.part(first), numbers, k.lanes, windows)
            copy_places(first)
            move(k, None, maps.shaped(1), size * k.lanes)
        else:
            turned(k, x.part(first), maps, k.lanes, size)
        for d in k.turns(shape.out[0]):
            for h in k.turns(shape.out[1]):
                for w in k.turns(shape.out[2]):
                    (_spread_at if back else _largest_at)(k, several, maps, numbers, places, (d, h, w), True)
        if back:
            turned(k, maps, x.part(first), size, k.lanes)
        else:
            turned(k, numbers, y.part(first), windows, k.lanes)
            copy_places(first)
    return k.shared()


@factory(128)
def _average(shape: Shape, each: bool, char: str) -> Shared:
    """The sums of columns of a row of windows, within borders, and of these those of each window; where windows are apart, at
    once. Of rows beside the image zeros are read."""
    k = Kernel("average", char)
    n, width, step = shape.inner, shape.x[2] * shape.inner, shape.stride[2]
    x = k.array(shape.outer, *shape.x[:2], width)
    out = k.array(shape.outer, *shape.out[:2], shape.out[2] * n)
    shares, nothing, line = k.array(*shape.out), k.array(width), k.scratch(1)
    begin, end = k.range()
    within, sums = shape._replace(before=(*shape.before[:2], 0)), line.moved(shape.before[2] * n)
    rows, columns = [t for t in shape.taps if t[2] == 0], sorted({t[2] for t in shape.taps})
    alone = shape.apart and shape.within == (0, shape.out[2])

    def added(values: Iterable[Value]) -> Value:
        return functools.reduce(operator.add, values)

    def column(seen: list[Array], place: Index) -> Value:
        return added(r.load(place) for r in seen)

    def row(at: tuple[Index, ...], tap: Ints) -> Array:
        (d, h, _), inside = _place(within, at[1:], tap, False)
        seen = x.part(at[0], d, h)
        if inside is not None:
            either = inside.where(Value(k, seen.pointer, "ptr"), Value(k, nothing.pointer, "ptr"))
            seen = Array(k, either.name, (1,), k.dtype)
        return seen

    if not alone:
        for i in k.turns(shape.line * n):
            line.store(k.number(0.0), i)
    one = shares.load(0, 0, 0)
    for a in k.turns(end, begin):
        for d in k.turns(shape.out[0]):
            for h in k.turns(shape.out[1]):
                seen = [row((a, d, h, k.index(0)), tap) for tap in rows]
                if not alone:
                    for i in k.turns(width):
                        sums.store(column(seen, i), i)
                for w in k.turns(shape.out[2]):
                    for b in _each(k, shape):
                        places = [(w * step + t) * n + b for t in columns]
                        total = added(column(seen, place) if alone else line.load(place) for place in places)
                        out.store(total * (shares.load(d, h, w) if each else one), a, d, h, w * n + b)
    return k.shared()


def _each(k: Kernel, shape: Shape) -> Iterator[Index]:
    """A loop over `inner`."""
    if shape.inner == 1:
        yield 0
    else:
        yield from k.turns(shape.inner)


def _everywhere(
    k: Kernel, shape: Shape, rows: bool, turn: Callable[[Value, tuple[Index, ...], bool], None],
    after: Callable[[Value, Value, Value], None] | None = None,
) -> None:  # fmt: skip
    """The loops over all windows, of which threads share the rows or the outer axis; where `inner` is one number, those windows
    that reach beyond a row are by themselves. `turn` is told whether they may. `after` is called behind each row."""
    part = k.range()
    begin, end = (k.index(0), k.index(shape.outer)) if rows else part
    first, last = part if rows else (k.index(0), k.index(shape.out[1]))
    low, high = shape.within if shape.inner == 1 else (0, 0)
    for a in k.turns(end, begin):
        for d in k.turns(shape.out[0]):
            for h in k.turns(last, first):
                for left, right, edge in ((0, low, True), (low, high, False), (high, shape.out[2], True)):
                    for w in k.turns(right, left) if left < right else ():
                        turn(a, (d, h, w), edge)
                if after is not None:
                    after(a, d, h)
