"""Convolution with 3 x 3 kernels in fewer multiplications: Winograd's minimal filtering, F(2x2, 3x3).

A tile of 2 x 2 results reads 4 x 4 inputs d. With the kernel g brought to U = G g Gᵀ and the inputs to V = Bᵀ d B, the
tile is Aᵀ (U ∘ V) A: 16 products in place of 36. Over channels and tiles each of the 16 is a product of matrices. The
gradient by the weights is the adjoint: Gᵀ ((A y Aᵀ) ∘ V summed over tiles) G.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016); Winograd, "Arithmetic complexity of
computations" (1980).

Arrays lie as (channel, height, width, batch), so the transforms are sums of dense runs over the batch. Some tiles of one
row are worked on at a time, whose V and products stay in the second level cache; their sixteen matrices lie an odd number
of rows apart, since powers of two would have a tile's sixteen numbers compete for one place in the first level cache.
What a tile sees beyond the input is read from a row of zeros: no copy with a border is made.

The error stays within a small multiple of the direct sum's: the transforms only add, at most four numbers along each axis.
F(4x4, 3x3) would take 36 products in place of 64 for four such tiles, but multiplies inputs by up to 25 and loses a
digit by it; where images are small, as behind pooling, its tiles fit badly too.

What is nan makes nan those results that see it, and no more. So may an infinity, where the direct sum would be infinite:
it comes in with both signs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import even, turn
from tapenet.kernels.constants import made_of
from tapenet.kernels.moves import turn_each
from tapenet.llvm import blas, gemm
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

#: Columns (tiles times batch) that are worked on at a time: V and the products of 64 channels are 256 kB each.
COLUMNS = 64
#: What a number of the transformed weights costs, in multiply-adds: it is written, and read again from afar.
TRANSFORM = 60
_B = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))  # Bᵀ
_A = ((1, 1, 1, 0), (0, 1, -1, -1))  # Aᵀ
_G = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]])


class Shape(NamedTuple):
    """Channels of input and output, height and width of the output, batch, height and width of the input, and how much
    border there is above and to the left of it."""

    channels: int
    outs: int
    height: int
    width: int
    batch: int
    inputs: tuple[int, int]
    befores: tuple[int, int]

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // 2)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.width // 2)

    @property
    def multiply_adds(self) -> int:
        return 16 * self.rows * self.columns * self.batch * self.channels * self.outs


def pays(char: str, shape: Shape) -> bool:
    """Whether this beats other sums: there are enough channels to make up for the transforms of images, and enough tiles for
    those of the weights, of which a number costs as much as `TRANSFORM` products."""
    lanes = registers().bytes // np.dtype(char).itemsize
    c, o = shape.channels, shape.outs
    columns = shape.rows * shape.columns * shape.batch
    saved = 9 * shape.height * shape.width * shape.batch - 16 * columns
    return char in "fd" and 2 * shape.batch >= lanes and c * o >= 12 * (c + o) and saved >= 16 * TRANSFORM


def transformed(weight: np.ndarray, flipped: bool = False) -> np.ndarray:
    """U = G g Gᵀ of kernels (outs, channels, 3, 3), as (16, outs, channels). With `flipped` that of the kernels flipped
    along both axes, as (16, channels, outs): flipping exchanges the first and the last row of G."""
    g = _G[[3, 1, 2, 0]] if flipped else _G
    both = np.einsum("ai,bj->abij", g, g).reshape(16, 9).astype(weight.dtype)
    outs, channels = weight.shape[:2]
    with blas.alone():
        found: np.ndarray = both.dot(np.ascontiguousarray(weight).reshape(-1, 9).T).reshape(16, outs, channels)
    if not flipped:
        return found
    size = outs * channels
    turned = aligned((16, channels, outs), weight.dtype)
    turn_each(outs, channels, channels, outs, size, size, weight.dtype.char)(found, turned, 16)
    return turned


def back(found: np.ndarray) -> np.ndarray:
    """The adjoint of `transformed`: Gᵀ f G, as (outs, channels, 3, 3)."""
    both = np.einsum("ai,bj->ijab", _G, _G).reshape(9, 16).astype(found.dtype)
    outs, channels = found.shape[1:]
    with blas.alone():
        gradient: np.ndarray = both.dot(found.reshape(16, -1)).T.reshape(outs, channels, 3, 3)
    return gradient


def convolve(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape, flipped: bool = False
) -> None:  # fmt: skip
    """out = bias + the cross-correlation of x and weight.

    Args:
        x: (channels, *shape.inputs, batch), C-contiguous. Around it are zeros.
        weight: (outs, channels, 3, 3); with `flipped`, as the gradient by the input needs them, (channels, outs, 3, 3), to
            be flipped.
        bias: (outs,).
        out: (outs, height, width, batch), C-contiguous.
        shape: of all this.
    """
    run = _convolve(shape, x.dtype.char)
    border = np.zeros(shape.batch, x.dtype)
    scratch = 17 * _rows(shape) * _columns(shape) * x.itemsize
    u = made_of(weight, ("winograd", flipped), lambda: transformed(weight, flipped))
    run(_length(shape), shape.multiply_adds, x, border, u, bias, out, scratch)


def weight_grad(x: np.ndarray, y: np.ndarray, shape: Shape) -> np.ndarray:
    """The gradient of `convolve` by the weights, (outs, channels, 3, 3), where y, shaped like `out`, is the one by its
    result. Sums are over the tiles of a part of the rows, and then over parts, in their order."""
    run = _weight_grad(shape, x.dtype.char)
    border = np.zeros(shape.batch, x.dtype)
    size = 16 * shape.outs * shape.channels
    parts = run.parts(_length(shape), shape.multiply_adds, size)
    u = np.zeros((parts, 16, shape.outs, shape.channels), x.dtype)
    column = _columns(shape) * x.itemsize
    scratch = 16 * (shape.channels | 1) * column, 16 * (shape.outs | 1) * column, shape.channels * column
    run(_length(shape), shape.multiply_adds, x, border, u, y, *scratch, parts=parts)
    return back(u[0] if parts == 1 else np.add.reduce(u))


def _length(shape: Shape) -> int:
    """The range that kernels do: that of the rows of tiles, or of all tiles, if each is a block."""
    return shape.rows * (shape.columns if _most(shape) == 1 else 1)


def _most(shape: Shape) -> int:
    """How many tiles a block has at most."""
    return max(1, COLUMNS // shape.batch)


def _rows(shape: Shape) -> int:
    """How many rows apart the matrices of a block lie: an odd number."""
    return max(shape.channels, shape.outs) | 1


def _columns(shape: Shape) -> int:
    """Columns of the largest block of tiles."""
    return min(_most(shape), shape.columns) * shape.batch


# -- kernels -----------------------------------------------------------------------------------------------------


def _applied(matrix: Sequence[Sequence[int]], values: Sequence[Value]) -> list[Value]:
    """A matrix of 0, 1 and -1, times values."""
    found = []
    for row in matrix:
        total = None
        for factor, value in sorted(zip(row, values, strict=True), key=lambda pair: -pair[0]):
            if factor:
                total = value * factor if total is None else total + value if factor > 0 else total - value
        assert total is not None
        found.append(total)
    return found


def _both(matrix: Sequence[Sequence[int]], tile: list[list[Value]]) -> list[list[Value]]:
    """M t Mᵀ of a tile."""
    rows = [list(row) for row in zip(*(_applied(matrix, column) for column in zip(*tile, strict=True)), strict=True)]
    return [_applied(matrix, row) for row in rows]


def _tiles(k: Kernel, shape: Shape) -> Iterator[tuple[Index, int, int]]:
    """The tiles of one row in blocks: where a block begins, its tiles, and how many columns of a tile are results."""
    whole = shape.width // 2
    if whole:
        for begin, count, size in even(whole, _most(shape)):
            if count == 1:
                yield begin, size, 2
            else:
                for first in k.turns(begin + count * size, begin, size):
                    yield first, size, 2
    if shape.width % 2:
        yield whole, 1, 1


def _blocks(k: Kernel, shape: Shape) -> Iterator[tuple[Value, Index, int, tuple[int, int]]]:
    """The blocks of tiles of a part of the range. Gives the row, the first tile, the tiles, and how many rows and columns of a
    tile are in the result."""
    begin, end = k.range()
    if _most(shape) == 1:
        for tile in k.turns(end, begin):
            row = tile.op("udiv", tile, shape.columns)
            column = tile - row * shape.columns
            for below, high in _halves(k, row, shape.height):
                for beside, wide in _halves(k, column, shape.width):
                    for _ in k.turns((below & beside).where(k.index(1), 0)):
                        yield row, column, 1, (high, wide)
        return
    whole = k.index(shape.height // 2)
    for first_row, last_row, high in (
        (begin, (end < whole).where(end, whole), 2),
        ((begin > whole).where(begin, whole), end, 1),
    ):
        if high == 1 and shape.height % 2 == 0:
            continue
        for row in k.turns(last_row, first_row):
            for first, size, wide in _tiles(k, shape):
                yield row, first, size, (high, wide)


def _halves(k: Kernel, tile: Value, length: int) -> Iterator[tuple[Value, int]]:
    """Whether a row or column of tiles is whole, and whether only its first half is in the result, which is so long."""
    yield tile < length // 2, 2
    if length % 2:
        yield tile >= length // 2, 1


def _inputs(
    k: Kernel, shape: Shape, x: Array, border: Array, v: Array, row: Value, first: Index, size: int
) -> None:  # fmt: skip
    """V of a block of tiles."""
    n = shape.batch
    rows = [_place(shape, 0, row, i) for i in range(4)]
    for c in k.turns(shape.channels):
        for t in k.turns(size):
            columns = [_place(shape, 1, first + t, j) for j in range(4)]
            places = [[_seen(x.part(c, i, j), border, (row, column)) for j, column in columns] for i, row in rows]
            for at, count in k.vectors(0, n):
                tile = [[place.load(at, lanes=k.lanes, count=count) for place in line] for line in places]
                for i, values in enumerate(_both(_B, tile)):
                    for j, value in enumerate(values):
                        v.store(value, 4 * i + j, c, t * n + at, count=count)


def _place(shape: Shape, axis: int, tile: Value, i: int) -> tuple[Value, Value | None]:
    """Where the i-th row or column of a tile is in the input, and whether it is there, None if each tile's is."""
    length, before = shape.inputs[axis], shape.befores[axis]
    place = tile * 2 + (i - before)
    last = 2 * ((shape.rows, shape.columns)[axis] - 1) + i - before
    if i >= before and last < length:
        return place, None
    return place, place.compare("ult", length)


def _seen(array: Array, border: Array, there: tuple[Value | None, Value | None]) -> Array:
    """The batch of one place, or zeros where it is not there."""
    k, pointer = array.kernel, array.pointer
    for condition in there:
        if condition is not None:
            pointer = condition.where(Value(k, pointer, "ptr"), Value(k, border.pointer, "ptr")).name
    return Array(k, pointer, border.strides, border.dtype)


@functools.lru_cache(maxsize=128)
def _convolve(shape: Shape, char: str) -> Shared:
    k = Kernel("winograd", char)
    n = shape.batch
    x, border = k.array(shape.channels, *shape.inputs, n), k.array(n)
    u = k.array(16, shape.outs, shape.channels)
    bias = k.array(shape.outs)
    out = k.array(shape.outs, shape.height, shape.width * n)
    memory = k.scratch(1)
    for row, first, size, part in _blocks(k, shape):
        # Each product goes where the matrix before its own was.
        m = memory.shaped(17, _rows(shape), size * n)
        v = m.moved(1)
        _inputs(k, shape, x, border, v, row, first, size)
        for q in k.turns(16):
            matrices = [gemm.Matrix(a.at(q), a.strides[1], 1) for a in (u, v, m)]
            gemm.write(k, (shape.outs, size * n, shape.channels), matrices, k.dtype, False)
        _outputs(k, shape, m, bias, out, row, first, size, part)
    return k.shared()


def _outputs(
    k: Kernel, shape: Shape, m: Array, bias: Array, out: Array, row: Index, first: Index, size: int, part: tuple[int, int]
) -> None:  # fmt: skip
    """Aᵀ M A plus the bias: the upper left part of each tile."""
    n = shape.batch
    for o in k.turns(shape.outs):
        number = k.spread(bias.load(o), k.lanes)
        for t in k.turns(size):
            for at, count in k.vectors(0, n):
                tile = [
                    [m.load(4 * i + j, o, t * n + at, lanes=k.lanes, count=count) for j in range(4)] for i in range(4)
                ]
                for i, values in enumerate(_both(_A, tile)[: part[0]]):
                    for j, value in enumerate(values[: part[1]]):
                        place = ((first + t) * 2 + j) * n + at
                        out.store(value + number, o, row * 2 + i, place, count=count)


@functools.lru_cache(maxsize=128)
def _weight_grad(shape: Shape, char: str) -> Shared:
    k = Kernel("winograd_weights", char)
    n = shape.batch
    x, border = k.array(shape.channels, *shape.inputs, n), k.array(n)
    u = k.each(16, shape.outs, shape.channels)
    y = k.array(shape.outs, shape.height, shape.width * n)
    v_memory, m_memory, turned_memory = (k.scratch(1) for _ in range(3))
    for row, first, size, part in _blocks(k, shape):
        v = v_memory.shaped(16, shape.channels | 1, size * n)
        m = m_memory.shaped(16, shape.outs | 1, size * n)
        turned = turned_memory.shaped(size * n, shape.channels)
        _inputs(k, shape, x, border, v, row, first, size)
        _adjoint(k, shape, y, m, row, first, size, part)
        for q in k.turns(16):
            turn(k, v.part(q), turned, shape.channels, k.index(size * n))
            matrices = [
                gemm.Matrix(m.at(q), size * n, 1),
                gemm.Matrix(turned.pointer, shape.channels, 1),
                gemm.Matrix(u.at(q), shape.channels, 1),
            ]
            gemm.write(k, (shape.outs, shape.channels, size * n), matrices, k.dtype, True)
    return k.shared()


def _adjoint(
    k: Kernel, shape: Shape, y: Array, m: Array, row: Index, first: Index, size: int, part: tuple[int, int]
) -> None:  # fmt: skip
    """A y Aᵀ of a block of tiles, whose rows and columns beyond `part` are 0."""
    n = shape.batch
    zero = k.number(0.0, k.lanes)
    matrix = tuple(zip(*_A, strict=True))
    for o in k.turns(shape.outs):
        for t in k.turns(size):
            for at, count in k.vectors(0, n):
                tile = [[zero, zero], [zero, zero]]
                for i in range(part[0]):
                    for j in range(part[1]):
                        place = ((first + t) * 2 + j) * n + at
                        tile[i][j] = y.load(o, row * 2 + i, place, lanes=k.lanes, count=count)
                for i, values in enumerate(_both(matrix, tile)):
                    for j, value in enumerate(values):
                        m.store(value, 4 * i + j, o, t * n + at, count=count)
