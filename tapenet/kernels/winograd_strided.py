"""Convolution with 3 x 3 kernels and stride 2 in fewer multiplications: Winograd's filtering, phase by phase.

Along one axis two results read five inputs, y0 = x0 w0 + x1 w1 + x2 w2 and y1 = x2 w0 + x3 w1 + x4 w2. Even inputs meet the
taps w0 and w2, which is Winograd's F(2, 2) with 3 products in place of 4; odd ones meet w1 alone:

    m0 = (x0 - x2) w0 + x1 w1,  m1 = x2 (w0 + w2),  m2 = x3 w1 + (x4 - x2) w2,  y0 = m0 + m1,  y1 = m1 + m2.

Along both axes a tile of 2 x 2 results takes 25 products in place of 36, and two products of one m are a product of matrices
of twice the depth. Nothing is multiplied but by 0, 1 and -1, so errors stay as small as those of `winograd`, in whose way
arrays lie and tiles are worked on. On one thread of a Zen 4, 64 to 256 channels take 0.68 to 0.76 of the time of
`gathered.sums` on 16 or 64 images of 4 x 4 to 16 x 16, and 0.80 to 0.91 on one of 28 x 28 or 56 x 56.
"""

from __future__ import annotations

import numpy as np

from tapenet.kernels import aligned, winograd
from tapenet.kernels.blocks import pieces, planes
from tapenet.kernels.constants import made_of, zeros
from tapenet.kernels.winograd import Shape
from tapenet.llvm import gemm
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Kernel, Value
from tapenet.llvm.sharing import Shared

A = ((1, 1, 0), (0, 1, 1))  # from M to results
#: Numbers between rows of the transformed weights, so that these don't compete for places in a cache.
APART = 16
#: Outputs of a part at least, where threads share these.
OUTS = 32


def transformed(weight: np.ndarray) -> np.ndarray:
    """U of kernels (outs, channels, 3, 3), as (4, outs, 4 * channels + APART): along the first axis w0, w1, w0 + w2 and w2 of
    the rows of kernels, along the last w0, w1, w2 and w0 + w2 of their columns, such that what is multiplied at once lies
    side by side."""
    outs, channels = weight.shape[:2]
    found = aligned((4, outs, 4 * channels + APART), weight.dtype)
    run = _transform(channels % winograd.lanes_of(weight.dtype), weight.dtype.char)
    run(outs, winograd.MOVED * found.size, np.ascontiguousarray(weight), found, outs, channels)
    return found


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """out = bias + the cross-correlation of x and weight with stride 2; see `winograd.convolve`."""
    far, odd = gemm.far(16 * shape.outs * shape.channels * x.itemsize), shape.outs % 2 > 0
    rows, length = winograd.matrix_rows(shape), winograd.length_of(shape, x.dtype)
    by_outs = length == 1 and shape.outs >= 2 * OUTS
    run = _convolve(shape._replace(channels=0, outs=0), rows, odd, far, x.dtype.char, by_outs)
    border = zeros(shape.batch * shape.inputs[1], x.dtype)
    u = made_of(weight, "winograd_strided", lambda: transformed(weight))
    column = winograd.most_columns(shape, x.dtype) * x.itemsize
    several, dense, apart = _image(shape)
    images = several * (dense + apart) * x.itemsize if winograd.narrow(shape, x.dtype) else 0
    memory = 5 * shape.channels * column, 9 * rows * column, images + 64 * x.itemsize
    length = shape.outs if by_outs else length
    run(length, shape.multiply_adds, x, border, u, bias, out, *memory, shape.channels, shape.outs)


@factory(128)
def _transform(rest: int, char: str) -> Shared:
    """The range is that of the outs; of the channels only how many are left over behind whole vectors is known."""
    k = Kernel("winograd_strided_kernels", char, vectors=True)
    weight, u = k.array(1), k.array(1)
    outs, channels = k.integer(), k.integer()
    begin, end = k.range()
    row = channels * 4 + APART
    matrices = [row * outs * i + channels * j for i in range(4) for j in range(4)]
    rows = [9 * i for i in range(k.lanes)]
    whole = channels.op("udiv", channels, k.lanes) * k.lanes

    def some(o: Value, c: Value, count: int) -> None:
        kernels, target = weight.moved((channels * o + c) * 9).near(), u.moved(row * o + c).near()
        winograd.write_kernels(k, kernels, rows, target, matrices, count, False, _by_lines, _by_kinds)

    for o in k.turns(end, begin):
        for c in k.turns(whole, 0, k.lanes):
            some(o, c, k.lanes)
        if rest:
            some(o, whole, rest)
    return k.shared()


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
    begin, end = k.range(-(-OUTS // tiles[0]) * tiles[0], 1) if by_outs else k.range()
    lead, some = (begin, end - begin) if by_outs else (k.index(0), outs)
    within = (k.index(0), k.index(1)) if by_outs else (begin, end)
    first_out, first_bias = out.moved(lead), bias.moved(lead)

    def products(v: Array, m: Array, line: Value, columns: int) -> None:
        # A line's three products: of its first two kinds, of the next two, of the last.
        again = line.eq(1) | line.eq(4)
        upper = (line > 2).where(k.index(2), (line > 1).where(k.index(1), 0))  # row of M
        number = line.eq(3).where(k.index(1), line.eq(4).where(k.index(3), line))  # of U
        kernels = u.moved((outs * number + lead) * row_of)
        for q in k.turns(3):
            last = q.eq(2)
            depth = last.where(channels, channels * 2)
            left = gemm.Matrix(kernels.at(channels * last.where(k.index(3), q)), row_of.name, 1)
            right = gemm.Matrix(v.at(channels * 2 * q), columns, 1)
            to = gemm.Matrix(m.at(upper * 3 + q.eq(0).where(k.index(0), k.index(3) - q)), columns, 1)
            lengths = some.name, columns, depth.name
            gemm.write(k, lengths, [left, right, to], k.dtype, again.name, rows=tiles, far=far)

    if winograd.narrow(shape, k.dtype):
        for row, size in winograd.row_blocks(k, shape, *within):
            columns = size * shape.columns * n
            v, m = v_memory.shaped(1, columns), m_memory.shaped(9, rows, columns)
            for line in k.turns(5):
                _row_inputs(k, shape, channels, x, border, images, v, row, size, line)
                products(v, m, line, columns)
            winograd.write_rows(k, shape, some, m, first_bias, first_out, row, size, A)
        return k.shared()
    for row, first, size, part in winograd.tile_blocks(k, shape, *within):
        v, m = v_memory.shaped(1, size * n), m_memory.shaped(9, rows, size * n)
        for line in k.turns(5):
            _inputs(k, shape, channels, x, border, v, row, first, size, line)
            products(v, m, line, size * n)
        winograd.write_tiles(k, shape, some, m, first_bias, first_out, row, first, size, part, A)
    return k.shared()


def _two_rows(shape: Shape, x: Array, border: Array, c: Value, row: Value, line: Value) -> list[Array]:
    """The rows of the input whose difference a line of V is made of; beside the input, and where there is but one, zeros."""
    height, above = shape.inputs[0], shape.befores[0]
    place, middle = row * 4 + line - above, row * 4 + (2 - above)
    there = place.compare("ult", height), middle.compare("ult", height) & (line.eq(0) | line.eq(4))
    return [
        winograd.seen_at(x.part(c, at), border, (seen,)).shaped(1)
        for at, seen in zip((place, middle), there, strict=True)
    ]


def _kinds(places: list[Value]) -> tuple[Value, ...]:
    """A line of V of the five columns of a tile: what makes m0, what makes m2, and what makes m1."""
    a, b, c, d, e = places
    return a - c, b, d, e - c, c


def _inputs(
    k: Kernel, shape: Shape, channels: Value, x: Array, border: Array, v: Array, row: Value, first: Value, size: int,
    line: Value,
) -> None:  # fmt: skip
    """A line of V of a block of tiles."""
    n, before = shape.batch, shape.befores[1]
    kinds = [channels * i for i in range(5)]
    for c in k.turns(channels):
        rows = _two_rows(shape, x, border, c, row, line)
        for t in k.turns(size):
            tile = first + t
            there = [winograd.is_there(shape, 1, tile, j) for j in range(5)]
            corners = [seen.moved(tile * (4 * n)).near() for seen in rows]
            places = [
                [winograd.seen_at(corner.moved((j - before) * n), border, (seen,)) for corner in corners]
                for j, seen in enumerate(there)
            ]
            for at, count in k.vectors(0, n):
                loaded = [[place.load(at, lanes=k.lanes, count=count) for place in pair] for pair in places]
                values = _kinds([upper - lower for upper, lower in loaded])
                for kind, value in zip(kinds, values, strict=True):
                    v.store(value, kind + c, t * n + at, count=count)


def _image(shape: Shape) -> tuple[int, int, int]:
    """How many channels of a band are brought apart before they are read, numbers of the rows of one, and of those apart."""
    size = max(size for *_, size in winograd.bands(shape))
    dense, apart = size * shape.inputs[1] * shape.batch, size * 4 * (shape.columns + 1) * shape.batch
    return max(1, min(8, 4096 // (dense + apart))), dense, apart


def _row_inputs(
    k: Kernel, shape: Shape, channels: Value, x: Array, border: Array, images: Array, v: Array, row: Value, size: int,
    line: Value,
) -> None:  # fmt: skip
    """A line of V of some rows of tiles."""
    n, width, before, half = shape.batch, shape.inputs[1], shape.befores[1], (shape.columns + 1) * shape.batch
    several, dense, _ = _image(shape)
    # What is read behind the end are more of the memory's numbers.
    lines, image = images.shaped(dense // (width * n), width * n), images.moved(several * dense).shaped(size, 4, half)
    kinds = [channels * i for i in range(5)]
    for first in k.turns(channels, 0, several):
        last = first + (channels - first).at_most(several)
        for c in k.turns(last, first):
            for r in k.turns(size):
                upper, lower = _two_rows(shape, x, border, c, row + r, line)
                to = lines.part((c - first) * size + r)
                for begin, vectors, rest in pieces(k, width * n, 4):
                    for i in range(vectors):
                        at, count = begin + i * k.lanes, rest if i == vectors - 1 else None
                        value = upper.load(at, lanes=k.lanes, count=count) - lower.load(at, lanes=k.lanes, count=count)
                        to.store(value, at, count=count)
        for c in k.turns(last, first):
            for r in k.turns(size):
                place = (c - first) * size + r
                planes(k, lines.part(place), image.part(place), (width, -before, 4, shape.columns + 1), n)
        for c in k.turns(last, first):
            for r in k.turns(size):
                corner = image.part((c - first) * size + r).near()
                for at, count in k.vectors(0, shape.columns * n):
                    places = [corner.load(j % 4, j // 4 * n + at, lanes=k.lanes) for j in range(5)]
                    for kind, value in zip(kinds, _kinds(places), strict=True):
                        v.store(value, kind + c, r * (shape.columns * n) + at, count=count)
