"""Convolution of each channel by itself, place by place: each is some vectors, of a batch or of as many channels as a vector
has lanes.

Some places of a row of the result stay in registers while what they see goes by; a vector that is loaded is used in all of
them. Taps that see border are left out: along a row as the code is written, across rows as it runs. A batch that fills vectors
is read where it lies. Of smaller ones some channels are brought to be innermost, and their result back, in the caches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tapenet.kernels.blocks import even, move, pieces, turn
from tapenet.kernels.depthwise import Axis, Phase, Shape
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

#: Taps from which, and bytes of an image of some channels up to which, bringing these to be innermost pays: 7 x 7 on 28 x 28
#: places of one image take 0.8 of the time so, 5 x 5 0.92, 3 x 3 1.2; 7 x 7 on 56 x 56 1.06.
TAPS, SMALL = 25, 1 << 16


def takes(char: str, shape: Shape) -> bool:
    """Whether each place fills vectors, or can be made to."""
    lanes, (tall, wide) = _lanes(char), shape.axes
    if shape.batch >= lanes:
        return True
    places = max(tall.source * wide.source, tall.target * wide.target) * shape.batch
    return shape.channels >= lanes and math.prod(shape.kernel) >= TAPS and places * registers().bytes <= SMALL


def sums(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """See `depthwise.sums`."""
    several, rooms = _several(shape, x.dtype.char)
    run = _sum_kernel(shape, several, x.dtype.char)
    run(-(-shape.channels // several), shape.multiply_adds, x, weight, bias, out, *rooms)


def weight_sums(x: np.ndarray, y: np.ndarray, found: np.ndarray, shape: Shape) -> None:
    """See `depthwise.weight_sums`; `found` begins with zeros."""
    several, rooms = _several(shape, x.dtype.char)
    run = _weight_kernel(shape, several, x.dtype.char)
    run(-(-shape.channels // several), shape.multiply_adds, x, y, found, *rooms)


def _lanes(char: str) -> int:
    return registers().bytes // np.dtype(char).itemsize


def _several(shape: Shape, char: str) -> tuple[int, tuple[int, int, int]]:
    """How many channels are taken at once, and bytes of what is kept of them: the source, the result, and the weights."""
    if shape.batch >= _lanes(char):
        return 1, (64, 64, 64)
    (tall, wide), each = shape.axes, shape.batch * registers().bytes
    source, result = tall.source * wide.source * each, tall.target * wide.target * each
    return _lanes(char), (source, result, math.prod(shape.kernel) * registers().bytes)


def _first(shape: Shape, some: Value, several: int) -> Value:
    """Of some channels. The last ones may be of those before them too, which then are computed twice."""
    if several == 1:
        return some
    c, last = some * several, shape.channels - several
    return c.at_most(last) if last % several else c


# -- which places see what ---------------------------------------------------------------------------------------


def _tiles(k: Kernel, axis: Axis, most: int) -> Iterator[tuple[Index, int]]:
    """The places of the phases of an axis in tiles: where each begins, an integer where it may see border, and its size."""
    number, size = axis.number, next(even(axis.number, most))[2]
    offsets = [o for f in axis.phases for o in f.offsets] or [0]
    inside = min((axis.source - 1 - max(offsets)) // axis.step + 1, *(f.number for f in axis.phases))
    first, last = -(-max(0, -(min(offsets) // axis.step)) // size), inside // size
    if last - first < 2:
        first = last = 0
    for at in range(0, first * size, size):
        yield at, size
    if first < last:
        for place in k.turns(last * size, first * size, size):
            yield place, size
    for at in range(last * size, number, size):
        yield at, min(size, number - at)


def _uses(axis: Axis, at: Index, size: int) -> dict[int, list[tuple[int, int]]]:
    """What a tile sees: by places of the source, from where the first of the tile is, those of the result, numbered phase by
    phase, and by which column of the kernel."""
    found: dict[int, list[tuple[int, int]]] = {}
    for q, f in enumerate(axis.phases):
        for i in range(_some(f, at, size)):
            for tap, offset in zip(f.kernel, f.offsets, strict=True):
                place = i * axis.step + offset
                if not isinstance(at, int) or 0 <= at * axis.step + place < axis.source:
                    found.setdefault(place, []).append((q * size + i, tap))
    return dict(sorted(found.items()))


def _some(phase: Phase, at: Index, size: int) -> int:
    """How many places of a tile a phase has."""
    return min(size, phase.number - at) if isinstance(at, int) else size


def _seen(k: Kernel, axis: Axis, rows: Phase, h: Value) -> Iterator[tuple[Value, Value]]:
    """A loop over the rows of the kernel that see a row of the source from the h-th place of a phase: both."""
    some = sorted(zip(rows.offsets, rows.kernel, strict=True))
    if not some:
        return
    offset, tap = some[0]
    step, by = (b - a for a, b in zip(*some[:2], strict=True)) if len(some) > 1 else (1, 1)
    first = h * axis.step + offset

    def number(places: Value) -> Value:
        """Of steps up to so many places."""
        up = (places > 0).where(places + (step - 1), 0)
        return up.op("udiv", up, step) if step > 1 else up

    last = number(axis.source - first)
    for t in k.turns(last.at_most(len(some)), number(-first)):
        yield t * by + tap, t * step + first


# -- the sum over taps -------------------------------------------------------------------------------------------


@factory(512)
def _sum_kernel(shape: Shape, several: int, char: str) -> Shared:
    """The range is that of the channels, so `several` at once."""
    k = Kernel("depthwise_places", char, vectors=True)
    (tall, wide), n, number = shape.axes, shape.batch, math.prod(shape.kernel)
    x, weight = k.array(shape.channels, tall.source, wide.source * n), k.array(shape.channels, number)
    bias, out = k.array(shape.channels), k.array(shape.channels, tall.target, wide.target * n)
    each = n * several  # numbers of a place
    kept, made = k.scratch(tall.source, wide.source * each), k.scratch(tall.target, wide.target * each)
    factors = k.scratch(number, several)
    begin, end = k.range()
    most = max(1, registers().number // 2 // len(wide.phases))
    for some in k.turns(end, begin):
        c = _first(shape, some, several)
        source, target, start = x.part(c), out.part(c), bias.load(c, lanes=several if several > 1 else 0)
        if several > 1:
            turn(k, weight.part(c), factors, several, number)
            turn(k, source, kept, several, x.strides[0])
            source, target = kept, made
        else:
            start = k.spread(start, k.lanes)
        for rows in tall.phases:
            for h in k.turns(rows.number):
                for at, size in _tiles(k, wide, most):
                    uses = _uses(wide, at, size)
                    for v, _, rest in pieces(k, each, 1):
                        totals = [k.variable(start) for _ in range(size * len(wide.phases))]
                        for a, row in _seen(k, tall, rows, h):
                            line = source.part(row).moved(at * (wide.step * each) + v)
                            now = [total.value for total in totals]
                            for place, seen in uses.items():
                                value = line.load(place * each, lanes=k.lanes, count=rest)
                                for i, b in seen:
                                    tap = a * shape.kernel[1] + b
                                    if several > 1:
                                        factor = factors.load(tap, lanes=several)
                                    else:
                                        factor = k.spread(weight.load(c, tap), k.lanes)
                                    now[i] = factor * value + now[i]
                            for total, value in zip(totals, now, strict=True):
                                total.set(value)
                        line = target.part(h * tall.spread + rows.start).moved(at * (wide.spread * each) + v)
                        for q, columns in enumerate(wide.phases):
                            for i in range(_some(columns, at, size)):
                                place = (i * wide.spread + columns.start) * each
                                line.store(totals[q * size + i].value, place, count=rest)
        if several > 1:
            turn(k, made, out.part(c), out.strides[0], several)
    return k.shared()


# -- the gradient by the weights ---------------------------------------------------------------------------------


@factory(512)
def _weight_kernel(shape: Shape, several: int, char: str) -> Shared:
    """The range is that of the channels, so `several` at once."""
    k = Kernel("depthwise_place_weights", char, vectors=True)
    (tall, wide), n, number = shape.axes, shape.batch, math.prod(shape.kernel)
    x, y = k.array(shape.channels, tall.source, wide.source * n), k.array(shape.channels, tall.target, wide.target * n)
    found, each = k.array(shape.channels, number), n * several
    kept, given = k.scratch(tall.source, wide.source * each), k.scratch(tall.target, wide.target * each)
    products = k.scratch(number, several)
    begin, end = k.range()
    (rows,), (columns,) = tall.phases, wide.phases
    taps = [(t, b) for t in range(len(rows.kernel)) for b in columns.kernel]
    zero = k.number(0.0, k.lanes)
    for some in k.turns(end, begin):
        c = _first(shape, some, several)
        source, left = x.part(c), y.part(c)
        if several > 1:
            turn(k, source, kept, several, x.strides[0])
            turn(k, left, given, several, y.strides[0])
            source, left = kept, given
            move(k, None, products.shaped(1), number * several)
        for first, count, length in even(len(taps), registers().number * 3 // 4) if taps else ():
            for group in (taps[i : i + length] for i in range(first, first + count * length, length)):
                totals = {tap: k.variable(zero) for tap in group}
                for h in k.turns(rows.number):
                    for at, size in _tiles(k, wide, max(1, min(8, registers().number - length - 2))):
                        uses = _uses(wide, at, size)
                        for v, _, rest in pieces(k, each, 1):
                            line = left.part(h).moved(at * each + v)
                            numbers = [line.load(i * each, lanes=k.lanes, count=rest) for i in range(size)]
                            for t in sorted({t for t, _ in group}):
                                row = h * tall.step + rows.offsets[t]
                                for _ in k.when(row.compare("ult", tall.source)):
                                    line = source.part(row).moved(at * (wide.step * each) + v)
                                    for place, seen in uses.items():
                                        mine = [(i, totals[t, b]) for i, b in seen if (t, b) in totals]
                                        if mine:
                                            value = line.load(place * each, lanes=k.lanes, count=rest)
                                            for i, total in mine:
                                                total.set(numbers[i] * value + total.value)
                for (t, b), total in totals.items():
                    tap = rows.kernel[t] * shape.kernel[1] + b
                    if several > 1:
                        products.store(total.value, tap)
                    else:
                        found.store(k.total(total.value), c, tap)
        if several > 1:
            turn(k, products, found.part(c), number, several)
    return k.shared()
