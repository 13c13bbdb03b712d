"""Convolution with 3 x 3 kernels and stride 2 in fewer multiplications: Winograd's filtering, phase by phase.

Along one axis two results read five inputs, y0 = x0 w0 + x1 w1 + x2 w2 and y1 = x2 w0 + x3 w1 + x4 w2. Even inputs meet the
taps w0 and w2, which is Winograd's F(2, 2) with 3 products in place of 4; odd ones meet w1 alone:

    m0 = (x0 - x2) w0 + x1 w1,  m1 = x2 (w0 + w2),  m2 = x3 w1 + (x4 - x2) w2,  y0 = m0 + m1,  y1 = m1 + m2.

Along both axes a tile of 2 x 2 results takes 25 products in place of 36, and two products of one m are a product of matrices
of twice the depth. The gradient by the input is the transpose. Of the results' gradients d0, d1 and d2 it makes

    m0 = (d0 - d1) w2,  m1 = d1 (w0 + w2),  m2 = (d2 - d1) w0,

and from d0 w1, m0 + m1, d1 w1 and m1 + m2 a tile of 4 x 4.

Nothing is multiplied but by 0, 1 and -1, so errors stay as small as those of `winograd`, in whose way arrays lie and tiles
are worked on. On one thread of a Zen 4, 64 to 256 channels take 0.68 to 0.76 of the time of `gathered.sums` on 16 or 64 images
of 4 x 4 to 16 x 16, gradients 0.69 to 0.80; on one of 28 x 28 or 56 x 56 0.80 to 0.91, gradients 0.66 to 0.72.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tapenet.kernels import aligned, winograd
from tapenet.kernels.blocks import pieces, planes
from tapenet.kernels.constants import made_of, zeros
from tapenet.kernels.winograd import Shape
from tapenet.llvm import gemm
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.sharing import Shared

#: What the columns of a line of V are made of: a place of a tile, or the difference of two. Of the forward sum what makes m0,
#: what makes m2, and what makes m1; of the gradient what makes m0, m1 and m2, and d0.
Kinds = Sequence[tuple[int, int | None]]
KINDS: Kinds = ((0, 2), (1, None), (3, None), (4, 2), (2, None))
GRADIENT_KINDS: Kinds = ((0, 1), (1, None), (2, 1), (0, None))
A = ((1, 1, 0), (0, 1, 1))  # from m to results
#: Numbers between rows of the transformed weights, or between matrices of those for gradients, so that these don't compete for
#: places in a cache.
APART = 16
#: Outputs of a part at least, where threads share these.
OUTS = 32


def transformed(weight: np.ndarray, gradient: bool = False) -> np.ndarray:
    """U of kernels (outs, channels, 3, 3), as (4, outs, 4 * channels + APART): along the first axis w0, w1, w0 + w2 and w2 of
    the rows of kernels, along the last w0, w1, w2 and w0 + w2 of their columns, such that what is multiplied at once lies
    side by side. For a `gradient` as (16, outs * channels + APART): w2, w0 + w2, w0 and w1 of rows and of columns."""
    outs, channels = weight.shape[:2]
    shape = (16, outs * channels + APART) if gradient else (4, outs, 4 * channels + APART)
    found = aligned(shape, weight.dtype)
    run = _transform(channels % winograd.lanes_of(weight.dtype), gradient, weight.dtype.char)
    run(outs, winograd.MOVED * found.size, np.ascontiguousarray(weight), found, outs, channels)
    return found


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """out = bias + the cross-correlation of x and weight with stride 2; see `winograd.convolve`."""
    _run(shape, x, weight, [bias, out], shape.multiply_adds, False)


def input_grad(y: np.ndarray, weight: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """The gradient of `convolve`, of this shape, by x to `out`, where y is the one by its result. x has a border of 1 above
    and to the left."""
    turned = Shape(shape.outs, shape.channels, *shape.inputs, shape.batch, (shape.height, shape.width), (0, 0), tile=4)
    _run(turned, y, weight, [out], shape.multiply_adds, True)


def _run(shape: Shape, x: np.ndarray, weight: np.ndarray, arrays: list[np.ndarray], cost: int, gradient: bool) -> None:
    u = made_of(weight, ("winograd_strided", gradient), lambda: transformed(weight, gradient))
    rows, length = winograd.matrix_rows(shape), winograd.length_of(shape, x.dtype)
    by_outs = length == 1 and shape.outs >= 2 * OUTS
    kernel, kinds, products = (_input_grad, GRADIENT_KINDS, 15) if gradient else (_convolve, KINDS, 9)
    alike = shape._replace(channels=0, outs=0)
    run = kernel(alike, rows, winograd.leaves_odd(shape, x.dtype), gemm.far(u.nbytes), x.dtype.char, by_outs)
    border = zeros(shape.batch * shape.inputs[1], x.dtype)
    column = winograd.most_columns(shape, x.dtype) * x.itemsize
    several, dense, apart = _image(shape)
    images = several * (dense + apart) * x.itemsize if winograd.narrow(shape, x.dtype) else 0
    memory = len(kinds) * shape.channels * column, products * rows * column, images + 64 * x.itemsize
    length = shape.outs if by_outs else length
    run(length, cost, x, border, u, *arrays, *memory, shape.channels, shape.outs)


@factory(128)
def _transform(rest: int, gradient: bool, char: str) -> Shared:
    """The range is that of the outs; of the channels only how many are left over behind whole vectors is known."""
    k = Kernel("winograd_strided_kernels", char, vectors=True)
    weight, u = k.array(1), k.array(1)
    outs, channels = k.integer(), k.integer()
    begin, end = k.range()
    row = channels if gradient else channels * 4 + APART
    if gradient:
        matrices = [(channels * outs + APART) * q for q in range(16)]
    else:
        matrices = [row * outs * i + channels * j for i in range(4) for j in range(4)]
    by_column, by_row = (_by_products, _by_products) if gradient else (_by_lines, _by_kinds)
    rows = [9 * i for i in range(k.lanes)]
    whole = channels.op("udiv", channels, k.lanes) * k.lanes

    def some(o: Value, c: Value, count: int) -> None:
        kernels, target = weight.moved((channels * o + c) * 9).near(), u.moved(row * o + c).near()
        winograd.write_kernels(k, kernels, rows, target, matrices, count, False, by_column, by_row)

    for o in k.turns(end, begin):
        for c in k.turns(whole, 0, k.lanes):
            some(o, c, k.lanes)
        if rest:
            some(o, whole, rest)
    return k.shared()


def _by_products(a: Value, b: Value, c: Value) -> tuple[Value, Value, Value, Value]:
    """The transform of rows and of columns for the gradient."""
    return c, a + c, a, b


def _by_lines(a: Value, b: Value, c: Value) -> tuple[Value, Value, Value, Value]:
    """The transform of the rows of kernels."""
    return a, b, a + c, c


def _by_kinds(a: Value, b: Value, c: Value) -> tuple[Value, Value, Value, Value]:
    """That of their columns."""
    return a, b, c, a + c


@factory(128)
def _convolve(shape: Shape, rows: int, odd: bool, far: bool, char: str, by_outs: bool) -> Shared:
    """See `winograd._convolve`. The five lines of V are made and multiplied one after the other: all at once would not stay
    in a second level cache. The range is that of the blocks; or, `by_outs`, that of the outputs of the only one, whose V each
    part makes."""
    k = Kernel("winograd_strided", char, vectors=True)
    n = shape.batch
    x, border = k.array(1, *shape.inputs, n), k.array(n)
    u, bias = k.array(1), k.array(1)
    out = k.array(1, shape.height, shape.width * n)
    v_memory, m_memory, images = k.scratch(1), k.scratch(1), k.scratch(1)
    channels, outs = k.integer(), k.integer()
    tiles = gemm.tall(rows, k.dtype), 2, *([1] if odd else [])
    row_of = channels * 4 + APART
    few = winograd.narrow(shape, k.dtype)
    read = functools.partial(_row_inputs, images) if few else _inputs
    write: Callable[..., None] = winograd.write_rows if few else winograd.write_tiles
    lead, some, within = _dealt(k, outs, tiles[0], by_outs)
    first_out, first_bias = out.moved(lead), bias.moved(lead)

    def products(v: Array, m: Array, line: Value, columns: int) -> None:
        # A line's three products: of its first two kinds, of the next two, of the last.
        again = line.eq(1) | line.eq(4)
        kernels = u.moved((outs * _one_of(k, line, 0, 1, 2, 1, 3) + lead) * row_of)
        for q in k.turns(3):
            depth = q.eq(2).where(channels, channels * 2)
            left = gemm.Matrix(kernels.at(channels * _one_of(k, q, 0, 1, 3)), row_of.name, 1)
            right = gemm.Matrix(v.at(channels * 2 * q), columns, 1)
            to = gemm.Matrix(m.at(_one_of(k, line, 0, 0, 3, 6, 6) + _one_of(k, q, 0, 2, 1)), columns, 1)
            lengths = some.name, columns, depth.name
            gemm.write(k, lengths, [left, right, to], k.dtype, again.name, rows=tiles, far=far)

    for columns, *place in _blocks(k, shape, within):
        v, m = v_memory.shaped(1, columns), m_memory.shaped(9, rows, columns)
        for line in k.turns(5):
            read(k, shape, KINDS, channels, x, border, v, line, *place)
            products(v, m, line, columns)
        write(k, shape, some, m, first_bias, first_out, *place, A)
    return k.shared()


@factory(128)
def _input_grad(shape: Shape, rows: int, odd: bool, far: bool, char: str, by_outs: bool) -> Shared:
    """The same for the gradient, whose results are `outs` and whose sums are over `channels`. First come those rows of a tile
    that are one product each, then the three products of the other two."""
    k = Kernel("winograd_strided_inputs", char, vectors=True)
    n = shape.batch
    y, border, u = k.array(1, *shape.inputs, n), k.array(n), k.array(1)
    out = k.array(1, shape.height, shape.width * n)
    v_memory, m_memory, images = k.scratch(1), k.scratch(1), k.scratch(1)
    channels, outs = k.integer(), k.integer()
    tiles = gemm.tall(rows, k.dtype), 2, *([1] if odd else [])
    few = winograd.narrow(shape, k.dtype)
    read = functools.partial(_row_inputs, images) if few else _inputs
    write: Callable[..., None] = _write_rows if few else _write_tiles
    lead, some, within = _dealt(k, outs, tiles[0], by_outs)
    first_out = out.moved(lead)

    def products(v: Array, m: Array, line: Value, to: Value, columns: int) -> None:
        for q in k.turns(5):
            matrix = u.moved((channels * outs + APART) * (line * 4 + q.at_most(3)) + lead)
            seen, target = v.moved(channels * _one_of(k, q, 0, 1, 2, 3, 1)), m.moved(to * 5 + q)
            for first, deep in k.blocks(channels, winograd.DEEP):
                lengths = some.name, columns, deep.name
                left = gemm.Matrix(matrix.at(outs * first), 1, outs.name)
                operands = [left, gemm.Matrix(seen.at(first), columns, 1), gemm.Matrix(target.pointer, columns, 1)]
                gemm.write(k, lengths, operands, k.dtype, (first > 0).name, rows=tiles, far=far)

    for columns, *place in _blocks(k, shape, within):
        v, m = v_memory.shaped(1, columns), m_memory.shaped(15, rows, columns)
        for step in k.turns(5):
            for _ in k.when(~step.eq(2)):  # which reads the line of the step before
                read(k, shape, GRADIENT_KINDS, channels, y, border, v, _one_of(k, step, 3, 1, 1, 0, 2), *place)
            products(v, m, _one_of(k, step, 3, 3, 1, 0, 2), _one_of(k, step, 0, 0, 1, 0, 2), columns)
            for _ in k.when(step < 2):
                write(k, shape, some, m, first_out, step * 2, *place)
        write(k, shape, some, m, first_out, None, *place)
    return k.shared()


def _blocks(k: Kernel, shape: Shape, within: tuple[Value, Value]) -> Iterator[tuple[Any, ...]]:
    """The blocks of tiles, or in narrow batches the bands of rows, of a part of the range: their columns, and what `winograd`
    says of them."""
    if winograd.narrow(shape, k.dtype):
        for row, size in winograd.row_blocks(k, shape, *within):
            yield size * shape.columns * shape.batch, row, size
        return
    for row, first, size, part in winograd.tile_blocks(k, shape, *within):
        yield size * shape.batch, row, first, size, part


def _dealt(k: Kernel, outs: Value, tall: int, by_outs: bool) -> tuple[Value, Value, tuple[Value, Value]]:
    """The part of the range: its first output, how many, and from which block to which."""
    if by_outs:
        begin, end = k.range(-(-OUTS // tall) * tall, 1)
        return begin, end - begin, (k.index(0), k.index(1))
    return k.index(0), outs, k.range()


def _one_of(k: Kernel, number: Value, *values: int) -> Value:
    """The value of a number that is counted as the kernel runs."""
    found = k.index(values[-1])
    for i, value in enumerate(values[:-1]):
        found = number.eq(i).where(k.index(value), found)
    return found


# -- lines of V --------------------------------------------------------------------------------------------------


def _two_rows(shape: Shape, x: Array, border: Array, c: Value, row: Value, line: Value) -> list[Array]:
    """The rows of the input whose difference a line of V is made of; beside the input, and where there is but one, zeros. The
    line behind that of a tile's last row is the first row alone."""
    height, above, middle = shape.inputs[0], shape.befores[0], shape.stride
    first = row * (2 * shape.stride) - above
    place = first + (line > 2 * middle).where(x.kernel.index(0), line)
    there = place.compare("ult", height), (first + middle).compare("ult", height) & (line.eq(0) | line.eq(2 * middle))
    return [
        winograd.seen_at(x.part(c, at), border, (seen,)).shaped(1)
        for at, seen in zip((place, first + middle), there, strict=True)
    ]


def _made(kinds: Kinds, places: list[Value]) -> list[Value]:
    """A line of V of the columns of a tile."""
    return [places[a] if b is None else places[a] - places[b] for a, b in kinds]


def _inputs(
    k: Kernel, shape: Shape, kinds: Kinds, channels: Value, x: Array, border: Array, v: Array, line: Value, row: Value,
    first: Value, size: int, part: tuple[int, int],
) -> None:  # fmt: skip
    """A line of V of a block of tiles."""
    n, before, step = shape.batch, shape.befores[1], 2 * shape.stride
    starts = [channels * i for i in range(len(kinds))]
    for c in k.turns(channels):
        rows = _two_rows(shape, x, border, c, row, line)
        for t in k.turns(size):
            tile = first + t
            there = [winograd.is_there(shape, 1, tile, j) for j in range(step + 1)]
            corners = [seen.moved(tile * (step * n)).near() for seen in rows]
            places = [
                [winograd.seen_at(corner.moved((j - before) * n), border, (seen,)) for corner in corners]
                for j, seen in enumerate(there)
            ]
            for at, count in k.vectors(0, n):
                loaded = [[place.load(at, lanes=k.lanes, count=count) for place in pair] for pair in places]
                values = _made(kinds, [upper - lower for upper, lower in loaded])
                for start, value in zip(starts, values, strict=True):
                    v.store(value, start + c, t * n + at, count=count)


def _image(shape: Shape) -> tuple[int, int, int]:
    """How many channels of a band are brought apart before they are read, numbers of the rows of one, and of those apart."""
    size = max(size for *_, size in winograd.bands(shape))
    dense, apart = size * shape.inputs[1] * shape.batch, size * 2 * shape.stride * (shape.columns + 1) * shape.batch
    return max(1, min(8, 4096 // (dense + apart))), dense, apart


def _row_inputs(
    images: Array, k: Kernel, shape: Shape, kinds: Kinds, channels: Value, x: Array, border: Array, v: Array, line: Value,
    row: Value, size: int,
) -> None:  # fmt: skip
    """A line of V of some rows of tiles."""
    n, width, before, step = shape.batch, shape.inputs[1], shape.befores[1], 2 * shape.stride
    several, dense, _ = _image(shape)
    # What is read behind the end are more of the memory's numbers.
    lines = images.shaped(dense // (width * n), width * n)
    image = images.moved(several * dense).shaped(size, step, (shape.columns + 1) * n)
    starts = [channels * i for i in range(len(kinds))]
    for first, some in k.blocks(channels, several):
        for c in k.turns(some):
            for r in k.turns(size):
                upper, lower = _two_rows(shape, x, border, first + c, row + r, line)
                to = lines.part(c * size + r)
                for begin, vectors, rest in pieces(k, width * n, 4):
                    for i in range(vectors):
                        at, count = begin + i * k.lanes, rest if i == vectors - 1 else None
                        value = upper.load(at, lanes=k.lanes, count=count) - lower.load(at, lanes=k.lanes, count=count)
                        to.store(value, at, count=count)
        for place in k.turns(some * size):
            planes(k, lines.part(place), image.part(place), (width, -before, step, shape.columns + 1), n)
        for c in k.turns(some):
            for r in k.turns(size):
                corner = image.part(c * size + r).near()
                for at, count in k.vectors(0, shape.columns * n):
                    places = [corner.load(j % step, j // step * n + at, lanes=k.lanes) for j in range(step + 1)]
                    for start, value in zip(starts, _made(kinds, places), strict=True):
                        v.store(value, start + first + c, r * (shape.columns * n) + at, count=count)


# -- results of the gradient -------------------------------------------------------------------------------------


def _lines(k: Kernel, cells: Array, one: bool, at: Index, count: int | None) -> list[list[Value]]:
    """Rows of a tile, of four results each: `one` that is a product of its own, or the two others."""
    lines = []
    for i in range(1 if one else 3):
        m0, m1, m2, c0, c2 = (cells.load(5 * i + j, 0, at, lanes=k.lanes, count=count) for j in range(5))
        lines.append([c0, m0 + m1, c2, m1 + m2])
    return lines if one else [[a + b for a, b in zip(*pair, strict=True)] for pair in itertools.pairwise(lines)]


def _write_tiles(
    k: Kernel, shape: Shape, outs: Value, m: Array, out: Array, one: Value | None, row: Value, first: Value, size: int,
    part: tuple[int, int],
) -> None:  # fmt: skip
    """One row, or the two others, of the upper left part of each tile."""
    n, (high, wide) = shape.batch, part
    places: list[Index] = [place for place in (1, 3) if place < high] if one is None else [one]
    for o in k.turns(outs) if one is None else k.turns((one < high).where(outs, 0)):
        for t in k.turns(size):
            cells, corner = m.moved(0, o, t * n).near(), out.moved(o, row * 4, (first + t) * (4 * n))
            for at, count in k.vectors(0, n):
                for place, line in zip(places, _lines(k, cells, one is not None, at, count), strict=False):
                    for j, value in enumerate(line[:wide]):
                        corner.store(value, 0, place, j * n + at, count=count)


def _write_rows(
    k: Kernel, shape: Shape, outs: Value, m: Array, out: Array, one: Value | None, row: Value, size: int
) -> None:  # fmt: skip
    """The same of some rows of tiles."""
    n, length = shape.batch, shape.columns * shape.batch
    places: list[Index] = [1, 3] if one is None else [one]
    for o in k.turns(outs):
        for r in k.turns(size):
            cells = m.moved(0, o, r * length).near()
            results: list[list[Value]] = [[] for _ in places]
            for at, count in k.vectors(0, length):
                for found, (a, b, c, d) in zip(results, _lines(k, cells, one is not None, at, count), strict=True):
                    found.append(k.interleaved(k.interleaved(a, c, n), k.interleaved(b, d, n), n))
            for found, place in zip(results, places, strict=True):
                line = (row + r) * 4 + place
                for _ in k.when(line < shape.height):
                    for i, value in enumerate(found):
                        at = 4 * i * k.lanes
                        some = shape.width * n - at
                        out.store(value, o, line, at, count=some if some < 4 * k.lanes else None)
